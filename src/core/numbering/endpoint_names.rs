//! How a PBX names its phones, where it doesn't by their extension: `acme-1001`, `0004f2a1b2c3`.
//!
//! Asterisk has one endpoint of a name, so the 1001s of two tenants have other names than 1001. Names are
//! an administrator's, but they come with events, so whatever else comes must do no harm.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use super::did_map::{DidMapError, DigitMask, overlap, translate};
use crate::core::base::name::TenantName;

/// One rule of `endpoints`: `acme-XXXX`, where the extension stands in the name, or `alice = 1001`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct EndpointRule {
    /// `X` for any digit; all else is itself.
    name: String,
    extension: DigitMask,
}

/// Why a text is no such rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// No PBX has such a name, or none that is shown as it is.
    #[error("{0:?} is not 1 to 80 letters, digits and . _ - +, with X for any digit")]
    Name(String),
    /// Without an X there is nothing to read, with two rows of them no telling which.
    #[error("{0:?} doesn't say which extension it is: one row of X, such as \"acme-XXXX\", or \"{0} = 1001\"")]
    Unclear(String),
    /// The extension is none.
    #[error(transparent)]
    Extension(#[from] DidMapError),
    /// What stands for the `X` of one side must stand for those of the other.
    #[error("{0:?} must have the same number of X on both sides")]
    Uneven(String),
}

impl EndpointRule {
    /// How many digits its extensions have.
    pub fn digits(&self) -> usize {
        self.extension.as_str().len()
    }

    /// Whether some name is in both.
    pub fn shares_name(&self, other: &EndpointRule) -> bool {
        overlap(&self.name, &other.name)
    }

    fn extension(&self, name: &str) -> Option<String> {
        translate(&self.name, self.extension.as_str(), name)
    }
}

impl FromStr for EndpointRule {
    type Err = EndpointError;
    fn from_str(text: &str) -> Result<EndpointRule, EndpointError> {
        let (name, extension) = match text.split_once('=') {
            Some((name, extension)) => (name.trim(), Some(extension.trim())),
            None => (text, None),
        };
        let fits = |c: char| c.is_ascii_alphanumeric() || "._-+".contains(c);
        if name.is_empty() || name.len() > 80 || !name.chars().all(fits) {
            return Err(EndpointError::Name(name.to_owned()));
        }
        let extension: DigitMask = match extension {
            Some(extension) => extension.parse()?,
            None => {
                let mut rows = name.split(|c: char| c != 'X' && !c.is_ascii_digit()).filter(|row| row.contains('X'));
                let (Some(row), None) = (rows.next(), rows.next()) else {
                    return Err(EndpointError::Unclear(name.to_owned()));
                };
                row.parse()?
            }
        };
        if name.matches('X').count() != extension.as_str().matches('X').count() {
            return Err(EndpointError::Uneven(text.to_owned()));
        }
        Ok(EndpointRule { name: name.to_owned(), extension })
    }
}

impl TryFrom<String> for EndpointRule {
    type Error = EndpointError;
    fn try_from(text: String) -> Result<EndpointRule, EndpointError> {
        text.parse()
    }
}

impl fmt::Display for EndpointRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}", self.name, self.extension.as_str())
    }
}

/// The names of all phones of a PBX, and whose they are.
#[derive(Debug, Clone, Default)]
pub struct Endpoints(Vec<(EndpointRule, Option<TenantName>)>);

impl Endpoints {
    /// The extension of the phone that has this name, and whose it is, if a rule says so.
    pub fn read(&self, name: &str) -> Option<(String, Option<&TenantName>)> {
        self.0.iter().find_map(|(rule, tenant)| Some((rule.extension(name)?, tenant.as_ref())))
    }
}

impl FromIterator<(EndpointRule, Option<TenantName>)> for Endpoints {
    fn from_iter<I: IntoIterator<Item = (EndpointRule, Option<TenantName>)>>(rules: I) -> Endpoints {
        Endpoints(rules.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn extension(rule: &str, name: &str) -> Option<String> {
        rule.parse::<EndpointRule>().unwrap().extension(name)
    }

    #[test]
    fn an_extension_stands_in_the_name_of_its_phone() {
        for (rule, name, expected) in [
            ("acme-XXXX", "acme-1001", Some("1001")),
            ("XXXX-acme", "1001-acme", Some("1001")),
            ("1XXX_acme", "1001_acme", Some("1001")),
            ("1XXX_acme", "2001_acme", None),
            ("t42-XXX", "t42-201", Some("201")),
            ("42XXXX = XXXX", "421001", Some("1001")),
            ("42XXXX", "421001", Some("421001")),
            ("acme-XX = 10XX", "acme-01", Some("1001")),
            ("0004f2a1b2c3 = 1001", "0004f2a1b2c3", Some("1001")),
            ("alice=1001", "alice", Some("1001")),
            ("alice = 1001", "Alice", None),
            ("XXXX", "1001", Some("1001")),
        ] {
            assert_eq!(extension(rule, name).as_deref(), expected, "{rule} {name}");
        }
        for other in ["acme-100", "acme-10011", "acme-100x", "acme-XXXX", "beta-1001", "acme-١٠٠١", "", "é"] {
            assert_eq!(extension("acme-XXXX", other), None, "{other}");
        }
    }

    #[test]
    fn what_is_no_rule() {
        for text in ["", "acme", "acme-1001", "X-XX", "XEROX-XXXX", "a b-XX", "acme/XXXX", "é-XX", "alice =", "= 1001"]
        {
            assert!(text.parse::<EndpointRule>().is_err(), "{text}");
        }
        for text in ["acme-XXXX = XXX", "alice = 1XXX", "alice = bob", "a = 1 = 2", "XXXXXXXXXXXXXXXX"] {
            assert!(text.parse::<EndpointRule>().is_err(), "{text}");
        }
        assert!("x".repeat(81).parse::<EndpointRule>().is_err());
    }

    #[test]
    fn what_two_rules_share() {
        let own: EndpointRule = "acme-XXXX".parse().unwrap();
        for (other, shared) in [
            ("acme-XXXX", true),
            ("acme-1XXX", true),
            ("acme-1001 = 5", true),
            ("acme-XXX", false),
            ("beta-XXXX", false),
        ] {
            assert_eq!(own.shares_name(&other.parse().unwrap()), shared, "{other}");
        }
        let letters: EndpointRule = "acme-abcd = 1".parse().unwrap();
        assert!(!own.shares_name(&letters), "X is a digit");
    }

    proptest! {
        /// Whatever a PBX shows, what is read of it is an extension of the rule, and nobody else's.
        #[test]
        fn only_digits_are_read(name in "\\PC{0,20}|(acme|beta)[-_][0-9X]{3,5}") {
            let tenant = |name: &str| Some(name.parse::<TenantName>().unwrap());
            let rules = [("acme-XXXX", tenant("acme")), ("beta-1XXX", tenant("beta")), ("alice = 1001", None)];
            let endpoints: Endpoints = rules.into_iter().map(|(rule, tenant)| (rule.parse().unwrap(), tenant)).collect();
            if let Some((extension, tenant)) = endpoints.read(&name) {
                prop_assert!(extension.len() == 4 && extension.bytes().all(|b| b.is_ascii_digit()));
                prop_assert!(name.starts_with(tenant.map_or("alice", TenantName::as_str)));
            }
        }
    }
}
