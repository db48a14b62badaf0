//! Origins of web pages (RFC 6454): scheme, host and port, as browsers send them.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use url::Url;

/// The origin of a page, such as `https://crm.example` or `http://localhost:5173`: in lower case, and without the port
/// that its scheme has anyway.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Origin(String);

/// Why a text is no [`Origin`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// `*`, which other software takes for all origins.
    #[error(
        "\"*\" would let the pages of every site act as your clients: name each origin, such as https://crm.example"
    )]
    Wildcard,
    /// Anything else.
    #[error("{0:?} is not an origin: write https://crm.example or http://localhost:5173, without a path")]
    Form(String),
}

impl Origin {
    /// The origin as a browser sends it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a request with this `Host` header goes to the page's own host and port.
    pub fn is_at(&self, host: &str) -> bool {
        let scheme = self.0.split("://").next().unwrap_or_default();
        format!("{scheme}://{host}").parse::<Origin>().as_ref() == Ok(self)
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Origin, OriginError> {
        if text == "*" {
            return Err(OriginError::Wildcard);
        }
        let wrong = || OriginError::Form(text.to_owned());
        let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
        let is_web = ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
        // Nothing that begins a user, a path, a query or a fragment.
        let is_plain = rest.chars().all(|c| c.is_alphanumeric() || "-._:[]".contains(c));
        let url = Url::parse(text).ok().filter(|_| is_web && is_plain).ok_or_else(wrong)?;
        Ok(Origin(url.origin().ascii_serialization()))
    }
}

impl TryFrom<String> for Origin {
    type Error = OriginError;
    fn try_from(text: String) -> Result<Origin, OriginError> {
        text.parse()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_origin_is_written_as_browsers_send_it() {
        for (text, sent) in [
            ("https://crm.example", "https://crm.example"),
            ("HTTPS://CRM.example:443", "https://crm.example"),
            ("https://crm.example:8443", "https://crm.example:8443"),
            ("http://localhost:5173", "http://localhost:5173"),
            ("http://[::1]:80", "http://[::1]"),
            ("https://bücher.example", "https://xn--bcher-kva.example"),
        ] {
            assert_eq!(text.parse::<Origin>().unwrap().as_str(), sent, "{text}");
        }
    }

    #[test]
    fn what_is_more_or_less_than_an_origin_is_refused() {
        for text in [
            "",
            "null",
            "crm.example",
            "https:crm.example",
            "https:/crm.example",
            "https://",
            "https://crm.example/",
            "https://crm.example/page",
            "https://crm.example?x",
            "https://crm.example#x",
            "https://user@crm.example",
            "https://*.example",
            "https://crm.example:99999",
            " https://crm.example",
            "https://crm.example\n",
            "https:\\\\crm.example",
            "file://crm.example",
            "chrome-extension://abcdefgh",
        ] {
            assert_eq!(text.parse::<Origin>(), Err(OriginError::Form(text.to_owned())), "{text}");
        }
        assert_eq!("*".parse::<Origin>(), Err(OriginError::Wildcard));
    }

    #[test]
    fn a_page_is_at_its_own_host_and_port() {
        let origin: Origin = "https://node.example".parse().unwrap();
        for (host, is_own) in [
            ("node.example", true),
            ("Node.example:443", true),
            ("node.example:8600", false),
            ("node.example.evil.example", false),
            ("evil.example/node.example", false),
            ("x@node.example", false),
            ("", false),
        ] {
            assert_eq!(origin.is_at(host), is_own, "{host}");
        }
        assert!("http://127.0.0.1:8600".parse::<Origin>().unwrap().is_at("127.0.0.1:8600"));
    }

    proptest! {
        #[test]
        fn what_parses_fits_into_a_header_and_parses_again(text in "(https?|HTTP)://[ -~]{0,40}|\\PC{0,40}") {
            if let Ok(origin) = text.parse::<Origin>() {
                prop_assert!(origin.as_str().bytes().all(|b| b.is_ascii_graphic()), "{}", origin);
                prop_assert_eq!(origin.as_str().parse::<Origin>().unwrap(), origin);
            }
        }
    }
}
