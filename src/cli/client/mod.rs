//! `client`: a multimedia client in the terminal.

mod claims;
mod contacts;
mod device_file;
mod ending;
mod file_news;
mod files;
pub mod fuzz;
#[cfg(test)]
mod node_double;
mod own_side;
mod receive;
mod receive_settings;
mod running_session;
mod running_sessions;
mod sender;
mod show;
mod show_files;
mod stream;
mod visitors;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use url::Url;

use super::api_access;
use super::api_client::Api;
use crate::config::Config;
use crate::contract::{Capability, Message, MessageBody, NewClient, NoticeBody};
use crate::core::address::disclosure::OfferTo;
use crate::core::base::device_name::DeviceName;
use crate::core::base::enrolment_code::EnrolmentCode;
use crate::core::numbering::number::Number;
use contacts::{Contacts, TypedLine};
use file_news::FileInput;
use receive::Receiving;
use sender::{PostContent, SendOutcome};
use show::Show;
use stream::{News, Stream};
use visitors::parse_visitors;

/// What `--accept-max` counts in.
const MB: u64 = 1_000_000;

/// A multimedia client in the terminal: shows who you are on the phone with, and chats with them.
///
/// It belongs to a number. When a call of that number is answered, it shows the other side's client. What you type
/// goes to that client.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  sidecall client --node https://node.example --enrol 3q7zk-0m2vx-8c1rt-hn5wy-d4g6b-e
  sidecall client
  sidecall client --number +12125550100 --token-file alice.token --node https://node.example
  sidecall client --number +12125550100 --json --for 60 < /dev/null
  sidecall client --number +12125550101 --auto-answer 'Hello, I am a machine'
  sidecall client --receive ~/Downloads

What you can type: text for the other side; /to 2 text, if there are several; /peers; /accept or /decline an offer of
files; /help; /quit.

With --json each line is an object with `at` (milliseconds since 1970) and `event`: connected,
disconnected, ringing, talking (with somebody whose client is not known), peer, answered (the other side knows you now),
message, guests (all that the other side has now), taken (another client of your number has accepted an invitation), ended,
over (the call is over for you), missed (`at` is when the call began), sent, failed. With --receive also: invited (files are
offered), words (the same four on both sides, if nobody is in between), progress, saved, unsaved, unaccepted (an offer
can't be accepted now, and stays open), interrupted, impostor. `invitation` is the number of the offer, for /accept.")]
pub(super) struct ClientArgs {
    /// The client's number [default: the number of the token].
    #[arg(long)]
    number: Option<Number>,
    /// The node's URL [default: the one that the device was enrolled at, the configuration's, or this machine's node].
    #[arg(long, env = "SIDECALL_NODE", value_name = "URL")]
    node: Option<Url>,
    /// The number's credential (`sidecall number put … --new-credential` creates one). Other users of this machine can
    /// see command lines: use --token-file or the environment to hide it.
    #[arg(long, env = "SIDECALL_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// The file with the credential.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Enrol this client as a device of a number, with a code of `sidecall device enrol`, and start. The code works once.
    /// The device's token is kept in ~/.config/sidecall/client.json, which only you can read. Later starts use it, unless
    /// SIDECALL_TOKEN is set: then they use that token and not the device.
    #[arg(long, value_name = "CODE", conflicts_with = "token_file")]
    enrol: Option<EnrolmentCode>,
    /// What to call the device in lists [default: terminal on HOST].
    #[arg(long, value_name = "NAME", requires = "enrol")]
    device_name: Option<DeviceName>,
    /// A capability to announce to the other side; repeatable.
    #[arg(
        long = "capability",
        value_name = "WORD",
        default_value = "text",
        value_parser = |text: &str| Capability::try_from(text.to_owned()),
    )]
    capabilities: Vec<Capability>,
    /// Who may get its address: never, served (numbers of its own node), peers:NAME,NAME (also these nodes) or
    /// everyone. It gets addresses only from those who may get its own.
    #[arg(long, value_name = "WHOM", default_value = "everyone")]
    offer: OfferTo,
    /// Print one JSON object per line.
    #[arg(long)]
    json: bool,
    /// Receive files into this folder, over a direct connection to the other side's browser. Each offer waits for
    /// /accept. Nothing that exists is overwritten.
    #[arg(long, value_name = "DIR")]
    receive: Option<PathBuf>,
    /// Accept files without asking, up to --accept-max.
    #[arg(long, requires = "receive")]
    accept_files: bool,
    /// How many MB one call may send with --accept-files; a file counts with 64 kB for its name and folders. An offer
    /// beyond that waits for /accept.
    #[arg(long, value_name = "MB", requires = "accept_files", default_value_t = 4096)]
    accept_max: u64,
    /// The address of this machine for direct connections [default: the one by which it reaches the node, or, if the node
    /// is on this machine, others].
    #[arg(long, value_name = "IP", requires = "receive")]
    media_address: Option<IpAddr>,
    /// Send this text to every new peer.
    #[arg(long, value_name = "TEXT")]
    auto_answer: Option<String>,
    /// Stop after this many messages of any kind; `ringing` doesn't count.
    #[arg(long, value_name = "N")]
    exit_after: Option<u64>,
    /// Stop after this many seconds.
    #[arg(long = "for", value_name = "SECONDS")]
    seconds: Option<f64>,
    /// Keep the binding at exit: messages wait for its next stream until it expires.
    #[arg(long)]
    keep: bool,
}

