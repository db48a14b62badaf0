//! Decoding, side by side with the best existing Rust clients, in one run.
//!
//! The event socket: `freeswitch-esl-tokio` reads only from a socket, so both clients get the same
//! recorded events over the same kind of loopback connection, written by one scripted FreeSWITCH in
//! a thread of its own, and run on a current-thread runtime: what is measured is one core's work
//! from socket to fields. The manager interface: `asterisk-rs` has a public codec, so both codecs
//! read the same bytes from memory. In either case the same six fields of every event are read.
//!
//! `cargo bench -p sidecall-bench-decoding` prints Criterion's figures, and the ratios at the end.
#![allow(clippy::unwrap_used, reason = "a bench that can't run stops")]
#![allow(clippy::print_stdout, reason = "a bench's output is its result")]

use std::hint::black_box;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use asterisk_rs::ami::codec::AmiCodec;
use bytes::BytesMut;
use criterion::{BatchSize, Criterion, Throughput, criterion_group};
use freeswitch_esl_tokio::{EslClient, EslConnectOptions, EventFormat};
use sidecall::ami::{self, AmiFrameKind};
use sidecall::esl::{self, EslAuth, EslFrameKind, EslOptions};
use tokio_util::codec::Decoder;

const ESL: &[u8] = include_bytes!("../../fixtures/esl/hold-call-plain.recv");
const AMI: &[u8] = include_bytes!("../../fixtures/ami/hold-call.recv");

/// How often the recorded call is repeated: about 7 MB.
const CALLS: usize = 150;

/// What the agent reads of an event; two of them near the end of the variables.
const ESL_FIELDS: [&str; 6] = [
    "Event-Name",
    "Unique-ID",
    "Event-Sequence",
    "Caller-Caller-ID-Number",
    "variable_sip_call_id",
    "variable_sip_to_user",
];
const AMI_FIELDS: [&str; 6] = ["Event", "Channel", "Uniqueid", "Linkedid", "CallerIDNum", "Context"];

/// The recorded events, `CALLS` times over, and how many they are.
fn esl_stream() -> (Vec<u8>, usize) {
    let (frames, _) = esl::fuzz::decode(ESL, &[]);
    let mut call = Vec::new();
    let mut events = 0;
    for frame in frames {
        if frame.kind() == EslFrameKind::Event {
            call.extend_from_slice(frame.head());
            call.extend_from_slice(b"\n\n");
            call.extend_from_slice(frame.body());
            events += 1;
        }
    }
    (call.repeat(CALLS), events * CALLS)
}

fn ami_stream() -> (Vec<u8>, usize) {
    let (frames, _) = ami::fuzz::decode(AMI, &[]);
    let mut call = Vec::new();
    let mut events = 0;
    for frame in frames {
        if frame.kind() == AmiFrameKind::Event {
            call.extend_from_slice(frame.as_bytes());
            call.extend_from_slice(b"\r\n\r\n");
            events += 1;
        }
    }
    let mut stream = b"Asterisk Call Manager/11.0.0\r\n".to_vec();
    stream.extend(call.repeat(CALLS));
    (stream, events * CALLS)
}

/// Plays FreeSWITCH: log-in, subscription, and after `api go` the whole stream at once.
fn scripted_freeswitch(stream: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            // A client that goes away early isn't the bench's concern.
            let _gone = client.and_then(|client| serve(client, &stream));
        }
    });
    address
}

fn serve(mut client: TcpStream, stream: &[u8]) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    client.write_all(b"Content-Type: auth/request\n\n")?;
    for _ in ["auth", "event"] {
        command(&mut client)?;
        client.write_all(b"Content-Type: command/reply\nReply-Text: +OK accepted\n\n")?;
    }
    command(&mut client)?;
    client.write_all(b"Content-Type: api/response\nContent-Length: 3\n\n+OK")?;
    client.write_all(stream)?;
    while client.read(&mut [0; 512])? > 0 {}
    Ok(())
}

/// Reads one command, up to its empty line.
fn command(client: &mut TcpStream) -> std::io::Result<()> {
    let mut end = [0; 2];
    while end != *b"\n\n" {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        end = [end[1], byte[0]];
    }
    Ok(())
}

fn one_core() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

