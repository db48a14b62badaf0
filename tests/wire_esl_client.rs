//! The event socket's client against a scripted FreeSWITCH: replies in order, time-outs, lost links.
#![allow(clippy::unwrap_used, reason = "what a script can't do fails its test")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sidecall::esl::{
    Command, EslAuth, EslClient, EslError, EslEvents, EslOptions, Item, Tap, connect_stream, outbound,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;

const SHORT: Duration = Duration::from_millis(80);
const ANSWER: &str = "Event-Name: CHANNEL_ANSWER\nUnique-ID: 1\n\n";

/// The far end of a connection, played by the test.
struct Pbx(DuplexStream);

impl Pbx {
    async fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    async fn expect(&mut self, expected: &str) {
        assert_eq!(self.read_text(expected.len()).await, expected);
    }

    async fn read_text(&mut self, size: usize) -> String {
        let mut heard = vec![0; size];
        self.0.read_exact(&mut heard).await.unwrap();
        String::from_utf8(heard).unwrap()
    }

    async fn reply(&mut self, text: &str) {
        let head = "Content-Type: command/reply\nReply-Text:";
        self.say(&format!("{head} {text}\n\n")).await;
    }

    async fn api(&mut self, body: &str) {
        let head = format!("Content-Type: api/response\nContent-Length: {}", body.len());
        self.say(&format!("{head}\n\n{body}")).await;
    }

    async fn event(&mut self, body: &str) {
        let head = format!("Content-Length: {}\nContent-Type: text/event-plain", body.len());
        self.say(&format!("{head}\n\n{body}")).await;
    }
}

fn password() -> EslAuth {
    EslAuth::Password("hush".into())
}

async fn logged_in(options: EslOptions) -> (Pbx, EslClient, EslEvents, JoinHandle<Result<(), EslError>>) {
    let (ours, theirs) = duplex(1 << 20);
    let mut pbx = Pbx(theirs);
    pbx.say("Content-Type: auth/request\n\n").await;
    pbx.reply("+OK accepted").await;
    let (client, events, connection) = connect_stream(ours, &password(), options).await.unwrap();
    pbx.expect("auth hush\n\n").await;
    (pbx, client, events, tokio::spawn(connection.run()))
}

#[tokio::test]
async fn a_wrong_password_and_an_acl_and_a_stranger_are_told_apart() {
    let refused = async |words: &str| {
        let (ours, theirs) = duplex(4096);
        let mut pbx = Pbx(theirs);
        pbx.say(words).await;
        pbx.0.shutdown().await.unwrap();
        let made = connect_stream(ours, &password(), EslOptions::default()).await;
        made.unwrap_err()
    };
    let ask = "Content-Type: auth/request\n\n";
    let no = format!("{ask}Content-Type: command/reply\nReply-Text: -ERR invalid\n\n");
    let error = refused(&no).await;
    assert!(matches!(&error, EslError::AuthRejected(text) if text == "-ERR invalid"));
    let acl = "Content-Type: text/rude-rejection\nContent-Length: 24\n\nAccess Denied, go away.\n";
    let error = refused(acl).await;
    assert!(matches!(error, EslError::AccessDenied) && error.is_auth());
    assert!(refused("").await.is_disconnect());
    assert!(matches!(refused("HTTP/1.1 400 Bad Request\r\n\n\n").await, EslError::Malformed(_)));
}

#[tokio::test]
async fn a_user_logs_in_with_name_and_password() {
    let (ours, theirs) = duplex(4096);
    let mut pbx = Pbx(theirs);
    let auth = EslAuth::User { user: "u@a.example".into(), password: "p:w".into() };
    pbx.say("Content-Type: auth/request\n\n").await;
    pbx.reply("+OK accepted").await;
    let _link = connect_stream(ours, &auth, EslOptions::default()).await.unwrap();
    pbx.expect("userauth u@a.example:p:w\n\n").await;
}

#[tokio::test]
async fn silence_at_login_is_a_timeout() {
    let (ours, _theirs) = duplex(4096);
    let options = EslOptions { connect_timeout: SHORT, ..EslOptions::default() };
    let made = connect_stream(ours, &password(), options).await;
    assert!(made.unwrap_err().is_timeout());
}

