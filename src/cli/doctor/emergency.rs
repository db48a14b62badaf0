//! Checks emergency numbers: those that apply on a PBX, whether its snippet knows them, and which extensions look like
//! one.

use std::collections::BTreeSet;

use regex::bytes::{Regex, RegexBuilder};

use super::report::DoctorReport;
use crate::agent::PbxConfig;
use crate::cli::api_client::Api;
use crate::contract::{NumberPage, PbxKind};
use crate::core::numbering::emergency::EmergencyRule;
use crate::core::numbering::number::Number;
use crate::core::numbering::numbering_plan::NumberingPlan;
use crate::pbx::Settings;

/// Maximum number of directory pages to read, and the numbers on each.
const PAGES: usize = 20;
const PAGE: &str = "1000";
/// The directory is sorted and `+` sorts before digits, so the extensions follow this number.
const LAST_GLOBAL: &str = "+999999999999999";
/// Maximum number of numbers listed in a finding.
const NAMED: usize = 8;

/// The extensions in the directory; empty if the node can't be asked, which its own check reports.
pub(super) async fn extensions(admin: Option<&Api>) -> Vec<Number> {
    let mut found = Vec::new();
    let Some(admin) = admin else { return found };
    let mut after = LAST_GLOBAL.to_owned();
    for _ in 0..PAGES {
        let page: Result<NumberPage, _> = admin.get(&["v1", "numbers"], &[("after", &after), ("limit", PAGE)]).await;
        let Ok(page) = page else { break };
        found.extend(page.numbers.into_iter().map(|view| view.number));
        match page.next {
            Some(next) => after = next.to_string(),
            None => break,
        }
    }
    found
}

pub(super) fn check(
    pbx: &PbxConfig,
    settings: &Settings,
    extensions: &[Number],
    about: &str,
    report: &mut DoctorReport,
) -> anyhow::Result<()> {
    let plan = pbx.plan();
    let (numbers_key, outside_key) = match pbx.kind {
        PbxKind::Freeswitch => ("sidecall_emergency", "sidecall_outside"),
        PbxKind::Asterisk => ("SIDECALL_EMERGENCY", "SIDECALL_OUTSIDE"),
    };
    let snippet = Snippet::read(settings);
    for rules in plan.all() {
        let whose = rules.context.as_ref().map(|context| format!(" in {}", context.as_str())).unwrap_or_default();
        report.ok(about, format!("calls to {} are emergency calls{whose}, and left alone", shown(&rules.emergency)))?;
        let snippet = match &snippet {
            Ok(snippet) => snippet,
            Err(problem) => {
                let todo = format!(
                    "write {numbers_key} and {outside_key} at the top of the snippet as it was shipped: 112|911"
                );
                return report.warning(about, problem, todo);
            }
        };
        let lacks: BTreeSet<String> =
            rules.emergency.each_number().filter(|number| !snippet.knows_number(number)).collect();
        if !lacks.is_empty() {
            let found = format!("the snippet announces calls to emergency numbers{whose}: {}", named(&lacks));
            report.warning(about, found, format!("add them to {numbers_key} at the top of the snippet"))?;
        }
        if let Some(prefix) = rules.outside_prefix.as_ref().filter(|prefix| !snippet.knows_prefix(prefix.as_str())) {
            let prefix = prefix.as_str();
            let found = format!("the snippet announces emergency calls behind the outside prefix {prefix}{whose}");
            report.warning(about, found, format!("add {prefix} to {outside_key} at the top of the snippet"))?;
        }
        let swallowed = swallowed(rules, snippet, extensions);
        if !swallowed.is_empty() {
            let found = format!(
                "extensions{whose} look like emergency numbers, so their calls are left alone: {}",
                named(&swallowed)
            );
            let todo = format!(
                "if nobody dials them for help, shorten {numbers_key} or {outside_key} in the snippet, and set emergency in [[pbx]]"
            );
            report.warning(about, found, todo)?;
        }
    }
    Ok(())
}

fn shown(rule: &EmergencyRule) -> String {
    let numbers: Vec<&str> = rule.numbers().collect();
    format!("{} (also behind {} and behind a country code)", numbers.join(", "), rule.prefixes().join(", "))
}

fn named(numbers: &BTreeSet<String>) -> String {
    let first: Vec<&str> = numbers.iter().take(NAMED).map(String::as_str).collect();
    let more = numbers.len() - first.len();
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    first.join(", ") + &rest
}

