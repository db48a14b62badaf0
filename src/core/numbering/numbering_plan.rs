//! Numbering plans: how one PBX and its tenants write numbers.

use serde::{Deserialize, Serialize};

use super::did_map::DidMap;
use super::emergency::EmergencyRule;
use super::number::{Context, Number};
use crate::core::base::name::TenantName;

/// How a PBX, or one tenant of it, writes numbers.
#[derive(Debug, Clone)]
pub struct NumberingPlan {
    /// The context of its extensions; without one there are no extensions.
    pub context: Option<Context>,
    /// The country whose national format it uses (ISO 3166-1 alpha-2); without one, only numbers
    /// that begin with `+` are global.
    pub region: Option<Region>,
    /// Maximum number of digits of an extension.
    pub extension_digits: usize,
    /// Dialled before a number for an outside line.
    pub outside_prefix: Option<DialPrefix>,
    /// Dialled before a country code; by default the region's prefix.
    pub international_prefix: Option<DialPrefix>,
    /// How calls from trunks, and caller IDs, write outside numbers.
    pub outside_numbers: OutsideNumbers,
    /// Caller IDs that count as withheld, besides words and zeros.
    pub withheld: Vec<String>,
    /// Outside numbers of extensions.
    pub map: Vec<DidMap>,
    /// Which dialled digits are emergency calls.
    pub emergency: EmergencyRule,
}

/// How trunks and caller IDs write numbers that have no `+`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutsideNumbers {
    /// As one dials them in the region: `2125550100`, `011442071838750`.
    #[default]
    National,
    /// The country code first: `12125550100`, `442071838750`.
    E164,
}

/// Digits that are dialled before a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DialPrefix(String);

/// A country, as ISO 3166-1 alpha-2 writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Region(phonenumber::country::Id);

/// Why a text is no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NumberReadError {
    /// The caller doesn't want to be known.
    #[error("withheld")]
    Withheld,
    /// A name, a feature code, an address.
    #[error("not a number")]
    NotANumber,
    /// An extension of an unknown tenant.
    #[error("an extension of no known tenant")]
    NoTenant,
}

/// How a PBX writes numbers, for all of its tenants.
#[derive(Debug, Clone)]
pub struct PbxNumberingPlan {
    own: NumberingPlan,
    tenants: Vec<(TenantName, NumberingPlan)>,
}

impl Region {
    /// Its two letters.
    pub fn as_str(&self) -> &str {
        self.0.as_ref()
    }
}

impl DialPrefix {
    /// Its digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Region {
    type Error = String;
    fn try_from(text: String) -> Result<Region, String> {
        let id = text.to_ascii_uppercase().parse();
        id.map(Region).map_err(|_| format!("{text:?} is not a country code (ISO 3166-1 alpha-2, such as \"US\")"))
    }
}

impl From<Region> for String {
    fn from(region: Region) -> String {
        region.as_str().to_owned()
    }
}

impl TryFrom<String> for DialPrefix {
    type Error = String;
    fn try_from(text: String) -> Result<DialPrefix, String> {
        let fits = (1..=8).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        if fits { Ok(DialPrefix(text)) } else { Err(format!("{text:?} is not 1 to 8 digits")) }
    }
}

impl From<DialPrefix> for String {
    fn from(prefix: DialPrefix) -> String {
        prefix.0
    }
}

impl NumberingPlan {
    /// Reads a number that the PBX shows: a caller ID, a device, or the called number of a call from a trunk.
    ///
    /// # Errors
    /// If it is none.
    pub fn read(&self, raw: &str) -> Result<Number, NumberReadError> {
        let text = without_separators(raw);
        if self.is_withheld(&text) {
            return Err(NumberReadError::Withheld);
        }
        self.number(&text, self.outside_numbers)
    }

    /// Reads a number that was dialled at a phone of this PBX.
    ///
    /// # Errors
    /// If it is none.
    pub fn dialled(&self, raw: &str) -> Result<Number, NumberReadError> {
        let text = without_separators(raw);
        match self.outside_prefix.as_ref().and_then(|prefix| text.strip_prefix(&prefix.0)) {
            Some(outside) if self.inside(&text).is_none() && text.len() > self.extension_digits => {
                self.outside(outside, OutsideNumbers::National).ok_or(NumberReadError::NotANumber)
            }
            _ => self.number(&text, OutsideNumbers::National),
        }
    }