/// From `api go` to the last event's fields.
fn esl_ours(freeswitch: SocketAddr, expected: usize) -> Duration {
    one_core().block_on(async {
        let options = EslOptions { event_queue: expected, ..EslOptions::default() };
        let auth = EslAuth::Password("ClueCon".into());
        let address = freeswitch.to_string();
        let (client, mut events, connection) = esl::connect(&address, &auth, options).await.unwrap();
        tokio::spawn(connection.run());
        client.subscribe(&["ALL"]).await.unwrap();
        let started = Instant::now();
        client.api("go", &[]).await.unwrap();
        for _ in 0..expected {
            let Some(esl::Item::Event(event)) = events.next().await else {
                panic!("an event was lost");
            };
            let fields = event.fields(ESL_FIELDS);
            assert!(fields[0].is_some());
            black_box(fields);
        }
        started.elapsed()
    })
}

/// The same with `freeswitch-esl-tokio`.
fn esl_peer(freeswitch: SocketAddr, expected: usize) -> Duration {
    one_core().block_on(async {
        let options = EslConnectOptions::new().with_event_queue_size(expected);
        let (client, mut events) =
            EslClient::connect_with_options("127.0.0.1", freeswitch.port(), "ClueCon", options).await.unwrap();
        let format = EventFormat::Plain;
        client.subscribe_events_raw(format, "ALL").await.unwrap();
        let started = Instant::now();
        let _ok = client.api("go").await.unwrap();
        for _ in 0..expected {
            let event = events.recv().await.unwrap().unwrap();
            let fields = ESL_FIELDS.map(|name| event.header_str(name));
            assert!(fields[0].is_some());
            black_box(fields);
        }
        started.elapsed()
    })
}

fn ami_ours(mut stream: BytesMut) -> usize {
    let mut codec = ami::AmiCodec::default();
    let mut events = 0;
    while let Some(frame) = codec.decode(&mut stream).unwrap() {
        if let Some(event) = frame.into_event() {
            black_box(event.fields(AMI_FIELDS));
            events += 1;
        }
    }
    events
}

/// The same with `asterisk-rs`.
fn ami_peer(mut stream: BytesMut) -> usize {
    let mut codec = AmiCodec::new();
    let mut events = 0;
    while let Some(message) = codec.decode(&mut stream).unwrap() {
        black_box(AMI_FIELDS.map(|name| message.get(name)));
        events += 1;
    }
    events
}

fn event_socket(c: &mut Criterion) {
    let (stream, events) = esl_stream();
    let freeswitch = scripted_freeswitch(stream);
    let mut group = c.benchmark_group("event socket");
    group.sample_size(10);
    group.throughput(Throughput::Elements(events as u64));
    group.bench_function("sidecall, plain", |b| {
        b.iter_custom(|n| (0..n).map(|_| esl_ours(freeswitch, events)).sum());
    });
    group.bench_function("freeswitch-esl-tokio, plain", |b| {
        b.iter_custom(|n| (0..n).map(|_| esl_peer(freeswitch, events)).sum());
    });
    group.finish();
    let ours = best(|| esl_ours(freeswitch, events));
    let peer = best(|| esl_peer(freeswitch, events));
    ratio("event socket, plain, events", events, ours, peer);
}

fn manager_interface(c: &mut Criterion) {
    let (stream, events) = ami_stream();
    let fresh = || BytesMut::from(&*stream);
    assert_eq!(ami_ours(fresh()), events);
    assert_eq!(ami_peer(fresh()), events);
    let mut group = c.benchmark_group("manager interface");
    group.sample_size(10);
    group.throughput(Throughput::Elements(events as u64));
    group.bench_function("sidecall", |b| {
        b.iter_batched(fresh, ami_ours, BatchSize::LargeInput);
    });
    group.bench_function("asterisk-rs", |b| {
        b.iter_batched(fresh, ami_peer, BatchSize::LargeInput);
    });
    group.finish();
    let timed = |decode: fn(BytesMut) -> usize| {
        let stream = fresh();
        let started = Instant::now();
        black_box(decode(stream));
        started.elapsed()
    };
    let ours = best(|| timed(ami_ours));
    let peer = best(|| timed(ami_peer));
    ratio("manager interface, messages", events, ours, peer);
}

/// The best of ten, which is what other work on the machine disturbs least.
fn best(run: impl Fn() -> Duration) -> Duration {
    (0..10).map(|_| run()).min().unwrap_or_default()
}

fn ratio(what: &str, count: usize, ours: Duration, peer: Duration) {
    let rate = |time: Duration| count as f64 / time.as_secs_f64();
    println!("{what}/s: ours {:.0}, peer {:.0}, ratio {:.1}", rate(ours), rate(peer), rate(ours) / rate(peer));
}

criterion_group!(decode, event_socket, manager_interface);

fn main() {
    decode();
    Criterion::default().configure_from_args().final_summary();
}
