//! Texts that people write to the addresses their clients were given. Each must reach the client that the address is
//! for, and no other.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::process::{arrives, quiet};
use crate::sidecall::clients::Client;

/// How long a text may take.
const LIMIT: Duration = Duration::from_secs(8);

/// The texts that were written in one scenario.
#[derive(Debug, Default)]
pub struct Letters {
    /// Each text, and the name of the person it was written to.
    sent: Vec<(String, String)>,
    last: Option<Instant>,
}

impl Letters {
    /// A text that no other test or scenario writes.
    pub fn text(&mut self, to: &str) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let text = format!("letter {:06} to {to}", COUNT.fetch_add(1, Ordering::Relaxed));
        self.sent.push((text.clone(), to.to_owned()));
        text
    }

    /// Writes to an address and waits until the text is at the client it is for; `post` sends it and returns the status.
    ///
    /// # Errors
    /// Says what became of the text instead.
    pub fn write(
        &mut self,
        address: &str,
        (to, client): (&str, &dyn Client),
        post: impl FnOnce(&str, &str) -> u16,
    ) -> Result<(), String> {
        let text = self.text(to);
        let status = post(address, &text);
        self.last = Some(Instant::now());
        if status != 202 {
            return Err(format!("a text to {to} at {address} is answered with {status}"));
        }
        match arrives(LIMIT, || client.shows(&text)) {
            true => Ok(()),
            false => Err(format!("a text that was taken at {address} did not reach the client of {to}")),
        }
    }

    /// The texts that reached a client of somebody else. Waits until a stray text would have arrived.
    pub(crate) fn astray(&self, everybody: &[(&str, &dyn Client)]) -> Vec<String> {
        if let Some(last) = self.last {
            std::thread::sleep(quiet().saturating_sub(last.elapsed()));
        }
        let mut astray = Vec::new();
        for (name, client) in everybody {
            let shown = client.shown().join("\n");
            let wrong = self.sent.iter().filter(|(text, to)| to != name && shown.contains(text));
            astray.extend(wrong.map(|(text, _)| format!("the client of {name} shows {text:?}")));
        }
        astray
    }
}
