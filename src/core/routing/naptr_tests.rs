//! ENUM records, good and bad.

use proptest::prelude::*;

use super::*;

const AUS: &str = "+12125550100";

fn number() -> Number {
    AUS.parse().unwrap()
}

fn record(order: u16, preference: u16, services: &str, regexp: &str) -> Naptr {
    Naptr { order, preference, flags: b"u".to_vec(), services: services.into(), regexp: regexp.into() }
}

fn answer(records: &[Naptr]) -> PortabilityAnswer {
    read(records, &number())
}

fn made(expression: &str) -> Result<String, RewriteError> {
    rewrite(expression.as_bytes(), AUS)
}

#[test]
fn a_numbers_name() {
    assert_eq!(labels(&number()).unwrap(), "0.0.1.0.5.5.5.2.1.2.1");
    assert_eq!(labels(&"1001;phone-context=a.example".parse().unwrap()), None);
}

#[test]
fn expressions_that_zones_use() {
    for (expression, expected) in [
        ("!^.*$!sip:info@example.com!", "sip:info@example.com"),
        ("!^(.*)$!tel:\\1;npdi!", "tel:+12125550100;npdi"),
        ("!^\\+1212(.*)$!sip:\\1@example.com!", "sip:5550100@example.com"),
        ("!^\\+1(212)([0-9]{3})([[:digit:]]+)$!\\3-\\2-\\1!", "0100-555-212"),
        ("/^[+](1|44).*$/https:\\/\\/node.example\\/\\1/", "https://node.example/1"),
        ("!^[^a-z]+$!HTTPS://NODE.example!i", "HTTPS://NODE.example"),
        ("!^(\\+44)?.*$!x\\1y!", "xy"),
        ("!.*!a\\!b\\\\c!", "a!b\\c"),
    ] {
        assert_eq!(made(expression).as_deref(), Ok(expected), "{expression}");
    }
}

#[test]
fn expressions_that_are_not_taken() {
    use RewriteError::*;
    for (expression, why) in [
        ("", Form),
        ("!a!b", Form),
        ("!a!b!c!d!", Form),
        ("!a!b!g", Form),
        ("1a1b1", Form),
        ("!é!b!", Form),
        ("!a\\", Form),
        ("!^\\+44.*$!x!", NoMatch),
        ("!.*!\\1!", Group),
        ("!^\\d+$!x!", Expression),
        ("!(?i).*!x!", Expression),
        ("!(?:.*)!x!", Expression),
        ("!.*?!x!", Expression),
        ("!*!x!", Expression),
        ("!^+1!x!", Expression),
        ("!a|*!x!", Expression),
        ("!(.*!x!", Expression),
        ("!a{1,2!x!", Expression),
        ("!a{3,2}!x!", Expression),
        ("!a{,2}!x!", Expression),
        ("!a{256}!x!", Expression),
        ("![!x!", Expression),
        ("![z-a]!x!", Expression),
        ("![[:word:]]!x!", Expression),
        ("![[.a.]]!x!", Expression),
        ("!((.{255}){255}){255}!x!", Expression),
        (&format!("!(.*)!{}!", "\\1".repeat(80)), TooLong),
    ] {
        assert_eq!(made(expression), Err(why), "{expression}");
    }
}

#[test]
fn brackets_mean_what_posix_says() {
    for (expression, matches) in [
        ("!^[+1-5]+0!y!", true),
        ("![]a]!y!", false),
        ("![^]]!y!", true),
        ("![a&&1]!y!", true),
        ("![\\d]!y!", false),
        ("![a~~+]!y!", true),
        ("![--/]!y!", false),
        ("![1-]!y!", true),
    ] {
        assert_eq!(made(expression).is_ok(), matches, "{expression}");
    }
}

#[test]
fn an_expression_that_backtracks_for_ever_elsewhere_ends_here() {
    assert_eq!(made("!^(([0-9+]+)+)+$x!y!"), Err(RewriteError::NoMatch));
    assert_eq!(made("!(.*)*(.*)*(.*)*(.*)*(.*)*z!y!"), Err(RewriteError::NoMatch));
}

#[test]
fn ported_not_ported_and_gone_elsewhere() {
    let ported = answer(&[record(10, 10, "E2U+pstn:tel", "!^.*$!tel:+1-212-555-0100;npdi;rn=+12125559999!")]);
    assert_eq!((ported.ported, ported.routing_number.unwrap().to_string().as_str()), (Some(true), "+12125559999"));
    let stays = answer(&[record(10, 10, "e2u+PSTN:tel", "!^(.*)$!tel:\\1;npdi!")]);
    assert_eq!((stays.ported, stays.routing_number), (Some(false), None));
    let local = answer(&[record(10, 10, "E2U+pstn:tel", "!^(.*)$!tel:\\1;npdi;rn=D015;rn-context=+49!")]);
    assert_eq!(local.routing_number.unwrap().to_string(), "D015;rn-context=+49");
    let text = "!^(.*)$!sip:\\1;npdi;rn=+12125559999@GW.c.example:5060;user=phone!";
    let sip = answer(&[record(10, 10, "E2U+pstn:sip", text)]);
    assert_eq!((sip.ported, sip.operator.unwrap().as_str()), (Some(true), "gw.c.example"));
}