#[tokio::test]
async fn pipelined_commands_are_answered_in_order() {
    let (mut pbx, client, _events, _run) = logged_in(EslOptions::default()).await;
    let commands = [
        Command::set_variables("u", &[("sidecall_route", "packet")]).unwrap(),
        Command::api("uuid_break", &["u", "all"]).unwrap(),
    ];
    let asked = tokio::spawn(async move { client.pipeline(commands).await });
    pbx.expect("api uuid_setvar_multi u sidecall_route=packet\n\napi uuid_break u all\n\n").await;
    pbx.api("+OK\n").await;
    // Events between the replies change nothing.
    pbx.event(ANSWER).await;
    pbx.api("-ERR No such channel!\n").await;
    let replies = asked.await.unwrap().unwrap();
    assert!(replies[0].is_ok());
    assert_eq!(replies[1].text(), "-ERR No such channel!");
    assert!(replies[1].clone().accepted().unwrap_err().is_refused());
}

#[tokio::test]
async fn a_late_reply_is_not_taken_for_the_next_one() {
    let (mut pbx, client, _events, _run) = logged_in(EslOptions::default()).await;
    let impatient = client.with_timeout(SHORT);
    assert!(impatient.api("echo", &["one"]).await.unwrap_err().is_timeout());
    pbx.expect("api echo one\n\n").await;
    let asked = tokio::spawn(async move { client.api("echo", &["two"]).await });
    pbx.expect("api echo two\n\n").await;
    pbx.api("one").await;
    pbx.api("two").await;
    assert_eq!(asked.await.unwrap().unwrap().text(), "two");
}

/// Commands that time out and are never answered keep their places, or later replies would be taken for theirs. So
/// they are bounded: the link that doesn't answer is given up long before.
#[tokio::test]
async fn commands_that_are_never_answered_take_a_bounded_number_of_places() {
    let (mut pbx, client, _events, _run) = logged_in(EslOptions::default()).await;
    let impatient = client.with_timeout(SHORT);
    let asked: Vec<_> = (0..3_000)
        .map(|n| {
            let client = impatient.clone();
            tokio::spawn(async move { client.api("echo", &[&n.to_string()]).await })
        })
        .collect();
    for asked in asked {
        assert!(asked.await.unwrap().unwrap_err().is_timeout());
    }
    let mut written = String::new();
    let mut chunk = vec![0; 4096];
    while let Ok(Ok(read)) = tokio::time::timeout(SHORT, pbx.0.read(&mut chunk)).await {
        written.push_str(std::str::from_utf8(&chunk[..read]).unwrap());
    }
    assert_eq!(written.matches("api echo ").count(), 1_024);
}

/// Whoever handles an event and asks something doesn't read events meanwhile.
#[tokio::test]
async fn a_command_from_an_event_handler_is_answered_behind_any_number_of_events() {
    let (mut pbx, client, mut events, _run) = logged_in(EslOptions { event_queue: 16, ..EslOptions::default() }).await;
    pbx.event(ANSWER).await;
    assert!(matches!(events.next().await, Some(Item::Event(_))));
    let handler = tokio::spawn(async move { (client.api("status", &[]).await, events) });
    pbx.expect("api status\n\n").await;
    for _ in 0..5_000 {
        pbx.event(ANSWER).await;
    }
    pbx.api("UP").await;
    let (reply, mut events) = tokio::time::timeout(Duration::from_secs(10), handler).await.unwrap().unwrap();
    assert_eq!(reply.unwrap().text(), "UP");
    assert!(matches!(events.next().await, Some(Item::Event(_))));
}

