//! Texts that people write to the addresses their clients were given. Each must reach the client that the address is
//! for, and no other.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::process::{arrives, quiet};
use crate::scenario::{Step, expect};
use crate::sidecall::clients::Client;

/// How long a text may take.
const LIMIT: Duration = Duration::from_secs(8);

/// The texts that were written in one scenario.
#[derive(Debug, Default)]
pub(super) struct Letters {
    /// Each text, and the name of the person it was written to.
    sent: Vec<(String, String)>,
    last: Option<Instant>,
}

impl Letters {
    /// Writes to an address and waits until the text is at the client it is for; `post` sends it and returns the status.
    pub(crate) fn write(
        &mut self,
        address: &str,
        (to, client): (&str, &dyn Client),
        post: impl FnOnce(&str, &str) -> u16,
    ) -> Step<()> {
        // No other test or scenario writes the same text.
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let text = format!("letter {:06} to {to}", COUNT.fetch_add(1, Ordering::Relaxed));
        self.sent.push((text.clone(), to.to_owned()));
        let status = post(address, &text);
        self.last = Some(Instant::now());
        expect(status == 202, format!("a text to {to} at {address} is answered with {status}"))?;
        let arrived = arrives(LIMIT, || client.shows(&text));
        expect(arrived, format!("a text that was taken at {address} did not reach the client of {to}"))
    }

    /// No text has reached anybody's client but that of the person it was for. Waits until a stray text would have
    /// arrived.
    pub(crate) fn none_astray<'a>(&self, everybody: impl IntoIterator<Item = (&'a str, &'a dyn Client)>) -> Step<()> {
        if let Some(last) = self.last {
            std::thread::sleep(quiet().saturating_sub(last.elapsed()));
        }
        for (name, client) in everybody {
            let shown = client.shown().join("\n");
            let stray = self.sent.iter().find(|(text, to)| to != name && shown.contains(text));
            expect(stray.is_none(), format!("the client of {name} shows {stray:?}"))?;
        }
        Ok(())
    }
}
