//! The task that does all writes.

mod group;
#[cfg(test)]
mod group_tests;
mod merged_writes;

#[cfg(test)]
mod tests;

use crate::store::sql::{Connection, LeaseWatch};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc, oneshot};

pub use group::WRITE_BUDGET;
use group::Waiting;
pub(super) use merged_writes::MergedWrites;

use super::deliveries::Parted;
use super::devices::{DeviceRow, EnrolOutcome, Enrolment};
use super::directory::SharedDirectory;
use super::file_lock::FileLock;
use super::record::CallRecord;
use super::settings::TokenRole;
use super::sip_messages::SipFailure;
use super::{Binding, Delivery, DeliveryState, NumberRow, Renewal, Store, StoreError, StoredOffer};
use crate::core::address::disclosure::OfferTo;
use crate::core::base::device_name::DeviceName;
use crate::core::base::name::{CallId, ClientId, DeviceId};
use crate::core::base::time::UnixMillis;
use crate::core::call::offer_matching::OfferId;
use crate::core::numbering::number::Number;

/// Maximum number of waiting writes: a few seconds' worth at the highest rate of a fast database.
const QUEUE: usize = 16_384;
/// Maximum number of writes in one commit.
const GROUP: usize = 512;
/// A group that fails and has taken longer, on a server, fails the rest of the queue: one group after the other would take too
/// long.
const SLOW: Duration = Duration::from_secs(1);
/// The same, if a server is too slow for larger ones.
const SMALLEST_GROUP: usize = 8;

/// A write.
#[derive(Debug)]
pub(super) enum Write {
    Calls(Vec<CallRecord>),
    Prune { before: UnixMillis },
    Numbers(Vec<NumberRow>),
    DeleteNumber(Number),
    Enable(Number, bool),
    Binding(Box<Binding>),
    Renew(ClientId, Box<Renewal>, UnixMillis),
    DeleteBinding(ClientId),
    OfferTo(ClientId, OfferTo),
    ExtendBindings(Vec<ClientId>, UnixMillis),
    ExpireBindings(UnixMillis),
    Enrolment(Box<Enrolment>, UnixMillis),
    ExpireEnrolments(UnixMillis),
    Enrol([u8; 32], Box<DeviceRow>, UnixMillis),
    AddDevice(Number, Box<DeviceRow>, UnixMillis),
    RenameDevice(DeviceId, DeviceName),
    DeleteDevice(DeviceId),
    Deliveries(Vec<Delivery>),
    Missed(Vec<Delivery>),
    ExpireMissed(UnixMillis),
    Delivered { id: String, client: Option<ClientId>, at: UnixMillis },
    Attempted { id: String, state: DeliveryState, error: Option<String> },
    HandedOut(Vec<String>),
    Outcomes(Vec<SipFailure>),
    Part { call: CallId, numbers: [Number; 2], at: UnixMillis },
    DropPending { calls: Vec<CallId>, all: bool },
    Token { role: TokenRole, name: &'static str, hash: Option<[u8; 32]> },
    Offer(Box<StoredOffer>),
    DeleteOffers(Vec<OfferId>),
    Setting { name: &'static str, value: Vec<u8> },
    Shift { millis: i64, clock: Vec<u8> },
    Probe,
}

/// The result of a write.
#[derive(Debug)]
pub(super) enum Done {
    /// Deferred: made with others of its group.
    Merged,
    Rows(u64),
    Ids(Vec<String>),
    Renewed(Option<Box<Binding>>),
    Enrol(Box<EnrolOutcome>),
    Removed(Removed),
    Expired(Vec<ClientId>),
    Parted(Parted),
}

/// What went with a number or a device.
#[derive(Debug)]
pub(super) struct Removed {
    /// Whether the number or the device was there.
    pub(super) existed: bool,
    pub(super) clients: Vec<ClientId>,
    pub(super) devices: Vec<DeviceId>,
}

impl Done {
    /// The clients of what was removed; `None` if it wasn't there.
    pub(super) fn removed_clients(self) -> Option<Vec<ClientId>> {
        if let Done::Removed(Removed { existed: true, clients, .. }) = self { Some(clients) } else { None }
    }

    pub(super) fn rows(self) -> u64 {
        if let Done::Rows(n) = self { n } else { 0 }
    }
}

struct Job {
    write: Write,
    done: oneshot::Sender<Result<Done, StoreError>>,
}

/// A queued write. Dropping it doesn't cancel the write.
#[derive(Debug)]
pub struct Commit(oneshot::Receiver<Result<Done, StoreError>>);

impl Commit {
    /// Waits for the commit, or for the failure of the write.
    pub async fn wait(self) -> Result<(), StoreError> {
        self.done().await.map(drop)
    }

    pub(super) async fn done(self) -> Result<Done, StoreError> {
        self.0.await.unwrap_or_else(|_| Err(StoreError::closed()))
    }
}

/// The handle to the task.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    failing: AtomicBool,
    failed: AtomicU64,
    commits: AtomicU64,
    writes: AtomicU64,
    why: Mutex<String>,
    /// Whether the writer waits to learn what became of a commit.
    in_doubt: AtomicBool,
    /// Told now and then while it does, and after each group of a server.
    alive: Notify,
    /// Whether it waits no more.
    leaving: tokio_util::sync::CancellationToken,
    directory: SharedDirectory,
    closing: tokio_util::sync::CancellationToken,
    closed: tokio_util::sync::CancellationToken,
}

impl Writer {
    /// Starts the task, which holds the lock until it ends: nobody else writes before its last commit.
    pub(super) fn start(connection: Connection, directory: SharedDirectory, lock: Option<FileLock>) -> Writer {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let state = Arc::new(State { directory, ..State::default() });
        tokio::spawn(write(connection, queue, state.clone(), lock));
        Writer { jobs, state }
    }

