//! Client addresses: the URI by which a multimedia client is reached.

pub mod capability;
pub mod client_policy;
pub mod disclosure;
pub mod hosts;
pub mod origin;
pub mod uui;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// Octets of the longest address: one less than the user information that ISDN carries, since the
/// protocol discriminator takes the first (see [`uui`]).
pub const ADDRESS_MAX: usize = 127;

/// A client address.
///
/// Its characters are a subset of RFC 3986 that means nothing to a PBX: none of
/// `CR LF ; | , $ { } \ " ' < >` or space can stand in one, so it may be written into a channel
/// variable or a header as it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    text: String,
    kind: AddressKind,
}

/// How a client address is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressKind {
    /// HTTP POST: a hosted inbox or a webhook.
    Http,
    /// SIP MESSAGE (RFC 3428).
    Sip,
}

/// Where a SIP address leads: the same for every spelling.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SipHost {
    host: Host,
    port: u16,
}

/// Why a text is not a client address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Longer than the call signalling can carry.
    #[error("an address has at most {ADDRESS_MAX} characters")]
    TooLong,
    /// A character that might mean something to a PBX.
    #[error("{0:?} can't stand in an address")]
    Character(char),
    /// Not `https:`, `sip:` or `sips:`.
    #[error("an address begins with https:, sip: or sips:")]
    Scheme,
    /// `http:` is taken for loopback only, where there is nobody to listen in.
    #[error("http: is allowed for loopback hosts only; use https:")]
    Plain,
    /// Not of the form that the scheme asks for.
    #[error("is not a valid {0} URI")]
    Form(&'static str),
}

impl Address {
    /// How it is reached.
    pub fn kind(&self) -> AddressKind {
        self.kind
    }

    /// The URI.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it leads to the machine of whoever follows it.
    pub fn is_loopback(&self) -> bool {
        is_loopback(self.host())
    }

    /// The machine or domain that it leads to, in lower case, and without the dot that a name in the DNS ends with.
    pub fn host(&self) -> Option<Host> {
        let url = match self.sip_user_and_host() {
            // URLs of other schemes keep a host as it was written; this is the name or the IP address.
            Some((_, host)) => Url::parse(&format!("http://{host}/")),
            None => Url::parse(&self.text),
        };
        match url.ok()?.host()? {
            Host::Domain(name) => Some(Host::Domain(rootless(name).to_owned())),
            ip => Some(ip.to_owned()),
        }
    }

    /// Whether it is one of that domain.
    pub fn is_at(&self, domain: &str) -> bool {
        matches!(self.host(), Some(Host::Domain(name)) if name == domain)
    }

    /// The host and port of a SIP address. Without a port it is the scheme's (RFC 3261 §19.1.2).
    pub fn sip_host(&self) -> Option<SipHost> {
        let (_, written) = self.sip_user_and_host()?;
        let port = written.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        let default = if self.text.starts_with("sips:") { 5061 } else { 5060 };
        Some(SipHost { host: self.host()?, port: port.unwrap_or(default) })
    }

    /// User and host of a SIP address.
    pub fn sip_user_and_host(&self) -> Option<(&str, &str)> {
        let rest = self.text.strip_prefix("sip:").or_else(|| self.text.strip_prefix("sips:"))?;
        rest.split_once('@')
    }
}

/// A URL as people and logs may see it: without the user and the password.
pub fn without_user(url: &Url) -> Url {
    let mut url = url.clone();
    // Both fail only if there is no host, and then there is no user before it.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}

/// Whether a URL's host is the machine of whoever goes there (names: RFC 6761 §6.3).
pub fn is_loopback<S: AsRef<str>>(host: Option<Host<S>>) -> bool {
    match host {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback() || ip.to_ipv4_mapped().is_some_and(|ip| ip.is_loopback()),
        Some(Host::Domain(name)) => {
            let name = rootless(name.as_ref());
            name == "localhost" || name.ends_with(".localhost")
        }
        None => false,
    }
}

/// `pbx.example.` is `pbx.example`.
pub(super) fn rootless(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

fn allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~:/?#[]@!&*+=%".contains(c)
}

fn sip(rest: &str) -> bool {
    // user@host[:port]; headers (`?`) and parameters (`;`) would be the caller's words in our request.
    let Some((user, host)) = rest.split_once('@') else { return false };
    let user_ok = !user.is_empty() && user.chars().all(|c| c.is_ascii_alphanumeric() || "-._~+*!&=".contains(c));
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !host.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    };
    let name_ok = !name.is_empty()
        && Host::parse(name).is_ok()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-.[]:".contains(c));
    let port_ok = port.is_none_or(|p| p.parse::<u16>().is_ok_and(|p| p > 0) && !p.starts_with('+'));
    user_ok && name_ok && port_ok
}

