//! What the PBX says, turned into a number: the rules of one PBX.

use serde::{Deserialize, Serialize};

use super::number::{Context, Number};

/// How one PBX writes numbers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NumberPlan {
    /// Where its extensions are valid.
    pub context: Context,
    /// The country whose national format it uses (ISO 3166-1 alpha-2); without one, only numbers
    /// that begin with `+` are global.
    pub region: Option<Region>,
    /// What has at most this many digits, and no `+`, is an extension.
    pub extension_digits: usize,
}

/// A country, as ISO 3166-1 alpha-2 writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Region(phonenumber::country::Id);

impl TryFrom<String> for Region {
    type Error = String;
    fn try_from(text: String) -> Result<Region, String> {
        let id = text.to_ascii_uppercase().parse();
        id.map(Region).map_err(|_| format!("{text:?} is not a country code (ISO 3166-1 alpha-2, such as \"US\")"))
    }
}

impl From<Region> for String {
    fn from(region: Region) -> String {
        region.0.as_ref().to_owned()
    }
}

impl NumberPlan {
    /// The number that the PBX wrote as `raw`, or none: a withheld caller, a name, a feature code.
    pub fn read(&self, raw: &str) -> Option<Number> {
        let text: String = raw.trim().chars().filter(|c| !" -.()/".contains(*c)).collect();
        if let Some(digits) = text.strip_prefix('+') {
            return Number::e164(digits).ok();
        }
        if text.len() <= self.extension_digits {
            return Number::local(&text, self.context.clone()).ok();
        }
        if !text.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let Some(region) = self.region else {
            return Number::local(&text, self.context.clone()).ok();
        };
        let parsed = phonenumber::parse(Some(region.0), &text).ok()?;
        let code = parsed.code().value();
        // The national number keeps its leading zeros where the country has them (Italy).
        let national = parsed.national().to_string();
        Number::e164(&format!("{code}{national}")).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plan(region: Option<&str>) -> NumberPlan {
        NumberPlan {
            context: "pbx.a.example".parse().unwrap(),
            region: region.map(|r| r.to_owned().try_into().unwrap()),
            extension_digits: 6,
        }
    }

    #[test]
    fn what_a_pbx_says() {
        let us = plan(Some("US"));
        let said = |raw: &str| us.read(raw).map(|n| n.to_string());
        assert_eq!(said("+12125550100").as_deref(), Some("+12125550100"));
        assert_eq!(said("12125550100").as_deref(), Some("+12125550100"));
        assert_eq!(said("2125550100").as_deref(), Some("+12125550100"));
        assert_eq!(said("(212) 555-0100").as_deref(), Some("+12125550100"));
        assert_eq!(said("011442071838750").as_deref(), Some("+442071838750"));
        assert_eq!(said("1001").as_deref(), Some("1001;phone-context=pbx.a.example"));
        for none in ["anonymous", "", "sipp", "*97", "1001;x=y", "${system(id)}", "0A%0A"] {
            assert_eq!(said(none), None, "{none:?}");
        }
    }

    #[test]
    fn leading_zeros_of_italy_stay() {
        assert_eq!(plan(Some("IT")).read("0669812345").map(|n| n.to_string()).as_deref(), Some("+390669812345"));
    }

    #[test]
    fn without_a_region_only_plus_is_global() {
        let plan = plan(None);
        assert_eq!(plan.read("2125550100").unwrap().to_string(), "2125550100;phone-context=pbx.a.example");
        assert_eq!(plan.read("+2125550100").unwrap().to_string(), "+2125550100");
    }

    #[test]
    fn a_region_is_a_country_code() {
        assert!(Region::try_from("XX".to_owned()).is_err());
        assert_eq!(String::from(Region::try_from("de".to_owned()).unwrap()), "DE");
    }

    proptest! {
        #[test]
        fn never_panics(raw in "\\PC{0,30}|[+0-9*#() .-]{0,30}") {
            let _ = plan(Some("US")).read(&raw);
        }
    }
}