    /// Queues a write without waiting.
    pub(super) fn submit(&self, write: Write) -> Result<Commit, StoreError> {
        let (done, commit) = oneshot::channel();
        self.jobs.try_send(Job { write, done }).map_err(|e| match e {
            mpsc::error::TrySendError::Full(_) => StoreError::Unavailable("too many writes are waiting".into()),
            mpsc::error::TrySendError::Closed(_) => StoreError::closed(),
        })?;
        Ok(Commit(commit))
    }

    /// Queues a write and waits for its commit.
    pub(super) async fn run(&self, write: Write) -> Result<Done, StoreError> {
        self.submit(write)?.done().await
    }

    /// Queues a write and waits for its commit, or until the writer shows otherwise that it isn't hung.
    pub(super) async fn is_alive(&self, write: Write) -> bool {
        let alive = self.state.alive.notified();
        let Ok(commit) = self.submit(write) else { return false };
        tokio::select! {
            _ = commit.done() => {}
            () = alive => {}
        }
        true
    }

    pub(super) async fn close(&self) {
        self.state.leaving.cancel();
        self.state.closing.cancel();
        self.state.closed.cancelled().await;
    }
}

impl Store {
    /// Whether the last write failed.
    pub fn is_failing(&self) -> bool {
        self.writer.state.failing.load(Ordering::Relaxed)
    }

    /// Whether writes wait for a server that may have committed them.
    pub fn is_in_doubt(&self) -> bool {
        self.writer.state.in_doubt.load(Ordering::Relaxed)
    }

    /// From now on no write waits for a server that may have committed it: the process ends.
    pub fn wait_no_more(&self) {
        self.writer.state.leaving.cancel();
    }

    /// The database's error from the last write, if it failed.
    pub fn failure(&self) -> Option<String> {
        let why = self.writer.state.why.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_failing().then(|| why.clone())
    }

    /// Waits until the writer ends: the store was closed, or the writer failed.
    pub async fn ended(&self) {
        self.writer.state.closed.cancelled().await;
    }

    /// The number of failed writes since the start.
    pub fn failed_writes(&self) -> u64 {
        self.writer.state.failed.load(Ordering::Relaxed)
    }

    /// The number of transactions committed since the start. Writes that wait at the same time share one.
    pub fn commits(&self) -> u64 {
        self.writer.state.commits.load(Ordering::Relaxed)
    }

    /// The number of writes committed since the start.
    pub fn writes(&self) -> u64 {
        self.writer.state.writes.load(Ordering::Relaxed)
    }
}

async fn write(mut connection: Connection, mut queue: mpsc::Receiver<Job>, state: Arc<State>, lock: Option<FileLock>) {
    let _closed = state.closed.clone().drop_guard();
    // Dropped before `_closed`, so that a closed store can be opened again at once.
    let _lock = lock;
    let mut group = Vec::with_capacity(GROUP);
    let mut most = GROUP;
    let lease = connection.lease();
    loop {
        tokio::select! {
            biased;
            n = queue.recv_many(&mut group, most) => if n == 0 { break },
            () = state.closing.cancelled(), if !queue.is_closed() => {
                // Commit what is already queued.
                queue.close();
                continue;
            }
            () = lost(lease.as_ref()) => return state.give_up(&StoreError::Fenced),
        }
        let mut waiting = Waiting { queue: &mut queue, state: &state };
        let begun = Instant::now();
        let results = group::commit_all(&mut connection, &group, &mut waiting).await;
        let failure = results.iter().filter_map(|result| result.as_ref().err()).find(|error| error.is_unavailable());
        most = match failure {
            Some(StoreError::Late(_)) => (group.len() / 2).max(SMALLEST_GROUP),
            // Twice as many would be in time, too.
            None if group.len() == most && begun.elapsed() < WRITE_BUDGET / 4 => (most * 2).min(GROUP),
            _ => most,
        };
        if lease.is_some() {
            if let Some(error) = failure
                && begun.elapsed() >= SLOW
            {
                waiting.fail(error);
            }
            state.alive.notify_waiters();
        }
        let last = failure.filter(|error| error.is_final()).cloned();
        for (job, result) in group.drain(..).zip(results) {
            note(&result, &state);
            let _ = job.done.send(result);
        }
        if let Some(error) = last {
            return state.give_up(&error);
        }
    }
    if let Err(error) = connection.close().await {
        tracing::warn!(%error, "the database was not closed cleanly");
    }
}

/// Waits until another process has the lease. A file has none.
async fn lost(lease: Option<&LeaseWatch>) {
    match lease {
        Some(lease) => lease.lost().await,
        None => std::future::pending().await,
    }
}

fn note(result: &Result<Done, StoreError>, state: &State) {
    let error = result.as_ref().err();
    if let Some(error) = error.filter(|error| error.is_unavailable()) {
        state.failed.fetch_add(1, Ordering::Relaxed);
        state.fail(error);
    } else if state.failing.swap(false, Ordering::Relaxed) {
        tracing::info!("writes work again");
    }
}

impl State {
    fn fail(&self, error: &StoreError) {
        *self.why.lock().unwrap_or_else(PoisonError::into_inner) = error.to_string();
        if !self.failing.swap(true, Ordering::Relaxed) {
            tracing::error!(%error, "writes fail");
        }
    }

