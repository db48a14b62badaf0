//! A session with its socket: the loop that joins the agreement, the connection and the transfers.
//!
//! The client passes on what the other device says, and posts what the session says. One UDP socket serves all connections
//! of the session, one after the other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::connection::{ConnectionEvent, MediaConnection};
use super::description::data_section;
use super::download::DiskNews;
use super::error::MediaError;
use super::remote_addresses::RemoteAddresses;
use super::session::{MediaSession, OfferVerdict, RestartVerdict};
use super::session_events::{SessionCommand, SessionEvent, SessionHandle, SessionOver, SessionSettings};
use super::signal::{ConnectionOffer, OwnSignal, Signal};
use super::transfer::frames::FileFrame;
use super::transfers::{ChannelAction, Transfers};
use crate::core::base::name::InvitationId;

const PATIENCE: Patience = Patience { connection: Duration::from_secs(15), channels: Duration::from_secs(15) };
/// The longest sleep of the loop.
const SLEEP: Duration = Duration::from_secs(1);
/// Candidates that may arrive before the offer that they belong to.
const EARLY_MAX: usize = 64;
const COMMANDS: usize = 64;
/// The longest datagram that WebRTC sends.
const DATAGRAM: usize = 2000;

/// How long a session waits for the other device.
#[derive(Debug, Clone, Copy)]
struct Patience {
    /// For a connection, the first time and again.
    connection: Duration,
    /// For the channels of its files, once there is a connection.
    channels: Duration,
}

/// Starts a session: binds its socket, and waits for the other device's offer. `addresses` are those of its call.
///
/// # Errors
/// If the socket can't be bound.
pub async fn start(
    session: MediaSession,
    settings: SessionSettings,
    addresses: Arc<RemoteAddresses>,
) -> Result<(SessionHandle, mpsc::UnboundedReceiver<SessionEvent>), MediaError> {
    start_with(session, settings, addresses, PATIENCE).await
}

async fn start_with(
    session: MediaSession,
    settings: SessionSettings,
    addresses: Arc<RemoteAddresses>,
    patience: Patience,
) -> Result<(SessionHandle, mpsc::UnboundedReceiver<SessionEvent>), MediaError> {
    let address = settings.address;
    let refused = |why| MediaError::Socket { address, why };
    let socket = UdpSocket::bind((address, 0)).await.map_err(refused)?;
    let local = socket.local_addr().map_err(refused)?;
    let (commands, command_receiver) = mpsc::channel(COMMANDS);
    let (events, event_receiver) = mpsc::unbounded_channel();
    let (disk, disk_news) = mpsc::unbounded_channel();
    let handle = SessionHandle { id: session.id().clone(), commands };
    let transfers = Transfers::new(settings.folder.clone(), disk, events.clone());
    let task = SessionTask {
        session,
        settings,
        socket,
        local,
        connection: None,
        addresses,
        early: Vec::new(),
        patience,
        give_up: Some(Instant::now() + patience.connection),
        transfers,
        events,
        has_words: false,
        over: None,
    };
    tokio::spawn(task.run(command_receiver, disk_news));
    Ok((handle, event_receiver))
}

struct SessionTask {
    session: MediaSession,
    settings: SessionSettings,
    socket: UdpSocket,
    local: SocketAddr,
    /// Made by the first offer of its round.
    connection: Option<MediaConnection>,
    addresses: Arc<RemoteAddresses>,
    early: Vec<String>,
    patience: Patience,
    /// When a connection that isn't up counts as lost.
    give_up: Option<Instant>,
    transfers: Transfers,
    events: mpsc::UnboundedSender<SessionEvent>,
    has_words: bool,
    /// Why the session must end now.
    over: Option<SessionOver>,
}

