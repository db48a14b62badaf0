//! `--receive`: files that other devices offer, from the invitation to the folder.
//!
//! It decides, and leaves posting and printing to the client: each method returns what is to be done.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::claims::{ASKED_ATTEMPTS, UNASKED_ATTEMPTS, claim};
use super::file_news::{FileInput, FileNews, FileOutput, Obstacle};
use super::own_side::{OwnSide, new_tag};
use super::running_session::RunningSession;
use super::running_sessions::{RunningSessions, TRANSFERS};
use super::stream::Current;
use crate::cli::api_client::Api;
use crate::contract::Role;
use crate::core::address::Address;
use crate::core::base::name::{CallId, InvitationId};
use crate::media::error::MediaError;
use crate::media::invitations::{FileInvitation, FileInvitations, INVITATIONS_MAX};
use crate::media::remote_addresses::RemoteAddresses;
use crate::media::session_events::{SessionCommand, SessionEvent, SessionOver, SessionSettings};
use crate::media::signal::{DeviceTag, FileInvite, OwnSignal, ReceivedSignal, Signal};
use crate::media::transfer::frames::CancelReason;
use crate::media::{MediaSession, session_task};

/// What is to be done after the answer to a claim: an error if the files don't come.
type FollowUp = Result<Vec<FileOutput>, Vec<FileOutput>>;

/// All invitations and sessions of this client.
#[derive(Debug)]
pub(super) struct Receiving {
    settings: SessionSettings,
    /// Room on the disk that one call may fill without being asked for, in bytes, if any.
    unasked_max: Option<u64>,
    api: Api,
    client: Current,
    inputs: mpsc::UnboundedSender<FileInput>,
    calls: HashMap<CallId, OwnSide>,
    invitations: FileInvitations,
    /// The latest offers, with the number that the user types, from 1.
    numbered: VecDeque<(usize, CallId, InvitationId)>,
    /// Claims that the node has not answered.
    claims: usize,
    /// The client ends: nothing is claimed any more.
    end: CancellationToken,
    sessions: RunningSessions,
    /// Sessions since the start of the client.
    started: u64,
}

impl Receiving {
    pub(super) fn new(
        settings: SessionSettings,
        unasked_max: Option<u64>,
        api: Api,
        client: Current,
    ) -> (Receiving, mpsc::UnboundedReceiver<FileInput>) {
        let (inputs, received) = mpsc::unbounded_channel();
        let receiving = Receiving {
            settings,
            unasked_max,
            api,
            client,
            inputs,
            calls: HashMap::new(),
            invitations: FileInvitations::default(),
            numbered: VecDeque::new(),
            claims: 0,
            end: CancellationToken::new(),
            sessions: RunningSessions::default(),
            started: 0,
        };
        (receiving, received)
    }

    /// The other side of a call is known, or has another address now.
    pub(super) fn met(&mut self, call: &CallId, role: Role, address: &Address, reply: Option<&Address>) {
        let (reply, address) = (reply.cloned(), address.clone());
        // What the device calls itself lasts as long as the call, and so do its limits.
        let (tag, unasked, addresses) = match self.calls.remove(call) {
            Some(known) => (Some(known.tag), known.unasked, known.addresses),
            None => (new_tag(), 0, Arc::new(RemoteAddresses::new(self.settings.address, Instant::now()))),
        };
        if let Some(tag) = tag {
            let side = OwnSide { role, tag, reply, address, unasked, addresses, is_over: false };
            self.calls.insert(call.clone(), side);
        }
    }

    /// Somebody has left a call, and those at these addresses stay. What may be with anybody else ends.
    pub(super) fn somebody_left(&mut self, call: &CallId, stay: &[Address]) {
        let stays = |sender: Option<&Address>| sender.is_some_and(|sender| stay.contains(sender));
        self.invitations.somebody_left(call, stays);
        let is_gone = |session: &&mut RunningSession| session.call == *call && !stays(session.sender.as_ref());
        self.sessions.iter_mut().filter(is_gone).for_each(RunningSession::end);
    }

    /// A call is over for this client's number. Once its sessions are over, nothing of it is kept.
    pub(super) fn call_over(&mut self, call: &CallId) {
        self.somebody_left(call, &[]);
        self.calls.get_mut(call).into_iter().for_each(|side| side.is_over = true);
        self.forget(call);
    }

