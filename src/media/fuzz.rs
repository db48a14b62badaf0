//! What must hold for anything that another device says. Compiled with the crate so that it can't fall behind it; run by the
//! fuzzer (`fuzz/`).

use super::description::{certificate_of, data_section, without_candidates};
use super::signal::{FileBundle, Signal, parse_signal};
use super::transfer::receiver::{FileReceiver, ReceiverAction};

/// Parses what a device posts, and takes the description of an offer apart.
///
/// # Panics
///
/// If a candidate is left in a description that has none.
pub fn signals(data: &[u8]) {
    let Ok(content) = serde_json::from_slice(data) else { return };
    if let Some(Signal::Offer(offer)) = parse_signal(&content).map(|received| received.signal) {
        let (rest, _) = without_candidates(&offer.sdp);
        assert!(without_candidates(&rest).1.is_empty());
        assert_eq!(data_section(&rest), data_section(&offer.sdp));
        assert_eq!(certificate_of(&rest), certificate_of(&offer.sdp));
    }
}

/// Receives files: each line is a text frame, or bytes if it begins with a space.
///
/// # Panics
///
/// If more is written than was announced, or a path leads out of its folder.
pub fn file_channel(data: &[u8]) {
    let bundle = FileBundle { count: 3, bytes: 4096, name: "x".to_owned() };
    let mut receiver = FileReceiver::new(bundle);
    let (mut actions, mut bytes) = (receiver.opened(), 0);
    for line in data.split(|byte| *byte == b'\n') {
        actions.extend(match line.strip_prefix(b" ") {
            Some(line) => receiver.bytes(line.to_vec()),
            None => receiver.frame(&String::from_utf8_lossy(line)),
        });
    }
    for action in actions {
        match action {
            ReceiverAction::Write(block) => bytes += block.len(),
            ReceiverAction::Open(path) => {
                assert!(
                    path.iter().all(|name| !name.starts_with('.') && !name.contains(['/', '\\', '\0'])),
                    "{path:?}"
                );
            }
            _ => {}
        }
    }
    assert!(bytes <= 4096, "{bytes}");
}
