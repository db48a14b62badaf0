//! FreeSWITCH's outbound sockets: `direct` mode.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::agent::link::context::LinkContext;
use crate::monitor::brief;
use crate::pbx::Announcement;
use crate::pbx::freeswitch::direct::{Held, accept};

/// Sockets whose channel data haven't come: more calls than one FreeSWITCH sets up in that time.
const SILENT: usize = 500;

/// Accepts sockets until it is dropped.
pub(super) fn listen(
    context: &LinkContext,
    listener: TcpListener,
    held: mpsc::Sender<(Announcement, Held)>,
) -> AbortOnDropHandle<()> {
    let name = format!("direct listener of {}", context.pbx.name);
    // It ends with the link alone, which drops it.
    let never = CancellationToken::new();
    AbortOnDropHandle::new(context.shared.tasks.spawn(name, &never, accept_all(listener, held)))
}

/// In a flood of silent sockets it closes what comes: the dialplan of a call then goes on at once, and the process keeps
/// its descriptors.
async fn accept_all(listener: TcpListener, held: mpsc::Sender<(Announcement, Held)>) {
    let silent = Arc::new(Semaphore::new(SILENT));
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, most likely: the dialplan goes on, and so do we.
                tracing::warn!(%error, "could not accept a call's socket");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(place) = silent.clone().try_acquire_owned() else {
            tracing::debug!("too many silent sockets: a call's is closed");
            continue;
        };
        let held = held.clone();
        tokio::spawn(brief("direct", async move {
            let call = accept(stream).await;
            drop(place);
            match call {
                Ok(Some(call)) => drop(held.send(call).await),
                // Closing the socket lets the dialplan go on.
                Ok(None) => tracing::debug!("a socket for a call that the snippet did not announce"),
                Err(error) => tracing::debug!(%error, "a call's socket broke"),
            }
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pbx::freeswitch::direct::DATA_WITHIN;
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpStream;

    #[tokio::test]
    async fn silent_sockets_end_and_are_limited() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let _listening = AbortOnDropHandle::new(tokio::spawn(accept_all(listener, mpsc::channel(1).0)));
        let mut silent = Vec::new();
        for _ in 0..SILENT {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        // Those that are taken are greeted with `connect`.
        let mut greeting = [0; 9];
        silent[SILENT - 1].read_exact(&mut greeting).await.unwrap();
        assert_eq!(&greeting, b"connect\n\n");
        let mut one_too_many = TcpStream::connect(address).await.unwrap();
        assert!(!one_too_many.read(&mut greeting).await.is_ok_and(|n| n > 0), "it was greeted");
        let ended = async {
            let mut rest = Vec::new();
            for stream in &mut silent {
                let _ = stream.read_to_end(&mut rest).await;
            }
        };
        tokio::time::timeout(DATA_WITHIN * 10, ended).await.expect("silent sockets stay open");
        TcpStream::connect(address).await.unwrap().read_exact(&mut greeting).await.unwrap();
    }
}