    fn forget(&mut self, call: &CallId) {
        if self.sessions.of_call(call) == 0 && self.calls.get(call).is_some_and(|side| side.is_over) {
            self.calls.remove(call);
        }
    }

    /// The client ends. It takes no more files.
    pub(super) fn end(&mut self) {
        self.end.cancel();
        self.invitations = FileInvitations::default();
        self.sessions.iter_mut().for_each(RunningSession::end);
    }

    /// Whether no session is open.
    pub(super) fn is_idle(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Whether the node has still to answer a claim. If it is won, its device must learn whether the files can come.
    pub(super) fn is_claiming(&self) -> bool {
        self.claims > 0
    }

    /// Another client of the number has an invitation.
    pub(super) fn claimed_elsewhere(&mut self, call: &CallId, invitation: &InvitationId) {
        self.invitations.forget(call, invitation, None);
    }

    /// Takes what another device says. `sender` is the address of the party whose device it is, if the node has named it.
    pub(super) fn signal(&mut self, call: &CallId, sender: Option<&Address>, said: ReceivedSignal) -> Vec<FileOutput> {
        let ReceivedSignal { from, reply, signal } = said;
        // What is said after the end begins nothing: nobody would end it.
        let Some(side) = self.calls.get(call).filter(|side| side.tag != from && !side.is_over) else {
            return Vec::new();
        };
        match signal {
            Signal::Invite(invite) => {
                // In a conference, `side.address` may be another party's.
                let reply = reply.filter(|reply| side.knows(reply)).or_else(|| sender.cloned());
                let address = reply.unwrap_or_else(|| side.address.clone());
                let (call, sender) = (call.clone(), sender.cloned());
                return self.invited(FileInvitation { call, from, address, sender, invite });
            }
            Signal::Bye { session, invitation } => {
                let running = invitation.filter(|id| self.invitations.forget(call, id, Some(&from)).is_none());
                if let Some(invitation) = running {
                    self.command(call, &from, SessionCommand::Cancel { invitation, reason: CancelReason::Gone });
                }
                let signal = Signal::Bye { session, invitation: None };
                self.command(call, &from, SessionCommand::Signal(signal));
            }
            signal => self.command(call, &from, SessionCommand::Signal(signal)),
        }
        Vec::new()
    }

    fn invited(&mut self, invitation: FileInvitation) -> Vec<FileOutput> {
        let (call, id) = (invitation.call.clone(), invitation.invite.invitation.clone());
        let (files, sender) = (invitation.invite.files.clone(), invitation.sender.clone());
        let room = files.room();
        if !self.invitations.receive(invitation) {
            return Vec::new();
        }
        let n = self.numbered.back().map_or(1, |(n, ..)| n + 1);
        if self.numbered.len() == INVITATIONS_MAX {
            self.numbered.pop_front();
        }
        self.numbered.push_back((n, call.clone(), id.clone()));
        let obstacle =
            self.accept_unasked(n, &call, &id, room).err().map(|obstacle| FileNews::Unaccepted { n, obstacle });
        let news = [FileNews::Invited { n, files }].into_iter().chain(obstacle);
        news.map(|news| FileOutput::Show { call: call.clone(), sender: sender.clone(), news }).collect()
    }

    /// Accepts an invitation without the user, if that is wanted and the call hasn't sent too much in this way.
    fn accept_unasked(&mut self, n: usize, call: &CallId, id: &InvitationId, room: u64) -> Result<(), Obstacle> {
        let (Some(max), Some(side)) = (self.unasked_max, self.calls.get(call)) else { return Ok(()) };
        let unasked = side.unasked.saturating_add(room);
        if unasked > max {
            return Err(Obstacle::AcceptMax);
        }
        self.claim(n, call, id, true).map_err(Obstacle::Full)?;
        if let Some(side) = self.calls.get_mut(call) {
            side.unasked = unasked;
        }
        Ok(())
    }

    /// The offer that the user means, which is open: the one with this number, or the latest.
    fn named(&self, n: Option<usize>) -> Result<(usize, CallId, InvitationId), String> {
        let is_named = |(number, call, id): &&(usize, CallId, InvitationId)| {
            n.is_none_or(|n| n == *number) && self.invitations.open_one(call, id).is_some()
        };
        let found = self.numbered.iter().rev().find(is_named);
        found.cloned().ok_or_else(|| "no such offer of files is open".to_owned())
    }

    /// Accepts an invitation. Its claim is under way then.
    pub(super) fn accept(&mut self, n: Option<usize>) -> Result<(), String> {
        let (n, call, invitation) = self.named(n)?;
        self.claim(n, &call, &invitation, false).map_err(str::to_owned)
    }

    /// Claims an open invitation, if its files can come now: no other client gets what was claimed and is then declined.
    fn claim(&mut self, n: usize, call: &CallId, id: &InvitationId, is_unasked: bool) -> Result<(), &'static str> {
        if let Some(open) = self.invitations.open_one(call, id) {
            self.sessions.check_room(call, &open.from, self.invitations.claiming())?;
        }
        let Some(invitation) = self.invitations.accept(call, id).map(Box::new) else { return Ok(()) };
        let (api, client, inputs) = (self.api.clone(), self.client.clone(), self.inputs.clone());
        let end = self.end.clone();
        let attempts = if is_unasked { UNASKED_ATTEMPTS } else { ASKED_ATTEMPTS };
        self.claims += 1;
        tokio::spawn(async move {
            let won = claim(&api, &client, &invitation.call, &invitation.invite.invitation, attempts, &end).await;
            // If the client has ended, nobody waits for it.
            let _ = inputs.send(FileInput::Claimed { n, invitation, is_unasked, won });
        });
        Ok(())
    }

