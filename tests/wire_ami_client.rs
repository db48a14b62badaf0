//! The manager interface's client against a scripted Asterisk: ids, lists, time-outs, TLS.
#![allow(clippy::unwrap_used, reason = "what a script can't do fails its test")]

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::PrivateKeyDer;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use sidecall::ami::{
    Action, AmiAuth, AmiClient, AmiError, AmiEvents, AmiLimits, AmiOptions, Item, Method, Tls, connect, connect_stream,
};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufStream};
use tokio::io::{DuplexStream, duplex};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const SHORT: Duration = Duration::from_millis(80);

/// The far end of a connection, played by the test.
struct Pbx<S>(BufStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> Pbx<S> {
    async fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
        self.0.flush().await.unwrap();
    }

    /// Reads one action, and gives its `ActionID` and the lines without it.
    async fn next_action(&mut self) -> (String, Vec<String>) {
        let mut id = String::new();
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            assert_ne!(self.0.read_line(&mut line).await.unwrap(), 0, "closed");
            match line.strip_suffix("\r\n").unwrap() {
                "" => return (id, lines),
                line => match line.strip_prefix("ActionID: ") {
                    Some(given) => id = given.to_owned(),
                    None => lines.push(line.to_owned()),
                },
            }
        }
    }

    async fn reply(&mut self, id: &str, rest: &str) {
        self.say(&format!("Response: Success\r\nActionID: {id}\r\n{rest}\r\n\r\n")).await;
    }

    async fn event(&mut self, id: &str, event: &str) {
        let (name, rest) = event.split_once("\r\n").unwrap_or((event, "X: "));
        self.say(&format!("Event: {name}\r\nActionID: {id}\r\n{rest}\r\n\r\n")).await;
    }
}

fn auth(method: Method) -> AmiAuth {
    AmiAuth { user: "sidecall".into(), secret: "secret".into(), method }
}

type Run = JoinHandle<Result<(), AmiError>>;

async fn logged_in(options: AmiOptions) -> (Pbx<DuplexStream>, AmiClient, AmiEvents, Run) {
    let (ours, theirs) = duplex(1 << 20);
    let mut pbx = Pbx(BufStream::new(theirs));
    pbx.say("Asterisk Call Manager/11.0.0\r\n").await;
    let mask = format!("Events: {}", options.event_mask);
    let login = tokio::spawn(async move { connect_stream(ours, &auth(Method::Plain), options).await });
    let (id, lines) = pbx.next_action().await;
    assert_eq!(lines, ["Action: Login", "Username: sidecall", "Secret: secret", &mask]);
    pbx.reply(&id, "Message: Authentication accepted").await;
    let (client, events, connection) = login.await.unwrap().unwrap();
    (pbx, client, events, tokio::spawn(connection.run()))
}

#[tokio::test]
async fn a_challenge_keeps_the_secret_off_the_wire() {
    let (ours, theirs) = duplex(4096);
    let mut pbx = Pbx(BufStream::new(theirs));
    pbx.say("Asterisk Call Manager/11.0.0\r\n").await;
    let options = AmiOptions { event_mask: "call,user".into(), ..AmiOptions::default() };
    let login = tokio::spawn(async move { connect_stream(ours, &auth(Method::Md5), options).await });
    let (id, lines) = pbx.next_action().await;
    assert_eq!(lines, ["Action: Challenge", "AuthType: MD5"]);
    pbx.reply(&id, "Challenge: 840415273").await;
    let (id, lines) = pbx.next_action().await;
    assert!(lines.contains(&"Events: call,user".to_owned()));
    assert!(lines.iter().any(|line| line.starts_with("Key: ")));
    assert!(!lines.concat().contains("secret"));
    let no = "Response: Error\r\nMessage: Authentication failed\r\n";
    pbx.say(&format!("{no}ActionID: {id}\r\n\r\n")).await;
    let error = login.await.unwrap().unwrap_err();
    assert!(matches!(&error, AmiError::AuthRejected(why) if why == "Authentication failed"));
}