#[tokio::test]
async fn what_is_given_up_before_it_is_written_is_never_sent() {
    // A pipe so narrow that the first command fills it.
    let (ours, theirs) = duplex(64);
    let mut pbx = Pbx(theirs);
    let auth = password();
    let login = tokio::spawn(async move { connect_stream(ours, &auth, EslOptions::default()).await });
    pbx.say("Content-Type: auth/request\n\n").await;
    pbx.reply("+OK accepted").await;
    let (client, _events, connection) = login.await.unwrap().unwrap();
    let _run = tokio::spawn(connection.run());
    pbx.expect("auth hush\n\n").await;
    let impatient = client.with_timeout(SHORT);
    let filler = "x".repeat(200);
    let error = impatient.api("echo", &[&filler]).await.unwrap_err();
    assert!(error.is_timeout());
    let error = impatient.api("echo", &["late"]).await.unwrap_err();
    assert!(error.is_timeout());
    let asked = tokio::spawn(async move { client.api("echo", &["now"]).await });
    pbx.expect(&format!("api echo {filler}\n\napi echo now\n\n")).await;
    pbx.api("first").await;
    pbx.api("now").await;
    assert_eq!(asked.await.unwrap().unwrap().text(), "now");
}

#[tokio::test]
async fn a_lost_link_fails_what_is_in_flight_and_ends_the_events() {
    let (mut pbx, client, mut events, run) = logged_in(EslOptions::default()).await;
    let other = client.clone();
    let asked = tokio::spawn(async move { other.api("status", &[]).await });
    pbx.expect("api status\n\n").await;
    pbx.event(ANSWER).await;
    // The link breaks inside a frame.
    pbx.say("Content-Length: 500\nContent-Type: text/event-plain\n\nEvent-Na").await;
    drop(pbx);
    assert!(asked.await.unwrap().unwrap_err().is_disconnect());
    assert!(run.await.unwrap().unwrap_err().is_disconnect());
    assert!(matches!(events.next().await, Some(Item::Event(_))));
    assert_eq!(events.next().await, None);
    assert!(client.is_closed());
    let error = client.api("status", &[]).await.unwrap_err();
    assert!(error.is_disconnect());
}

#[tokio::test]
async fn a_reply_to_no_command_ends_the_connection() {
    let (mut pbx, _client, _events, run) = logged_in(EslOptions::default()).await;
    pbx.api("surprise").await;
    assert!(matches!(run.await.unwrap(), Err(EslError::Malformed(_))));
}

#[tokio::test]
async fn a_slow_consumer_loses_events_knowingly_and_commands_still_work() {
    let options = EslOptions { event_queue: 2, ..EslOptions::default() };
    let (mut pbx, client, mut events, _run) = logged_in(options).await;
    for _ in 0..5 {
        pbx.event(ANSWER).await;
    }
    let asked = tokio::spawn(async move { client.api("status", &[]).await });
    pbx.expect("api status\n\n").await;
    pbx.api("UP").await;
    assert_eq!(asked.await.unwrap().unwrap().text(), "UP");
    assert!(matches!(events.next().await, Some(Item::Event(_))));
    assert!(matches!(events.next().await, Some(Item::Event(_))));
    assert_eq!(events.next().await, Some(Item::Lost(3)));
}

#[tokio::test]
async fn a_background_job_gives_its_result_to_who_asked() {
    let (mut pbx, client, mut events, _run) = logged_in(EslOptions::default()).await;
    let asked = tokio::spawn(async move { client.bgapi("status", &[]).await });
    pbx.expect("bgapi status\nJob-UUID: ").await;
    let id = pbx.read_text(36).await;
    pbx.expect("\n\n").await;
    pbx.reply(&format!("+OK Job-UUID: {id}\nJob-UUID: {id}")).await;
    let job = |id: &str| format!("Event-Name: BACKGROUND_JOB\nJob-UUID: {id}\nContent-Length: 2");
    pbx.event(&(job("other") + "\n\nNO")).await;
    pbx.event(&(job(&id) + "\n\nUP")).await;
    let result = asked.await.unwrap().unwrap();
    assert_eq!(result.body(), Some(&b"UP"[..]));
    let Some(Item::Event(event)) = events.next().await else {
        panic!("the other job's event");
    };
    assert_eq!(event.get("Job-UUID").as_deref(), Some("other"));
}