/// Extensions of the directory and of `[[pbx.map]]` that the agent or the snippet treats as emergency numbers.
fn swallowed(rules: &NumberingPlan, snippet: &Snippet, extensions: &[Number]) -> BTreeSet<String> {
    let own = extensions.iter().filter(|number| number.context() == rules.context.as_ref());
    let own = own.map(|number| number.digits().to_owned());
    let mapped = rules.map.iter().flat_map(|rule| rule.extensions());
    let taken = |digits: &String| snippet.leaves_alone(digits) || rules.is_emergency(digits);
    // The snippet never announces numbers shorter than four digits.
    own.chain(mapped).filter(|digits| digits.len() >= 4 && taken(digits)).collect()
}

/// The snippet's rule for emergency numbers.
struct Snippet {
    numbers: Regex,
    outside: Regex,
    whole: Regex,
}

impl Snippet {
    /// Compiles the snippet's patterns, or says what is wrong with them.
    fn read(settings: &Settings) -> Result<Snippet, String> {
        let Some(numbers) = settings.emergency.as_deref() else {
            return Err(
                "the snippet has no list of emergency numbers: it is an older copy, or the list is empty".to_owned()
            );
        };
        let outside = settings.outside.as_deref().unwrap_or_default();
        let regex = |pattern: &str| {
            // Both PBXs match bytes.
            let built = RegexBuilder::new(&format!("^(?:{pattern})$")).unicode(false).size_limit(1 << 20).build();
            built.map_err(|_| format!("the snippet's pattern of emergency numbers doesn't read: {pattern}"))
        };
        Ok(Snippet {
            numbers: regex(numbers)?,
            outside: regex(outside)?,
            whole: regex(&format!("(?:{outside})?(?:{numbers})"))?,
        })
    }

    fn knows_number(&self, number: &str) -> bool {
        self.numbers.is_match(number.as_bytes())
    }

    fn knows_prefix(&self, prefix: &str) -> bool {
        self.outside.is_match(prefix.as_bytes())
    }

    fn leaves_alone(&self, digits: &str) -> bool {
        self.whole.is_match(digits.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snippet(emergency: Option<&str>, outside: Option<&str>) -> Result<Snippet, String> {
        let text = |text: Option<&str>| text.map(str::to_owned);
        Snippet::read(&Settings { emergency: text(emergency), outside: text(outside), ..Settings::default() })
    }

    #[test]
    fn the_snippets_pattern_is_read_as_the_pbx_reads_it() {
        let shipped = snippet(Some("1?911|1[0-9][0-9]?|000"), Some("0|00|9")).unwrap();
        assert!(shipped.knows_number("911") && shipped.knows_number("17") && !shipped.knows_number("999"));
        assert!(shipped.knows_prefix("9") && !shipped.knows_prefix("8"));
        assert!(shipped.leaves_alone("9110") && !shipped.leaves_alone("1001"));
        assert!(snippet(Some("112|911"), None).unwrap().leaves_alone("911"));
        assert!(snippet(None, Some("9")).err().unwrap().contains("older copy"));
        assert!(snippet(Some("(911"), None).err().unwrap().contains("doesn't read"));
    }

    /// Without a region, the core's list equals that of the shipped snippets.
    #[test]
    fn the_shipped_snippets_know_what_the_core_knows() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let value = |file: &str, key: &str| {
            let text = std::fs::read_to_string(root.join(file)).unwrap();
            let value = text.split_once(&format!("{key}=")).unwrap().1.to_owned();
            value.split(['"', '\n', ' ', ';']).next().unwrap().to_owned()
        };
        let world = EmergencyRule::new(None, None, None);
        for (file, emergency, outside) in [
            ("dialplan/asterisk/sidecall.conf", "SIDECALL_EMERGENCY", "SIDECALL_OUTSIDE"),
            ("dialplan/freeswitch/sidecall.xml", "sidecall_emergency", "sidecall_outside"),
        ] {
            let shipped = snippet(Some(&value(file, emergency)), Some(&value(file, outside))).unwrap();
            for number in world.each_number() {
                assert!(shipped.knows_number(&number), "{file}: {number}");
            }
            assert!(world.prefixes().iter().all(|prefix| shipped.knows_prefix(prefix)), "{file}");
            // Conversely, the agent leaves alone what the snippet leaves alone.
            for digits in (0..100_000).map(|n: u32| n.to_string()).chain((0..10_000).map(|n: u32| format!("{n:04}"))) {
                assert_eq!(shipped.leaves_alone(&digits), world.covers(&digits), "{file}: {digits}");
            }
        }
    }
}