    /// The writer ends, and its supervisor says no more than that. Writes may have failed before, for another reason.
    fn give_up(&self, error: &StoreError) {
        self.fail(error);
        tracing::error!(%error, "no write can succeed any more");
    }
}

/// Makes a write, or defers it if it can be merged with others.
async fn run<'a>(
    connection: &mut Connection,
    write: &'a Write,
    merged: &mut MergedWrites<'a>,
) -> Result<Done, StoreError> {
    use super::{bindings, delivery_writes, devices, numbers, offers, prune, settings, sip_messages};
    match write {
        Write::Calls(all) => Ok(merged.calls(all)),
        Write::Prune { before } => {
            merged.write(connection).await?;
            prune::prune(connection, *before).await
        }
        Write::Numbers(rows) => numbers::put(connection, rows).await,
        Write::DeleteNumber(number) => numbers::delete(connection, number).await,
        Write::Enable(number, enabled) => numbers::enable(connection, number, *enabled).await,
        Write::Binding(binding) => bindings::add(connection, binding).await,
        Write::Renew(id, renewal, now) => bindings::renew(connection, id, renewal, *now).await,
        Write::DeleteBinding(id) => bindings::delete(connection, id).await,
        Write::OfferTo(id, offer) => bindings::offer_to(connection, id, offer).await,
        Write::ExtendBindings(ids, now) => bindings::extend(connection, ids, *now).await,
        Write::ExpireBindings(now) => bindings::expire(connection, *now).await,
        Write::Enrolment(enrolment, now) => devices::add_enrolment(connection, enrolment, *now).await,
        Write::ExpireEnrolments(now) => devices::expire_enrolments(connection, *now).await,
        Write::Enrol(code, device, now) => devices::enrol(connection, code, device, *now).await,
        Write::AddDevice(number, device, now) => devices::add(connection, number, device, *now).await,
        Write::RenameDevice(id, name) => devices::rename(connection, id, name).await,
        Write::DeleteDevice(id) => devices::delete(connection, id).await,
        Write::Deliveries(all) => {
            merged.write_states_of(connection, &ids(all)).await?;
            delivery_writes::add(connection, all).await
        }
        Write::Missed(all) => {
            merged.write_states_of(connection, &ids(all)).await?;
            delivery_writes::add_missed(connection, all).await
        }
        Write::ExpireMissed(before) => {
            merged.write_states(connection).await?;
            delivery_writes::expire_missed(connection, *before).await
        }
        Write::Delivered { id, client, at } => Ok(merged.delivered(id, client.as_ref(), *at)),
        Write::Attempted { id, state, error } => Ok(merged.attempted(id, *state, error.as_deref())),
        Write::HandedOut(ids) => {
            merged.write_states_of(connection, &ids.iter().map(String::as_str).collect::<Vec<_>>()).await?;
            sip_messages::handed_out(connection, ids).await
        }
        Write::Outcomes(outcomes) => {
            let ids: Vec<&str> = outcomes.iter().map(|outcome| outcome.id.as_str()).collect();
            merged.write_states_of(connection, &ids).await?;
            sip_messages::outcomes(connection, outcomes).await
        }
        Write::Part { call, numbers, at } => delivery_writes::part(connection, merged, call, numbers, *at).await,
        Write::DropPending { calls, all } => delivery_writes::drop_pending(connection, merged, calls, *all).await,
        Write::Token { role, name, hash } => settings::put_token(connection, *role, name, hash.as_ref()).await,
        Write::Offer(offer) => offers::put(connection, offer).await,
        Write::DeleteOffers(ids) => offers::delete(connection, ids).await,
        Write::Setting { name, value } => settings::put(connection, name, value).await,
        Write::Shift { millis, clock } => settings::shift(connection, *millis, clock).await,
        // The surrounding transaction takes the write lock.
        Write::Probe => Ok(Done::Rows(0)),
    }
}

fn ids(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries.iter().map(|delivery| delivery.message.id.as_str()).collect()
}
