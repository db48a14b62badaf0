//! Whose number a leg stands for.

use crate::core::numbering::number::Number;

/// How a leg joined a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LegOrigin {
    /// The PBX made it to reach the called number.
    Dialled,
    /// The PBX made it, and names its phone by text that is no known number.
    Unreadable,
    /// It is another phone than the dialled one: a pick-up, or an unannounced bridge.
    Joined,
}

/// What the directory knows of a called number and of the device that answered for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeviceFacts {
    /// The called number is a main number: an attendant finds the extension.
    pub main: bool,
    /// The called number's entry lists the device among its extensions.
    pub listed: bool,
    /// The device is a number of ours.
    pub served: bool,
}

/// Minimum number of trailing digits that two forms of one number share. Fewer may be chance.
const COMMON: usize = 7;

/// The number that a leg stands for: the announced leg stands for the calling number, every other one
/// for what this says. `called` is the called number of its call, `device` the phone that the PBX names.
///
/// | device | called | stands for |
/// |---|---|---|
/// | the called number, also with a trunk's prefix | any | called |
/// | unknown, dialled | a main number | nobody |
/// | unknown, dialled | any other | called |
/// | unknown, joined | any | nobody |
/// | named, but unreadable | any | nobody: it may be anybody's |
/// | served | any | device |
/// | not served | lists the device among its extensions | called |
/// | not served, an extension, dialled | E.164, no main number | called: the DID of that extension |
/// | not served | any | device: forwarded to, or picked up at, a phone without a client |
pub fn stands_for(called: &Number, device: Option<&Number>, origin: LegOrigin, known: DeviceFacts) -> Option<Number> {
    let dialled = origin == LegOrigin::Dialled;
    let Some(device) = device else {
        return Some(called.clone()).filter(|_| dialled && !known.main);
    };
    let its_did = dialled && !known.main && is_local(device) && !is_local(called);
    let called_for = is_same_number(called, device) || (!known.served && (known.listed || its_did));
    Some(if called_for { called.clone() } else { device.clone() })
}

/// Whether both are the same number, one perhaps in a trunk's format: `+1 212 555 0100`, `9 212 555 0100`.
pub fn is_same_number(one: &Number, other: &Number) -> bool {
    one == other || is_tail(one.digits(), other.digits())
}

/// Whether `text` is the number in some trunk's format.
pub fn is_dialled_as(number: &Number, text: &str) -> bool {
    is_tail(number.digits(), text)
}

fn is_tail(a: &str, b: &str) -> bool {
    a.len().min(b.len()) >= COMMON && (a.ends_with(b) || b.ends_with(a))
}

fn is_local(number: &Number) -> bool {
    matches!(number, Number::Local { .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EXTENSION: &str = "1001;phone-context=pbx.example";
    const OTHER: &str = "1002;phone-context=pbx.example";
    const DID: &str = "+12125551001";
    const NOTHING: DeviceFacts = DeviceFacts { main: false, listed: false, served: false };
    const MAIN: DeviceFacts = DeviceFacts { main: true, ..NOTHING };
    const SERVED: DeviceFacts = DeviceFacts { served: true, ..NOTHING };
    const LISTED: DeviceFacts = DeviceFacts { listed: true, ..NOTHING };

    fn who(called: &str, device: Option<&str>, origin: LegOrigin, known: DeviceFacts) -> Option<String> {
        let device = device.map(|d| d.parse().unwrap());
        stands_for(&called.parse().unwrap(), device.as_ref(), origin, known).map(|n| n.to_string())
    }

    #[test]
    fn every_row() {
        use LegOrigin::*;
        for (row, called, device, origin, known, stands) in [
            ("the called phone", EXTENSION, Some(EXTENSION), Dialled, NOTHING, Some(EXTENSION)),
            ("through a trunk", DID, Some(DID), Dialled, NOTHING, Some(DID)),
            ("in a trunk's format", DID, Some("92125551001;phone-context=pbx.example"), Dialled, NOTHING, Some(DID)),
            ("in a served trunk's format", DID, Some("+2125551001"), Dialled, SERVED, Some(DID)),
            ("unknown, a main number", DID, None, Dialled, MAIN, None),
            ("unknown", DID, None, Dialled, NOTHING, Some(DID)),
            ("unknown, joined", DID, None, Joined, NOTHING, None),
            ("unreadable", DID, None, Unreadable, NOTHING, None),
            ("unreadable, listed or not", EXTENSION, None, Unreadable, LISTED, None),
            ("forwarded to one of ours", EXTENSION, Some(OTHER), Dialled, SERVED, Some(OTHER)),
            ("picked up by one of ours", EXTENSION, Some(OTHER), Joined, SERVED, Some(OTHER)),
            (
                "one of ours behind a main number",
                DID,
                Some(OTHER),
                Dialled,
                DeviceFacts { served: true, ..MAIN },
                Some(OTHER),
            ),
            (
                "one of ours that is listed",
                DID,
                Some(OTHER),
                Dialled,
                DeviceFacts { served: true, ..LISTED },
                Some(OTHER),
            ),
            ("listed", DID, Some(OTHER), Dialled, LISTED, Some(DID)),
            ("listed, picked up", EXTENSION, Some(OTHER), Joined, LISTED, Some(EXTENSION)),
            ("a DID", DID, Some(EXTENSION), Dialled, NOTHING, Some(DID)),
            ("a main number is no DID", DID, Some(EXTENSION), Dialled, MAIN, Some(EXTENSION)),
            ("picked up: not the DID's phone", DID, Some(OTHER), Joined, NOTHING, Some(OTHER)),
            ("forwarded to an extension of nobody", EXTENSION, Some(OTHER), Dialled, NOTHING, Some(OTHER)),
            ("forwarded away", DID, Some("+442071838750"), Dialled, NOTHING, Some("+442071838750")),
        ] {
            assert_eq!(who(called, device, origin, known).as_deref(), stands, "{row}");
        }
    }

    proptest! {
        /// Nobody is made up: it is the called number, the device, or nobody.
        #[test]
        fn one_of_the_two_or_nobody(
            called in "\\+[0-9]{5,15}|[0-9]{3,6};phone-context=a",
            device in prop::option::of("\\+[0-9]{5,15}|[0-9]{3,6};phone-context=a"),
            origin in prop::sample::select(vec![LegOrigin::Dialled, LegOrigin::Unreadable, LegOrigin::Joined]),
            main: bool, listed: bool, served: bool,
        ) {
            let stands = who(&called, device.as_deref(), origin, DeviceFacts { main, listed, served });
            prop_assert!(stands.is_none() || stands.as_deref() == Some(&called) || stands == device);
        }
    }
}