#[tokio::test]
async fn replies_are_matched_by_id_in_whatever_order() {
    let (mut pbx, client, _events, _run) = logged_in(AmiOptions::default()).await;
    let actions = [
        Action::set_variable(Some("PJSIP/a-1"), "SIDECALL_ROUTE", "packet").unwrap(),
        Action::redirect("PJSIP/a-1", "inbound", "1", "sidecall-go").unwrap(),
    ];
    let asked = tokio::spawn(async move { client.pipeline(actions).await });
    let (first, _) = pbx.next_action().await;
    let (second, lines) = pbx.next_action().await;
    assert_eq!(lines[0], "Action: Redirect");
    let no = "Response: Error\r\nMessage: Channel not existent\r\n";
    pbx.say(&format!("{no}ActionID: {second}\r\n\r\n")).await;
    pbx.reply(&first, "Message: Variable Set").await;
    let replies = asked.await.unwrap().unwrap();
    assert_eq!(replies[0].message(), "Variable Set");
    assert!(!replies[1].is_ok());
}

#[tokio::test]
async fn a_list_is_whole_and_its_entries_are_no_events() {
    let options = AmiOptions { event_mask: "call".into(), ..AmiOptions::default() };
    let (mut pbx, client, mut events, _run) = logged_in(options).await;
    let asked = tokio::spawn(async move { client.list(Action::core_show_channels()).await });
    let (id, _) = pbx.next_action().await;
    pbx.reply(&id, "EventList: start").await;
    pbx.event(&id, "CoreShowChannel\r\nChannel: a").await;
    pbx.event("5f-0", "OriginateResponse").await;
    pbx.event(&id, "CoreShowChannel\r\nChannel: b").await;
    let end = "CoreShowChannelsComplete\r\nEventList: Complete\r\nListItems: 2";
    pbx.event(&id, end).await;
    let list = asked.await.unwrap().unwrap();
    let channels: Vec<_> = list.iter().filter_map(|entry| entry.get("Channel")).collect();
    assert_eq!(channels, ["a", "b"]);
    let Some(Item::Event(event)) = events.next().await else {
        panic!("the event between the entries");
    };
    assert_eq!(event.name(), "OriginateResponse");
}

#[tokio::test]
async fn a_list_that_is_short_or_cancelled_or_refused_is_an_error() {
    let (mut pbx, client, _events, _run) = logged_in(AmiOptions::default()).await;
    for end in ["Complete\r\nListItems: 2", "Cancelled\r\nListItems: 1"] {
        let client = client.clone();
        let asked = tokio::spawn(async move { client.list(Action::core_show_channels()).await });
        let (id, _) = pbx.next_action().await;
        pbx.reply(&id, "EventList: start").await;
        pbx.event(&id, "CoreShowChannel\r\nChannel: a").await;
        pbx.event(&id, &format!("XComplete\r\nEventList: {end}")).await;
        assert!(matches!(asked.await.unwrap(), Err(AmiError::ListCut { got: 1 })));
    }
    let asked = tokio::spawn(async move { client.list(Action::core_show_channels()).await });
    let (id, _) = pbx.next_action().await;
    let no = "Response: Error\r\nMessage: Permission denied\r\n";
    pbx.say(&format!("{no}ActionID: {id}\r\n\r\n")).await;
    assert!(asked.await.unwrap().unwrap_err().is_refused());
}

/// Asterisk prints the number of a caller as it is. The text in front of `X: ` is the caller's.
#[tokio::test]
async fn what_a_caller_writes_into_a_list_neither_ends_it_nor_is_in_it() {
    for written in [
        "1\r\n\r\nX: ",
        "1\r\n\r\nEvent: StatusComplete\r\nEventList: Complete\r\nListItems: 0\r\nX: ",
        "1\r\n\r\nResponse: Success\r\nActionID: 7\r\nX: ",
        "1\r\n\r\nResponse: Error\r\n\r\nResponse: Error\r\nX: ",
        "1\r\n\r\nEvent: Status\r\nChannel: b\r\n\r\nX: ",
        "1\r\n\r\nResponse: Follows\r\nX: ",
    ] {
        let (mut pbx, client, _events, _run) = logged_in(AmiOptions::default()).await;
        let asked = tokio::spawn(async move { client.list(Action::core_show_channels()).await });
        let (id, _) = pbx.next_action().await;
        pbx.reply(&id, "EventList: start").await;
        pbx.say(&format!("Event: Status\r\nCallerIDNum: {written}\r\nUniqueid: 1.1\r\nActionID: {id}\r\n\r\n")).await;
        pbx.say(&format!("Event: Status\r\nEventList: Complete\r\nActionID: x\r\nActionID: {id}\r\n\r\n")).await;
        pbx.event(&id, "Status\r\nChannel: a").await;
        // The id may also come first: then what is cut off has none.
        pbx.event(&id, &format!("BridgeListItem\r\nBridgeName: {written}")).await;
        pbx.event(&id, "BridgeListItem\r\nChannel: c").await;
        pbx.event(&id, "StatusComplete\r\nEventList: Complete\r\nListItems: 5").await;
        let list = asked.await.unwrap().unwrap();
        let channels: Vec<_> = list.iter().map(|entry| entry.get("Channel")).collect();
        assert_eq!(channels, [None, Some("a".into()), None, Some("c".into())], "{written:?}");
    }
}

