//! Telephone numbers: E.164, or a local extension with its context (RFC 3966).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::core::base::name::CallId;

/// Digits of the longest E.164 number (ITU-T E.164 §6).
const E164_MAX: usize = 15;
/// Digits of the longest local extension we take.
const LOCAL_MAX: usize = 20;
/// Octets of the longest domain name (RFC 1035 §2.3.4).
const CONTEXT_MAX: usize = 253;
/// The context of numbers that nobody has.
const ANONYMOUS: &str = "anonymous.invalid";

/// A telephone number.
///
/// Written `+12125550100` or `1001;phone-context=pbx.a.example`, as a tel URI has it without the
/// scheme (RFC 3966 §5.1.5). Visual separators are not taken: whoever reads them in, strips them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Number {
    /// A global number; the digits without the `+`.
    E164(String),
    /// A number that means something in one place only.
    Local {
        /// What is dialled there.
        digits: String,
        /// The domain name of that place.
        context: Context,
    },
}

/// The domain name inside which a local number is valid (`phone-context`, RFC 3966 §5.1.5).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Context(String);

/// Why a text is not a number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// No digits.
    #[error("a number needs digits: write +12125550100 or 1001;phone-context=pbx.example")]
    Empty,
    /// A character that is neither a digit nor part of the grammar.
    #[error("{0:?} can't stand in a number: write +12125550100 or 1001;phone-context=pbx.example")]
    Character(char),
    /// More digits than a number can have.
    #[error("a number has at most {0} digits")]
    TooLong(usize),
    /// A number without `+` needs to say where it is valid.
    #[error("a local number needs its context: write 1001;phone-context=pbx.example")]
    NoContext,
    /// The context is not a domain name.
    #[error("the phone-context is not a domain name")]
    Context,
}

fn digits(text: &str, max: usize) -> Result<(), NumberError> {
    if text.is_empty() {
        return Err(NumberError::Empty);
    }
    if let Some(c) = text.chars().find(|c| !c.is_ascii_digit()) {
        return Err(NumberError::Character(c));
    }
    if text.len() > max {
        return Err(NumberError::TooLong(max));
    }
    Ok(())
}

impl Number {
    /// An E.164 number from its digits, without the `+`.
    ///
    /// # Errors
    /// If there are no digits, something else than digits, or more than 15.
    pub fn e164(text: &str) -> Result<Number, NumberError> {
        digits(text, E164_MAX)?;
        Ok(Number::E164(text.to_owned()))
    }

    /// What stands for a caller whose number is withheld, so that the two sides of that call can be told
    /// apart: shown to nobody, and one for each call. RFC 3323 §4.1.1.3 has the host.
    pub fn withheld(call: &CallId) -> Number {
        let sum = call.as_str().bytes().fold(0u128, |sum, byte| sum.wrapping_mul(257).wrapping_add(byte.into()));
        let digits = format!("{:020}", sum % 10u128.pow(LOCAL_MAX as u32));
        Number::Local { digits, context: Context(ANONYMOUS.to_owned()) }
    }

    /// Whether it only stands for a withheld one.
    pub fn is_withheld(&self) -> bool {
        matches!(self, Number::Local { context, .. } if context.0 == ANONYMOUS)
    }

    /// A local number.
    ///
    /// # Errors
    /// If there are no digits, something else than digits, or more than 20.
    pub fn local(text: &str, context: Context) -> Result<Number, NumberError> {
        digits(text, LOCAL_MAX)?;
        Ok(Number::Local { digits: text.to_owned(), context })
    }

    /// Whose dialling plan it belongs to, if it is a local one.
    pub fn context(&self) -> Option<&Context> {
        match self {
            Number::E164(_) => None,
            Number::Local { context, .. } => Some(context),
        }
    }

    /// Its digits alone, without `+` or context.
    pub fn digits(&self) -> &str {
        match self {
            Number::E164(digits) | Number::Local { digits, .. } => digits,
        }
    }
}

