//! Scripted PBXs, for what a real one does too seldom, too slowly or not often enough: event sockets and manager interfaces
//! that say what they are told to. They live in a tokio runtime.

mod asterisk;
mod freeswitch;

pub use asterisk::{Action, Asterisk};
pub use freeswitch::Freeswitch;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::{broadcast, mpsc};

/// What was said to a script, and when.
pub type Heard<T> = mpsc::UnboundedReceiver<(Instant, T)>;

/// Events that a connection may be behind.
const BACKLOG: usize = 10_000;

/// What a connection gets of the PBX's events: nothing until it subscribes, so that it holds none up either.
type Subscription = Option<broadcast::Receiver<Arc<str>>>;

/// The next event of a subscription.
async fn next_event(events: &mut Subscription) -> Option<Arc<str>> {
    match events {
        Some(events) => events.recv().await.ok(),
        None => std::future::pending().await,
    }
}

/// Microseconds since 1970.
pub fn micros() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros()
}

/// Waits for something that is said.
pub async fn until<T>(heard: &mut Heard<T>, wanted: impl Fn(&T) -> bool) -> T {
    until_within(Duration::from_secs(5), heard, wanted).await
}

/// Waits so long for something that is said.
pub async fn until_within<T>(limit: Duration, heard: &mut Heard<T>, wanted: impl Fn(&T) -> bool) -> T {
    let find = async {
        loop {
            let (_, said) = heard.recv().await.expect("the script goes on");
            if wanted(&said) {
                return said;
            }
        }
    };
    tokio::time::timeout(limit, find).await.expect("it was not said")
}