#[tokio::test]
async fn a_list_that_is_too_long_is_an_error_and_its_rest_is_swallowed() {
    for limits in [AmiLimits { entries: 2, ..AmiLimits::default() }, AmiLimits { list: 100, ..AmiLimits::default() }] {
        let (mut pbx, client, mut events, _run) = logged_in(AmiOptions { limits, ..AmiOptions::default() }).await;
        let other = client.clone();
        let asked = tokio::spawn(async move { other.list(Action::core_show_channels()).await });
        let (id, _) = pbx.next_action().await;
        pbx.reply(&id, "EventList: start").await;
        for n in 0..4 {
            pbx.event(&id, &format!("CoreShowChannel\r\nChannel: PJSIP/a-{n}")).await;
        }
        let error = asked.await.unwrap().unwrap_err();
        assert!(matches!(error, AmiError::ListTooLong { .. }), "{error}");
        pbx.event(&id, "CoreShowChannelsComplete\r\nEventList: Complete\r\nListItems: 4").await;
        pbx.say("Event: Hangup\r\n\r\n").await;
        let Some(Item::Event(next)) = events.next().await else { panic!("no event") };
        assert_eq!(next.name(), "Hangup");
    }
}

#[tokio::test]
async fn a_list_that_times_out_is_an_error_and_its_late_entries_are_swallowed() {
    let (mut pbx, client, mut events, _run) = logged_in(AmiOptions::default()).await;
    let impatient = client.with_timeout(SHORT);
    let asked = tokio::spawn(async move { impatient.list(Action::core_show_channels()).await });
    let (id, _) = pbx.next_action().await;
    pbx.reply(&id, "EventList: start").await;
    pbx.event(&id, "CoreShowChannel").await;
    assert!(asked.await.unwrap().unwrap_err().is_timeout());
    pbx.event(&id, "CoreShowChannel").await;
    pbx.event(&id, "XComplete\r\nEventList: Complete\r\nListItems: 2").await;
    pbx.event("none", "Hangup").await;
    let Some(Item::Event(event)) = events.next().await else {
        panic!("an event");
    };
    assert_eq!(event.name(), "Hangup");
}

#[tokio::test]
async fn a_lost_link_fails_lists_and_actions_alike() {
    let (mut pbx, client, _events, run) = logged_in(AmiOptions::default()).await;
    let other = client.clone();
    let list = tokio::spawn(async move { other.list(Action::core_show_channels()).await });
    let (id, _) = pbx.next_action().await;
    pbx.reply(&id, "EventList: start").await;
    pbx.event(&id, "CoreShowChannel").await;
    let action = tokio::spawn(async move { client.send(Action::ping()).await });
    pbx.next_action().await;
    drop(pbx);
    assert!(list.await.unwrap().unwrap_err().is_disconnect());
    assert!(action.await.unwrap().unwrap_err().is_disconnect());
    assert!(run.await.unwrap().unwrap_err().is_disconnect());
}

#[tokio::test]
async fn a_late_reply_is_swallowed() {
    let (mut pbx, client, _events, _run) = logged_in(AmiOptions::default()).await;
    let error = client.with_timeout(SHORT).send(Action::ping()).await;
    assert!(error.unwrap_err().is_timeout());
    let (late, _) = pbx.next_action().await;
    let asked = tokio::spawn(async move { client.send(Action::ping()).await });
    let (now, _) = pbx.next_action().await;
    pbx.reply(&late, "Ping: late").await;
    pbx.reply(&now, "Ping: Pong").await;
    let reply = asked.await.unwrap().unwrap();
    assert_eq!(reply.get("Ping").as_deref(), Some("Pong"));
}