pub(super) async fn run(mut args: ClientArgs, config: &Path) -> anyhow::Result<()> {
    let api = sign_in(&mut args, config).await?;
    let settings = match &args.receive {
        Some(folder) => Some(receive_settings::settings(folder, args.media_address, &api).await?),
        None => None,
    };
    let files = Capability::try_from("files".to_owned()).ok().filter(|_| settings.is_some());
    let mut capabilities = args.capabilities;
    capabilities.retain(|known| Some(known) != files.as_ref());
    capabilities.extend(files);
    let new = NewClient {
        number: args.number,
        address: None,
        secret: None,
        expires: None,
        capabilities: Some(capabilities),
        offer: Some(args.offer),
    };
    let (stream, news) = Stream::bind(api.clone(), new).await?;
    let (sender, outcomes) = sender::start(api.clone())?;
    let (current, acks) = (stream.client(), stream.acks());
    let (files, inputs) = match settings {
        Some(settings) => {
            let unasked_max = args.accept_files.then(|| args.accept_max.saturating_mul(MB));
            let (files, inputs) = Receiving::new(settings, unasked_max, api.clone(), current.clone());
            (Some(files), inputs)
        }
        None => (None, mpsc::unbounded_channel().1),
    };
    let mut client = Client {
        show: Show::new(args.json),
        peers: Contacts::default(),
        files,
        sender,
        auto_answer: args.auto_answer,
        left: args.exit_after,
        keep: args.keep,
    };
    let end = args.seconds.map(|seconds| Duration::try_from_secs_f64(seconds).context("--for")).transpose()?;
    let reading = tokio::spawn(stream.run());
    let result = client.follow(news, outcomes, inputs, acks, end).await;
    reading.abort();
    if let (false, Some(id)) = (client.keep, current.get()) {
        let gone = tokio::time::timeout(Duration::from_secs(3), api.delete(&["v1", "clients", id.as_str()])).await;
        if !matches!(gone, Ok(Ok(()))) {
            tracing::debug!("the binding could not be removed; it ends by itself");
        }
    }
    result
}

/// The node, with the token of this client: as a device that is enrolled now or was before, or with a given credential.
async fn sign_in(args: &mut ClientArgs, config: &Path) -> anyhow::Result<Api> {
    let own_node = || api_access::url(&Config::load(config).map(|config| config.node).unwrap_or_default());
    let file = device_file::path();
    if let Some(code) = args.enrol.take() {
        let file = file.context("there is no home directory to keep the device in: set HOME")?;
        let node = args.node.take().map_or_else(own_node, Ok)?;
        let device = device_file::enrol(&file, node, code, args.device_name.take()).await?;
        return Ok(Api::new(device.node, device.token)?);
    }
    if let Some(token) = api_access::token(args.token.take(), args.token_file.as_deref())? {
        return Ok(Api::new(args.node.take().map_or_else(own_node, Ok)?, token)?);
    }
    match file.map(|file| device_file::load(&file)).transpose()?.flatten() {
        Some(device) if args.node.as_ref().is_some_and(|node| *node != device.node) => {
            bail!("this client is a device of {}: to enrol it elsewhere, add --enrol CODE", device.node)
        }
        Some(device) => Ok(Api::new(device.node, device.token)?),
        None => bail!(
            "no credential: enrol with --enrol CODE (`sidecall device enrol NUMBER` makes one), give --token-file, or set SIDECALL_TOKEN"
        ),
    }
}

struct Client {
    show: Show,
    peers: Contacts,
    /// With `--receive`.
    files: Option<Receiving>,
    sender: sender::Sender,
    auto_answer: Option<String>,
    left: Option<u64>,
    keep: bool,
}

impl Client {
    /// Runs to the end, and leaves no transfer behind, whatever ended it.
    async fn follow(
        &mut self,
        news: mpsc::Receiver<News>,
        mut outcomes: mpsc::Receiver<SendOutcome>,
        mut inputs: mpsc::UnboundedReceiver<FileInput>,
        acks: mpsc::Sender<String>,
        end: Option<Duration>,
    ) -> anyhow::Result<()> {
        let result = self.follow_news(news, &mut outcomes, &mut inputs, acks, end).await;
        result.and(self.finish(inputs, outcomes).await)
    }

