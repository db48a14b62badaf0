//! Numbers as PBXs and tenants write them, read and written back.

use super::*;
use proptest::prelude::*;

fn plan(region: Option<&str>) -> NumberingPlan {
    NumberingPlan {
        context: Some("pbx.a.example".parse().unwrap()),
        region: region.map(|r| r.to_owned().try_into().unwrap()),
        extension_digits: 6,
        outside_prefix: None,
        international_prefix: None,
        outside_numbers: OutsideNumbers::National,
        withheld: Vec::new(),
        map: Vec::new(),
        emergency: EmergencyRule::new(None, region, None),
    }
}

fn prefix(digits: &str) -> Option<DialPrefix> {
    Some(digits.to_owned().try_into().unwrap())
}

fn rule(extension: &str, number: &str) -> DidMap {
    serde_json::from_value(serde_json::json!({"extension": extension, "number": number})).unwrap()
}

fn number(text: &str) -> Number {
    text.parse().unwrap()
}

fn said(read: Result<Number, NumberReadError>) -> String {
    read.map_or_else(|why| why.to_string(), |number| number.to_string())
}

#[test]
fn what_a_pbx_says() {
    let us = plan(Some("US"));
    let read = |raw: &str| said(us.read(raw));
    assert_eq!(read("+12125550100"), "+12125550100");
    assert_eq!(read("12125550100"), "+12125550100");
    assert_eq!(read("2125550100"), "+12125550100");
    assert_eq!(read("(212) 555-0100"), "+12125550100");
    assert_eq!(read("011442071838750"), "+442071838750");
    assert_eq!(read("1001"), "1001;phone-context=pbx.a.example");
    for none in ["", "sipp", "*97", "1001;x=y", "${system(id)}", "0A%0A", "+", "++1"] {
        assert_eq!(us.read(none), Err(NumberReadError::NotANumber), "{none:?}");
        assert_eq!(us.dialled(none), Err(NumberReadError::NotANumber), "{none:?}");
    }
}

#[test]
fn who_withholds_their_number_is_nobody() {
    let us = NumberingPlan { withheld: vec!["266696687".to_owned()], ..plan(Some("US")) };
    for nobody in ["anonymous", "Restricted", "UNKNOWN", "Private Number", "0000000000", "+266696687", "266696687"] {
        assert_eq!(us.read(nobody), Err(NumberReadError::Withheld), "{nobody}");
    }
    assert_eq!(said(us.read("0")), "0;phone-context=pbx.a.example", "the attendant");
    assert_eq!(said(us.dialled("+266696687")), "+266696687", "who is dialled is somebody");
}

#[test]
fn the_outside_knows_an_extension_by_its_number() {
    let plan = NumberingPlan { map: vec![rule("1XXX", "+12125551XXX")], ..plan(Some("US")) };
    assert_eq!(plan.outer("1001"), Some(number("+12125551001")));
    assert_eq!(plan.inner(&number("+12125551001")).as_deref(), Some("1001"));
    assert_eq!(plan.inner(&number("+12125552001")), None);
    for other in ["2001", "+12125551001", "2125551001", "anonymous", ""] {
        assert_eq!(plan.outer(other), None, "{other}");
    }
}

#[test]
fn leading_zeros_of_italy_stay() {
    assert_eq!(said(plan(Some("IT")).read("0669812345")), "+390669812345");
}

#[test]
fn without_a_region_only_plus_is_global() {
    let plan = plan(None);
    assert_eq!(said(plan.read("2125550100")), "2125550100;phone-context=pbx.a.example");
    assert_eq!(said(plan.read("+2125550100")), "+2125550100");
    let plan = NumberingPlan { international_prefix: prefix("00"), ..plan };
    assert_eq!(said(plan.read("00442071838750")), "+442071838750");
}

#[test]
fn carriers_that_write_the_country_code_first() {
    let de = plan(Some("DE"));
    assert_eq!(said(de.read("442071838750")), "+49442071838750", "taken for a national number");
    let de = NumberingPlan { outside_numbers: OutsideNumbers::E164, ..de };
    assert_eq!(said(de.read("442071838750")), "+442071838750");
    assert_eq!(said(de.read("0301234567")), "+49301234567", "no country code begins with 0");
    assert_eq!(said(de.dialled("0301234567")), "+49301234567", "people dial as ever");
    assert_eq!(said(de.read("201")), "201;phone-context=pbx.a.example");
}

#[test]
fn an_outside_line_is_dialled_first() {
    let us = NumberingPlan { outside_prefix: prefix("9"), ..plan(Some("US")) };
    for (dialled, number) in [
        ("92125550100", "+12125550100"),
        ("912125550100", "+12125550100"),
        ("9011442071838750", "+442071838750"),
        ("9+442071838750", "+442071838750"),
        ("+12125550100", "+12125550100"),
        ("2125550100", "+12125550100"),
        ("9001", "9001;phone-context=pbx.a.example"),
    ] {
        assert_eq!(said(us.dialled(dialled)), number, "{dialled}");
    }
    assert_eq!(said(us.read("9175550100")), "+19175550100", "callers dial no outside line");
    let de = NumberingPlan { outside_prefix: prefix("0"), extension_digits: 4, ..plan(Some("DE")) };
    assert_eq!(said(de.dialled("00301234567")), "+49301234567");
    assert_eq!(said(de.dialled("000442071838750")), "+442071838750");
}

