//! URIs of STUN and TURN servers, as browsers take them (RFC 7064, RFC 7065).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::Host;

/// Characters of the longest URI.
const URI_MAX: usize = 255;
/// The port of a server that names none (RFC 8489 §18.6), ...
const PLAIN_PORT: u16 = 3478;
/// ... and the one for TLS.
const TLS_PORT: u16 = 5349;

/// Where a STUN or TURN server is: `stun:HOST:PORT` or `turn:HOST:PORT?transport=udp`, with `stuns:` and `turns:` for TLS.
///
/// The port and `?transport=` are optional, and only a TURN server has the latter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IceUri {
    text: String,
    host: Host,
    port: u16,
    is_turn: bool,
    is_plain_udp: bool,
}

/// Why a text is no [`IceUri`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IceUriError {
    /// Longer than any host name allows.
    #[error("a server's URI has at most {URI_MAX} characters")]
    TooLong,
    /// None of the four schemes.
    #[error("{0:?} is not a server's URI: it begins with stun:, stuns:, turn: or turns:")]
    Scheme(String),
    /// The host can't be one.
    #[error("{0:?} has no valid host: write turn:turn.example, without //, and an IPv6 address in brackets")]
    Host(String),
    /// The port can't be one.
    #[error("{0:?} has no valid port: write 1 to 65535")]
    Port(String),
    /// A query that isn't defined, or on a STUN server's URI.
    #[error("{0:?}: only ?transport=udp or ?transport=tcp may follow, and only a turn: or turns: URI")]
    Query(String),
}

impl IceUri {
    /// The URI.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The server's name or IP address.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The server's port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether it is a TURN server, which asks for credentials.
    pub fn is_turn(&self) -> bool {
        self.is_turn
    }

    /// Whether the server is asked over UDP, without TLS.
    pub fn is_plain_udp(&self) -> bool {
        self.is_plain_udp
    }
}

impl FromStr for IceUri {
    type Err = IceUriError;

    fn from_str(text: &str) -> Result<IceUri, IceUriError> {
        if text.len() > URI_MAX {
            return Err(IceUriError::TooLong);
        }
        let scheme_error = || IceUriError::Scheme(text.to_owned());
        let (scheme, rest) = text.split_once(':').ok_or_else(scheme_error)?;
        let scheme = scheme.to_ascii_lowercase();
        let (is_turn, is_tls) = match scheme.as_str() {
            "stun" => (false, false),
            "stuns" => (false, true),
            "turn" => (true, false),
            "turns" => (true, true),
            _ => return Err(scheme_error()),
        };
        let (server, query) = rest.split_once('?').map_or((rest, None), |(server, query)| (server, Some(query)));
        let is_tcp = match query {
            None => is_tls,
            Some("transport=udp") if is_turn => false,
            Some("transport=tcp") if is_turn => true,
            Some(_) => return Err(IceUriError::Query(text.to_owned())),
        };
        let (name, port) = match server.rsplit_once(':') {
            Some((name, port)) if !server.ends_with(']') => (name, Some(port)),
            _ => (server, None),
        };
        let host = host(name).ok_or_else(|| IceUriError::Host(text.to_owned()))?;
        let port = match port {
            None if is_tls => TLS_PORT,
            None => PLAIN_PORT,
            Some(digits) => read_port(digits).ok_or_else(|| IceUriError::Port(text.to_owned()))?,
        };
        // Schemes compare without case (RFC 3986 §3.1), and browsers expect them in lower case.
        let text = format!("{scheme}:{rest}");
        Ok(IceUri { text, host, port, is_turn, is_plain_udp: !is_tls && !is_tcp })
    }
}

fn host(name: &str) -> Option<Host> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-.[]:".contains(c);
    let host = Host::parse(name).ok().filter(|_| name.chars().all(allowed))?;
    let is_label = |label: &str| (1..=63).contains(&label.len());
    match &host {
        Host::Domain(name) => name.strip_suffix('.').unwrap_or(name).split('.').all(is_label).then_some(host),
        Host::Ipv4(_) | Host::Ipv6(_) => Some(host),
    }
}

