//! Supervises the tasks of this process.
//!
//! A task that lives as long as the process is registered by name. If it panics or ends unexpectedly, `/readyz` says
//! so and the process ends. A task of one call or request runs in [`brief`]: its panic is counted and logged, and the
//! process continues.

use std::any::Any;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Display;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use metrics::counter;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::metrics::names::TASK_PANICS;

/// The registry, shared by agent and node.
#[derive(Debug, Clone, Default)]
pub struct Tasks(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    all: Mutex<All>,
    failed: CancellationToken,
    started: Instant,
}

#[derive(Debug, Default)]
struct All {
    tasks: BTreeMap<String, Option<Ended>>,
    beats: BTreeMap<String, Pulse>,
    first: Option<Ended>,
}

/// A task that ended, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its name.
    pub task: String,
    /// Why it ended.
    pub reason: String,
}

/// A task in `/v1/status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskView {
    /// Its name.
    pub name: String,
    /// Why it ended, or how long it has made no progress; none if all is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

#[derive(Debug)]
struct Pulse {
    last: Arc<AtomicU64>,
    within: Duration,
}

/// Reports a task's progress until dropped.
#[derive(Debug)]
pub struct Beat {
    name: String,
    last: Arc<AtomicU64>,
    tasks: Tasks,
}

impl Default for Inner {
    fn default() -> Inner {
        Inner { all: Mutex::default(), failed: CancellationToken::new(), started: Instant::now() }
    }
}

impl Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} has ended: {}", self.task, self.reason)
    }
}

impl Beat {
    /// Reports progress.
    pub fn tick(&self) {
        self.last.store(self.tasks.elapsed(), Ordering::Relaxed);
    }
}

impl Drop for Beat {
    fn drop(&mut self) {
        let mut all = self.tasks.lock();
        // Another task may have this name by now.
        if all.beats.get(&self.name).is_some_and(|pulse| Arc::ptr_eq(&pulse.last, &self.last)) {
            all.beats.remove(&self.name);
        }
    }
}

impl Tasks {
    /// Runs a task that must not end before `stop`. Returns its result; none if it panicked.
    pub async fn run<T, E: Display>(
        &self,
        name: impl Into<String>,
        stop: &CancellationToken,
        work: impl Future<Output = Result<T, E>>,
    ) -> Option<Result<T, E>> {
        let registered = Registered { name: name.into(), tasks: self.clone() };
        self.lock().tasks.insert(registered.name.clone(), None);
        match AssertUnwindSafe(work).catch_unwind().await {
            Ok(done) if stop.is_cancelled() => Some(done),
            Ok(done) => {
                let reason = done.as_ref().err().map_or_else(|| "nobody asked it to".to_owned(), ToString::to_string);
                self.end(&registered.name, &reason);
                Some(done)
            }
            Err(panic) => {
                self.end(&registered.name, &said(&*panic));
                None
            }
        }
    }