/// More of them than may wait at once: if each kept its place, nothing would be sent any more.
#[tokio::test]
async fn actions_that_are_never_answered_leave_nothing_behind() {
    let (mut pbx, client, _events, _run) = logged_in(AmiOptions::default()).await;
    let impatient = client.with_timeout(SHORT);
    for _ in 0..12 {
        let (pings, lists): (Vec<_>, Vec<_>) = (0..100)
            .map(|_| {
                let (one, other) = (impatient.clone(), impatient.clone());
                let ping = tokio::spawn(async move { one.send(Action::ping()).await.map(drop) });
                (ping, tokio::spawn(async move { other.list(Action::core_show_channels()).await.map(drop) }))
            })
            .unzip();
        for asked in pings.into_iter().chain(lists) {
            assert!(asked.await.unwrap().unwrap_err().is_timeout());
        }
        for _ in 0..200 {
            pbx.next_action().await;
        }
    }
    let asked = tokio::spawn(async move { client.send(Action::ping()).await });
    let (id, _) = pbx.next_action().await;
    pbx.reply(&id, "Ping: Pong").await;
    assert_eq!(asked.await.unwrap().unwrap().get("Ping").as_deref(), Some("Pong"));
}

/// Whoever handles an event and asks something doesn't read events meanwhile.
#[tokio::test]
async fn an_action_from_an_event_handler_is_answered_behind_any_number_of_events() {
    let (mut pbx, client, mut events, _run) = logged_in(AmiOptions { event_queue: 16, ..AmiOptions::default() }).await;
    pbx.event("none", "Hangup").await;
    assert!(matches!(events.next().await, Some(Item::Event(_))));
    let handler = tokio::spawn(async move { (client.send(Action::ping()).await, events) });
    let (id, _) = pbx.next_action().await;
    for _ in 0..5_000 {
        pbx.event("none", "Hangup").await;
    }
    pbx.reply(&id, "Ping: Pong").await;
    let (reply, mut events) = tokio::time::timeout(Duration::from_secs(10), handler).await.unwrap().unwrap();
    assert!(reply.unwrap().get("Ping").is_some());
    assert!(matches!(events.next().await, Some(Item::Event(_))));
}

#[tokio::test]
async fn a_slow_consumer_loses_events_knowingly() {
    let options = AmiOptions { event_queue: 1, ..AmiOptions::default() };
    let (mut pbx, client, mut events, run) = logged_in(options).await;
    for _ in 0..3 {
        pbx.event("none", "Hangup").await;
    }
    let asked = tokio::spawn(async move { client.logoff().await });
    let (id, lines) = pbx.next_action().await;
    assert_eq!(lines, ["Action: Logoff"]);
    pbx.say(&format!("Response: Goodbye\r\nActionID: {id}\r\n\r\n")).await;
    asked.await.unwrap().unwrap();
    drop(pbx);
    run.await.unwrap().unwrap();
    assert!(matches!(events.next().await, Some(Item::Event(_))));
    assert_eq!(events.next().await, Some(Item::Lost(2)));
    assert_eq!(events.next().await, None);
}

/// A listener with a certificate for `localhost`, and that certificate.
async fn tls_listener() -> (TcpListener, tokio_rustls::TlsAcceptor, RootCertStore) {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = own.cert.der().clone();
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    (listener, Arc::new(config).into(), roots)
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn trusting(roots: RootCertStore) -> AmiOptions {
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    AmiOptions { tls: Some(Tls::new(Arc::new(config), "localhost").unwrap()), ..AmiOptions::default() }
}

#[tokio::test]
async fn tls_carries_login_and_actions() {
    let (listener, acceptor, roots) = tls_listener().await;
    let address = listener.local_addr().unwrap().to_string();
    let asterisk = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut pbx = Pbx(BufStream::new(acceptor.accept(stream).await.unwrap()));
        pbx.say("Asterisk Call Manager/11.0.0\r\n").await;
        let (id, _) = pbx.next_action().await;
        pbx.reply(&id, "Message: Authentication accepted").await;
        let (id, _) = pbx.next_action().await;
        pbx.reply(&id, "Ping: Pong").await;
    });
    let (client, _events, connection) = connect(&address, &auth(Method::Plain), trusting(roots)).await.unwrap();
    let _run = tokio::spawn(connection.run());
    let reply = client.send(Action::ping()).await.unwrap();
    assert_eq!(reply.get("Ping").as_deref(), Some("Pong"));
    asterisk.await.unwrap();
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_refused_before_login() {
    let (listener, acceptor, _roots) = tls_listener().await;
    let address = listener.local_addr().unwrap().to_string();
    let asterisk = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        assert!(acceptor.accept(stream).await.is_err());
    });
    let strangers = trusting(tls_listener().await.2);
    let error = connect(&address, &auth(Method::Plain), strangers).await.unwrap_err();
    assert!(matches!(error, AmiError::Tls(_)), "{error}");
    asterisk.await.unwrap();
}
