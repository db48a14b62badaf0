//! What the client does about files: it carries out what [`Receiving`] decides.

use super::Client;
use super::file_news::{FileInput, FileOutput};
use super::receive::Receiving;
use super::sender::PostContent;
use crate::contract::{Message, MessageBody, Notice, NoticeBody};
use crate::media::signal::parse_signal;

impl Client {
    /// Takes what another device says about files. Returns false if the message is something else.
    pub(super) fn signalled(&mut self, message: &Message) -> anyhow::Result<bool> {
        let (Some(files), MessageBody::Message { content, guest, sender }) = (&mut self.files, &message.body) else {
            return Ok(false);
        };
        let Some(signal) = parse_signal(content) else { return Ok(false) };
        // An answer has this client's own address, which no guest may learn. Who has left shares nothing any more.
        if guest.is_some() || self.peers.has_left(&message.call, sender.as_ref()) {
            return Ok(true);
        }
        let outputs = files.signal(&message.call, sender.as_ref(), signal);
        self.carry_out(outputs)?;
        Ok(true)
    }

    pub(super) fn noticed(&mut self, notice: &Notice) {
        let Some(files) = &mut self.files else { return };
        match &notice.body {
            NoticeBody::Claimed { invitation, .. } => files.claimed_elsewhere(&notice.call, invitation),
            NoticeBody::Over => files.call_over(&notice.call),
            NoticeBody::Ringing { .. }
            | NoticeBody::Answered { .. }
            | NoticeBody::GuestJoined { .. }
            | NoticeBody::GuestLeft { .. } => {}
        }
    }

    pub(super) async fn file_input(&mut self, input: FileInput) -> anyhow::Result<()> {
        let Some(files) = &mut self.files else { return Ok(()) };
        let outputs = files.input(input).await;
        self.carry_out(outputs)
    }

    fn carry_out(&mut self, outputs: Vec<FileOutput>) -> anyhow::Result<()> {
        for output in outputs {
            match output {
                FileOutput::Show { call, sender, news } => {
                    self.show.files(&call, self.peers.sender(&call, sender.as_ref()).as_ref(), &news)?;
                }
                FileOutput::Post { call, address, content } => {
                    // A call whose other side is unknown has no session.
                    let Some(label) = self.peers.of(&call) else { continue };
                    let sent = self.sender.send(label, address, PostContent::Signal(content));
                    sent.or_else(|problem| self.show.note(&problem))?;
                }
            }
        }
        Ok(())
    }

    /// Answers an offer of files.
    pub(super) fn answer_offer(
        &mut self,
        answer: impl FnOnce(&mut Receiving) -> Result<Vec<FileOutput>, String>,
    ) -> anyhow::Result<()> {
        let Some(files) = &mut self.files else { return self.show.note("start with --receive DIR to get files") };
        match answer(files) {
            Ok(outputs) => self.carry_out(outputs),
            Err(problem) => self.show.note(&problem),
        }
    }
}
