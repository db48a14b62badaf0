//! tel URIs as portability databases write them (RFC 3966, RFC 4694).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::number::{Context, Number};

/// Characters of the longest tel URI that is read; a NAPTR's result can't be much longer.
const TEL_MAX: usize = 512;
/// Digits of the longest routing number: an E.164 number behind a national routing prefix.
const ROUTING_MAX: usize = 24;
/// Visual separators (RFC 3966 §3), which mean nothing.
const SEPARATORS: [char; 4] = ['-', '.', '(', ')'];

/// A telephone number, and what a portability database knows about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TelUri {
    /// The number.
    pub number: Number,
    /// `npdi`: a database was asked. Without a routing number that means that it hasn't moved (RFC 4694 §5).
    pub asked: bool,
    /// `rn`: where calls to it are routed.
    pub routing_number: Option<RoutingNumber>,
}

/// A routing number (`rn`, RFC 4694 §4): the switch or the operator that a number has moved to.
///
/// Written `+12125559999`, or `D015;rn-context=+49` where it is valid in one network only. Its digits
/// may be hexadecimal. The context is not a prefix of the digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RoutingNumber {
    digits: String,
    /// A global number's is none.
    context: Option<RoutingContext>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum RoutingContext {
    Domain(Context),
    /// The leading digits of the network's numbers.
    Digits(String),
}

/// Why a text is not a tel URI, or not a routing number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TelError {
    /// Longer than any real one.
    #[error("is too long")]
    TooLong,
    /// Another scheme, or none.
    #[error("is not a tel URI")]
    Scheme,
    /// The number itself.
    #[error("is no telephone number")]
    Number,
    /// The routing number.
    #[error("is no routing number: write +12125559999 or D015;rn-context=+49")]
    RoutingNumber,
    /// A parameter is there twice, or is not of the grammar.
    #[error("has a parameter that no tel URI has")]
    Parameter,
}

impl TelUri {
    /// The part of a `tel:` URI behind the scheme, or the user of a `sip:` URI with `user=phone`.
    ///
    /// # Errors
    /// If it is not of the grammar, or not a global number.
    pub fn subscriber(text: &str) -> Result<TelUri, TelError> {
        if text.len() > TEL_MAX {
            return Err(TelError::TooLong);
        }
        let mut parts = text.split(';');
        let digits = plain(parts.next().unwrap_or_default());
        let number = digits.strip_prefix('+').ok_or(TelError::Number)?;
        let number = Number::e164(number).map_err(|_| TelError::Number)?;
        let (mut asked, mut routing, mut context) = (false, None, None);
        for parameter in parts {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            if name.is_empty() || !parameter.chars().all(of_a_parameter) {
                return Err(TelError::Parameter);
            }
            let again = match name.to_ascii_lowercase().as_str() {
                "npdi" => std::mem::replace(&mut asked, true),
                "rn" => routing.replace(value).is_some(),
                "rn-context" => context.replace(value).is_some(),
                // Others say nothing about who serves the number.
                _ => false,
            };
            if again {
                return Err(TelError::Parameter);
            }
        }
        let routing_number = routing.map(|digits| RoutingNumber::new(digits, context)).transpose()?;
        Ok(TelUri { number, asked, routing_number })
    }
}

impl FromStr for TelUri {
    type Err = TelError;

    /// `tel:+1-212-555-0100;npdi;rn=+1-212-555-9999`
    fn from_str(text: &str) -> Result<TelUri, TelError> {
        match text.split_at_checked(4) {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("tel:") => TelUri::subscriber(rest),
            _ => Err(TelError::Scheme),
        }
    }
}

/// `pname` and `pvalue` of RFC 3966 §3, without those characters that only escapes and other URIs need.
fn of_a_parameter(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~*()+:/&=%".contains(c)
}

fn plain(digits: &str) -> String {
    digits.chars().filter(|c| !SEPARATORS.contains(c)).collect()
}

impl RoutingNumber {
    fn new(digits: &str, context: Option<&str>) -> Result<RoutingNumber, TelError> {
        let digits = plain(digits).to_ascii_uppercase();
        let (digits, context) = match (digits.strip_prefix('+'), context) {
            (Some(global), None) => (global.to_owned(), None),
            (None, Some(context)) => (digits, Some(context)),
            // A global one is global, and a local one without its context is anybody's.
            _ => return Err(TelError::RoutingNumber),
        };
        let hexadecimal = |text: &str, max: usize| {
            !text.is_empty() && text.len() <= max && text.bytes().all(|b| b.is_ascii_hexdigit())
        };
        if !hexadecimal(&digits, ROUTING_MAX) {
            return Err(TelError::RoutingNumber);
        }
        let context = match context.map(|text| (text, text.strip_prefix('+').map(plain))) {
            None => None,
            Some((_, Some(leading))) if hexadecimal(&leading, ROUTING_MAX) => {
                Some(RoutingContext::Digits(leading.to_ascii_uppercase()))
            }
            Some((_, Some(_))) => return Err(TelError::RoutingNumber),
            Some((domain, None)) => Some(RoutingContext::Domain(domain.parse().map_err(|_| TelError::RoutingNumber)?)),
        };
        Ok(RoutingNumber { digits, context })
    }

