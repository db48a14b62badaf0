//! Sessions against devices that keep to the protocol, against impostors, and against what is delivered late or twice.

use super::*;
use proptest::prelude::*;

use crate::contract::Role;
use crate::media::digits::CertificateFingerprint;
use crate::media::signal::FileBundle;
use crate::media::words::Nonce;

fn proof(nonce: &str, byte: &str) -> Proof {
    let fingerprint = CertificateFingerprint::parse(&[byte; 32].join(":")).unwrap();
    Proof { nonce: Nonce::parse(&nonce.repeat(32)).unwrap(), fingerprint }
}

/// A session whose inviter has committed to `a` and `AB`.
fn session() -> MediaSession {
    let invite = FileInvite {
        invitation: "i".parse().unwrap(),
        session: "s".parse().unwrap(),
        role: Role::First,
        commit: proof("a", "AB").commitment(),
        files: FileBundle { count: 1, bytes: 1, name: "x".to_owned() },
    };
    MediaSession::new(&invite, proof("b", "CD"))
}

fn offer(nonce: Option<&str>, byte: &str, number: Option<u64>) -> ConnectionOffer {
    ConnectionOffer {
        session: "s".parse().unwrap(),
        round: 0,
        sdp: format!("v=0\r\na=fingerprint:sha-256 {}\r\n", [byte; 32].join(":")),
        nonce: nonce.map(|nonce| proof(nonce, "AB").nonce),
        number,
    }
}

#[test]
fn the_words_are_there_once_the_inviter_has_revealed_its_part() {
    let mut session = session();
    assert_eq!(session.words(), None);
    assert_eq!(session.offer(&offer(Some("a"), "AB", Some(1))), OfferVerdict::Apply);
    assert_eq!(session.words(), Some(four_words(&proof("a", "AB"), &proof("b", "CD"))));
}

#[test]
fn an_offer_that_does_not_fit_the_commitment_is_an_impostors() {
    for bad in [offer(Some("b"), "AB", None), offer(Some("a"), "AC", None), offer(None, "AB", None)] {
        let mut session = session();
        assert_eq!(session.offer(&bad), OfferVerdict::Impostor, "{bad:?}");
        assert_eq!(session.words(), None);
    }
}

#[test]
fn every_later_offer_has_the_same_certificate() {
    let mut session = session();
    session.offer(&offer(Some("a"), "AB", Some(1)));
    assert_eq!(session.offer(&offer(None, "AB", Some(2))), OfferVerdict::Apply);
    assert_eq!(session.offer(&offer(Some("a"), "AC", Some(3))), OfferVerdict::Impostor);
    session.restarted(7);
    let later = ConnectionOffer { round: 8, ..offer(None, "AC", Some(1)) };
    assert_eq!(session.offer(&later), OfferVerdict::Impostor);
}

#[test]
fn a_repeated_offer_gets_the_same_answer() {
    let mut session = session();
    let first = offer(Some("a"), "AB", Some(1));
    assert_eq!(session.offer(&first), OfferVerdict::Apply);
    session.answered(Some(1), "answer".to_owned());
    assert_eq!(session.offer(&first), OfferVerdict::Repeat("answer".to_owned()));
    assert_eq!(session.offer(&offer(Some("a"), "AB", Some(2))), OfferVerdict::Apply);
    // Devices that don't count send every offer once.
    session.answered(None, "answer".to_owned());
    assert_eq!(session.offer(&offer(Some("a"), "AB", None)), OfferVerdict::Apply);
}

#[test]
fn a_device_that_asks_for_a_new_connection_is_asked_to_offer_it() {
    let mut session = session();
    session.offer(&offer(Some("a"), "AB", Some(1)));
    session.answered(Some(1), "answer".to_owned());
    assert_eq!(session.restarted(100), RestartVerdict::Begin(101));
    assert_eq!(session.offer(&offer(None, "AB", Some(1))), OfferVerdict::Ignore);
    let anew = ConnectionOffer { round: 101, ..offer(None, "AB", Some(1)) };
    assert_eq!(session.offer(&anew), OfferVerdict::Apply);
    for old in [0, 100, 101] {
        assert_eq!(session.restarted(old), RestartVerdict::Ignore, "{old}");
    }
    assert_eq!(session.restarted(INTEGER_MAX), RestartVerdict::Ignore);
}

#[test]
fn a_device_that_starts_anew_again_and_again_is_given_up_unless_it_connects() {
    let mut session = session();
    for round in 1..=20 {
        assert_eq!(session.restarted(10 * round), RestartVerdict::Begin(10 * round + 1));
    }
    assert_eq!(session.restarted(1000), RestartVerdict::GiveUp);
    session.connected();
    assert_eq!(session.restarted(1000), RestartVerdict::Begin(1001));
}

#[test]
fn a_lost_connection_is_asked_for_five_times_in_a_row() {
    let mut session = session();
    let now = UnixMillis(1_795_345_005_000);
    let rounds: Vec<_> = (0..6).map(|_| session.lost(now)).collect();
    let expected: Vec<_> = (0..5).map(|n| Some(1_795_345_005_000 + n)).chain([None]).collect();
    assert_eq!(rounds, expected);
    session.connected();
    assert_eq!(session.lost(now), Some(1_795_345_005_005));
}

proptest! {
    #[test]
    fn rounds_only_grow(inputs in proptest::collection::vec((any::<bool>(), 0..20_u64), 0..40)) {
        let mut session = session();
        for (asked, round) in inputs {
            let before = session.round();
            let next = match asked.then(|| session.restarted(round)) {
                Some(RestartVerdict::Begin(round)) => Some(round),
                Some(RestartVerdict::Ignore | RestartVerdict::GiveUp) => None,
                None => session.lost(UnixMillis(round as i64)),
            };
            prop_assert_eq!(next, (session.round() > before).then_some(session.round()));
            prop_assert!(session.round() >= before);
        }
    }
}
