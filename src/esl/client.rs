//! Connects to FreeSWITCH, and sends commands over the connection.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};
use uuid::Uuid;

use super::EslEvents;
use super::auth::{EslAuth, login};
use super::codec::{EslCodec, EslLimits};
use super::command::Command;
use super::connection::{EslConnection, EslRequest};
use super::error::EslError;
use super::event::EslEvent;
use super::reply::EslReply;
use crate::wire::{ByteStream, PbxSocket, Tap};

/// Options of a connection.
#[derive(Debug, Clone)]
pub struct EslOptions {
    /// Time limit for TCP and login together. Default: 5 s.
    pub connect_timeout: Duration,
    /// Time limit from sending a request to its last reply. Default: 5 s.
    pub request_timeout: Duration,
    /// Maximum number of unread events. Beyond it events are [lost](super::Item::Lost). Default: 10,000.
    pub event_queue: usize,
    /// The largest frame.
    pub limits: EslLimits,
    /// Records the connection.
    pub tap: Option<Arc<dyn Tap>>,
}

impl Default for EslOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(5),
            event_queue: 10_000,
            limits: EslLimits::default(),
            tap: None,
        }
    }
}

type Connected = (EslClient, EslEvents, EslConnection);

/// Connects to `address` (`host:port`) and logs in, within [`EslOptions::connect_timeout`].
pub async fn connect(address: &str, auth: &EslAuth, options: EslOptions) -> Result<Connected, EslError> {
    within(options.connect_timeout, async {
        let stream = TcpStream::connect(address).await?;
        // A command is one small write that must not wait for an acknowledgement.
        stream.set_nodelay(true)?;
        connect_stream(stream, auth, options).await
    })
    .await
}

/// Logs in over an existing stream.
pub async fn connect_stream(
    stream: impl ByteStream + 'static,
    auth: &EslAuth,
    options: EslOptions,
) -> Result<Connected, EslError> {
    let (client, events, mut connection) = open(stream, &options);
    within(options.connect_timeout, login(&mut connection.socket, auth)).await?;
    Ok((client, events, connection))
}

/// A connection over a stream, before the login or the channel data of an outbound socket.
pub(super) fn open(stream: impl ByteStream + 'static, options: &EslOptions) -> Connected {
    let codec = EslCodec::new(options.limits);
    let (socket, requests, events) = PbxSocket::open(stream, codec, options.tap.clone(), options.event_queue);
    let client = EslClient { requests, timeout: options.request_timeout };
    (client, events, EslConnection::new(socket))
}

pub(super) async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, EslError>>) -> Result<T, EslError> {
    timeout(limit, work).await.map_err(|_| EslError::Timeout)?
}

/// A running background job.
#[derive(Debug)]
pub struct Job {
    done: oneshot::Receiver<EslEvent>,
    deadline: Instant,
}

impl Job {
    /// Waits for its `BACKGROUND_JOB` event, up to the client's time-out.
    pub async fn done(self) -> Result<EslEvent, EslError> {
        timeout_at(self.deadline, self.done).await.map_err(|_| EslError::Timeout)?.map_err(|_| gone())
    }
}

/// Sends commands. Clones share the connection.
///
/// Every request ends within the time-out. Its outcome is unknown after [`EslError::is_timeout`] and
/// [`EslError::is_disconnect`]. Dropping a request's future cancels it, unless it is already written.
#[derive(Debug, Clone)]
pub struct EslClient {
    requests: mpsc::Sender<EslRequest>,
    timeout: Duration,
}

impl EslClient {
    /// The same connection with another time-out.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { timeout, ..self.clone() }
    }

    /// Whether the connection has ended. `false` doesn't mean that the next command will succeed.
    pub fn is_closed(&self) -> bool {
        self.requests.is_closed()
    }

    /// Waits until the connection has ended.
    pub async fn closed(&self) {
        self.requests.closed().await;
    }

    /// Sends one command. A refusal isn't an error here: see [`EslReply::accepted`].
    pub async fn send(&self, command: Command) -> Result<EslReply, EslError> {
        let mut replies = self.pipeline([command]).await?;
        replies.pop().ok_or_else(gone)
    }

    /// Sends commands in one write. Returns all replies in the same order, or an error.
    pub async fn pipeline(&self, commands: impl IntoIterator<Item = Command>) -> Result<Vec<EslReply>, EslError> {
        within(self.timeout, async {
            let replies = self.request(commands, None).await?;
            collect(replies).await
        })
        .await
    }

    /// `api NAME ARG…`.
    pub async fn api(&self, name: &str, args: &[&str]) -> Result<EslReply, EslError> {
        self.send(Command::api(name, args)?).await
    }

    /// Sends `bgapi NAME ARG…` and waits for its `BACKGROUND_JOB` event, to which this connection must be
    /// subscribed. [`EslEvents`] doesn't include that event.
    pub async fn bgapi(&self, name: &str, args: &[&str]) -> Result<EslEvent, EslError> {
        within(self.timeout, async { self.begin(name, args).await?.done().await }).await
    }

    /// Sends `bgapi NAME ARG…` and waits until FreeSWITCH has started the job; see [`EslClient::bgapi`].
    pub async fn begin(&self, name: &str, args: &[&str]) -> Result<Job, EslError> {
        let id = Uuid::now_v7().to_string();
        let command = Command::bgapi(name, args, &id)?;
        let (waiter, done) = oneshot::channel();
        within(self.timeout, async {
            let replies = self.request([command], Some((id, waiter))).await?;
            for reply in collect(replies).await? {
                reply.accepted()?;
            }
            Ok(Job { done, deadline: Instant::now() + self.timeout })
        })
        .await
    }

    /// Subscribes this connection to events.
    pub async fn subscribe(&self, names: &[&str]) -> Result<(), EslError> {
        let reply = self.send(Command::event(names)?).await?;
        reply.accepted().map(drop)
    }

    /// Limits the events to those that match this filter or an earlier one.
    pub async fn filter(&self, header: &str, value: &str) -> Result<(), EslError> {
        let reply = self.send(Command::filter(header, value)?).await?;
        reply.accepted().map(drop)
    }

    /// Sends `exit`; FreeSWITCH closes the connection.
    pub async fn exit(&self) -> Result<(), EslError> {
        self.send(Command::exit()).await.map(drop)
    }

    /// Queues a request, and returns the receivers of its replies.
    async fn request(
        &self,
        commands: impl IntoIterator<Item = Command>,
        job: Option<(String, oneshot::Sender<EslEvent>)>,
    ) -> Result<Vec<oneshot::Receiver<EslReply>>, EslError> {
        let (commands, replies): (Vec<_>, Vec<_>) = commands
            .into_iter()
            .map(|command| {
                let (waiter, reply) = oneshot::channel();
                ((command, waiter), reply)
            })
            .unzip();
        if commands.is_empty() {
            return Ok(replies);
        }
        let request = EslRequest { commands, job };
        self.requests.send(request).await.map_err(|_| gone())?;
        Ok(replies)
    }
}

async fn collect(waiting: Vec<oneshot::Receiver<EslReply>>) -> Result<Vec<EslReply>, EslError> {
    let mut replies = Vec::with_capacity(waiting.len());
    for reply in waiting {
        replies.push(reply.await.map_err(|_| gone())?);
    }
    Ok(replies)
}

/// The error for requests in flight when the connection is dropped.
fn gone() -> EslError {
    EslError::Disconnected("the link is gone".to_owned())
}
