//! Emergency numbers, and how people dial them from a phone behind a PBX.
//!
//! The dialplan snippets don't announce emergency calls at all. This rule is the second line: whatever a
//! snippet announces, sidecall leaves such a call alone.

use serde::{Deserialize, Serialize};

use super::did_map::{DigitMask, overlap};
use super::emergency_regions::REGIONS;
use super::number::Number;

/// Reach help from any mobile phone of the world (3GPP TS 22.101 §10.1), so people try them everywhere.
const EVERYWHERE: [&str; 2] = ["112", "911"];

/// The default where the region is unknown: the snippets have the same list.
const WORLD: [&str; 21] = [
    "911", "1911", "1X", "1XX", "000", "01", "02", "03", "06X", "08X", "9X", "90X", "91X", "933", "988", "99X", "1122",
    "1669", "9999", "10111", "10177",
];

/// What PBXs commonly have people dial for an outside line.
const OUTSIDE: [&str; 3] = ["0", "00", "9"];

/// An emergency number: digits, and `X` for any digit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EmergencyNumber(DigitMask);

/// Which dialled strings are emergency calls on one PBX.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmergencyRule {
    numbers: Vec<EmergencyNumber>,
    prefixes: Vec<String>,
}

impl EmergencyRule {
    /// The rule of a PBX: its own numbers, or else those of its region (ISO 3166-1 alpha-2); `outside` is dialled
    /// for an outside line.
    pub fn new(own: Option<&[EmergencyNumber]>, region: Option<&str>, outside: Option<&str>) -> EmergencyRule {
        let mut prefixes: Vec<String> = OUTSIDE.into_iter().chain(outside).map(str::to_owned).collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        EmergencyRule { numbers: own.map_or_else(|| of_region(region), <[_]>::to_vec), prefixes }
    }

    /// The numbers, with `X` for any digit.
    pub fn numbers(&self) -> impl Iterator<Item = &str> {
        self.numbers.iter().map(|number| number.0.as_str())
    }

    /// The numbers, one by one.
    pub fn each_number(&self) -> impl Iterator<Item = String> {
        self.numbers.iter().flat_map(|number| number.0.expand())
    }

    /// What may be dialled before a number.
    pub fn prefixes(&self) -> &[String] {
        &self.prefixes
    }

    /// Whether a text without separators is an emergency number, also behind a prefix or a country code.
    pub fn covers(&self, text: &str) -> bool {
        if let Some(global) = text.strip_prefix('+') {
            return is_short_code(global, |short| self.is_listed(short));
        }
        let behind = |prefix: &String| text.strip_prefix(prefix.as_str()).is_some_and(|rest| self.is_listed(rest));
        self.is_listed(text) || self.prefixes.iter().any(behind)
    }

    fn is_listed(&self, digits: &str) -> bool {
        self.numbers.iter().any(|number| number.is(digits))
    }
}

impl EmergencyNumber {
    /// The longest list entry has six digits; nothing shorter than two is dialled for help.
    fn new(text: &str) -> Option<EmergencyNumber> {
        let mask: DigitMask = text.parse().ok()?;
        (2..=6).contains(&text.len()).then_some(EmergencyNumber(mask))
    }

    fn is(&self, digits: &str) -> bool {
        digits.bytes().all(|b| b.is_ascii_digit()) && overlap(self.0.as_str(), digits)
    }
}

impl TryFrom<String> for EmergencyNumber {
    type Error = String;
    fn try_from(text: String) -> Result<EmergencyNumber, String> {
        let read = EmergencyNumber::new(&text);
        read.ok_or_else(|| format!("{text:?} is not an emergency number: write 2 to 6 digits, with X for any digit"))
    }
}

impl From<EmergencyNumber> for String {
    fn from(number: EmergencyNumber) -> String {
        number.0.into()
    }
}

/// Whether a number that somebody made an E.164 one is an emergency number behind a country code: `+1911`.
/// No subscriber has such a number.
pub fn is_emergency(number: &Number) -> bool {
    let world = |short: &str| WORLD.iter().any(|mask| overlap(mask, short));
    matches!(number, Number::E164(digits) if is_short_code(digits, world))
}

/// Whether `digits` are a country code (one to three digits, none begins with a zero; ITU-T E.164 §6.2.1) and a
/// short code. A number of a subscriber has seven digits at least.
fn is_short_code(digits: &str, is_short: impl Fn(&str) -> bool) -> bool {
    let behind = |n: usize| digits.get(n..).is_some_and(&is_short);
    (3..7).contains(&digits.len()) && !digits.starts_with('0') && (1..=3).any(behind)
}

