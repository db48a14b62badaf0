//! What must hold for any bytes at all. Compiled with the crate so that it can't fall behind it;
//! run by `tests/wire_esl.rs` and by the fuzzer (`fuzz/`).

use memchr::memmem;

use super::{Command, EslCodec, EslError, EslEvent, EslFrame, EslLimits};
use crate::wire;

/// Decodes `data` cut into chunks of these sizes, until its end or the first error.
pub fn decode(data: &[u8], chunks: &[usize]) -> (Vec<EslFrame>, Option<EslError>) {
    wire::fuzz::decode(EslCodec::new(EslLimits { head: 1024 * 1024, body: 1024 * 1024 }), data, chunks)
}

/// Any bytes, as a stream and as the argument of commands.
pub fn bytes(data: &[u8]) {
    stream(data, &wire::fuzz::chunks(data));
    command(&String::from_utf8_lossy(data));
}

/// No bytes make the parsers panic, and where the network cuts them changes nothing.
pub fn stream(data: &[u8], chunks: &[usize]) {
    let (whole, error) = decode(data, &[]);
    let (cut, cut_error) = decode(data, chunks);
    assert_eq!(whole, cut);
    assert_eq!(error.map(|e| e.to_string()), cut_error.map(|e| e.to_string()));
    for frame in whole {
        event(frame.body());
        event(frame.head());
    }
    event(data);
}

/// Any bytes can be asked for fields, one by one or together.
pub fn event(data: &[u8]) {
    let event = EslEvent::new(data.to_vec().into());
    let [a, b] = event.fields(["Event-Name", "Unique-ID"]);
    assert_eq!(a, event.get("event-name"));
    assert_eq!(b, event.get("Unique-ID"));
    let _body = event.body();
}

/// Whatever the argument, a command is one command or none.
pub fn command(text: &str) {
    let commands = [
        Command::auth(text),
        Command::userauth(text, text),
        Command::api("echo", &[text, text]),
        Command::set_variables("u", &[("v", text), (text, "v")]),
        Command::filter("h", text),
        Command::execute("set", text),
    ];
    for command in commands.into_iter().flatten() {
        let wire = command.as_bytes();
        let end = memmem::find(wire, b"\n\n").expect("an empty line behind the head");
        let (head, body) = wire.split_at(end + 2);
        let head = std::str::from_utf8(head).expect("text");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        // FreeSWITCH would read more than that as another command.
        assert_eq!(length.map_or(0, |length| length.parse().expect("a length")), body.len());
    }
}