    /// Spawns a task that must not end before `stop`.
    pub fn spawn(
        &self,
        name: impl Into<String>,
        stop: &CancellationToken,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> JoinHandle<()> {
        let (tasks, name, stop) = (self.clone(), name.into(), stop.clone());
        tokio::spawn(async move {
            let _ = tasks.run(name, &stop, work.map(Ok::<(), Infallible>)).await;
        })
    }

    /// Records that an essential part has ended.
    pub fn end(&self, task: &str, reason: &str) {
        let ended = Ended { task: task.to_owned(), reason: reason.to_owned() };
        tracing::error!(task, reason, "an internal task has ended");
        let mut all = self.lock();
        all.tasks.insert(ended.task.clone(), Some(ended.clone()));
        all.first.get_or_insert(ended);
        drop(all);
        self.0.failed.cancel();
    }

    /// Watches a task's progress. Without any for this long, it is stalled.
    pub fn beat(&self, name: impl Into<String>, within: Duration) -> Beat {
        let beat = Beat { name: name.into(), last: Arc::new(AtomicU64::new(self.elapsed())), tasks: self.clone() };
        self.lock().beats.insert(beat.name.clone(), Pulse { last: beat.last.clone(), within });
        beat
    }

    /// Waits until a task has ended, and returns the first one.
    pub async fn failed(&self) -> Ended {
        self.0.failed.cancelled().await;
        self.failure().unwrap_or_else(|| Ended { task: String::new(), reason: String::new() })
    }

    /// The first task that ended.
    pub fn failure(&self) -> Option<Ended> {
        self.lock().first.clone()
    }

    /// Describes the stalled tasks.
    pub fn stalled(&self) -> Option<String> {
        let (all, now) = (self.lock(), self.elapsed());
        all.beats.iter().find_map(|(name, pulse)| Some(format!("{name} {}", pulse.silence(now)?)))
    }

    /// Describes why this process can't work: an ended or a stalled task.
    pub fn trouble(&self) -> Option<String> {
        self.failure().map(|ended| ended.to_string()).or_else(|| self.stalled())
    }

    /// All tasks.
    pub fn views(&self) -> Vec<TaskView> {
        let (all, now) = (self.lock(), self.elapsed());
        let ended = all.tasks.iter().map(|(name, ended)| {
            let ended = ended.as_ref().map(|ended| ended.reason.clone());
            let silent = || all.beats.get(name)?.silence(now);
            TaskView { name: name.clone(), trouble: ended.or_else(silent) }
        });
        ended.collect()
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.0.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        self.0.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pulse {
    fn silence(&self, now: u64) -> Option<String> {
        let silent = Duration::from_millis(now.saturating_sub(self.last.load(Ordering::Relaxed)));
        (silent > self.within).then(|| format!("has made no progress for {} s", silent.as_secs()))
    }
}

/// A task in the registry. Dropping it removes a running task; one that ended by itself stays.
struct Registered {
    name: String,
    tasks: Tasks,
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut all = self.tasks.lock();
        if all.tasks.get(&self.name).is_some_and(Option::is_none) {
            all.tasks.remove(&self.name);
        }
    }
}

/// Runs a task of one call or request. Returns none if it panicked, which is counted and logged.
pub async fn brief<T>(task: &'static str, work: impl Future<Output = T>) -> Option<T> {
    AssertUnwindSafe(work).catch_unwind().await.inspect_err(|panic| panicked(task, &**panic)).ok()
}

/// Counts and logs the panic of a brief task.
pub fn panicked(task: &'static str, panic: &(dyn Any + Send)) {
    counter!(TASK_PANICS, "task" => task).increment(1);
    tracing::error!(task, reason = said(panic), "a task of one call or request has broken");
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("panicked: {}", text.unwrap_or_else(|| "without a word".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(tasks: &Tasks) -> Vec<(String, bool)> {
        tasks.views().into_iter().map(|view| (view.name, view.trouble.is_some())).collect()
    }

    #[tokio::test]
    async fn a_task_that_panics_or_ends_by_itself_is_the_end() {
        let stop = CancellationToken::new();
        for (work, reason) in [(true, "panicked: boom"), (false, "nobody asked it to")] {
            let tasks = Tasks::default();
            let _kept = tasks.spawn("other", &stop, std::future::pending());
            let ends = tasks.spawn("one", &stop, async move { assert!(!work, "boom") });
            let ended = tokio::time::timeout(Duration::from_secs(5), tasks.failed()).await.unwrap();
            assert_eq!((ended.task.as_str(), ended.reason.as_str()), ("one", reason));
            ends.await.unwrap();
            assert_eq!(tasks.trouble().unwrap(), format!("one has ended: {reason}"));
            assert_eq!(names(&tasks), [("one".to_owned(), true), ("other".to_owned(), false)]);
        }
    }

    #[tokio::test]
    async fn a_task_that_was_stopped_or_dropped_is_not() {
        let (tasks, stop) = (Tasks::default(), CancellationToken::new());
        let stopped = tasks.spawn("one", &stop, stop.clone().cancelled_owned());
        let dropped = tasks.spawn("two", &CancellationToken::new(), std::future::pending());
        stop.cancel();
        dropped.abort();
        stopped.await.unwrap();
        assert!(dropped.await.unwrap_err().is_cancelled());
        assert_eq!((names(&tasks), tasks.failure()), (Vec::new(), None));
    }

    #[tokio::test]
    async fn a_task_without_progress_is_stalled_until_it_makes_some() {
        let tasks = Tasks::default();
        let (slow, quick) =
            (tasks.beat("slow", Duration::from_millis(50)), tasks.beat("quick", Duration::from_secs(60)));
        assert_eq!(tasks.stalled(), None);
        tokio::time::sleep(Duration::from_millis(120)).await;
        quick.tick();
        assert!(tasks.stalled().unwrap().starts_with("slow has made no progress"), "{:?}", tasks.stalled());
        slow.tick();
        assert_eq!(tasks.stalled(), None);
        tokio::time::sleep(Duration::from_millis(120)).await;
        drop(slow);
        assert_eq!(tasks.stalled(), None);
    }

    #[tokio::test]
    async fn a_brief_task_that_panics_is_counted_and_nothing_ends() {
        let metrics = crate::monitor::Metrics::install();
        assert_eq!(brief("test", async { 7 }).await, Some(7));
        assert_eq!(brief::<()>("test", async { panic!("boom") }).await, None);
        let text = metrics.render();
        assert!(text.contains("sidecall_task_panics_total{task=\"test\"} 1"), "{text}");
    }
}
