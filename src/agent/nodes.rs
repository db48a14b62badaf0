//! The nodes that the agent knows, and which of them it uses: a [`NodeList`] with URLs, a clock and a log.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use url::Url;

use super::config::AgentConfig;
use super::node_client::PROBE_WITHIN;
use super::node_client_error::NodeClientError;
use crate::core::address::without_user;
use crate::core::base::breaker::Breaker;
use crate::core::base::node_list::{InUse, NodeList, PROMPT};
use crate::monitor::metrics::agent as metrics;

#[derive(Debug)]
pub(super) struct Nodes {
    urls: Vec<Url>,
    /// How logs, metrics and reports call them: their URLs without passwords.
    names: Vec<String>,
    list: Mutex<NodeList>,
    in_use: watch::Sender<InUse>,
    /// A node that has not answered in this time does not work. If it had less time, only the second time-out counts.
    enough: Duration,
}

/// An answer, and the name of the process that gave it.
#[derive(Debug)]
pub(super) struct Answer<A> {
    pub(super) body: A,
    pub(super) process: Option<u128>,
}

/// What a node was asked for, and when.
#[derive(Debug, Clone, Copy)]
pub(super) enum AskedFor {
    /// A sign of life.
    Life(Instant),
    /// Some work.
    Work(Instant),
}

/// Tells when calls must be told again.
#[derive(Debug)]
pub(super) struct Handovers {
    in_use: watch::Receiver<InUse>,
    known: u32,
}

impl Handovers {
    /// Waits until another process works than before. It may lack what that one was told.
    pub(super) async fn next(&mut self) {
        let known = self.known;
        // Without a sender, the agent is over.
        if let Ok(now) = self.in_use.wait_for(|now| now.handovers != known).await {
            self.known = now.handovers;
        }
    }
}

impl Nodes {
    pub(super) fn new(config: &AgentConfig) -> Nodes {
        let urls = config.urls();
        let breaker = Breaker::new(config.breaker_failures, Duration::from_millis(config.breaker_rest_ms));
        let list: NodeList = NodeList::new(urls.len(), &breaker);
        let names: Vec<String> = urls.iter().map(name).collect();
        names.iter().enumerate().for_each(|(node, name)| metrics::node_used(name, node == list.in_use().node));
        let in_use = watch::Sender::new(list.in_use());
        Nodes { urls, names, list: Mutex::new(list), in_use, enough: config.decides_within().min(PROBE_WITHIN) }
    }

    pub(super) fn count(&self) -> usize {
        self.urls.len()
    }

    pub(super) fn in_use(&self) -> usize {
        self.in_use.borrow().node
    }

    pub(super) fn name(&self, node: usize) -> &str {
        &self.names[node]
    }

    /// The URL of a path at a node.
    pub(super) fn url(&self, node: usize, path: &[&str]) -> Result<Url, NodeClientError> {
        let mut url = self.urls[node].clone();
        let unusable = || NodeClientError::Setup(format!("{} can't have a path", self.name(node)));
        url.path_segments_mut().map_err(|()| unusable())?.pop_if_empty().extend(path);
        Ok(url)
    }

    /// Tells each change of what is known of the node in use.
    pub(super) fn watch(&self) -> watch::Receiver<InUse> {
        self.in_use.subscribe()
    }

    pub(super) fn handovers(&self) -> Handovers {
        let in_use = self.watch();
        let known = in_use.borrow().handovers;
        Handovers { in_use, known }
    }

    /// The next node to ask, if there is one that has not been tried.
    pub(super) fn next(&self, tried: &[usize]) -> Option<usize> {
        self.list(|list| list.next(tried))
    }

    /// Waits until another node than this is in use and well.
    pub(super) async fn better_than(&self, node: usize) -> usize {
        let mut in_use = self.watch();
        // The sender lives as long as this.
        let better = in_use.wait_for(|now| now.node != node && now.is_well).await.map(|now| now.node);
        better.unwrap_or(node)
    }

    /// Whether the node in use has failed since it last answered.
    pub(super) fn has_failed(&self) -> bool {
        self.list(|list| list.has_failed())
    }

    /// Notes how a node answered a request for work.
    pub(super) fn note<A>(&self, node: usize, answer: &Result<Answer<A>, NodeClientError>, asked: Instant) {
        let now = Instant::now();
        let moves = match answer {
            Err(error) if error.is_absent() => return self.failed(node, error, AskedFor::Work(asked)),
            Err(error) if !error.is_refusal() => return,
            Err(_) => self.list(|list| list.answered(node, now)),
            Ok(answer) => self.list(|list| list.worked(node, answer.process, now)),
        };
        self.log_answer(node, moves);
    }

    /// Notes that a node has given a sign of life.
    pub(super) fn is_alive(&self, node: usize) {
        self.log_answer(node, self.list(|list| list.answered(node, Instant::now())));
    }

    fn log_answer(&self, node: usize, moves: bool) {
        if moves {
            tracing::info!(node = self.name(node), "this node answers: it is used from now on");
        }
    }

    /// Notes that a node did not answer, or can't work.
    pub(super) fn failed(&self, node: usize, error: &NodeClientError, asked: AskedFor) {
        let now = Instant::now();
        let is_short = matches!(error, NodeClientError::Late(within) if *within < self.enough);
        let next = self.list(|list| {
            let (AskedFor::Life(at) | AskedFor::Work(at)) = asked;
            let next = if is_short { list.late(node, at, now) } else { list.failed(node, now) };
            // The signs of life of one that stands by say so, too: once it is well, it works.
            if matches!(asked, AskedFor::Work(_)) && !error.stands_by() {
                list.spare(node, now);
            }
            next
        });
        self.log_failure(node, error, next);
    }