#[test]
fn an_extension_and_its_direct_number_are_one() {
    let plan = NumberingPlan { map: vec![rule("1XXX", "+12125551XXX")], ..plan(Some("US")) };
    for text in ["1001", "2125551001", "+12125551001"] {
        assert_eq!(said(plan.read(text)), "+12125551001", "{text}");
    }
    assert_eq!(plan.dial(&number("+12125551001")).as_deref(), Some("1001"));
    assert_eq!(said(plan.read("2001")), "2001;phone-context=pbx.a.example");
    let local = number("1001;phone-context=pbx.a.example");
    assert_eq!(plan.canonical(&local), number("+12125551001"));
}

#[test]
fn what_is_dialled_for_a_number() {
    let dial = |plan: &NumberingPlan, text: &str| plan.dial(&number(text));
    let us = NumberingPlan { outside_prefix: prefix("9"), ..plan(Some("US")) };
    assert_eq!(dial(&us, "+12125550100").as_deref(), Some("92125550100"));
    assert_eq!(dial(&us, "+442071838750").as_deref(), Some("9011442071838750"));
    assert_eq!(dial(&us, "1001;phone-context=pbx.a.example").as_deref(), Some("1001"));
    assert_eq!(dial(&us, "1001;phone-context=pbx.b.example"), None);
    let de = plan(Some("DE"));
    assert_eq!(dial(&de, "+49301234567").as_deref(), Some("0301234567"));
    assert_eq!(dial(&de, "+12125550100").as_deref(), Some("0012125550100"));
    assert_eq!(dial(&plan(None), "+12125550100").as_deref(), Some("+12125550100"));
}

#[test]
fn tenants_with_the_same_extension_dont_see_each_other() {
    let tenant = |name: &str, context: &str| {
        let context = Some(context.parse().unwrap());
        (name.parse().unwrap(), NumberingPlan { context, ..plan(Some("US")) })
    };
    let mut beta = tenant("beta.example", "beta.example");
    beta.1.map = vec![rule("1001", "+12125551001")];
    let pbx = PbxNumberingPlan::new(plan(Some("US")), vec![tenant("acme", "acme.pbx.example"), beta]);
    let read = |tenant: Option<&str>, text: &str| said(pbx.of(tenant).read(text));
    assert_eq!(read(Some("acme"), "1001"), "1001;phone-context=acme.pbx.example");
    assert_eq!(read(Some("ACME.pbx.example"), "1001"), "1001;phone-context=acme.pbx.example");
    assert_eq!(read(Some("beta.example"), "1002"), "1002;phone-context=beta.example");
    assert_eq!(read(Some("beta.example"), "1001"), "+12125551001");
    for stranger in [None, Some(""), Some("gamma"), Some("pbx.a.example")] {
        assert_eq!(pbx.of(stranger).read("1001"), Err(NumberReadError::NoTenant), "{stranger:?}");
        assert_eq!(read(stranger, "2125550100"), "+12125550100");
    }
    // An extension of one is not shown as such to the other.
    assert_eq!(pbx.show(&number("+12125551001")).as_deref(), Some("2125551001"));
    assert_eq!(pbx.show(&number("1001;phone-context=acme.pbx.example")).as_deref(), Some("1001"));
    assert!(pbx.has("acme") && !pbx.has("gamma"));
    assert_eq!(
        PbxNumberingPlan::new(plan(None), Vec::new()).of(Some("acme")).context,
        plan(None).context,
        "no tenants, no matter"
    );
}

#[test]
fn a_region_is_a_country_code() {
    assert!(Region::try_from("XX".to_owned()).is_err());
    assert_eq!(String::from(Region::try_from("de".to_owned()).unwrap()), "DE");
}

fn plans() -> impl Strategy<Value = NumberingPlan> {
    let some = |digits: &'static str| prop::option::of(Just(digits)).prop_map(|d| d.and_then(prefix));
    let region = prop::option::of(prop::sample::select(vec!["US", "DE", "GB", "IT", "FR", "BR", "RU"]));
    let outside = prop_oneof![some("9"), some("0")];
    (region, 0usize..8, outside, some("00"), any::<bool>(), any::<bool>()).prop_map(
        |(region, extension_digits, outside_prefix, international_prefix, e164, mapped)| {
            let map = if mapped { vec![rule("1XXX", "+12125551XXX"), rule("20", "+493012345")] } else { Vec::new() };
            let outside_numbers = if e164 { OutsideNumbers::E164 } else { OutsideNumbers::National };
            NumberingPlan {
                extension_digits,
                outside_prefix,
                international_prefix,
                outside_numbers,
                map,
                ..plan(region)
            }
        },
    )
}