fn of_region(region: Option<&str>) -> Vec<EmergencyNumber> {
    let Some(region) = region else { return WORLD.into_iter().filter_map(EmergencyNumber::new).collect() };
    let own = REGIONS.iter().find(|(regions, _)| regions.split(' ').any(|known| known == region));
    let own = own.map_or("", |(_, numbers)| numbers).split_ascii_whitespace();
    EVERYWHERE.into_iter().chain(own).filter_map(EmergencyNumber::new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rule(region: Option<&str>) -> EmergencyRule {
        EmergencyRule::new(None, region, None)
    }

    #[test]
    fn what_people_dial_for_help() {
        let us = rule(Some("US"));
        for text in ["911", "9911", "0911", "00911", "112", "0112", "9112", "+1911", "1911", "91911", "+44112", "9933"]
        {
            assert!(us.covers(text), "{text}");
        }
        let germany = rule(Some("DE"));
        for text in ["110", "0110", "+49110", "00112"] {
            assert!(germany.covers(text), "{text}");
        }
        assert!(rule(Some("GB")).covers("9999") && rule(Some("AU")).covers("0000") && rule(Some("PK")).covers("1122"));
        for text in ["911", "9911", "112", "0112", "110", "999", "+1911", "0110", "000", "+49110"] {
            assert!(rule(None).covers(text), "{text}");
        }
    }

    #[test]
    fn what_is_no_emergency_number() {
        for region in [None, Some("US"), Some("DE"), Some("GB")] {
            for text in ["", "+", "1001", "2125550100", "+12125550100", "9911911", "911x", "+0911", "+19112125550100"] {
                assert!(!rule(region).covers(text), "{text:?} in {region:?}");
            }
        }
        assert!(!rule(Some("US")).covers("0110") && !rule(Some("DE")).covers("9999"));
    }

    #[test]
    fn an_own_list_and_an_own_prefix_take_the_place_of_the_regions() {
        let own: Vec<EmergencyNumber> = serde_json::from_str(r#"["119", "18X"]"#).unwrap();
        let rule = EmergencyRule::new(Some(&own), Some("US"), Some("77"));
        for text in ["119", "77119", "184", "9184"] {
            assert!(rule.covers(text), "{text}");
        }
        assert!(!rule.covers("911") && !rule.covers("17"));
        for bad in ["", "9", "1234567", "+112", "11 2", "112|911"] {
            let said = EmergencyNumber::try_from(bad.to_owned()).unwrap_err();
            assert!(said.contains("2 to 6 digits"), "{said}");
        }
    }

    #[test]
    fn every_region_has_a_list_that_reads() {
        for (regions, numbers) in REGIONS {
            for region in regions.split(' ') {
                assert_eq!(rule(Some(region)).numbers().count(), 2 + numbers.split(' ').count(), "{region}");
            }
        }
        assert_eq!(rule(None).numbers().count(), WORLD.len());
    }

    fn any_region() -> impl Strategy<Value = Option<&'static str>> {
        let all: Vec<&str> = REGIONS.iter().flat_map(|(regions, _)| regions.split(' ')).collect();
        prop::option::of(prop::sample::select(all))
    }

    proptest! {
        #[test]
        fn each_number_counts_however_it_is_dialled(
            region in any_region(), outside in prop::option::of("[0-9]{1,4}"), n in 0usize..25, digit in "[0-9]",
            country in "[1-9][0-9]{0,2}",
        ) {
            let rule = EmergencyRule::new(None, region, outside.as_deref());
            let masks: Vec<&str> = rule.numbers().collect();
            let number = masks[n % masks.len()].replace('X', &digit);
            prop_assert!(rule.covers(&number));
            for prefix in rule.prefixes() {
                let dialled = format!("{prefix}{number}");
                prop_assert!(rule.covers(&dialled), "{}", dialled);
            }
            if country.len() + number.len() < 7 {
                let dialled = format!("+{country}{number}");
                prop_assert!(rule.covers(&dialled), "{}", dialled);
            }
        }

        #[test]
        fn what_a_subscriber_has_never_counts(region in any_region(), digits in "[1-9][0-9]{6,14}") {
            let global = format!("+{digits}");
            prop_assert!(!rule(region).covers(&global));
            prop_assert!(!is_emergency(&global.parse().unwrap()));
        }
    }
}
