//! What codes let in, and for how long.

use proptest::prelude::*;

use super::*;

const BOB: &str = "+12125550101";
const CAROL: &str = "+12125550102";

fn host(call: &str, number: &str, client: &str) -> GuestHost {
    GuestHost { call: call.parse().unwrap(), number: number.parse().unwrap(), client: client.parse().unwrap() }
}

fn guest(client: &str, host: &GuestHost) -> Guest {
    Guest {
        client: client.parse().unwrap(),
        host: host.clone(),
        name: "Zoë".parse().unwrap(),
        address: "https://node.example/a/x".parse().unwrap(),
        capabilities: Vec::new(),
    }
}

fn hash(client: &str, n: u8) -> [u8; 32] {
    let mut hash = [n; 32];
    hash[1..=client.len()].copy_from_slice(client.as_bytes());
    hash
}

fn secrets(client: &str) -> GuestSecrets {
    GuestSecrets { stream: hash(client, 1), to_guest: hash(client, 2), to_host: hash(client, 3) }
}

fn seconds(n: u64) -> UnixMillis {
    UnixMillis(0) + Duration::from_secs(n)
}

/// Codes from this one on.
fn from(first: u64) -> impl Iterator<Item = GuestCode> {
    (first..).map(GuestCode::new)
}

fn invite(guests: &mut Guests, host: &GuestHost, at: u64) -> GuestCode {
    let (code, expires) = guests.invite(host.clone(), seconds(at), from(0)).unwrap();
    assert_eq!(expires, seconds(at + 600));
    code
}

fn admit(guests: &mut Guests, code: GuestCode, client: &str, host: &GuestHost, at: u64) -> Result<(), GuestRefusal> {
    guests.admit(code, guest(client, host), secrets(client), seconds(at))
}

/// Ends what is over at that time, in calls that go on; the clients of the guests that are gone.
fn end(guests: &mut Guests, at: u64, connected: &[&str]) -> Vec<String> {
    let is_connected = |client: &ClientId| connected.contains(&client.as_str());
    let gone = guests.end(seconds(at), |_| true, is_connected);
    let mut gone: Vec<String> = gone.into_iter().map(|guest| guest.client.into()).collect();
    gone.sort();
    gone
}

#[test]
fn a_number_has_one_code_in_a_call() {
    let (mut guests, tablet, phone) = (Guests::default(), host("1", BOB, "tablet"), host("1", BOB, "phone"));
    let code = invite(&mut guests, &tablet, 0);
    assert_eq!(invite(&mut guests, &tablet, 100), code, "a repeat");
    let others = [host("2", BOB, "tablet"), host("1", CAROL, "desk")].map(|host| invite(&mut guests, &host, 100));
    let (replaced, _) = guests.invite(phone.clone(), seconds(100), from(3)).unwrap();
    assert_eq!(guests.host(code, seconds(100)), None);
    assert_eq!(guests.host(replaced, seconds(100)), Some(&phone));
    assert!(others.iter().all(|code| guests.host(*code, seconds(100)).is_some()));
}

#[test]
fn a_code_expires_ten_minutes_after_it_was_used() {
    let (mut guests, bob) = (Guests::default(), host("1", BOB, "tablet"));
    let code = invite(&mut guests, &bob, 0);
    admit(&mut guests, code, "a", &bob, 599).unwrap();
    admit(&mut guests, code, "b", &bob, 1_198).unwrap();
    assert_eq!(admit(&mut guests, code, "c", &bob, 1_798), Err(GuestRefusal::NoSuchCode));
    assert!(end(&mut guests, 1_798, &["a", "b"]).is_empty(), "those who are in stay");
    assert_eq!(guests.codes.len(), 0);
    let again = guests.invite(bob, seconds(1_798), from(7)).unwrap().0;
    assert_eq!(again, GuestCode::new(7), "a new one");
}

#[test]
fn a_code_leads_to_its_own_call_alone() {
    let (mut guests, bob, other) = (Guests::default(), host("1", BOB, "tablet"), host("2", BOB, "tablet"));
    let code = invite(&mut guests, &bob, 0);
    invite(&mut guests, &other, 0);
    assert_eq!(admit(&mut guests, code, "a", &other, 1), Err(GuestRefusal::NoSuchCode));
    assert_eq!(admit(&mut guests, GuestCode::new(999_999), "a", &bob, 1), Err(GuestRefusal::NoSuchCode));
    assert!(guests.present.is_empty() && guests.secrets.is_empty());
}

