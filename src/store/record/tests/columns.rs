//! The JSON columns that hold plain values. Their exact text matters: queries compare it.

use std::time::Duration;

use crate::contract::{ClientForm, NumberKind};
use crate::core::address::disclosure::OfferTo;
use crate::core::base::time::UnixMillis;
use crate::store::test_database::{TestDatabase, on_both_databases};
use crate::store::{Binding, NumberRow, sql};

on_both_databases! {
    plain_columns_stay_as_they_are,
}

async fn plain_columns_stay_as_they_are(database: &TestDatabase) {
    let store = database.open().await;
    let number = |number: &str, extensions: &[&str]| NumberRow {
        number: number.parse().unwrap(),
        name: None,
        pbx: None,
        kind: NumberKind::Main,
        extensions: extensions.iter().map(|number| number.parse().unwrap()).collect(),
        enabled: None,
        credential: None,
    };
    let behind = ["+12125550101", "1003;phone-context=pbx.example"];
    let rows = vec![number("+12125550100", &behind), number("+12125550101", &[])];
    store.put_numbers(rows.clone()).await.unwrap();
    let listed = OfferTo::Peers(["a", "b"].map(|peer| peer.parse().unwrap()).into());
    let binding = |(n, (words, offer)): (usize, (&[&str], OfferTo))| Binding {
        id: format!("client-{n}").parse().unwrap(),
        number: rows[0].number.clone(),
        device: None,
        form: ClientForm::Hosted,
        address: None,
        secret: None,
        capabilities: words.iter().map(|word| (*word).to_owned().try_into().unwrap()).collect(),
        offer,
        lifetime: Duration::from_secs(60),
        expires: UnixMillis(1),
    };
    let said: [(&[&str], OfferTo); 4] =
        [(&[], OfferTo::Never), (&["text"], OfferTo::Served), (&["text", "video"], listed), (&[], OfferTo::Everyone)];
    let bindings: Vec<Binding> = said.into_iter().enumerate().map(binding).collect();
    for binding in &bindings {
        assert!(store.add_binding(binding.clone()).await.unwrap());
    }
    let numbers = sql::scalar::<String>("SELECT extensions FROM numbers ORDER BY number");
    let numbers = numbers.fetch_all(&store.pool).await.unwrap();
    assert_eq!(numbers, [r#"["+12125550101","1003;phone-context=pbx.example"]"#, "[]"]);
    let clients = sql::query("SELECT capabilities, offer FROM bindings ORDER BY id");
    let clients = clients.fetch_all(&store.pool).await.unwrap();
    let clients: Vec<[String; 2]> =
        clients.iter().map(|row| [row.try_get(0).unwrap(), row.try_get(1).unwrap()]).collect();
    assert_eq!(
        clients,
        [
            ["[]", r#""never""#],
            [r#"["text"]"#, r#""served""#],
            [r#"["text","video"]"#, r#"{"peers":["a","b"]}"#],
            ["[]", r#""everyone""#],
        ]
    );
    // They read as what was written.
    let read = store.numbers(None, 10).await.unwrap();
    assert_eq!(
        read.into_iter().map(|view| view.entry.extensions).collect::<Vec<_>>(),
        [rows[0].extensions.clone(), vec![]]
    );
    let mut read = store.bindings(None, UnixMillis(0), 10).await.unwrap();
    read.reverse();
    assert_eq!(read, bindings);
}
