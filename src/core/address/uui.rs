//! The client address in `User-to-User` (RFC 7433), so that it survives ISDN interworking.
//!
//! ```text
//! User-to-User: 0468747470733a2f2f…;encoding=hex
//! ```
//!
//! The first octet is the protocol discriminator of Q.931 §4.5.30, table 4-26: `04`, IA5 characters.
//! The parameters are written by the dialplan: `;` never stands in a value that the agent sets.

use super::{ADDRESS_MAX, Address, AddressError};

/// IA5 characters.
const DISCRIMINATOR: u8 = 0x04;

/// Why a header does not carry an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UuiError {
    /// Not hex, or an odd number of digits.
    #[error("is not hex")]
    Hex,
    /// An encoding other than hex.
    #[error("is encoded as something else than hex")]
    Encoding,
    /// Another protocol discriminator: someone else's user information.
    #[error("has the protocol discriminator {0:#04x}, not {DISCRIMINATOR:#04x}")]
    Discriminator(u8),
    /// Nothing in it, or more than 128 octets.
    #[error("has {0} octets")]
    Length(usize),
    /// Text that is no address.
    #[error(transparent)]
    Address(#[from] AddressError),
}

/// The hex digits for `address`, at most 256 of them.
pub fn encode(address: &Address) -> String {
    let mut octets = Vec::with_capacity(address.as_str().len() + 1);
    octets.push(DISCRIMINATOR);
    octets.extend_from_slice(address.as_str().as_bytes());
    hex::encode(octets)
}

/// Reads the address in a header from a trusted trunk: `User-to-User`, or `Call-Info: <uri>;purpose=impp` (RFC 6993).
///
/// # Errors
/// If there is no address in it.
pub fn received(header: &str) -> Result<Address, UuiError> {
    match header.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
        Some((uri, _)) => Ok(uri.parse()?),
        None => decode(header),
    }
}

/// The address in the value of a `User-to-User` header.
///
/// # Errors
/// If the value carries something else.
pub fn decode(value: &str) -> Result<Address, UuiError> {
    let mut parts = value.split(';').map(str::trim);
    let digits = parts.next().unwrap_or_default();
    for parameter in parts {
        if let Some((name, value)) = parameter.split_once('=')
            && name.eq_ignore_ascii_case("encoding")
            && !value.eq_ignore_ascii_case("hex")
        {
            return Err(UuiError::Encoding);
        }
    }
    let octets = hex::decode(digits.trim_matches('"')).map_err(|_| UuiError::Hex)?;
    match octets.split_first() {
        None => Err(UuiError::Length(0)),
        Some(_) if octets.len() > ADDRESS_MAX + 1 => Err(UuiError::Length(octets.len())),
        Some((&DISCRIMINATOR, text)) => Ok(String::from_utf8_lossy(text).parse()?),
        Some((&other, _)) => Err(UuiError::Discriminator(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn round_trip_with_and_without_parameters() {
        let address: Address = "https://node.example/a/T0ken".parse().unwrap();
        let hex = encode(&address);
        assert!(hex.starts_with("0468747470733a2f2f"));
        assert_eq!(decode(&hex), Ok(address.clone()));
        assert_eq!(decode(&format!("{hex};encoding=hex")), Ok(address.clone()));
        assert_eq!(decode(&format!("{} ; Encoding=HEX ;purpose=isdn-uui", hex.to_uppercase())), Ok(address));
    }

    #[test]
    fn the_longest_address_fits_128_octets() {
        let text = format!("https://a/{}", "x".repeat(ADDRESS_MAX - 10));
        let hex = encode(&text.parse().unwrap());
        assert_eq!(hex.len(), 256);
        assert!(decode(&hex).is_ok());
    }

    #[test]
    fn other_peoples_user_information_is_refused() {
        assert_eq!(decode("00c81031;encoding=hex"), Err(UuiError::Discriminator(0)));
        assert_eq!(decode("04c3a9;encoding=base64"), Err(UuiError::Encoding));
        assert_eq!(decode(""), Err(UuiError::Length(0)));
        assert_eq!(decode("xyz"), Err(UuiError::Hex));
        assert!(matches!(decode("046a6176613a78"), Err(UuiError::Address(_))));
    }

    proptest! {
        #[test]
        fn never_panics(value in "\\PC{0,80}|[0-9a-f]{0,300}(;[a-z]+=[a-z]+)?") {
            let _ = decode(&value);
        }
    }
}