proptest! {
    #[test]
    fn never_panics(plan in plans(), raw in "\\PC{0,30}|[+0-9*#() .-]{0,30}") {
        let _ = (plan.read(&raw), plan.dialled(&raw));
    }

    #[test]
    fn what_is_dialled_for_a_number_is_that_number(plan in plans(), text in "[+]?[0-9]{1,14}|1[0-9]{3}|[+]1212555[0-9]{4}|[+]49[0-9]{6,10}") {
        if let Ok(number) = plan.dialled(&text) {
            let dial = plan.dial(&number);
            prop_assert_eq!(plan.dialled(&dial.unwrap()), Ok(number));
        }
        if let Ok(number) = plan.read(&text) {
            // A long local number that begins as an outside line does can't be dialled.
            if let Some(dial) = plan.dial(&number) {
                prop_assert_eq!(plan.dialled(&dial), Ok(number));
            } else {
                let local = matches!(number, Number::Local { .. });
                prop_assert!(local);
            }
        }
    }
}

#[test]
fn a_phone_is_its_own_tenants_not_the_calls() {
    let tenant = |name: &str, context: &str| {
        let plan = NumberingPlan { context: Some(context.parse().unwrap()), ..plan(Some("US")) };
        (name.parse().unwrap(), plan)
    };
    let pbx = PbxNumberingPlan::new(
        plan(Some("US")),
        vec![tenant("acme", "acme.pbx.example"), tenant("beta", "beta.pbx.example")],
    );
    let read = |raw: &str, own: Option<&str>| pbx.device(raw, own, Some("acme")).map(|n| n.to_string());
    assert_eq!(read("1002", Some("beta.pbx.example")).as_deref(), Ok("1002;phone-context=beta.pbx.example"));
    assert_eq!(read("1002", Some("gamma")), Err(NumberReadError::NoTenant));
    assert_eq!(read("1002", None), Err(NumberReadError::NoTenant));
    assert_eq!(read("2125550100", None).as_deref(), Ok("+12125550100"), "the same for all");
    // Without tenants there is one place.
    let own = NumberingPlan { context: Some("pbx.example".parse().unwrap()), ..plan(Some("US")) };
    let pbx = PbxNumberingPlan::new(own, Vec::new());
    for domain in [None, Some("192.0.2.1")] {
        let read = pbx.device("1002", domain, None).map(|n| n.to_string());
        assert_eq!(read.as_deref(), Ok("1002;phone-context=pbx.example"));
    }
}

#[test]
fn a_dialled_string_of_up_to_twenty_digits_is_read() {
    let us = NumberingPlan { outside_prefix: prefix("9"), ..plan(Some("US")) };
    assert_eq!(said(us.dialled("9011442071838750")), "+442071838750");
    assert_eq!(said(us.dialled("9011491511234567")), "+491511234567");
    assert_eq!(said(us.dialled("90114915112345678901")), "not a number", "16 digits behind the international prefix");
    let carrier = NumberingPlan { international_prefix: prefix("10288011"), ..us.clone() };
    assert_eq!(said(carrier.dialled("91028801112125550100")), "+12125550100");
    assert_eq!(said(us.dialled("99999999999999999999")), "not a number");
    let nowhere = NumberingPlan { region: None, ..plan(None) };
    assert_eq!(said(nowhere.dialled("90114420718387501234")), "90114420718387501234;phone-context=pbx.a.example");
    assert_eq!(said(nowhere.dialled("901144207183875012345")), "not a number");
}

#[test]
fn an_emergency_call_is_one_in_every_way_that_it_may_be_meant() {
    let emergency = EmergencyRule::new(None, Some("US"), Some("8"));
    let us = NumberingPlan { outside_prefix: prefix("8"), emergency, ..plan(Some("US")) };
    for text in ["911", "9-911", "8911", "+1911", "+1 (911)", "0111911", "80111911", "81911"] {
        assert!(us.is_emergency(text), "{text}");
    }
    let short = NumberingPlan { extension_digits: 3, ..plan(Some("DE")) };
    for text in ["0110", "0049110", "+49112", "49112"] {
        assert!(short.is_emergency(text), "{text}");
    }
    for text in ["1001", "12125550100", "+442071838750", "anonymous", "", "9011442071838750"] {
        assert!(!us.is_emergency(text), "{text}");
    }
}

proptest! {
    /// Nothing that is read as a number of up to six digits behind a country code takes a trunk.
    #[test]
    fn what_is_an_emergency_number_to_the_node_is_one_to_the_agent(
        region in prop::sample::select(vec![None, Some("US"), Some("DE"), Some("AU")]),
        text in "[+]?[0-9]{2,20}", digits in 0usize..7, outside in prop::option::of("[0-9]{1,2}"),
    ) {
        let outside_prefix = outside.map(|digits| digits.try_into().unwrap());
        let plan = NumberingPlan {
            extension_digits: digits,
            outside_prefix,
            emergency: EmergencyRule::new(None, None, None),
            ..plan(region)
        };
        if let Ok(number) = plan.dialled(&text) && crate::core::numbering::emergency::is_emergency(&number) {
            prop_assert!(plan.is_emergency(&text), "{} is {}", text, number);
        }
    }
}
