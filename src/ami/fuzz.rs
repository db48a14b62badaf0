//! What must hold for any bytes at all. Compiled with the crate so that it can't fall behind it;
//! run by `tests/wire_ami.rs` and by the fuzzer (`fuzz/`).

use super::{Action, AmiCodec, AmiError, AmiEvent, AmiFrame};
use crate::wire;

/// Decodes `data` cut into chunks of these sizes, until its end or the first error.
pub fn decode(data: &[u8], chunks: &[usize]) -> (Vec<AmiFrame>, Option<AmiError>) {
    wire::fuzz::decode(AmiCodec::default(), data, chunks)
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
        event(frame.as_bytes());
        if let Some(reply) = frame.into_reply() {
            let _output = reply.output();
            let _verdict = reply.accepted();
        }
    }
    event(data);
}

/// Any bytes can be asked for fields.
pub fn event(data: &[u8]) {
    let event = AmiEvent::new(data.to_vec().into());
    let [a, b] = event.fields(["Event", "Uniqueid"]);
    assert_eq!(a, event.get("event"));
    assert_eq!(b, event.get_all("UNIQUEID").next());
}

/// Whatever the argument, an action is one action or none.
pub fn command(text: &str) {
    let actions = [
        Action::new(text),
        Action::ping().with("Key", text),
        Action::ping().with(text, "value"),
        Action::set_variable(Some(text), "V", text),
        Action::set_variable(None, text, "v"),
        Action::set_fields(text, "V", &[text.to_owned()]),
        Action::command(text),
    ];
    for action in actions.into_iter().flatten() {
        let wire = action.to_bytes("1");
        assert!(wire.ends_with(b"\r\n\r\n"));
        let inner = &wire[..wire.len() - 1];
        assert!(!inner.windows(4).any(|end| end == b"\r\n\r\n"));
        let breaks = inner.iter().filter(|b| **b == b'\n').count();
        assert_eq!(breaks, inner.windows(2).filter(|w| w == b"\r\n").count());
    }
}