#[test]
fn a_secret_is_for_one_thing() {
    let (mut guests, bob) = (Guests::default(), host("1", BOB, "tablet"));
    let code = invite(&mut guests, &bob, 0);
    admit(&mut guests, code, "a", &bob, 1).unwrap();
    let all = [GuestAccess::Stream, GuestAccess::ToGuest, GuestAccess::ToHost];
    for (n, access) in (1..).zip(all) {
        for other in all {
            let found = guests.by_secret(other, &hash("a", n));
            assert_eq!(found.map(|guest| guest.client.as_str()), (other == access).then_some("a"));
        }
    }
    assert_eq!(guests.by_secret(GuestAccess::Stream, &hash("b", 1)), None);
}

#[test]
fn a_call_has_eight_guests_at_most() {
    let (mut guests, bob, carol) = (Guests::default(), host("1", BOB, "tablet"), host("1", CAROL, "desk"));
    let [of_bob, of_carol] = [&bob, &carol].map(|host| invite(&mut guests, host, 0));
    for n in 0..GUESTS_MAX {
        let (code, host) = if n % 2 == 0 { (of_bob, &bob) } else { (of_carol, &carol) };
        admit(&mut guests, code, &n.to_string(), host, 1).unwrap();
    }
    assert_eq!(admit(&mut guests, of_bob, "a", &bob, 1), Err(GuestRefusal::Full));
    assert_eq!(guests.of(&bob.call, &bob.number).len(), GUESTS_MAX / 2);
    let elsewhere = host("2", BOB, "tablet");
    let code = invite(&mut guests, &elsewhere, 1);
    admit(&mut guests, code, "a", &elsewhere, 1).unwrap();
}

#[test]
fn a_guest_who_is_dismissed_has_no_way_back() {
    let (mut guests, bob, carol) = (Guests::default(), host("1", BOB, "tablet"), host("1", CAROL, "desk"));
    let [of_bob, of_carol] = [&bob, &carol].map(|host| invite(&mut guests, host, 0));
    admit(&mut guests, of_bob, "a", &bob, 1).unwrap();
    admit(&mut guests, of_bob, "b", &bob, 1).unwrap();
    assert_eq!(guests.dismiss(&carol.number, &"a".parse().unwrap()), None, "it is another number's guest");
    assert_eq!(guests.dismiss(&bob.number, &"a".parse().unwrap()), Some(guest("a", &bob)));
    assert_eq!(guests.dismiss(&bob.number, &"a".parse().unwrap()), None);
    assert_eq!(admit(&mut guests, of_bob, "a", &bob, 1), Err(GuestRefusal::NoSuchCode));
    assert_eq!(guests.by_secret(GuestAccess::ToHost, &hash("a", 3)), None);
    assert_eq!(guests.of(&bob.call, &bob.number), [guest("b", &bob)]);
    admit(&mut guests, of_carol, "a", &carol, 1).unwrap();
}

#[test]
fn a_guest_who_leaves_may_return() {
    let (mut guests, bob) = (Guests::default(), host("1", BOB, "tablet"));
    let code = invite(&mut guests, &bob, 0);
    admit(&mut guests, code, "a", &bob, 1).unwrap();
    assert_eq!(guests.remove(&"a".parse().unwrap()), Some(guest("a", &bob)));
    assert_eq!(guests.remove(&"a".parse().unwrap()), None);
    assert_eq!((guests.of(&bob.call, &bob.number), guests.secrets.len()), (vec![], 0));
    admit(&mut guests, code, "b", &bob, 1).unwrap();
}

#[test]
fn a_guest_whose_client_is_away_for_two_minutes_is_gone() {
    let (mut guests, bob) = (Guests::default(), host("1", BOB, "tablet"));
    let code = invite(&mut guests, &bob, 0);
    admit(&mut guests, code, "never-came", &bob, 0).unwrap();
    admit(&mut guests, code, "reloads", &bob, 0).unwrap();
    assert!(end(&mut guests, 119, &["reloads"]).is_empty());
    assert_eq!(end(&mut guests, 120, &[]), ["never-came"]);
    assert!(end(&mut guests, 238, &[]).is_empty());
    assert_eq!(end(&mut guests, 239, &[]), ["reloads"]);
    assert!(guests.secrets.is_empty());
}

#[test]
fn codes_and_guests_end_with_the_call() {
    let (mut guests, bob, other) = (Guests::default(), host("1", BOB, "tablet"), host("2", BOB, "tablet"));
    for host in [&bob, &other] {
        let code = invite(&mut guests, host, 0);
        admit(&mut guests, code, &format!("of-{}", host.call), host, 0).unwrap();
    }
    let gone = guests.end(seconds(1), |host| host.call != bob.call, |_| true);
    assert_eq!(gone, [guest("of-1", &bob)]);
    assert_eq!((guests.codes.len(), guests.present.len(), guests.secrets.len()), (1, 1, 3));
}