    /// Declines an invitation.
    pub(super) fn decline(&mut self, n: Option<usize>) -> Result<Vec<FileOutput>, String> {
        let (_, call, id) = self.named(n)?;
        let declined = self.invitations.forget(&call, &id, None);
        Ok(declined.and_then(|it| self.post(&call, it.address, &OwnSignal::Decline(id))).into_iter().collect())
    }

    /// Follows up on what happened in the background.
    pub(super) async fn input(&mut self, input: FileInput) -> Vec<FileOutput> {
        match input {
            FileInput::Claimed { n, invitation, is_unasked, won } => {
                self.claims -= 1;
                let followed = self.claimed(n, &invitation, won).await;
                if is_unasked
                    && followed.is_err()
                    && let Some(side) = self.calls.get_mut(&invitation.call)
                {
                    // It doesn't come, so it doesn't count.
                    side.unasked = side.unasked.saturating_sub(invitation.invite.files.room());
                }
                followed.unwrap_or_else(|outputs| outputs)
            }
            FileInput::Session { key, event } => self.session_event(key, event),
        }
    }

    async fn claimed(&mut self, n: usize, invitation: &FileInvitation, won: Result<bool, String>) -> FollowUp {
        let FileInvitation { call, address, sender, invite, .. } = invitation;
        let mut declined = None;
        // Unless the client ends, which forgets all of them.
        let withdrawn = (!self.end.is_cancelled()).then_some(FileNews::Withdrawn { n });
        let news = match won {
            Ok(true) => {
                if self.invitations.won(invitation) {
                    return self.won(n, invitation.clone()).await;
                }
                // It was forgotten meanwhile. Its device must not wait for us.
                declined = self.post(call, address.clone(), &OwnSignal::Decline(invite.invitation.clone()));
                withdrawn
            }
            Ok(false) => {
                self.invitations.forget(call, &invite.invitation, None);
                Some(FileNews::Lost { n })
            }
            Err(error) => {
                let is_open = self.invitations.claim_failed(invitation);
                let unaccepted = FileNews::Unaccepted { n, obstacle: Obstacle::Node(error) };
                if is_open { Some(unaccepted) } else { withdrawn }
            }
        };
        let shown = news.map(|news| FileOutput::Show { call: call.clone(), sender: sender.clone(), news });
        Err(declined.into_iter().chain(shown).collect())
    }

    /// An invitation is ours: answers it, in the session that there is with its device, or in a new one.
    async fn won(&mut self, n: usize, invitation: FileInvitation) -> FollowUp {
        let call = &invitation.call;
        let side = self.calls.get(call).map(|side| (side.role, side.addresses.clone()));
        let Some((role, addresses)) = side else { return Err(Vec::new()) };
        if let Err(why) = self.sessions.check_room(call, &invitation.from, std::iter::empty()) {
            return self.refuse(n, invitation, why);
        }
        if self.sessions.serving(call, &invitation.from).is_none() {
            match self.start(&invitation, addresses).await {
                Ok(session) => self.sessions.add(session),
                Err(error) => return self.refuse(n, invitation, &error.to_string()),
            }
        }
        let FileInvite { invitation: id, files, .. } = invitation.invite.clone();
        let Some(session) = self.sessions.serving_mut(call, &invitation.from) else {
            return self.refuse(n, invitation, TRANSFERS);
        };
        // Before the device learns that it may send.
        if !session.expect(n, id.clone(), files) {
            return self.refuse(n, invitation, TRANSFERS);
        }
        let accept = OwnSignal::Accept { invitation: id, session: session.id().clone(), role, own: session.own };
        // Whoever uses the name of a device learns nothing of its session.
        let address = session.address.clone();
        Ok(self.post(&invitation.call, address, &accept).into_iter().collect())
    }