    /// Whether a call to `raw` is an emergency call, which sidecall leaves alone. Every possible reading counts:
    /// leaving an ordinary call alone costs less than touching an emergency call.
    pub fn is_emergency(&self, raw: &str) -> bool {
        let global = |read: Result<Number, NumberReadError>| match read {
            Ok(Number::E164(digits)) => self.emergency.covers(&format!("+{digits}")),
            _ => false,
        };
        self.emergency.covers(&without_separators(raw)) || global(self.dialled(raw)) || global(self.read(raw))
    }

    /// How this PBX dials a number, and shows it as a caller ID; none for an extension of another context.
    /// [`NumberingPlan::dialled`] reads it back as the same number.
    pub fn dial(&self, number: &Number) -> Option<String> {
        let same = |text: &String| self.dialled(text).as_ref() == Ok(number);
        match number {
            Number::Local { digits, context } => {
                let here = self.context.as_ref() == Some(context);
                Some(digits.clone()).filter(|_| here).filter(same)
            }
            Number::E164(digits) => {
                let extension = self.inner(number);
                let outside = self.outside_prefix.as_ref().map_or("", |prefix| &prefix.0);
                let outer = self.national(digits).into_iter().chain(self.international(digits));
                let outer = outer.map(|text| format!("{outside}{text}"));
                // Which of them this PBX takes is known by reading them.
                extension.into_iter().chain(outer).find(same).or_else(|| Some(format!("+{digits}")))
            }
        }
    }

    /// The outside number of the extension that the PBX shows as `raw`.
    pub fn outer(&self, raw: &str) -> Option<Number> {
        self.mapped(&without_separators(raw))
    }

    /// The extension of a number on this PBX.
    pub fn inner(&self, number: &Number) -> Option<String> {
        let Number::E164(digits) = number else { return None };
        self.map.iter().find_map(|rule| rule.extension(digits))
    }

    /// The canonical form: the E.164 number of an extension that has one.
    pub fn canonical(&self, number: &Number) -> Number {
        match number {
            Number::Local { digits, context } if self.context.as_ref() == Some(context) => {
                self.mapped(digits).unwrap_or_else(|| number.clone())
            }
            number => number.clone(),
        }
    }

    fn number(&self, text: &str, form: OutsideNumbers) -> Result<Number, NumberReadError> {
        if let Some(digits) = text.strip_prefix('+') {
            return Number::e164(digits).map_err(|_| NumberReadError::NotANumber);
        }
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(NumberReadError::NotANumber);
        }
        if let Some(extension) = self.inside(text) {
            return Ok(extension);
        }
        if text.len() <= self.extension_digits {
            return Err(NumberReadError::NoTenant);
        }
        match (self.outside(text, form), &self.context) {
            (Some(number), _) => Ok(number),
            // Without a region a long number is one of this place too.
            (None, Some(context)) if self.region.is_none() => {
                Number::local(text, context.clone()).map_err(|_| NumberReadError::NotANumber)
            }
            (None, _) => Err(NumberReadError::NotANumber),
        }
    }

    fn inside(&self, text: &str) -> Option<Number> {
        let context = self.context.as_ref().filter(|_| text.len() <= self.extension_digits);
        self.mapped(text).or_else(|| Number::local(text, context?.clone()).ok())
    }

    fn mapped(&self, extension: &str) -> Option<Number> {
        self.map.iter().find_map(|rule| Number::e164(&rule.number(extension)?).ok())
    }

    fn outside(&self, text: &str, form: OutsideNumbers) -> Option<Number> {
        if let Some(global) = text.strip_prefix('+') {
            return Number::e164(global).ok();
        }
        if let Some(global) = self.international_prefix.as_ref().and_then(|prefix| text.strip_prefix(&prefix.0)) {
            return Number::e164(global).ok();
        }
        // No country code begins with a zero (ITU-T E.164 §6.2.1).
        if form == OutsideNumbers::E164 && !text.starts_with('0') {
            return Number::e164(text).ok();
        }
        let region = self.region?;
        // Not left to the parser, which takes our own national prefix from numbers of other countries: it reads
        // 011491511234567 as +49511234567.
        let idd = phonenumber::metadata::DATABASE.by_id(region.as_str())?.international_prefix();
        if let Some(idd) = idd.and_then(|idd| idd.find(text)).filter(|found| found.start() == 0) {
            return Number::e164(&text[idd.end()..]).ok();
        }
        let parsed = phonenumber::parse(Some(region.0), text).ok()?;
        let code = parsed.code().value();
        // The national number keeps its leading zeros where the country has them (Italy).
        let national = parsed.national().to_string();
        Number::e164(&format!("{code}{national}")).ok()
    }

    /// The national format, if the number is of our region.
    fn national(&self, digits: &str) -> Option<String> {
        let region = self.region?;
        let number = phonenumber::parse(None, format!("+{digits}")).ok()?;
        let here = phonenumber::metadata::DATABASE.by_id(region.0.as_ref())?.country_code();
        let text = number.format().mode(phonenumber::Mode::National).to_string();
        (number.code().value() == here).then(|| text.chars().filter(char::is_ascii_digit).collect())
    }

    /// The number behind each international prefix.
    fn international(&self, digits: &str) -> Vec<String> {
        let own = self.international_prefix.as_ref().map(|prefix| prefix.0.as_str());
        own.into_iter().chain(["00", "011"]).map(|prefix| format!("{prefix}{digits}")).collect()
    }

    fn is_withheld(&self, text: &str) -> bool {
        let digits = text.trim_start_matches('+');
        // FreeSWITCH shows 0000000000 for nobody (`outbound_caller_id` in its vars.xml).
        let nobody = text.len() > 1 && digits.bytes().all(|b| b == b'0');
        nobody || WITHHELD.iter().any(|w| w.eq_ignore_ascii_case(text)) || self.withheld.iter().any(|w| w == digits)
    }
}