impl FromStr for Number {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Number, NumberError> {
        // A tel URI is the same text behind its scheme.
        let text = text.strip_prefix("tel:").unwrap_or(text);
        if let Some(global) = text.strip_prefix('+') {
            return Number::e164(global);
        }
        match text.split_once(";phone-context=") {
            Some((local, context)) => Number::local(local, context.parse()?),
            None => {
                digits(text, LOCAL_MAX)?;
                Err(NumberError::NoContext)
            }
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::E164(digits) => write!(f, "+{digits}"),
            Number::Local { digits, context } => write!(f, "{digits};phone-context={}", context.0),
        }
    }
}

impl TryFrom<String> for Number {
    type Error = NumberError;
    fn try_from(text: String) -> Result<Number, NumberError> {
        text.parse()
    }
}

impl From<Number> for String {
    fn from(number: Number) -> String {
        number.to_string()
    }
}

impl Context {
    /// The domain name, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Context {
    type Err = NumberError;

    /// Domain names compare without case (RFC 4343), so the lower case is kept.
    fn from_str(text: &str) -> Result<Context, NumberError> {
        let label = |l: &str| {
            !l.is_empty()
                && l.len() <= 63
                && l.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
                && !l.starts_with('-')
                && !l.ends_with('-')
        };
        if text.len() > CONTEXT_MAX || !text.split('.').all(label) {
            return Err(NumberError::Context);
        }
        Ok(Context(text.to_ascii_lowercase()))
    }
}

impl TryFrom<String> for Context {
    type Error = NumberError;
    fn try_from(text: String) -> Result<Context, NumberError> {
        text.parse()
    }
}

impl From<Context> for String {
    fn from(context: Context) -> String {
        context.0
    }
}

impl utoipa::PartialSchema for Number {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        String::schema()
    }
}

impl utoipa::ToSchema for Number {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_two_forms() {
        let global: Number = "+12125550100".parse().unwrap();
        assert_eq!(global, Number::E164("12125550100".into()));
        let local: Number = "1001;phone-context=PBX.a.example".parse().unwrap();
        assert_eq!(local.to_string(), "1001;phone-context=pbx.a.example");
        assert_eq!("tel:+1".parse::<Number>().unwrap().to_string(), "+1");
    }

    #[test]
    fn what_is_refused_and_why() {
        use NumberError::*;
        for (text, why) in [
            ("", Empty),
            ("+", Empty),
            ("+1 212", Character(' ')),
            ("+1\r\n2", Character('\r')),
            ("1001", NoContext),
            ("+1234567890123456", TooLong(15)),
            ("1001;phone-context=", Context),
            ("1001;phone-context=a..b", Context),
            ("1001;phone-context=a;x=y", Context),
            ("${system(id)}", Character('$')),
            ("١٢", Character('١')),
        ] {
            assert_eq!(text.parse::<Number>(), Err(why), "{text:?}");
        }
    }

    #[test]
    fn a_withheld_number_is_one_of_its_call_alone() {
        let of = |call: &str| Number::withheld(&call.parse().unwrap());
        let number = of("0199a0b1-7c2d-7e3f-8a4b-0123456789ab");
        assert_eq!(number, of("0199a0b1-7c2d-7e3f-8a4b-0123456789ab"));
        assert_ne!(number, of("0199a0b1-7c2d-7e3f-8a4b-0123456789ac"));
        assert!(number.is_withheld() && number.digits().len() == LOCAL_MAX);
        assert_eq!(number.to_string().parse(), Ok(number));
        assert!(!"1001;phone-context=pbx.a.example".parse::<Number>().unwrap().is_withheld());
    }

    proptest! {
        #[test]
        fn any_text_parses_or_is_refused_and_what_parses_is_harmless(text in "\\PC*|[+0-9;=a-z.\\-\\r\\n$]*") {
            if let Ok(number) = text.parse::<Number>() {
                let shown = number.to_string();
                prop_assert!(shown.bytes().all(|b| b.is_ascii_alphanumeric() || b"+;=.-".contains(&b)));
                prop_assert_eq!(shown.parse::<Number>().unwrap(), number);
            }
        }
    }
}
