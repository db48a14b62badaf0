//! The handle to a connection.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::codec::Framed;
use uuid::Uuid;

use super::Events;
use super::auth::{Auth, login};
use super::codec::{Codec, Limits};
use super::command::Command;
use super::connection::{Connection, Request, Stream};
use super::error::Error;
use super::event::Event;
use super::reply::Reply;
use crate::wire::{Tap, Tapped, queue};

/// How a connection behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// For TCP and log-in together. Default: 5 s.
    pub connect_timeout: Duration,
    /// From asking to the last reply. Default: 5 s.
    pub request_timeout: Duration,
    /// Events that may wait to be read before some are [lost](super::Item::Lost). Default: 10,000.
    pub event_queue: usize,
    /// The largest frame.
    pub limits: Limits,
    /// Listens in.
    pub tap: Option<Arc<dyn Tap>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(5),
            event_queue: 10_000,
            limits: Limits::default(),
            tap: None,
        }
    }
}

/// Connects to `address` (`host:port`) and logs in.
///
/// # Errors
///
/// [`Error::is_auth`] if FreeSWITCH doesn't want us, [`Error::is_timeout`] after
/// [`Options::connect_timeout`], [`Error::is_disconnect`] if the link can't be made or breaks.
pub async fn connect(address: &str, auth: &Auth, options: Options) -> Result<(Client, Events, Connection), Error> {
    let started = Instant::now();
    let limit = options.connect_timeout;
    let stream = timeout(limit, TcpStream::connect(address)).await.map_err(|_| Error::Timeout)??;
    // A command is one small write that must not wait for an acknowledgement.
    stream.set_nodelay(true)?;
    timeout_at(started + limit, connect_stream(stream, auth, options)).await.map_err(|_| Error::Timeout)?
}

/// Logs in over a stream that is already there.
///
/// # Errors
///
/// As [`connect`].
pub async fn connect_stream<S>(stream: S, auth: &Auth, options: Options) -> Result<(Client, Events, Connection), Error>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let tap = options.tap.clone();
    let stream = Tapped::new(stream, tap.clone());
    let mut framed = Framed::new(stream, Codec::new(options.limits));
    timeout(options.connect_timeout, login(&mut framed, auth, tap.as_ref())).await.map_err(|_| Error::Timeout)??;
    Ok(client(framed, &options))
}

/// What log-in, or the channel data of an outbound socket, is followed by.
pub(super) fn client<S: Stream + 'static>(framed: Framed<S, Codec>, options: &Options) -> (Client, Events, Connection) {
    let (requests, receiver) = mpsc::channel(64);
    let (sender, events) = queue(options.event_queue);
    let connection = Connection::new(framed, receiver, sender, options.tap.clone());
    let client = Client { requests, timeout: options.request_timeout };
    (client, events, connection)
}

/// A background job that FreeSWITCH has begun.
#[derive(Debug)]
pub struct Job {
    done: oneshot::Receiver<Event>,
    deadline: Instant,
}

impl Job {
    /// Waits for its `BACKGROUND_JOB` event, up to the client's time-out.
    ///
    /// # Errors
    ///
    /// [`Error::is_timeout`] or [`Error::is_disconnect`]; then the outcome is unknown.
    pub async fn done(self) -> Result<Event, Error> {
        timeout_at(self.deadline, self.done).await.map_err(|_| Error::Timeout)?.map_err(|_| gone())
    }
}

/// Sends commands. Clones share the connection.
///
/// Every request ends within the time-out. Dropping a request's future gives it up: if it wasn't
/// written yet, it never is.
#[derive(Debug, Clone)]
pub struct Client {
    requests: mpsc::Sender<Request>,
    timeout: Duration,
}

