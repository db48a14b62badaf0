//! What must hold for any portability record, any header and any address. Compiled with the crate so that it can't fall
//! behind it; run by the fuzzer (`fuzz/`).

use crate::core::address::uui;
use crate::core::address::{ADDRESS_MAX, Address};
use crate::core::numbering::number::Number;
use crate::core::routing::naptr::{Naptr, labels, read, rewrite};

/// What a PBX would read in a variable or a header.
const READ_BY_A_PBX: [char; 14] = ['\r', '\n', ';', '|', ',', '$', '{', '}', '\\', ' ', '"', '\'', '<', '>'];

/// Records in lines of `ORDER PREFERENCE FLAGS SERVICES REGEXP`, about the number that they are asked for.
/// A line that is none is an expression by itself.
///
/// # Panics
///
/// If what they say is of no form that can be used.
pub fn naptr(data: &[u8]) {
    let Ok(number) = "+12125550100".parse::<Number>() else { return };
    let mut records = Vec::new();
    for line in data.split(|byte| *byte == b'\n') {
        let mut words = line.splitn(5, |byte| *byte == b' ');
        let mut word = || words.next().unwrap_or_default();
        let mut count = || str::from_utf8(word()).ok().and_then(|text| text.parse().ok());
        if let (Some(order), Some(preference)) = (count(), count()) {
            let (flags, services, regexp) = (word().to_vec(), word().to_vec(), word().to_vec());
            records.push(Naptr { order, preference, flags, services, regexp });
            continue;
        }
        if let Ok(made) = rewrite(line, &number.to_string()) {
            assert!(made.len() <= 600 && made.is_ascii(), "{made:?}");
        }
        let services = b"E2U+pstn:tel+pstn:sip+sip+x-sidecall:https".to_vec();
        records.push(Naptr { order: 1, preference: 1, flags: b"u".to_vec(), services, regexp: line.to_vec() });
    }
    let answer = read(&records, &number);
    if let Some(routing_number) = &answer.routing_number {
        assert_eq!(routing_number.to_string().parse().as_ref(), Ok(routing_number));
        assert_eq!(answer.ported, Some(true));
    }
    assert!(!answer.operator.is_some_and(|operator| operator.as_str().contains(READ_BY_A_PBX)));
    // Any text as a number.
    if let Ok(number) = String::from_utf8_lossy(data).parse::<Number>() {
        assert_eq!(number.to_string().parse().as_ref(), Ok(&number));
        assert!(labels(&number).is_none_or(|labels| labels.len() <= 29));
    }
}

/// `User-to-User` and `Call-Info` from a trusted trunk: an address that may be passed on, or a reason why not.
pub fn header(data: &[u8]) {
    if let Ok(address) = uui::received(&String::from_utf8_lossy(data)) {
        passes_on(&address);
    }
}

/// An address that came from outside survives every form in which it is passed on, and holds nothing that a
/// PBX reads.
///
/// # Panics
///
/// If that doesn't hold.
pub fn passes_on(address: &Address) {
    let text = address.as_str();
    assert!(text.len() <= ADDRESS_MAX && !text.contains(READ_BY_A_PBX), "{text}");
    assert_eq!(text.parse().as_ref(), Ok(address));
    let header = uui::encode(address);
    assert!(header.len() <= 256);
    assert_eq!(uui::decode(&header).as_ref(), Ok(address));
    let _ = (address.host(), address.is_loopback(), address.sip_user_and_host());
}