#[tokio::test]
async fn exit_ends_the_connection_without_an_error() {
    let (mut pbx, client, _events, run) = logged_in(EslOptions::default()).await;
    let asked = tokio::spawn(async move { client.exit().await });
    pbx.expect("exit\n\n").await;
    pbx.reply("+OK bye").await;
    pbx.say("Content-Type: text/disconnect-notice\nContent-Length: 23\n\nDisconnected, goodbye.\n").await;
    asked.await.unwrap().unwrap();
    run.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_notice_without_exit_says_why_the_link_is_gone() {
    let (mut pbx, _client, _events, run) = logged_in(EslOptions::default()).await;
    pbx.say("Content-Type: text/disconnect-notice\nContent-Length: 23\n\nDisconnected, goodbye.\n").await;
    let error = run.await.unwrap().unwrap_err();
    assert!(error.is_disconnect() && error.to_string().contains("goodbye"));
}

#[tokio::test]
async fn a_refused_subscription_is_an_error() {
    let (mut pbx, client, _events, _run) = logged_in(EslOptions::default()).await;
    let asked = tokio::spawn(async move { client.subscribe(&["NOPE"]).await });
    pbx.expect("event plain NOPE\n\n").await;
    pbx.reply("-ERR no keywords supplied").await;
    assert!(asked.await.unwrap().unwrap_err().is_refused());
}

#[tokio::test]
async fn an_outbound_socket_gives_channel_data_and_takes_applications() {
    let recording = include_str!("../fixtures/esl/outbound-socket.recv");
    let sent = include_str!("../fixtures/esl/outbound-socket.sent");
    let (ours, theirs) = duplex(1 << 20);
    let mut pbx = Pbx(theirs);
    let (data, rest) = recording.split_at(recording.find("\n\n").unwrap() + 2);
    pbx.say(data).await;
    let (channel, session) = outbound::accept(ours, EslOptions::default()).await.unwrap();
    let id = channel.get("Unique-ID");
    assert_eq!(id.as_deref(), Some("0841cb7b-091c-4f8d-88fa-3d1d8f0eee35"));
    let set = "sidecall_route=packet sidecall_trunk=partner";
    let call = tokio::spawn(async move { session.finish("multiset", set).await });
    pbx.expect(sent).await;
    pbx.say(rest).await;
    call.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_lingering_socket_still_answers_and_a_dropped_session_closes_it() {
    let (ours, theirs) = duplex(1 << 20);
    let mut pbx = Pbx(theirs);
    pbx.reply("%2BOK%0A").await;
    let (_channel, session) = outbound::accept(ours, EslOptions::default()).await.unwrap();
    pbx.expect("connect\n\n").await;
    pbx.say("Content-Type: text/disconnect-notice\nContent-Disposition: linger\n\n").await;
    let asked = tokio::spawn(async move { session.finish("hangup", "").await });
    pbx.expect("sendmsg\ncall-command: execute\nexecute-app-name: hangup\n\nexit\n\n").await;
    pbx.reply("+OK").await;
    pbx.reply("+OK bye").await;
    asked.await.unwrap().unwrap();
    assert_eq!(pbx.0.read(&mut [0; 16]).await.unwrap(), 0);
}

#[derive(Debug, Default)]
struct Recorder {
    received: Mutex<Vec<u8>>,
    sent: Mutex<Vec<u8>>,
}

impl Tap for Recorder {
    fn received(&self, bytes: &[u8]) {
        self.received.lock().unwrap().extend_from_slice(bytes);
    }

    fn sent(&self, bytes: &[u8]) {
        self.sent.lock().unwrap().extend_from_slice(bytes);
    }
}

#[tokio::test]
async fn a_tap_sees_every_byte_but_no_secret() {
    let recorder = Arc::new(Recorder::default());
    let options = EslOptions { tap: Some(recorder.clone()), ..EslOptions::default() };
    let (mut pbx, client, _events, _run) = logged_in(options).await;
    let asked = tokio::spawn(async move { client.api("status", &[]).await });
    pbx.expect("api status\n\n").await;
    pbx.api("UP").await;
    asked.await.unwrap().unwrap();
    let sent = recorder.sent.lock().unwrap();
    assert_eq!(String::from_utf8_lossy(&sent), "auth ***\n\napi status\n\n");
    let received = recorder.received.lock().unwrap();
    assert!(received.starts_with(b"Content-Type: auth/request"));
    assert!(received.ends_with(b"\n\nUP"));
}