    /// Whether it begins with the digits of `prefix`, in the same context.
    pub fn begins_with(&self, prefix: &RoutingNumber) -> bool {
        self.context == prefix.context && self.digits.starts_with(&prefix.digits)
    }
}

impl FromStr for RoutingNumber {
    type Err = TelError;

    fn from_str(text: &str) -> Result<RoutingNumber, TelError> {
        match text.split_once(";rn-context=") {
            Some((digits, context)) => RoutingNumber::new(digits, Some(context)),
            None => RoutingNumber::new(text, None),
        }
    }
}

impl fmt::Display for RoutingNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.context {
            None => write!(f, "+{}", self.digits),
            Some(RoutingContext::Digits(leading)) => write!(f, "{};rn-context=+{leading}", self.digits),
            Some(RoutingContext::Domain(domain)) => {
                write!(f, "{};rn-context={}", self.digits, String::from(domain.clone()))
            }
        }
    }
}

impl TryFrom<String> for RoutingNumber {
    type Error = TelError;
    fn try_from(text: String) -> Result<RoutingNumber, TelError> {
        text.parse()
    }
}

impl From<RoutingNumber> for String {
    fn from(number: RoutingNumber) -> String {
        number.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> TelUri {
        text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn ported_not_ported_and_not_asked() {
        let ported = read("tel:+1-212-555-0100;npdi;rn=+1-212-555-9999");
        assert_eq!(ported.number.to_string(), "+12125550100");
        assert_eq!((ported.asked, ported.routing_number.unwrap().to_string().as_str()), (true, "+12125559999"));
        let stays = read("TEL:+12125550100;NPDI");
        assert!(stays.asked && stays.routing_number.is_none());
        assert!(!read("tel:+12125550100;ext=7;cic=+1-6789").asked);
    }

    #[test]
    fn a_routing_number_of_one_network() {
        let german = read("tel:+493012345;npdi;rn=d015;rn-context=+49").routing_number.unwrap();
        assert_eq!(german.to_string(), "D015;rn-context=+49");
        let domestic = read("tel:+12125550100;rn-context=LNP.example;rn=5551234;npdi").routing_number.unwrap();
        assert_eq!(domestic.to_string(), "5551234;rn-context=lnp.example");
    }

    #[test]
    fn a_prefix_counts_in_its_own_context() {
        let number = |text: &str| text.parse::<RoutingNumber>().unwrap();
        assert!(number("+12125559999").begins_with(&number("+1212555")));
        assert!(number("D015;rn-context=+49").begins_with(&number("D0;rn-context=+49")));
        assert!(!number("D015;rn-context=+49").begins_with(&number("D0;rn-context=+43")));
        assert!(!number("1212;rn-context=+1").begins_with(&number("+12")));
    }

    #[test]
    fn what_is_no_tel_uri() {
        for (text, why) in [
            ("sip:+1212@a", TelError::Scheme),
            ("tel:", TelError::Number),
            ("tel:911", TelError::Number),
            ("tel:911;phone-context=+1", TelError::Number),
            ("tel:+1212;npdi;npdi", TelError::Parameter),
            ("tel:+1212;rn=+1;rn=+2", TelError::Parameter),
            ("tel:+1212;;npdi", TelError::Parameter),
            ("tel:+1212;x=\r\nA: b", TelError::Parameter),
            ("tel:+1212;x=${y}", TelError::Parameter),
            ("tel:+1212;rn=", TelError::RoutingNumber),
            ("tel:+1212;rn=5551234", TelError::RoutingNumber),
            ("tel:+1212;rn=+1;rn-context=+1", TelError::RoutingNumber),
            ("tel:+1212;rn=12G4;rn-context=+1", TelError::RoutingNumber),
            ("tel:+1212;rn=12;rn-context=a..b", TelError::RoutingNumber),
        ] {
            assert_eq!(text.parse::<TelUri>(), Err(why), "{text:?}");
        }
        assert_eq!(format!("tel:+1212;x={}", "y".repeat(600)).parse::<TelUri>(), Err(TelError::TooLong));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_what_is_read_is_harmless(
            text in "\\PC{0,60}|tel:[+0-9A-F;=a-z.\\-\\r\\n$()]{0,60}|tel:\\+[0-9]{3,9}(;npdi|;rn=[+0-9A-F-]{0,9}|;rn-context=[+a-z0-9.]{0,9}){0,4}"
        ) {
            if let Ok(uri) = text.parse::<TelUri>() && let Some(rn) = uri.routing_number {
                let shown = rn.to_string();
                prop_assert!(shown.bytes().all(|b| b.is_ascii_alphanumeric() || b"+;=.-".contains(&b)));
                prop_assert_eq!(shown.parse::<RoutingNumber>().unwrap(), rn);
            }
        }
    }
}