#[test]
fn what_is_said_about_another_number_is_not_about_this_one() {
    let other = [record(10, 10, "E2U+pstn:tel", "!^.*$!tel:+12125550101;npdi;rn=+12125559999!")];
    assert_eq!(answer(&other), PortabilityAnswer::default());
}

#[test]
fn a_node_and_an_operator() {
    let node = answer(&[record(10, 10, "E2U+x-sidecall:https", "!^.*$!https://node.b.example/!")]);
    assert_eq!((node.node.unwrap().to_string().as_str(), node.has_client), ("https://node.b.example", Some(true)));
    let sip = answer(&[record(10, 10, "E2U+email:mailto+sip", "!^(.*)$!sip:\\1@b.example!")]);
    assert_eq!((sip.operator.unwrap().as_str(), sip.ported), ("b.example", None));
}

#[test]
fn order_then_preference_then_the_first_of_each_kind() {
    let rn = |order, preference, rn: &str| {
        record(order, preference, "E2U+pstn:tel", &format!("!^(.*)$!tel:\\1;npdi;rn={rn}!"))
    };
    let node = |order, host: &str| record(order, 50, "E2U+x-sidecall:https", &format!("!.*!https://{host}!"));
    let said =
        answer(&[rn(20, 1, "+15"), rn(10, 20, "+12"), node(10, "b.example"), rn(10, 10, "+11"), node(20, "c.example")]);
    assert_eq!(said.routing_number.unwrap().to_string(), "+11");
    assert_eq!(said.node.unwrap().to_string(), "https://b.example");
    // A record that can't be used doesn't fix the order.
    let said = answer(&[record(10, 10, "E2U+web:http", "!.*!http://b.example!"), rn(20, 1, "+15")]);
    assert_eq!(said.routing_number.unwrap().to_string(), "+15");
    assert_eq!(answer(&[rn(10, 1, "+11"), node(20, "c.example")]).node, None);
}

#[test]
fn a_number_that_is_not_ported_has_no_routing_number_from_another_record() {
    let record =
        |preference, says: &str| record(10, preference, "E2U+pstn:tel", &format!("!^(.*)$!tel:\\1;npdi{says}!"));
    let (stays, went) = ((Some(false), None), (Some(true), Some("+12".parse().unwrap())));
    for (first, second, expected) in [("", ";rn=+12", stays), (";rn=+12", "", went)] {
        let said = answer(&[record(1, first), record(2, second)]);
        assert_eq!((said.ported, said.routing_number), expected);
    }
}

#[test]
fn records_that_are_not_for_us() {
    let good = "!^(.*)$!tel:\\1;npdi;rn=+11!";
    let mut hop = record(10, 10, "E2U+pstn:tel", good);
    hop.flags = Vec::new();
    for other in [
        hop,
        record(10, 10, "pstn:tel", good),
        record(10, 10, "E2U", good),
        record(10, 10, "E2U+pstn", good),
        record(10, 10, "pstn:tel+E2U", good),
        record(10, 10, "E2U+x-sidecall:https", "!.*!http://node.b.example!"),
        record(10, 10, "E2U+x-sidecall:https", "!.*!javascript:alert(1)!"),
        record(10, 10, "E2U+sip", "!.*!sip:a@${system(id)}!"),
        record(10, 10, "E2U+pstn:sip", "!.*!sip:+12125550100;npdi!"),
    ] {
        assert_eq!(answer(std::slice::from_ref(&other)), PortabilityAnswer::default(), "{other:?}");
    }
}

proptest! {
    #[test]
    fn any_octets_are_read_or_left(
        flags in prop_oneof![Just(b"u".to_vec()), prop::collection::vec(any::<u8>(), 0..3)],
        services in prop_oneof![
            "E2U\\+(pstn:tel|pstn:sip|sip|x-sidecall:https)".prop_map(String::into_bytes),
            prop::collection::vec(any::<u8>(), 0..40),
        ],
        regexp in prop_oneof![
            "![\\^.*+?()\\[\\]{}0-9a-c,|$\\\\:-]{0,30}!(tel:|sip:|https://)[ -~\\r\\n]{0,40}!i?".prop_map(String::into_bytes),
            prop::collection::vec(any::<u8>(), 0..255),
        ],
    ) {
        let record = Naptr { order: 1, preference: 1, flags, services, regexp };
        let said = read(&[record], &number());
        let shown = serde_json::to_value(&said).unwrap();
        let read_by_a_pbx = ['\r', '\n', ' ', '$', '{', '}', '\\', '|', ',', '"', '<'];
        for value in shown.as_object().unwrap().values().filter_map(|value| value.as_str()) {
            prop_assert!(!value.contains(read_by_a_pbx), "{}", value);
        }
    }

    #[test]
    fn what_matches_with_a_subset_matches_alike_everywhere(ere in "\\^?(\\\\\\+|[0-9]|\\.|\\[0-9\\]){1,12}(\\.\\*)?\\$?") {
        let ours = compile(&ere, false).unwrap().is_match(AUS.as_bytes());
        prop_assert_eq!(ours, Regex::new(&ere).unwrap().is_match(AUS.as_bytes()));
    }
}
