//! Codes and devices, by times that the tests set.

use super::*;
use crate::contract::{ClientForm, NumberEntry};
use crate::core::base::time::ClockReading;
use crate::store::test_database::{TestDatabase, on_both_databases};
use crate::store::{Binding, NumberRow, Renewal, credential_hash};

on_both_databases! {
    a_code_makes_one_device,
    a_code_expires,
    a_step_of_the_clock_moves_the_end_of_a_code,
    only_a_number_of_the_directory_has_codes,
    a_device_has_one_hosted_client,
    nothing_is_added_for_a_device_that_is_gone,
    devices_and_codes_go_with_their_number,
    codes_of_a_replaced_credential_are_void,
    nobody_uses_up_the_codes_of_others,
    a_device_is_added_without_a_code_to_a_number_that_has_room,
}

const NOW: UnixMillis = UnixMillis(1_000_000);

fn number(text: &str) -> Number {
    text.parse().unwrap()
}

fn alice() -> Number {
    number("+12125550100")
}

struct Database {
    store: Store,
}

impl Database {
    async fn new(on: &TestDatabase) -> Database {
        let store = on.open().await;
        let rows = ["+12125550100", "+12125550101"].map(|text| NumberRow::new(number(text), NumberEntry::default()));
        store.put_numbers(rows.into()).await.unwrap();
        Database { store }
    }

    async fn code(&self, code: u8, device: Option<&DeviceId>) -> bool {
        let by = device.map_or(EnrolmentAuthor::Admin, |device| EnrolmentAuthor::Device(device.clone()));
        self.code_by(code, by).await
    }

    async fn code_by(&self, code: u8, by: EnrolmentAuthor) -> bool {
        let expires = UnixMillis(NOW.0 + 60_000);
        let enrolment = Enrolment { code: [code; 32], number: alice(), by, expires };
        self.store.add_enrolment(enrolment, NOW).await.unwrap()
    }

    async fn credential(&self, text: &str) {
        let entry = NumberEntry { credential: Some(text.to_owned()), ..NumberEntry::default() };
        self.store.put_numbers(vec![NumberRow::new(alice(), entry)]).await.unwrap();
    }

    async fn enrol(&self, code: u8, id: &str, now: UnixMillis) -> EnrolOutcome {
        let row = DeviceRow { id: id.parse().unwrap(), name: "Tablet".parse().unwrap(), token: credential_hash(id) };
        self.store.enrol([code; 32], row, now).await.unwrap()
    }

    async fn device(&self, code: u8, id: &str) -> EnrolledDevice {
        assert!(self.code(code, None).await);
        match self.enrol(code, id, NOW).await {
            EnrolOutcome::Enrolled(device) => device,
            outcome => panic!("{outcome:?}"),
        }
    }
}

fn hosted(id: &str, device: &EnrolledDevice) -> Binding {
    Binding {
        id: id.parse().unwrap(),
        number: device.number.clone(),
        device: Some(device.id.clone()),
        form: ClientForm::Hosted,
        address: None,
        secret: None,
        capabilities: Vec::new(),
        offer: Default::default(),
        lifetime: std::time::Duration::from_secs(60),
        expires: UnixMillis(NOW.0 + 60_000),
    }
}

async fn a_code_makes_one_device(database: &TestDatabase) {
    let database = Database::new(database).await;
    let device = database.device(1, "d-1").await;
    assert_eq!((device.number.clone(), device.enrolled, &device.client), (alice(), NOW, &None));
    assert_eq!(database.enrol(1, "d-2", NOW).await, EnrolOutcome::NoCode);
    assert_eq!(database.enrol(2, "d-2", NOW).await, EnrolOutcome::NoCode);
    let store = &database.store;
    assert_eq!(store.devices(Some(&alice()), NOW, 10).await.unwrap(), std::slice::from_ref(&device));
    assert!(store.devices(Some(&number("+12125550101")), NOW, 10).await.unwrap().is_empty());
    let known = store.client_of_token(&credential_hash("d-1")).await.unwrap();
    assert_eq!(known, Some((alice(), Some(device.id))));
}

async fn a_code_expires(database: &TestDatabase) {
    let database = Database::new(database).await;
    assert!(database.code(1, None).await);
    let [last, over] = [59_999, 60_000].map(|millis| UnixMillis(NOW.0 + millis));
    assert!(database.store.has_enrolment(&[1; 32], last).await.unwrap());
    assert!(!database.store.has_enrolment(&[1; 32], over).await.unwrap());
    assert_eq!(database.enrol(1, "d-1", over).await, EnrolOutcome::NoCode);
    database.store.expire_enrolments(last).await.unwrap();
    assert!(database.store.has_enrolment(&[1; 32], last).await.unwrap());
    database.store.expire_enrolments(over).await.unwrap();
    assert!(!database.store.has_enrolment(&[1; 32], last).await.unwrap());
}

async fn a_step_of_the_clock_moves_the_end_of_a_code(database: &TestDatabase) {
    let database = Database::new(database).await;
    assert!(database.code(1, None).await);
    let reading = ClockReading { boot: String::new(), since_boot: 0, at: 0 };
    database.store.shift(60_000, &reading).await.unwrap();
    assert!(database.store.has_enrolment(&[1; 32], UnixMillis(NOW.0 + 119_999)).await.unwrap());
}

async fn only_a_number_of_the_directory_has_codes(database: &TestDatabase) {
    let database = Database::new(database).await;
    let stranger =
        Enrolment { code: [1; 32], number: number("+12125550109"), by: EnrolmentAuthor::Admin, expires: NOW };
    assert!(!database.store.add_enrolment(stranger, UnixMillis(0)).await.unwrap());
}