fn http(text: &str) -> Result<(), AddressError> {
    let url = Url::parse(text).map_err(|_| AddressError::Form("https"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(AddressError::Form("https"));
    }
    if url.host().is_none() {
        return Err(AddressError::Form("https"));
    }
    if url.scheme() == "http" && !is_loopback(url.host()) {
        return Err(AddressError::Plain);
    }
    Ok(())
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Address, AddressError> {
        if text.len() > ADDRESS_MAX {
            return Err(AddressError::TooLong);
        }
        if let Some(c) = text.chars().find(|c| !allowed(*c)) {
            return Err(AddressError::Character(c));
        }
        let (scheme, rest) = text.split_once(':').ok_or(AddressError::Scheme)?;
        let kind = match scheme.to_ascii_lowercase().as_str() {
            "https" | "http" => {
                http(text)?;
                AddressKind::Http
            }
            "sip" | "sips" if sip(rest) => AddressKind::Sip,
            "sip" | "sips" => return Err(AddressError::Form("sip:user@host")),
            _ => return Err(AddressError::Scheme),
        };
        // Schemes compare without case (RFC 3986 §3.1).
        Ok(Address { text: format!("{}:{rest}", scheme.to_ascii_lowercase()), kind })
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;
    fn try_from(text: String) -> Result<Address, AddressError> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> String {
        address.text
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl utoipa::PartialSchema for Address {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        String::schema()
    }
}

impl utoipa::ToSchema for Address {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_of_each_kind() {
        for (text, kind) in [
            ("https://node.example/a/abc-_1", AddressKind::Http),
            ("http://127.0.0.1:8080/a/x", AddressKind::Http),
            ("http://[::1]:8080/a/x", AddressKind::Http),
            ("sip:alice@pbx.example", AddressKind::Sip),
            ("sips:+12125550100@192.0.2.1:5061", AddressKind::Sip),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().kind(), kind, "{text}");
        }
        assert_eq!("SIP:a@b".parse::<Address>().unwrap().as_str(), "sip:a@b");
    }

    #[test]
    fn a_sip_host_is_one_however_it_is_written() {
        let host = |text: &str| text.parse::<Address>().unwrap().sip_host().unwrap();
        for same in ["sip:b@pbx.example", "sip:b@PBX.Example:5060", "sip:b@pbx.example.", "sip:b@pbx.example:05060"] {
            assert_eq!(host(same), host("sip:a@pbx.example"), "{same}");
        }
        assert_eq!(host("sip:a@[2001:DB8:0::1]"), host("sip:a@[2001:db8::1]:5060"));
        for other in ["sip:a@pbx.example:5061", "sips:a@pbx.example", "sip:a@other.example"] {
            assert_ne!(host(other), host("sip:a@pbx.example"), "{other}");
        }
        assert!("https://pbx.example/".parse::<Address>().unwrap().sip_host().is_none());
    }

    #[test]
    fn loopback_is_this_machine() {
        for (text, here) in [
            ("http://127.0.0.1:8080/", true),
            ("https://127.9.9.9/", true),
            ("https://0x7f.1/", true),
            ("https://[::ffff:127.0.0.1]/", true),
            ("https://localhost/x", true),
            ("https://node.example/127.0.0.1", false),
            ("sip:a@127.0.0.1", true),
            ("sip:a@127.0.0.1:5080", true),
            ("sips:a@[::1]:5061", true),
            ("sip:a@LocalHost", true),
            ("sip:a@0x7f.1", true),
            ("sip:a@localhost.", true),
            ("http://pbx.localhost.:8080/", true),
            ("sip:127.0.0.1@pbx.example", false),
            ("sip:a@192.0.2.1", false),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().is_loopback(), here, "{text}");
        }
    }

    #[test]
    fn nobody_sees_the_password_of_a_url() {
        let shown = |url: &str| without_user(&url.parse().unwrap()).to_string();
        assert_eq!(shown("https://agent:secret@node.example:8600/x"), "https://node.example:8600/x");
        assert_eq!(shown("https://node.example"), "https://node.example/");
        assert_eq!(shown("mailto:a@node.example"), "mailto:a@node.example");
    }

    #[test]
    fn the_domain_of_an_address() {
        let at = |text: &str| text.parse::<Address>().unwrap().is_at("pbx.example");
        assert!(at("sip:a@pbx.example.") && at("https://pbx.example.:8443/x"));
        assert!(at("sip:a@PBX.example:5080") && at("https://pbx.example/x") && at("sips:a@pbx.example"));
        assert!(
            !at("sip:a@sub.pbx.example") && !at("sip:pbx.example@192.0.2.1") && !at("https://b.example/pbx.example")
        );
    }

    #[test]
    fn forbidden_schemes_and_characters() {
        for bad in [
            "javascript:alert(1)",
            "javascript:alert",
            "file:///etc/passwd",
            "ftp://a/b",
            "http://node.example/a/x",
            "https://user:pw@host/",
            "https://",
            "sip:alice",
            "sip:@host",
            "sip:alice@",
            "sip:alice@host:0",
            "sip:alice@host:99999",
            "sip:a@b?Subject=x",
            "sip:a@b;transport=tcp",
            "https://a/${system(id)}",
            "https://a/\r\nX: y",
            "https://a/é",
            "",
            "https",
        ] {
            assert!(bad.parse::<Address>().is_err(), "{bad:?}");
        }
        assert_eq!(format!("https://a/{}", "x".repeat(200)).parse::<Address>(), Err(AddressError::TooLong));
    }

    proptest! {
        #[test]
        fn what_parses_holds_nothing_a_pbx_would_read(text in "(https?://|sips?:)[ -~\\r\\n]{0,60}") {
            if let Ok(address) = text.parse::<Address>() {
                let read_by_a_pbx = ['\r', '\n', ';', '|', ',', '$', '{', '}', '\\', ' ', '"', '\'', '<', '>'];
                let harmless = !address.as_str().contains(read_by_a_pbx);
                prop_assert!(harmless);
                prop_assert_eq!(address.as_str().parse::<Address>().unwrap(), address);
            }
        }
    }
}
