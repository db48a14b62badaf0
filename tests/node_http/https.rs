//! Offers and answers between two nodes whose certificates only those believe who were told of their CAs.

use serde_json::json;
use sidecall::node::{NodeConfig, PeerConfig, TlsFiles};

use crate::support::{ALICE, TestNode, answer};
use crate::two_nodes::{FRED, TOKEN, Two, peer, sign, talks, write};
use crate::webhooks::Receiver;
use lab::net::ca::Ca;

/// Alice's node and Fred's; each has a CA of its own.
async fn over_https(by_certificate: bool) -> Two {
    let cas = [Ca::generate(), Ca::generate()];
    // Each has to know the other's port before it starts.
    let ports = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let set = |own: usize, config: &mut NodeConfig, folder: &std::path::Path| {
        let (names, prefixes, other) = (["a", "b"], ["+1212555", "+1310"], 1 - own);
        let theirs = write(folder, "peers-ca.pem", &cas[other].pem());
        let (cert, key) = sign(&cas[own], "127.0.0.1", folder);
        let client_ca = by_certificate.then(|| theirs.clone());
        (config.listen, config.tls) = (ports[own], Some(TlsFiles { cert, key, client_ca }));
        let known = peer(names[other], &format!("https://{}", ports[other]), prefixes[other]);
        let mut known = PeerConfig { ca_file: Some(theirs), ..known };
        if by_certificate {
            let (cert, key) = sign(&cas[own], &format!("node.{}.example", names[own]), folder);
            (known.client_cert, known.client_key) = (Some(cert), Some(key));
            known.certificate = Some(format!("node.{}.example", names[other]));
        } else {
            (known.token, known.accept_token) = (Some(TOKEN.into()), Some(TOKEN.into()));
        }
        config.peers = vec![known];
    };
    let mut two = Two {
        b: TestNode::start_with(|config, folder| set(1, config, folder)).await,
        a: TestNode::start_with(|config, folder| set(0, config, folder)).await,
    };
    for node in [&mut two.a, &mut two.b] {
        let all = cas.iter().map(|ca| reqwest::Certificate::from_pem(ca.pem().as_bytes()).unwrap());
        node.http = reqwest::Client::builder().no_proxy().tls_certs_only(all).build().unwrap();
    }
    two.a.number(ALICE, json!({"pbx": "a", "name": "Alice"})).await;
    two.b.number(FRED, json!({"pbx": "b", "name": "Fred"})).await;
    two
}

async fn offered_and_answered(by_certificate: bool) {
    let two = over_https(by_certificate).await;
    let ((alices, at_alices), (freds, at_freds)) = (Receiver::start(&[]).await, Receiver::start(&[]).await);
    two.a.client(ALICE, json!({"address": at_alices})).await;
    two.b.client(FRED, json!({"address": at_freds})).await;
    let out = two.offered("a-1").await;
    let come = two.b.arrive("b-1", Some(ALICE), FRED, None).await;
    talks(&two.a, &out, "a-1").await;
    talks(&two.b, &come, "b-1").await;
    // Fred's node takes his address to Alice's for the webhook.
    two.b.remote_side(&come, |far| far["source"] == "offer" && far["answers"][0]["state"] == "accepted").await;
    for (own, their, node) in [(&alices, &freds, &two.b), (&freds, &alices, &two.a)] {
        let address = own.bodies(1).await[0]["peer"]["address"].as_str().unwrap().to_owned();
        assert!(address.starts_with("https:") && address.starts_with(&node.url("/a/")), "{address}");
        assert_eq!(answer(node.http.post(&address).json(&json!({"text": "hello"}))).await.0, 202);
        assert_eq!(their.bodies(2).await[1]["content"]["text"], "hello");
    }
}

#[tokio::test]
async fn nodes_that_know_each_other_by_tokens_pair_over_https() {
    offered_and_answered(false).await;
}

#[tokio::test]
async fn nodes_that_know_each_other_by_certificates_pair_over_https() {
    offered_and_answered(true).await;
}