impl SessionTask {
    async fn run(
        mut self,
        mut commands: mpsc::Receiver<SessionCommand>,
        mut disk_news: mpsc::UnboundedReceiver<(InvitationId, DiskNews)>,
    ) {
        let mut datagram = [0; DATAGRAM];
        let over = loop {
            let wake = self.wake();
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.command(command),
                    None => self.over = Some(SessionOver::Closed),
                },
                Some((invitation, news)) = disk_news.recv() => {
                    let action = self.transfers.disk_news(invitation, news);
                    self.carry_out(action);
                }
                // An error tells of a datagram that was refused somewhere. ICE notices by itself.
                Ok((length, from)) = self.socket.recv_from(&mut datagram) => {
                    let addresses = self.addresses.clone();
                    self.change(|it| it.receive(from, &datagram[..length], &addresses, Instant::now()));
                }
                () = tokio::time::sleep_until(wake.into()) => self.timeout(),
            }
            if self.over.is_none() {
                self.pump().await;
            }
            if let Some(over) = self.over {
                break over;
            }
        };
        // Nothing is accepted any more while the disk is waited for.
        drop(commands);
        self.end(over, disk_news).await;
    }

    fn tell(&self, event: SessionEvent) {
        // If nobody listens, the commands have ended, too.
        let _ = self.events.send(event);
    }

    fn wake(&self) -> Instant {
        let connection = self.connection.as_ref().map(MediaConnection::wake);
        let first = connection.into_iter().chain(self.give_up).min();
        let latest = Instant::now() + SLEEP;
        first.map_or(latest, |first| first.min(latest))
    }

    fn timeout(&mut self) {
        let now = Instant::now();
        self.change(|connection| connection.timeout(now));
        if self.give_up.is_some_and(|at| at <= now) {
            self.lost();
        }
        self.transfers.timeout(now);
    }

    /// Changes the connection. If it breaks, it is lost.
    fn change(&mut self, change: impl FnOnce(&mut MediaConnection) -> Result<(), MediaError>) {
        if let Some(connection) = &mut self.connection {
            let changed = change(connection);
            self.check(changed);
        }
    }

    fn check(&mut self, changed: Result<(), MediaError>) {
        let Err(error) = changed else { return };
        tracing::debug!(%error, session = %self.session.id(), "the connection is broken");
        match error {
            MediaError::Impostor => self.over = Some(SessionOver::Impostor),
            _ => self.lost(),
        }
    }

    /// Asks the other device for a new connection. If that has been tried often enough, the session ends.
    fn lost(&mut self) {
        if self.over.is_some() {
            return;
        }
        match self.session.lost((self.settings.now)()) {
            Some(round) => {
                self.begin_round(round);
                self.tell(SessionEvent::Interrupted);
            }
            None => self.over = Some(SessionOver::Unreachable),
        }
    }

    /// Drops the connection, and waits for the offer of this round.
    fn begin_round(&mut self, round: u64) {
        self.connection = None;
        self.early.clear();
        self.transfers.cut();
        self.give_up = Some(Instant::now() + self.patience.connection);
        self.tell(SessionEvent::Say(OwnSignal::Restart { session: self.session.id().clone(), round }));
    }

    fn command(&mut self, command: SessionCommand) {
        match command {
            SessionCommand::Signal(signal) => self.signal(signal),
            SessionCommand::Expect { invitation, files } => self.transfers.expect(invitation, files),
            SessionCommand::Cancel { invitation, reason } => self.transfers.cancel(&invitation, reason),
        }
    }

    fn signal(&mut self, signal: Signal) {
        match signal {
            Signal::Offer(offer) if offer.session == *self.session.id() => match self.session.offer(&offer) {
                OfferVerdict::Ignore => {}
                OfferVerdict::Apply => self.apply(&offer),
                OfferVerdict::Repeat(sdp) => self.say_answer(offer.number, sdp),
                OfferVerdict::Impostor => self.over = Some(SessionOver::Impostor),
            },
            Signal::Candidates { session, round, candidates }
                if session == *self.session.id() && round == self.session.round() =>
            {
                candidates.into_iter().for_each(|candidate| self.add_candidate(candidate));
            }
            Signal::Restart { session, round } if session == *self.session.id() => {
                match self.session.restarted(round) {
                    RestartVerdict::Ignore => {}
                    RestartVerdict::Begin(round) => self.begin_round(round),
                    RestartVerdict::GiveUp => self.over = Some(SessionOver::Unreachable),
                }
            }
            Signal::Bye { session: Some(session), .. } if session == *self.session.id() => {
                self.over = Some(SessionOver::Remote);
            }
            _ => {}
        }
    }

    /// Tries an address of the other side, as soon as there is a connection.
    fn add_candidate(&mut self, candidate: String) {
        if let Some(connection) = &mut self.connection {
            let added = connection.add_candidate(&candidate, &self.addresses, Instant::now());
            self.check(added);
        } else if self.early.len() < EARLY_MAX {
            self.early.push(candidate);
        }
    }

    /// Answers an offer. One without data channels is ignored: there is nothing to receive.
    fn apply(&mut self, offer: &ConnectionOffer) {
        let Some(section) = data_section(&offer.sdp) else { return };
        match self.answer(&offer.sdp) {
            Ok((sdp, candidate)) => {
                self.session.answered(offer.number, sdp.clone());
                self.say_answer(offer.number, sdp);
                // The description has it, too. But if its section is the one of a camera, which is refused, browsers skip it.
                let (session, round) = (self.session.id().clone(), self.session.round());
                let section = (section.mid, section.index);
                self.tell(SessionEvent::Say(OwnSignal::Candidate { session, round, candidate, section }));
            }
            Err(error) => self.check(Err(error)),
        }
        if let Some(words) = self.session.words().filter(|_| !self.has_words) {
            self.has_words = true;
            self.tell(SessionEvent::Words(words));
        }
    }

    /// The answer to an offer, and how we are reached.
    fn answer(&mut self, sdp: &str) -> Result<(String, String), MediaError> {
        let now = Instant::now();
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => MediaConnection::new(&self.settings.identity, self.local, now)?,
        };
        connection.timeout(now)?;
        let answer = connection.answer(sdp, &self.addresses, now)?;
        for candidate in self.early.drain(..) {
            connection.add_candidate(&candidate, &self.addresses, now)?;
        }
        let candidate = connection.candidate().to_owned();
        self.connection = Some(connection);
        Ok((answer, candidate))
    }

    fn say_answer(&self, number: Option<u64>, sdp: String) {
        let (session, round) = (self.session.id().clone(), self.session.round());
        self.tell(SessionEvent::Say(OwnSignal::Description { session, round, number, sdp }));
    }

    /// Sends what the connection wants sent, and follows what has happened on it.
    async fn pump(&mut self) {
        while let Some(connection) = &mut self.connection {
            if let Some((to, datagram)) = connection.next_datagram() {
                // What can't be sent is lost, as it might be on its way.
                let _ = self.socket.send_to(&datagram, to).await;
            } else if let Some(event) = connection.next_event() {
                self.connection_event(event);
            } else {
                return;
            }
        }
    }

    fn connection_event(&mut self, event: ConnectionEvent) {
        match event {
            ConnectionEvent::Up => {
                self.session.connected();
                self.give_up = None;
                self.transfers.connected(Instant::now() + self.patience.channels);
                self.tell(SessionEvent::Connected);
            }
            ConnectionEvent::Down => {
                self.give_up = Some(Instant::now() + self.patience.connection);
                self.transfers.disconnected();
                self.tell(SessionEvent::Interrupted);
            }
            ConnectionEvent::Gone => self.lost(),
            ConnectionEvent::Opened { channel, label, protocol } => {
                let action = self.transfers.opened(channel, &label, &protocol);
                self.carry_out(action);
            }
            ConnectionEvent::Text { channel, text } => self.transfers.text(channel, &text),
            ConnectionEvent::Bytes { channel, bytes } => self.transfers.bytes(channel, bytes),
            ConnectionEvent::Closed { channel } => self.transfers.closed(channel),
        }
    }

    fn carry_out(&mut self, action: Option<ChannelAction>) {
        match action {
            Some(ChannelAction::Send(channel, frame)) => {
                self.change(|connection| connection.send(channel, &frame.text()).map(drop));
            }
            Some(ChannelAction::Refuse(channel, reason)) => self.change(|connection| {
                connection.send(channel, &FileFrame::Cancel(reason).text())?;
                connection.close_channel(channel)
            }),
            Some(ChannelAction::Close(channel)) => self.change(|connection| connection.close_channel(channel)),
            None => {}
        }
    }

    async fn end(mut self, over: SessionOver, disk_news: mpsc::UnboundedReceiver<(InvitationId, DiskNews)>) {
        if over != SessionOver::Remote {
            self.tell(SessionEvent::Say(OwnSignal::Bye(self.session.id().clone())));
        }
        if let Some(mut connection) = self.connection.take() {
            // It may be broken already.
            let _ = connection.close();
            while let Some((to, datagram)) = connection.next_datagram() {
                let _ = self.socket.send_to(&datagram, to).await;
            }
        }
        let SessionTask { transfers, events, .. } = self;
        transfers.end(disk_news).await;
        // If nobody listens, nobody waits for it.
        let _ = events.send(SessionEvent::Over(over));
    }
}

#[cfg(test)]
#[path = "session_task_tests.rs"]
mod tests;