#[test]
fn codes_and_guests_end_with_their_host() {
    let (mut guests, bob, carol) = (Guests::default(), host("1", BOB, "tablet"), host("1", CAROL, "desk"));
    for host in [&bob, &carol] {
        let code = invite(&mut guests, host, 0);
        admit(&mut guests, code, &format!("of-{}", host.client), host, 0).unwrap();
    }
    assert_eq!(guests.end_hosts(|host| host.client == bob.client), [guest("of-tablet", &bob)]);
    assert_eq!(guests.end_hosts(|host| host.client == bob.client), []);
    assert_eq!((guests.codes.len(), guests.present.len(), guests.secrets.len()), (1, 1, 3));
}

#[test]
fn there_are_a_hundred_codes_at_most() {
    let mut guests = Guests::default();
    for n in 0..CODES_MAX {
        invite(&mut guests, &host(&n.to_string(), BOB, "tablet"), 0);
    }
    let more = host("more", BOB, "tablet");
    assert_eq!(guests.invite(more.clone(), seconds(1), from(0)), Err(TooManyGuestCodes));
    invite(&mut guests, &host("0", BOB, "phone"), 1);
    invite(&mut guests, &more, 600);
}

#[derive(Debug, Clone)]
enum Step {
    Invite { call: u8, number: u8, client: u8 },
    Join { code: u64 },
    Dismiss { number: u8, guest: u8 },
    Leave { guest: u8 },
    End { over: u8, seconds: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..3_u8, 0..2_u8, 0..2_u8).prop_map(|(call, number, client)| Step::Invite { call, number, client }),
        (0..8_u64).prop_map(|code| Step::Join { code }),
        (0..2_u8, any::<u8>()).prop_map(|(number, guest)| Step::Dismiss { number, guest }),
        any::<u8>().prop_map(|guest| Step::Leave { guest }),
        (0..6_u8, 0..400_u64).prop_map(|(over, seconds)| Step::End { over, seconds }),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_a_number_has_one_code_and_a_call_eight_guests(steps in prop::collection::vec(step(), 1..200)) {
        let (mut guests, mut at, mut joined) = (Guests::default(), 0, 0);
        let number = |n: u8| if n == 0 { BOB } else { CAROL };
        for step in steps {
            match step {
                Step::Invite { call, number: n, client } => {
                    let host = host(&call.to_string(), number(n), &client.to_string());
                    let code = invite(&mut guests, &host, at);
                    prop_assert_eq!(guests.host(code, seconds(at)), Some(&host));
                }
                Step::Join { code } => {
                    let code = GuestCode::new(code);
                    let Some(host) = guests.host(code, seconds(at)).cloned() else { continue };
                    joined += 1;
                    let before = guests.present.len();
                    let let_in = admit(&mut guests, code, &joined.to_string(), &host, at).is_ok();
                    prop_assert_eq!(guests.present.len(), before + usize::from(let_in));
                }
                Step::Dismiss { number: n, guest } => {
                    let number = number(n).parse().unwrap();
                    if let Some(gone) = guests.dismiss(&number, &guest.to_string().parse().unwrap()) {
                        prop_assert_eq!(&gone.host.number, &number);
                        prop_assert!(guests.codes.values().all(|code| !code.host.is_of(&gone.host.call, &number)));
                    }
                }
                Step::Leave { guest } => {
                    let codes = guests.codes.len();
                    guests.remove(&guest.to_string().parse().unwrap());
                    prop_assert_eq!(guests.codes.len(), codes);
                }
                Step::End { over, seconds: passed } => {
                    at += passed;
                    let over = over.to_string();
                    guests.end(seconds(at), |host| host.call.as_str() != over, |_| true);
                    prop_assert!(guests.present.values().all(|presence| presence.guest.host.call.as_str() != over));
                }
            }
            prop_assert_eq!(guests.secrets.len(), 3 * guests.present.len());
            for code in guests.codes.values() {
                let same = guests.codes.values().filter(|other| other.host.is_of(&code.host.call, &code.host.number));
                prop_assert_eq!(same.count(), 1);
            }
            for presence in guests.present.values() {
                let call = &presence.guest.host.call;
                let others = guests.present.values().filter(|other| other.guest.host.call == *call);
                prop_assert!(others.count() <= GUESTS_MAX);
            }
        }
    }
}