fn read_port(digits: &str) -> Option<u16> {
    let port = digits.parse().ok().filter(|port| *port > 0)?;
    digits.bytes().all(|b| b.is_ascii_digit()).then_some(port)
}

impl TryFrom<String> for IceUri {
    type Error = IceUriError;
    fn try_from(text: String) -> Result<IceUri, IceUriError> {
        text.parse()
    }
}

impl From<IceUri> for String {
    fn from(uri: IceUri) -> String {
        uri.text
    }
}

impl fmt::Display for IceUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl utoipa::PartialSchema for IceUri {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        String::schema()
    }
}

impl utoipa::ToSchema for IceUri {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_uri_says_where_the_server_is_and_how_it_is_asked() {
        for (text, host, port, is_turn, is_plain_udp) in [
            ("stun:stun.example", "stun.example", 3478, false, true),
            ("stun:192.0.2.1:19302", "192.0.2.1", 19302, false, true),
            ("stuns:stun.example", "stun.example", 5349, false, false),
            ("turn:turn.example", "turn.example", 3478, true, true),
            ("turn:[2001:db8::1]", "[2001:db8::1]", 3478, true, true),
            ("turn:[2001:db8::1]:443?transport=udp", "[2001:db8::1]", 443, true, true),
            ("turn:turn.example?transport=tcp", "turn.example", 3478, true, false),
            ("turns:turn.example:443?transport=tcp", "turn.example", 443, true, false),
            ("turns:turn.example?transport=udp", "turn.example", 5349, true, false),
        ] {
            let uri: IceUri = text.parse().unwrap();
            assert_eq!((uri.host().to_string().as_str(), uri.port()), (host, port), "{text}");
            assert_eq!((uri.is_turn(), uri.is_plain_udp()), (is_turn, is_plain_udp), "{text}");
            assert_eq!(uri.as_str(), text);
        }
        assert_eq!("TURN:Turn.Example".parse::<IceUri>().unwrap().as_str(), "turn:Turn.Example");
    }

    #[test]
    fn each_mistake_is_named() {
        use IceUriError::{Host, Port, Query, Scheme, TooLong};
        for (text, error) in [
            ("", Scheme as fn(String) -> IceUriError),
            ("turn.example", Scheme),
            ("https://turn.example", Scheme),
            ("turn:", Host),
            ("turn://turn.example", Host),
            ("turn:::1", Host),
            ("turn:a b", Host),
            ("turn:a@b", Host),
            ("turn:a%41", Host),
            ("turn:bücher.example", Host),
            ("turn:turn..example", Host),
            ("turn:turn.example:", Port),
            ("turn:turn.example:0", Port),
            ("turn:turn.example:65536", Port),
            ("turn:turn.example:+1", Port),
            ("turn:turn.example?transport=sctp", Query),
            ("turn:turn.example?", Query),
            ("stun:stun.example?transport=udp", Query),
        ] {
            assert_eq!(text.parse::<IceUri>(), Err(error(text.to_owned())), "{text}");
        }
        assert_eq!(format!("turn:{}", "a".repeat(300)).parse::<IceUri>(), Err(TooLong));
    }

    proptest! {
        #[test]
        fn what_parses_is_harmless_and_parses_again(text in "(stuns?|turns?|TURN):[ -~\\r\\n]{0,40}(\\?transport=(udp|tcp))?") {
            if let Ok(uri) = text.parse::<IceUri>() {
                let harmless = uri.as_str().chars().all(|c| c.is_ascii_alphanumeric() || "-.[]:?=".contains(c));
                prop_assert!(harmless && uri.port() > 0, "{}", uri);
                prop_assert_eq!(uri.as_str().parse::<IceUri>().unwrap(), uri);
            }
        }
    }
}