async fn a_device_has_one_hosted_client(database: &TestDatabase) {
    let database = Database::new(database).await;
    let store = &database.store;
    let [one, two] = [database.device(1, "d-1").await, database.device(2, "d-2").await];
    assert!(store.add_binding(hosted("c-1", &one)).await.unwrap());
    assert!(!store.add_binding(hosted("c-2", &one)).await.unwrap());
    assert!(store.add_binding(hosted("c-3", &two)).await.unwrap());
    let soft = Binding { address: Some("sip:1001@pbx.example".parse().unwrap()), ..hosted("c-4", &one) };
    assert!(store.add_binding(soft).await.unwrap());
    let client = async |now| store.device(&one.id, now).await.unwrap().unwrap().client;
    assert_eq!(client(NOW).await, Some("c-1".parse().unwrap()));
    // It has expired, and another takes its place.
    let later = UnixMillis(NOW.0 + 60_000);
    assert_eq!(client(later).await, None);
    let next = Binding { expires: UnixMillis(later.0 + 60_000), ..hosted("c-5", &one) };
    assert!(store.add_binding(next).await.unwrap());
    assert_eq!(client(later).await, Some("c-5".parse().unwrap()));
}

async fn nothing_is_added_for_a_device_that_is_gone(database: &TestDatabase) {
    let database = Database::new(database).await;
    let store = &database.store;
    let device = database.device(1, "d-1").await;
    assert!(database.code(2, Some(&device.id)).await && database.code(3, None).await);
    assert!(store.add_binding(hosted("c-1", &device)).await.unwrap());
    assert!(store.add_binding(Binding { device: None, ..hosted("c-2", &device) }).await.unwrap());
    assert_eq!(store.delete_device(&device.id).await.unwrap(), Some(vec!["c-1".parse().unwrap()]));
    assert_eq!(store.delete_device(&device.id).await.unwrap(), None);
    assert_eq!(store.client_of_token(&credential_hash("d-1")).await.unwrap(), None);
    assert!(!store.add_binding(hosted("c-3", &device)).await.unwrap());
    let renewal = Renewal { device: Some(device.id.clone()), ..Renewal::default() };
    assert_eq!(store.renew_binding(&"c-2".parse().unwrap(), renewal, NOW).await.unwrap(), None);
    assert!(!database.code(4, Some(&device.id)).await);
    assert_eq!(database.enrol(2, "d-2", NOW).await, EnrolOutcome::NoCode, "the device has asked for this code");
    assert!(matches!(database.enrol(3, "d-2", NOW).await, EnrolOutcome::Enrolled(_)));
    let left: Vec<_> = store.bindings(None, NOW, 10).await.unwrap().into_iter().map(|binding| binding.id).collect();
    assert_eq!(left, ["c-2".parse().unwrap()]);
}

async fn devices_and_codes_go_with_their_number(database: &TestDatabase) {
    let database = Database::new(database).await;
    let device = database.device(1, "d-1").await;
    assert!(database.code(2, None).await);
    assert!(database.store.delete_number(&alice()).await.unwrap().is_some());
    assert_eq!(database.store.device(&device.id, NOW).await.unwrap(), None);
    assert!(!database.store.has_enrolment(&[2; 32], NOW).await.unwrap());
}

async fn codes_of_a_replaced_credential_are_void(database: &TestDatabase) {
    let database = Database::new(database).await;
    assert!(!database.code_by(1, EnrolmentAuthor::Credential).await, "the number has no credential");
    database.credential("the-first-credential").await;
    assert!(database.code_by(1, EnrolmentAuthor::Credential).await && database.code(2, None).await);
    assert!(database.code_by(3, EnrolmentAuthor::Credential).await);
    assert!(matches!(database.enrol(3, "d-3", NOW).await, EnrolOutcome::Enrolled(_)));
    // An import that repeats the credential changes nothing.
    database.credential("the-first-credential").await;
    assert!(database.store.has_enrolment(&[1; 32], NOW).await.unwrap());
    database.credential("another-credential").await;
    assert!(!database.store.has_enrolment(&[1; 32], NOW).await.unwrap());
    assert_eq!(database.enrol(1, "d-1", NOW).await, EnrolOutcome::NoCode);
    assert!(matches!(database.enrol(2, "d-2", NOW).await, EnrolOutcome::Enrolled(_)), "the administrator's stays");
}

async fn nobody_uses_up_the_codes_of_others(database: &TestDatabase) {
    let database = Database::new(database).await;
    database.credential("the-first-credential").await;
    let device = database.device(200, "d-1").await;
    let authors = [EnrolmentAuthor::Admin, EnrolmentAuthor::Credential, EnrolmentAuthor::Device(device.id)];
    let most = u8::try_from(ENROLMENTS_MAX).unwrap();
    for (n, by) in (0..).zip(authors) {
        for code in 0..most {
            assert!(database.code_by(n * most + code, by.clone()).await, "{by:?} {code}");
        }
        assert!(!database.code_by(199, by).await);
    }
}

async fn a_device_is_added_without_a_code_to_a_number_that_has_room(database: &TestDatabase) {
    let database = Database::new(database).await;
    let add = async |number: &Number, id: &str| {
        let row = DeviceRow { id: id.parse().unwrap(), name: "Tablet".parse().unwrap(), token: credential_hash(id) };
        database.store.add_device(number.clone(), row, NOW).await.unwrap()
    };
    assert!(!add(&number("+12125550109"), "d-0").await, "it is not in the directory");
    for n in 1..=DEVICES_MAX {
        assert!(add(&alice(), &format!("d-{n}")).await);
    }
    assert!(!add(&alice(), "one-too-many").await);
    let known = database.store.client_of_token(&credential_hash("d-1")).await.unwrap();
    assert_eq!(known, Some((alice(), "d-1".parse().ok())));
}