impl Client {
    /// The same connection with another time-out.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { timeout, ..self.clone() }
    }

    /// Whether the connection is over. `false` doesn't promise that the next command succeeds.
    pub fn is_closed(&self) -> bool {
        self.requests.is_closed()
    }

    /// Waits until the connection is over.
    pub async fn closed(&self) {
        self.requests.closed().await;
    }

    /// Sends one command. A refusal is a reply too: see [`Reply::accepted`].
    ///
    /// # Errors
    ///
    /// [`Error::is_timeout`] or [`Error::is_disconnect`]; then the outcome is unknown.
    pub async fn send(&self, command: Command) -> Result<Reply, Error> {
        let mut replies = self.pipeline([command]).await?;
        replies.pop().ok_or_else(gone)
    }

    /// Sends commands in one write; the replies come in the same order. All or an error.
    ///
    /// # Errors
    ///
    /// As [`Client::send`].
    pub async fn pipeline(&self, commands: impl IntoIterator<Item = Command>) -> Result<Vec<Reply>, Error> {
        self.within(async {
            let replies = self.request(commands, None).await?;
            collect(replies).await
        })
        .await
    }

    /// `api NAME ARG…`.
    ///
    /// # Errors
    ///
    /// As [`Command::api`] and [`Client::send`].
    pub async fn api(&self, name: &str, args: &[&str]) -> Result<Reply, Error> {
        self.send(Command::api(name, args)?).await
    }

    /// `bgapi NAME ARG…`, and waits for its `BACKGROUND_JOB` event, which this connection must be
    /// subscribed to. That event doesn't show up among the [`Events`].
    ///
    /// # Errors
    ///
    /// As [`Client::api`]; [`Error::Refused`] if the job wasn't begun.
    pub async fn bgapi(&self, name: &str, args: &[&str]) -> Result<Event, Error> {
        self.within(async { self.begin(name, args).await?.done().await }).await
    }

    /// `bgapi NAME ARG…`, and waits until FreeSWITCH has begun it; see [`Client::bgapi`].
    ///
    /// # Errors
    ///
    /// As [`Client::bgapi`].
    pub async fn begin(&self, name: &str, args: &[&str]) -> Result<Job, Error> {
        let id = Uuid::now_v7().to_string();
        let command = Command::bgapi(name, args, &id)?;
        let (waiter, done) = oneshot::channel();
        self.within(async {
            let replies = self.request([command], Some((id, waiter))).await?;
            for reply in collect(replies).await? {
                reply.accepted()?;
            }
            Ok(Job { done, deadline: Instant::now() + self.timeout })
        })
        .await
    }

    /// Subscribes this connection to events.
    ///
    /// # Errors
    ///
    /// As [`Command::event`] and [`Client::send`]; [`Error::Refused`].
    pub async fn subscribe(&self, names: &[&str]) -> Result<(), Error> {
        let reply = self.send(Command::event(names)?).await?;
        reply.accepted().map(drop)
    }

    /// Lets only events through that match this filter or an earlier one.
    ///
    /// # Errors
    ///
    /// As [`Command::filter`] and [`Client::send`]; [`Error::Refused`].
    pub async fn filter(&self, header: &str, value: &str) -> Result<(), Error> {
        let reply = self.send(Command::filter(header, value)?).await?;
        reply.accepted().map(drop)
    }

    /// Says goodbye; FreeSWITCH closes the connection.
    ///
    /// # Errors
    ///
    /// As [`Client::send`].
    pub async fn exit(&self) -> Result<(), Error> {
        self.send(Command::exit()).await.map(drop)
    }

    /// Queues a request, and gives what its replies come through.
    async fn request(
        &self,
        commands: impl IntoIterator<Item = Command>,
        job: Option<(String, oneshot::Sender<Event>)>,
    ) -> Result<Vec<oneshot::Receiver<Reply>>, Error> {
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
        let request = Request { commands, job };
        self.requests.send(request).await.map_err(|_| gone())?;
        Ok(replies)
    }

    async fn within<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        timeout(self.timeout, work).await.map_err(|_| Error::Timeout)?
    }
}

async fn collect(waiting: Vec<oneshot::Receiver<Reply>>) -> Result<Vec<Reply>, Error> {
    let mut replies = Vec::with_capacity(waiting.len());
    for reply in waiting {
        replies.push(reply.await.map_err(|_| gone())?);
    }
    Ok(replies)
}

/// The connection was dropped, and with it everything that was in flight.
fn gone() -> Error {
    Error::Disconnected("the link is gone".to_owned())
}