/// What PBXs and carriers show for a caller who is not to be known; `Anonymous` is RFC 3261's word
/// (§8.1.1.3), the others are those of Q.931 gateways and of PBXs.
const WITHHELD: &[&str] = &[
    "anonymous",
    "restricted",
    "unknown",
    "private",
    "privatenumber",
    "unavailable",
    "withheld",
    "blocked",
    "notavailable",
];

fn without_separators(raw: &str) -> String {
    raw.trim().chars().filter(|c| !" -.()/".contains(*c)).collect()
}

impl PbxNumberingPlan {
    /// The plan of a PBX with these tenants. If there are any, only they have extensions, and `own` reads E.164
    /// numbers.
    pub fn new(own: NumberingPlan, tenants: Vec<(TenantName, NumberingPlan)>) -> PbxNumberingPlan {
        let own = match tenants.is_empty() {
            true => own,
            false => NumberingPlan { context: None, map: Vec::new(), ..own },
        };
        PbxNumberingPlan { own, tenants }
    }

    /// The plan for a channel of this tenant. An unknown tenant has no extensions if there are tenants.
    pub fn of(&self, tenant: Option<&str>) -> &NumberingPlan {
        let known = tenant.and_then(|said| self.tenants.iter().find(|(name, plan)| is(name, plan, said)));
        known.map_or(&self.own, |(_, plan)| plan)
    }

    /// The number of the phone that the PBX shows as `raw` in a call of the tenant `call`. The phone may be
    /// another tenant's: an extension is read as `own`'s, whose phone the PBX says it is.
    ///
    /// # Errors
    /// If it is none, or an extension of nobody knows whom.
    pub fn device(&self, raw: &str, own: Option<&str>, call: Option<&str>) -> Result<Number, NumberReadError> {
        let plan = self.of(own.or(call));
        let whose = own.is_some() || self.tenants.is_empty();
        match plan.inside(&without_separators(raw)) {
            Some(_) if !whose => Err(NumberReadError::NoTenant),
            _ => plan.read(raw),
        }
    }

    /// The rules of each tenant, or the PBX's own if it has none.
    pub fn all(&self) -> impl Iterator<Item = &NumberingPlan> {
        let own = self.tenants.is_empty().then_some(&self.own);
        own.into_iter().chain(self.tenants.iter().map(|(_, plan)| plan))
    }

    /// Whether there is a tenant of this name or domain.
    pub fn has(&self, tenant: &str) -> bool {
        self.tenants.iter().any(|(name, plan)| is(name, plan, tenant))
    }

    /// How this PBX shows a number as that of the caller or sender.
    pub fn show(&self, number: &Number) -> Option<String> {
        match number {
            Number::E164(_) => self.own.dial(number),
            Number::Local { .. } => self.all().find_map(|plan| plan.dial(number)),
        }
    }
}

/// By its name or by the domain of its extensions: dialplans know a tenant as either.
fn is(name: &TenantName, plan: &NumberingPlan, said: &str) -> bool {
    let domain = plan.context.as_ref().is_some_and(|context| context.as_str().eq_ignore_ascii_case(said));
    domain || name.as_str().eq_ignore_ascii_case(said)
}

#[cfg(test)]
#[path = "numbering_plan_tests.rs"]
mod tests;
