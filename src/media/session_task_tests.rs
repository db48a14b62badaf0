//! Whole sessions over real sockets on the loopback interface, with a device that offers and sends files.

use super::*;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use str0m::channel::ChannelId;
use tokio::time::timeout;

use crate::contract::Role;
use crate::core::base::name::SessionId;
use crate::core::base::time::UnixMillis;
use crate::media::description::certificate_of;
use crate::media::digits::HexBytes;
use crate::media::identity::MediaIdentity;
use crate::media::offerer::Offerer;
use crate::media::receive_folder::ReceiveFolder;
use crate::media::signal::{FileBundle, FileInvite};
use crate::media::transfer::frames::CancelReason;
use crate::media::transfers::TRANSFERS_MAX;
use crate::media::words::{Nonce, Proof, four_words};

#[path = "session_rounds_tests.rs"]
mod rounds;

const WITHIN: Duration = Duration::from_secs(20);
/// What the sender of a transfer that the receiver does not know is told.
const GONE: &str = r#"{"cancel":"gone"}"#;

/// The inviting device with its socket, and the session that it invited to.
struct Call {
    browser: Offerer,
    socket: UdpSocket,
    part: Proof,
    own: Proof,
    handle: SessionHandle,
    addresses: Arc<RemoteAddresses>,
    events: mpsc::UnboundedReceiver<SessionEvent>,
    told: Vec<SessionEvent>,
    folder: tempfile::TempDir,
}

impl Call {
    async fn new() -> Call {
        Call::with(PATIENCE).await
    }

    async fn with(patience: Patience) -> Call {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let browser = Offerer::new(socket.local_addr().unwrap(), Instant::now());
        let part = Proof { nonce: Nonce::parse(&"a".repeat(32)).unwrap(), fingerprint: browser.fingerprint() };
        let identity = Arc::new(MediaIdentity::new().unwrap());
        let own = identity.proof(rand::random());
        let folder = tempfile::tempdir().unwrap();
        let settings = SessionSettings {
            identity,
            address: [127, 0, 0, 1].into(),
            folder: Arc::new(ReceiveFolder::new(folder.path().to_owned(), |_| Ok(1 << 40))),
            now: || UnixMillis(1_795_345_005_000),
        };
        let invite = FileInvite {
            invitation: invitation(),
            session: session_id(),
            role: Role::First,
            commit: part.commitment(),
            files: FileBundle { count: 1, bytes: 0, name: "x".to_owned() },
        };
        let session = MediaSession::new(&invite, own);
        let addresses = Arc::new(RemoteAddresses::new(settings.address, Instant::now()));
        let (handle, events) = start_with(session, settings, addresses.clone(), patience).await.unwrap();
        Call { browser, socket, part, own, handle, addresses, events, told: Vec::new(), folder }
    }

    async fn tell(&self, command: SessionCommand) {
        self.handle.commands.send(command).await.unwrap();
    }

    async fn offer(&mut self, round: u64) {
        let sdp = self.browser.offer(false);
        // An offer is the inviting device's, whoever connects with it.
        let sdp = sdp.replace(&self.browser.fingerprint().to_string(), &self.part.fingerprint.to_string());
        let offer =
            ConnectionOffer { session: session_id(), round, sdp, nonce: Some(self.part.nonce), number: Some(1) };
        self.tell(SessionCommand::Signal(Signal::Offer(offer))).await;
    }

    /// Follows the session and moves the other device's datagrams until this returns something.
    async fn until<T>(&mut self, mut done: impl FnMut(&mut Call) -> Option<T>) -> T {
        let follow = async {
            let mut buffer = [0; DATAGRAM];
            loop {
                for (to, datagram) in std::mem::take(&mut self.browser.datagrams) {
                    self.socket.send_to(&datagram, to).await.unwrap();
                }
                if let Some(result) = done(self) {
                    return result;
                }
                let sleep =
                    self.browser.sleep(Instant::now()).clamp(Duration::from_millis(1), Duration::from_millis(20));
                tokio::select! {
                    Some(event) = self.events.recv() => {
                        if let SessionEvent::Say(OwnSignal::Description { sdp, .. }) = &event {
                            self.browser.accept(sdp);
                        }
                        self.told.push(event);
                    }
                    Ok((length, from)) = self.socket.recv_from(&mut buffer) => {
                        self.browser.receive(from, &buffer[..length], Instant::now());
                    }
                    () = tokio::time::sleep(sleep) => self.browser.timeout(Instant::now()),
                }
            }
        };
        timeout(WITHIN, follow).await.expect("nothing happens")
    }