    fn log_failure(&self, node: usize, error: &NodeClientError, next: Option<usize>) {
        if let Some(next) = next {
            tracing::warn!(node = self.name(node), %error, next = self.name(next), "the node does not work: using the next one");
        }
    }

    /// The node to ask for a decision, if any that has not been tried may be asked, and how much of the time that is left it
    /// gets.
    pub(super) fn ask(&self, tried: &[usize], left: Duration) -> Option<(usize, Duration)> {
        let now = Instant::now();
        self.list(|list| {
            let node = list.ask(tried, now)?;
            Some((node, list.share(node, tried, left, now)))
        })
    }

    /// Notes whether a node decided in time. It was asked then.
    pub(super) fn note_decision<A>(&self, node: usize, answer: &Result<Answer<A>, NodeClientError>, asked: Instant) {
        self.note(node, answer, asked);
        let name = self.name(node);
        match answer {
            // Hardly any call waits for that. It may decide the next one.
            Err(error) if error.stands_by() && asked.elapsed() < PROMPT => _ = self.list(|list| list.decided(node)),
            Err(error) if !error.is_refusal() => {
                if self.list(|list| list.undecided(node, Instant::now())) {
                    tracing::warn!(node = name, %error, "the node failed several times in a row: calls go on without asking it");
                    let next = self.list(|list| list.failed(node, Instant::now()));
                    self.log_failure(node, error, next);
                }
            }
            _ => {
                if self.list(|list| list.decided(node)) {
                    tracing::info!(node = name, "the node answers again: calls wait for its decisions");
                }
            }
        }
    }

    /// Asks or tells the list, and makes known what changes with that.
    fn list<T>(&self, work: impl FnOnce(&mut NodeList) -> T) -> T {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        let done = work(&mut list);
        let (before, now) = (*self.in_use.borrow(), list.in_use());
        if before != now {
            self.in_use.send_replace(now);
        }
        if before.node != now.node {
            metrics::node_used(self.name(before.node), false);
            metrics::node_used(self.name(now.node), true);
        }
        done
    }
}

fn name(url: &Url) -> String {
    without_user(url).as_str().trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn two() -> Nodes {
        two_with(400)
    }

    fn two_with(deadline_ms: u64) -> Nodes {
        let nodes = ["http://127.0.0.1:1", "http://127.0.0.1:2"].map(|url| url.parse().unwrap()).to_vec();
        Nodes::new(&AgentConfig { nodes, deadline_ms, ..AgentConfig::default() })
    }

    const STANDS_BY: &str = "the node stands by: another one serves";

    fn refused<A>(detail: &str) -> Result<Answer<A>, NodeClientError> {
        Err(NodeClientError::Refused { status: 503, detail: detail.to_owned() })
    }

    #[test]
    fn the_agent_goes_over_to_a_node_that_was_late_once_in_a_short_time() {
        let nodes = two();
        nodes.failed(1, &NodeClientError::Late(MS(160)), AskedFor::Work(Instant::now()));
        nodes.is_alive(1);
        nodes.failed(0, &NodeClientError::Late(MS(400)), AskedFor::Work(Instant::now()));
        assert_eq!(nodes.in_use(), 1);
    }

    #[test]
    fn a_node_that_stands_by_is_asked_for_each_decision_and_one_that_fails_or_says_so_late_is_not() {
        let is_asked = |detail: &str, took: Duration| {
            let nodes = two();
            for _ in 0..10 {
                let asked = Instant::now().checked_sub(took).unwrap();
                (0..2).for_each(|node| nodes.note_decision(node, &refused::<()>(detail), asked));
            }
            nodes.ask(&[], MS(240)).is_some()
        };
        assert!(is_asked(STANDS_BY, MS(0)));
        assert!(!is_asked(STANDS_BY, PROMPT));
        assert!(!is_asked("the database is not available", MS(0)));
    }

    #[test]
    fn a_node_is_left_after_its_share_of_a_decision_or_twice_less() {
        let late = |nodes: &Nodes, ms| {
            nodes.note::<()>(0, &Err(NodeClientError::Late(MS(ms))), Instant::now());
        };
        for (deadline, ms, times, enough) in
            [(400, 240, 1, true), (400, 239, 1, false), (400, 80, 2, true), (400, 79, 3, false), (2_000, 400, 1, true)]
        {
            let nodes = two_with(deadline);
            nodes.is_alive(1);
            (0..times).for_each(|_| late(&nodes, ms));
            assert_eq!(nodes.in_use(), usize::from(enough), "{deadline}: {times} times {ms} ms");
        }
    }

    #[test]
    fn a_stand_by_is_used_as_soon_as_it_is_well_and_a_node_that_failed_to_work_is_not() {
        for (detail, used) in [(STANDS_BY, 1), ("the database is not available", 0)] {
            let nodes = two();
            nodes.note(1, &refused::<()>(detail), Instant::now());
            nodes.note(0, &refused::<()>(detail), Instant::now());
            nodes.is_alive(1);
            assert_eq!(nodes.in_use(), used, "{detail}");
        }
    }
}