    /// Declines what the user has accepted, and says why.
    fn refuse(&self, n: usize, invitation: FileInvitation, why: &str) -> FollowUp {
        let FileInvitation { call, address, sender, invite, .. } = invitation;
        let declined = self.post(&call, address, &OwnSignal::Decline(invite.invitation));
        let shown = FileOutput::Show { call, sender, news: FileNews::Declined { n, problem: why.to_owned() } };
        Err(declined.into_iter().chain([shown]).collect())
    }

    async fn start(
        &mut self,
        invitation: &FileInvitation,
        addresses: Arc<RemoteAddresses>,
    ) -> Result<RunningSession, MediaError> {
        self.started += 1;
        let key = self.started;
        let own = self.settings.identity.proof(rand::random());
        let session = MediaSession::new(&invitation.invite, own);
        let (handle, mut events) = session_task::start(session, self.settings.clone(), addresses).await?;
        let inputs = self.inputs.clone();
        tokio::spawn(async move {
            let mut is_over = false;
            while !is_over {
                let event = events.recv().await.unwrap_or(SessionEvent::Over(SessionOver::Broken));
                is_over = matches!(event, SessionEvent::Over(_));
                if inputs.send(FileInput::Session { key, event }).is_err() {
                    break;
                }
            }
        });
        Ok(RunningSession::new(key, invitation, own, handle))
    }

    fn session_event(&mut self, key: u64, event: SessionEvent) -> Vec<FileOutput> {
        let Some(session) = self.sessions.with_key(key) else { return Vec::new() };
        let (call, sender) = (session.call.clone(), session.sender.clone());
        let news = match event {
            SessionEvent::Say(answer) => {
                let address = session.address.clone();
                return self.post(&call, address, &answer).into_iter().collect();
            }
            SessionEvent::Words(words) => Some(FileNews::Words(words)),
            SessionEvent::Connected => None,
            SessionEvent::Interrupted => Some(FileNews::Interrupted),
            SessionEvent::Progress { invitation, received } => session.progress(&invitation, received),
            SessionEvent::Saved { invitation, files } => {
                session.ended(&invitation).map(|n| FileNews::Saved { n, files })
            }
            SessionEvent::Failed { invitation, reason } => {
                session.ended(&invitation).map(|n| FileNews::Failed { n, reason })
            }
            SessionEvent::Over(over) => return self.session_over(key, over),
        };
        news.map(|news| FileOutput::Show { call, sender, news }).into_iter().collect()
    }

    /// Forgets a session. A transfer whose end it has not told will not go on.
    fn session_over(&mut self, key: u64, over: SessionOver) -> Vec<FileOutput> {
        let Some(session) = self.sessions.remove(key) else { return Vec::new() };
        let (call, sender) = (&session.call, &session.sender);
        self.forget(call);
        let impostor = (over == SessionOver::Impostor).then_some(FileNews::Impostor);
        let failed = session.running().into_iter().map(|n| FileNews::Failed { n, reason: CancelReason::Gone });
        let news = impostor.into_iter().chain(failed);
        news.map(|news| FileOutput::Show { call: call.clone(), sender: sender.clone(), news }).collect()
    }

    fn command(&self, call: &CallId, with: &DeviceTag, command: SessionCommand) {
        if let Some(session) = self.sessions.serving(call, with) {
            // A device that floods its session loses what it says.
            let _ = session.tell(command);
        }
    }

    /// A message in this call, with who says it and where answers go.
    fn post(&self, call: &CallId, address: Address, answer: &OwnSignal) -> Option<FileOutput> {
        let side = self.calls.get(call)?;
        let mut content = answer.content();
        content["from"] = side.tag.to_string().into();
        if let Some(reply) = &side.reply {
            content["reply"] = reply.as_str().into();
        }
        Some(FileOutput::Post { call: call.clone(), address, content })
    }
}

#[cfg(test)]
#[path = "receive_tests.rs"]
mod tests;