    async fn connect(&mut self) {
        self.offer(0).await;
        self.until(|call| call.browser.is_connected.then_some(())).await;
    }

    /// Follows the session to its end.
    async fn over(&mut self) -> SessionOver {
        let over = |call: &mut Call| match call.told.last() {
            Some(SessionEvent::Over(over)) => Some(*over),
            _ => None,
        };
        self.until(over).await
    }

    /// Offers these files, opens their channel, and sends them.
    async fn send(&mut self, files: &[(&str, Vec<u8>)]) {
        let bytes = files.iter().map(|(_, content)| content.len() as u64).sum();
        let files_sent = FileBundle { count: files.len() as u64, bytes, name: "sent".to_owned() };
        self.tell(SessionCommand::Expect { invitation: invitation(), files: files_sent }).await;
        let channel = self.browser.open("files:i", "sidecall-files");
        self.until(|call| call.browser.texts.contains(&r#"{"have":[0,0]}"#.to_owned()).then_some(())).await;
        for (n, (path, content)) in files.iter().enumerate() {
            let (file, size) = (n as u64, content.len() as u64);
            let frame = FileFrame::File { file, path: (*path).to_owned(), size }.text();
            let end = FileFrame::End { file, sha256: HexBytes(Sha256::digest(content).into()) }.text();
            self.put(channel, false, frame.as_bytes()).await;
            for piece in content.chunks(16_384) {
                self.put(channel, true, piece).await;
            }
            self.put(channel, false, end.as_bytes()).await;
        }
    }

    /// Opens a channel for the only file, and sends the first four of its nine bytes. They are in the hidden folder then.
    async fn first_bytes(&mut self) -> ChannelId {
        self.tell(SessionCommand::Expect { invitation: invitation(), files: one_file() }).await;
        let channel = self.browser.open("files:i", "sidecall-files");
        self.until(|call| call.browser.channels.contains(&channel).then_some(())).await;
        self.put(channel, false, announced(9).as_bytes()).await;
        self.put(channel, true, b"1234").await;
        self.until(|call| (staged_bytes(call.folder.path()) == 4).then_some(())).await;
        channel
    }

    /// Opens another channel, and sends the other five bytes. The file is in its place then.
    async fn other_bytes(&mut self) {
        let channel = self.browser.open("files:i", "sidecall-files");
        self.until(|call| call.browser.texts.contains(&r#"{"have":[0,4]}"#.to_owned()).then_some(())).await;
        self.finish(channel, b"56789").await;
    }

    /// Sends the rest of the only file through a channel that is open. The file is in its place then.
    async fn finish(&mut self, channel: ChannelId, rest: &[u8]) {
        self.put(channel, false, announced(9).as_bytes()).await;
        self.put(channel, true, rest).await;
        self.put(channel, false, ended(b"123456789").as_bytes()).await;
        let saved = |event: &SessionEvent| matches!(event, SessionEvent::Saved { .. });
        self.until(|call| call.told.iter().any(saved).then_some(())).await;
        assert_eq!(std::fs::read(self.folder.path().join("a")).unwrap(), b"123456789");
    }

    /// Sends a message, as soon as the channel takes it.
    async fn put(&mut self, channel: ChannelId, is_binary: bool, bytes: &[u8]) {
        self.until(|call| call.browser.send(channel, is_binary, bytes).then_some(())).await;
    }
}

fn invitation() -> InvitationId {
    "i".parse().unwrap()
}

fn session_id() -> SessionId {
    "s".parse().unwrap()
}

/// One file of nine bytes.
fn one_file() -> FileBundle {
    FileBundle { count: 1, bytes: 9, name: "a".to_owned() }
}

/// A frame that announces the only file.
fn announced(size: u64) -> String {
    FileFrame::File { file: 0, path: "a".to_owned(), size }.text()
}

/// A frame that ends it.
fn ended(content: &[u8]) -> String {
    FileFrame::End { file: 0, sha256: HexBytes(Sha256::digest(content).into()) }.text()
}

/// Whether a transfer has failed because the other side left.
fn is_gone(event: &SessionEvent) -> bool {
    matches!(event, SessionEvent::Failed { reason: CancelReason::Gone, .. })
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().next().is_none()
}

/// Bytes of the only file while it is in its hidden folder.
fn staged_bytes(folder: &Path) -> u64 {
    let hidden = std::fs::read_dir(folder).unwrap().next();
    hidden.and_then(|entry| std::fs::metadata(entry.unwrap().path().join("a")).ok()).map_or(0, |file| file.len())
}

#[tokio::test]
async fn files_arrive_verified_and_the_words_are_the_same() {
    let mut call = Call::new().await;
    call.connect().await;
    let large: Vec<u8> = (0..1_200_000_u32).map(|n| (n % 251) as u8).collect();
    call.send(&[("photos/../a.bin", large.clone()), ("photos/empty", Vec::new())]).await;
    let saved = call
        .until(|call| {
            call.told.iter().find_map(|event| match event {
                SessionEvent::Saved { files, .. } => Some(files.clone()),
                _ => None,
            })
        })
        .await;
    let paths: Vec<_> = saved.iter().map(|file| file.path.strip_prefix(call.folder.path()).unwrap()).collect();
    assert_eq!(paths, [Path::new("photos/_/a.bin"), Path::new("photos/empty")]);
    assert!(std::fs::read(&saved[0].path).unwrap() == large);
    call.until(|call| call.browser.texts.contains(&r#"{"ok":1}"#.to_owned()).then_some(())).await;
    let progress = call.told.iter().filter(|event| matches!(event, SessionEvent::Progress { .. })).count();
    assert!(progress >= 3, "{progress}");
    let words = call.told.iter().find_map(|event| match event {
        SessionEvent::Words(words) => Some(*words),
        _ => None,
    });
    assert_eq!(words, Some(four_words(&call.part, &call.own)));
}

#[tokio::test]
async fn the_answer_is_ours_and_says_how_we_are_reached() {
    let mut call = Call::new().await;
    call.connect().await;
    let said = |event: &SessionEvent| match event {
        SessionEvent::Say(answer) => Some(answer.clone()),
        _ => None,
    };
    let said: Vec<OwnSignal> = call.told.iter().filter_map(said).collect();
    let [
        OwnSignal::Description { sdp, round: 0, number: Some(1), .. },
        OwnSignal::Candidate { candidate, section, .. },
        ..,
    ] = said.as_slice()
    else {
        panic!("{said:?}")
    };
    assert_eq!(certificate_of(sdp), Some(call.own.fingerprint));
    assert!(candidate.starts_with("candidate:") && candidate.contains(" 127.0.0.1 "), "{candidate}");
    assert_eq!(section.1, 0);
}

#[tokio::test]
async fn an_impostors_offer_ends_the_session() {
    let mut call = Call::new().await;
    call.part.nonce = Nonce::parse(&"b".repeat(32)).unwrap();
    call.offer(0).await;
    assert_eq!(call.over().await, SessionOver::Impostor);
    assert!(call.told.iter().any(|event| matches!(event, SessionEvent::Say(OwnSignal::Bye(_)))));
}

#[tokio::test]
async fn a_transfer_that_is_cut_off_leaves_nothing() {
    let mut call = Call::new().await;
    call.connect().await;
    call.first_bytes().await;
    call.tell(SessionCommand::Signal(Signal::Bye { session: Some(session_id()), invitation: None })).await;
    assert_eq!(call.over().await, SessionOver::Remote);
    assert!(call.told.iter().any(is_gone), "{:?}", call.told);
    assert!(is_empty(call.folder.path()));
}

#[tokio::test]
async fn a_channel_that_nobody_expects_is_closed() {
    let mut call = Call::new().await;
    call.connect().await;
    let other = call.browser.open("files:other", "sidecall-files");
    call.until(|call| call.browser.closed.contains(&other).then_some(())).await;
    assert_eq!(call.browser.texts, [GONE]);
    for (label, protocol) in [("files:i", ""), ("chat", "")] {
        let channel = call.browser.open(label, protocol);
        call.until(|call| call.browser.closed.contains(&channel).then_some(())).await;
    }
    assert!(is_empty(call.folder.path()));
}

#[tokio::test]
async fn a_device_that_starts_anew_is_asked_for_an_offer_and_connects_again() {
    let mut call = Call::new().await;
    call.connect().await;
    call.tell(SessionCommand::Signal(Signal::Restart { session: session_id(), round: 7 })).await;
    let asked = |call: &mut Call| {
        call.told.iter().find_map(|event| match event {
            SessionEvent::Say(OwnSignal::Restart { round, .. }) => Some(*round),
            _ => None,
        })
    };
    assert_eq!(call.until(asked).await, 8);
    // The same certificate with another connection.
    call.browser = call.browser.anew(Instant::now());
    call.offer(8).await;
    call.until(|call| call.browser.is_connected.then_some(())).await;
}

#[tokio::test]
async fn a_device_that_cannot_be_reached_ends_the_session_and_its_transfers() {
    let mut call = Call::with(Patience { connection: Duration::from_millis(50), ..PATIENCE }).await;
    call.tell(SessionCommand::Expect { invitation: invitation(), files: one_file() }).await;
    assert_eq!(call.over().await, SessionOver::Unreachable);
    let count = |of: fn(&SessionEvent) -> bool| call.told.iter().filter(|event| of(event)).count();
    assert_eq!(count(|event| matches!(event, SessionEvent::Say(OwnSignal::Restart { .. }))), 5);
    // Each time something is tried, and only then.
    assert_eq!(count(|event| matches!(event, SessionEvent::Interrupted)), 5);
    assert_eq!(count(is_gone), 1);
    assert_eq!(count(|event| matches!(event, SessionEvent::Say(OwnSignal::Bye(_)))), 1);
}

#[tokio::test]
async fn a_sender_that_opens_no_channel_is_given_up_and_told_if_it_opens_one_later() {
    let mut call = Call::with(Patience { channels: Duration::from_millis(200), ..PATIENCE }).await;
    call.tell(SessionCommand::Expect { invitation: invitation(), files: one_file() }).await;
    call.connect().await;
    call.until(|call| call.told.iter().any(is_gone).then_some(())).await;
    let late = call.browser.open("files:i", "sidecall-files");
    call.until(|call| call.browser.closed.contains(&late).then_some(())).await;
    assert_eq!(call.browser.texts, [GONE]);
}

#[tokio::test]
async fn a_hostile_sender_leaves_nothing_in_the_folder() {
    // What is announced, what is sent of it, how it ends, and what the sender hears.
    for (bytes, sent, end, reason) in [
        (4, &b"12345"[..], None, CancelReason::Limit),
        (4, b"123", Some(ended(b"123")), CancelReason::Limit),
        (4, b"1234", Some(ended(b"1235")), CancelReason::Digest),
        (1 << 44, b"1234", None, CancelReason::Disk),
    ] {
        let mut call = Call::new().await;
        call.connect().await;
        let files = FileBundle { count: 1, bytes, name: "a".to_owned() };
        call.tell(SessionCommand::Expect { invitation: invitation(), files }).await;
        let channel = call.browser.open("files:i", "sidecall-files");
        call.until(|call| call.browser.channels.contains(&channel).then_some(())).await;
        call.put(channel, false, announced(bytes).as_bytes()).await;
        call.put(channel, true, sent).await;
        if let Some(end) = end {
            call.put(channel, false, end.as_bytes()).await;
        }
        let failed = |event: &SessionEvent| matches!(event, SessionEvent::Failed { reason: why, .. } if *why == reason);
        call.until(|call| call.told.iter().any(failed).then_some(())).await;
        let cancel = FileFrame::Cancel(reason).text();
        call.until(|call| call.browser.texts.contains(&cancel).then_some(())).await;
        call.until(|call| is_empty(call.folder.path()).then_some(())).await;
    }
}

#[tokio::test]
async fn a_device_that_begins_more_and_more_transfers_is_stopped() {
    let mut call = Call::new().await;
    for n in 0..=TRANSFERS_MAX {
        let invitation = format!("i{n}").parse().unwrap();
        call.tell(SessionCommand::Expect { invitation, files: one_file() }).await;
    }
    let last: InvitationId = format!("i{TRANSFERS_MAX}").parse().unwrap();
    let refused = |event: &SessionEvent| match event {
        SessionEvent::Failed { invitation, reason: CancelReason::Limit } => Some(invitation.clone()),
        _ => None,
    };
    assert_eq!(call.until(|call| call.told.iter().find_map(refused)).await, last);
    // One that is over makes room.
    let invitation: InvitationId = "i0".parse().unwrap();
    call.tell(SessionCommand::Cancel { invitation, reason: CancelReason::User }).await;
    call.tell(SessionCommand::Expect { invitation: last, files: one_file() }).await;
    call.handle.commands = mpsc::channel(1).0;
    assert_eq!(call.over().await, SessionOver::Closed);
    assert_eq!(call.told.iter().filter(|event| is_gone(event)).count(), TRANSFERS_MAX);
}