    async fn follow_news(
        &mut self,
        mut news: mpsc::Receiver<News>,
        outcomes: &mut mpsc::Receiver<SendOutcome>,
        inputs: &mut mpsc::UnboundedReceiver<FileInput>,
        acks: mpsc::Sender<String>,
        end: Option<Duration>,
    ) -> anyhow::Result<()> {
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let mut typed = lines();
        let mut open = true;
        let end = async {
            match end {
                Some(end) => tokio::time::sleep(end).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(end);
        loop {
            tokio::select! {
                // Show what arrived before the end.
                biased;
                heard = news.recv() => match heard {
                    Some(News::Message(message)) => {
                        if !self.signalled(&message)? {
                            self.heard(&message)?;
                            self.count();
                        }
                        let _ = acks.send(message.id).await;
                    }
                    Some(News::Notice(notice)) => {
                        self.noticed(&notice);
                        self.show.notice(&notice, self.peers.of(&notice.call).as_ref())?;
                        // `--exit-after` counts what becomes of calls.
                        let is_progress = matches!(
                            notice.body,
                            NoticeBody::Ringing { .. } | NoticeBody::Answered { .. } | NoticeBody::Over
                        );
                        if !is_progress {
                            self.count();
                        }
                    }
                    Some(News::Connected { client, number }) => self.show.connected(&client, &number)?,
                    Some(News::Lost { why, wait }) => self.show.lost(&why, wait)?,
                    Some(News::Over(error)) => return Err(error.into()),
                    None => bail!("the stream's reader has died"),
                },
                Some(input) = inputs.recv() => self.file_input(input).await?,
                Some(outcome) = outcomes.recv() => self.sent(&outcome)?,
                line = typed.recv(), if open => match line {
                    Some(line) => if !self.typed(&line)? { break },
                    // Standard input is closed: scripts still listen.
                    None => open = false,
                },
                () = &mut end => break,
                _ = term.recv() => break,
                _ = int.recv() => break,
            }
            if self.left == Some(0) {
                break;
            }
        }
        Ok(())
    }

    fn sent(&mut self, outcome: &SendOutcome) -> anyhow::Result<()> {
        self.sender.done();
        self.show.outcome(outcome)
    }

    /// Counts a message for `--exit-after`.
    fn count(&mut self) {
        self.left = self.left.map(|left| left.saturating_sub(1));
    }

    fn heard(&mut self, message: &Message) -> anyhow::Result<()> {
        let label = match &message.body {
            MessageBody::Peer { role, peer, own, reply } => {
                let label = self.peers.met(&message.call, *role, peer);
                if let Some(files) = &mut self.files {
                    files.met(&message.call, *role, &peer.address, reply.as_ref());
                }
                if let Some(own) = own {
                    // The remote node doesn't know our address, and our node leaves it to us to send it.
                    let content = PostContent::Own((**own).clone());
                    self.sender
                        .send(label.clone(), peer.address.clone(), content)
                        .or_else(|problem| self.show.note(&problem))?;
                }
                if let Some(text) = self.auto_answer.clone() {
                    // Before printing: the other side waits.
                    let sent = self.sender.send(label.clone(), peer.address.clone(), PostContent::Text(text));
                    self.show.message(message, Some(&label))?;
                    return sent.or_else(|problem| self.show.note(&problem));
                }
                Some(label)
            }
            MessageBody::Ended { number } => {
                let label = self.peers.ended(&message.call, number.as_ref());
                let stay = self.peers.addresses(&message.call);
                self.files.iter_mut().for_each(|files| files.somebody_left(&message.call, &stay));
                label
            }
            MessageBody::Missed { .. } => self.peers.of(&message.call),
            MessageBody::Message { content, guest, sender } => {
                let sender = sender.as_ref();
                let label = if guest.is_some() { None } else { self.peers.sender(&message.call, sender) };
                if let Some(visitors) = parse_visitors(content) {
                    // A guest has none, and who has left tells of none any more.
                    let is_ignored = guest.is_some() || self.peers.has_left(&message.call, sender);
                    return if is_ignored { Ok(()) } else { self.show.visitors(message, label.as_ref(), &visitors) };
                }
                label
            }
        };
        self.show.message(message, label.as_ref())
    }

    /// Handles a typed line. Returns false to quit.
    fn typed(&mut self, line: &str) -> anyhow::Result<bool> {
        match self.peers.read(line) {
            TypedLine::Nothing => {}
            TypedLine::Quit => return Ok(false),
            TypedLine::Note(note) => self.show.note(&note)?,
            TypedLine::Accept(n) => self.answer_offer(|files| files.accept(n).map(|()| Vec::new()))?,
            TypedLine::Decline(n) => self.answer_offer(|files| files.decline(n))?,
            TypedLine::Text { label, address, text } => {
                if let Err(problem) = self.sender.send(label, address, PostContent::Text(text)) {
                    self.show.note(&problem)?;
                }
            }
        }
        Ok(true)
    }
}

/// Reads standard input by lines, in its own thread because the read can't be cancelled.
fn lines() -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel(16);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            let Ok(line) = line else { break };
            if sender.blocking_send(line).is_err() {
                break;
            }
        }
    });
    lines
}
