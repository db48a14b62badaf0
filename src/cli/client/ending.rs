//! The end of the client: no transfer is left half in its folder, and the last messages are sent.

use std::time::Duration;

use tokio::sync::mpsc;

use super::Client;
use super::file_news::FileInput;
use super::receive::Receiving;
use super::sender::SendOutcome;

/// How long the end waits for the disk, and for what is still to be sent.
const FILES_WITHIN: Duration = Duration::from_secs(5);
pub(super) const POSTS_WITHIN: Duration = Duration::from_secs(2);
/// What the user must know if time is up for the disk.
const DISK_HANGS: &str = "the disk doesn't answer: the last files may be incomplete, and hidden folders may stay";

impl Client {
    /// Ends the transfers, and waits for the disk and the last messages.
    pub(super) async fn finish(
        &mut self,
        mut inputs: mpsc::UnboundedReceiver<FileInput>,
        mut outcomes: mpsc::Receiver<SendOutcome>,
    ) -> anyhow::Result<()> {
        self.files.iter_mut().for_each(Receiving::end);
        // Until what isn't complete is removed from the folder, …
        let is_saved = |client: &Client| client.files.iter().all(Receiving::is_idle);
        let saved = self.follow_up(&mut inputs, &mut outcomes, FILES_WITHIN, is_saved).await;
        let noted = if is_saved(self) { Ok(()) } else { self.show.note(DISK_HANGS) };
        // … the last claim is answered, the last message is sent, and the last acknowledgement.
        let is_claiming = |client: &Client| client.files.iter().any(Receiving::is_claiming);
        let is_sent = |client: &Client| !client.sender.is_busy() && !is_claiming(client);
        let sent = self.follow_up(&mut inputs, &mut outcomes, POSTS_WITHIN, is_sent).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        saved.and(noted).and(sent)
    }

    /// Follows what goes on in the background until this holds, or time is up, also if it can't be shown.
    async fn follow_up(
        &mut self,
        inputs: &mut mpsc::UnboundedReceiver<FileInput>,
        outcomes: &mut mpsc::Receiver<SendOutcome>,
        within: Duration,
        until: impl Fn(&Client) -> bool,
    ) -> anyhow::Result<()> {
        let mut result = Ok(());
        let pending = async {
            while !until(self) {
                let shown = tokio::select! {
                    Some(input) = inputs.recv() => self.file_input(input).await,
                    Some(outcome) = outcomes.recv() => self.sent(&outcome),
                    else => break,
                };
                result = std::mem::replace(&mut result, Ok(())).and(shown);
            }
        };
        // If time is up, the next step follows all the same.
        let _ = tokio::time::timeout(within, pending).await;
        result
    }
}
