//! The nodes that the agent knows, and which of them it uses: a [`NodeList`] with URLs, a clock and a log.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use url::Url;

use super::config::AgentConfig;
use super::node_client::NodeClientError;
use crate::core::address::without_user;
use crate::core::base::breaker::Breaker;
use crate::core::base::node_list::{NodeList, PROMPT, Repeat};
use crate::monitor::metrics::agent as metrics;

#[derive(Debug)]
pub(super) struct Nodes {
    urls: Vec<Url>,
    /// How logs, metrics and reports call them: their URLs without passwords.
    names: Vec<String>,
    list: Mutex<NodeList>,
    in_use: watch::Sender<usize>,
    /// Fires when a node works after a failure.
    recoveries: watch::Sender<()>,
    /// Fires when a node works that may lack what was told last.
    retells: watch::Sender<()>,
    /// A node that has not answered in this time does not work. If it had less, that takes two of them.
    enough: Duration,
}

impl Nodes {
    pub(super) fn new(config: &AgentConfig) -> Nodes {
        let urls = config.urls();
        let breaker = Breaker::new(config.breaker_failures, Duration::from_millis(config.breaker_rest_ms));
        let list: NodeList = NodeList::new(urls.len(), &breaker);
        let names: Vec<String> = urls.iter().map(name).collect();
        names.iter().enumerate().for_each(|(node, name)| metrics::node_used(name, node == list.in_use()));
        let in_use = watch::Sender::new(list.in_use());
        let (recoveries, retells) = (watch::Sender::new(()), watch::Sender::new(()));
        Nodes { urls, names, list: Mutex::new(list), in_use, recoveries, retells, enough: config.decides_within() }
    }

    pub(super) fn count(&self) -> usize {
        self.urls.len()
    }

    pub(super) fn in_use(&self) -> usize {
        *self.in_use.borrow()
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

    /// Tells each change of the node in use.
    pub(super) fn moves(&self) -> watch::Receiver<usize> {
        self.in_use.subscribe()
    }

    /// Tells each time that a node works after a failure: what waits may be tried again.
    pub(super) fn recoveries(&self) -> watch::Receiver<()> {
        self.recoveries.subscribe()
    }

    /// Tells each time that calls must be told again: the node that works may lack what was told last.
    pub(super) fn retells(&self) -> watch::Receiver<()> {
        self.retells.subscribe()
    }

    /// The next node to ask, if there is one that has not been tried, and the node that is in use then.
    pub(super) fn next(&self, tried: &[usize]) -> Option<(usize, usize)> {
        self.list(|list| Some((list.next(tried)?, list.in_use())))
    }

    /// Waits until neither of these is in use.
    pub(super) async fn moved_past(&self, node: usize, used: usize) {
        let mut moves = self.moves();
        // The sender lives as long as this.
        let _ = moves.wait_for(|now| *now != node && *now != used).await;
    }

    /// Whether the node in use has failed since it last answered.
    pub(super) fn has_failed(&self) -> bool {
        self.list(|list| list.has_failed())
    }

    /// Notes how a node answered a request.
    pub(super) fn note<A>(&self, node: usize, answer: &Result<A, NodeClientError>) {
        match answer {
            Err(error) if error.is_absent() => self.failed(node, error),
            Err(error) if !error.is_refusal() => {}
            _ => {
                self.is_alive(node);
                let repeat = self.list(|list| list.worked(node));
                if repeat != Repeat::Nothing {
                    self.recoveries.send_replace(());
                }
                if repeat == Repeat::Calls {
                    self.retells.send_replace(());
                }
            }
        }
    }

    /// Notes that a node has given a sign of life.
    pub(super) fn is_alive(&self, node: usize) {
        if self.list(|list| list.answered(node)) {
            tracing::info!(node = self.name(node), "this node answers: it is used from now on");
        }
    }

    /// Notes that a node did not answer, or can't work.
    pub(super) fn failed(&self, node: usize, error: &NodeClientError) {
        let now = Instant::now();
        let is_short = matches!(error, NodeClientError::Late(within) if *within < self.enough);
        let next = self.list(|list| match is_short {
            true => list.late(node, now),
            false => list.failed(node, error.forgets(), now),
        });
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

    /// Notes whether a node decided in time. Its answer took so long.
    pub(super) fn note_decision<A>(&self, node: usize, answer: &Result<A, NodeClientError>, took: Duration) {
        self.note(node, answer);
        let name = self.name(node);
        match answer {
            // Hardly any call waits for that. It may decide the next one.
            Err(error) if error.stands_by() && took < PROMPT => _ = self.list(|list| list.decided(node)),
            Err(error) if !error.is_refusal() => {
                if self.list(|list| list.undecided(node, Instant::now())) {
                    tracing::warn!(node = name, %error, "the node failed several times in a row: calls go on without asking it");
                    self.failed(node, error);
                }
            }
            _ => {
                if self.list(|list| list.decided(node)) {
                    tracing::info!(node = name, "the node answers again: calls wait for its decisions");
                }
            }
        }
    }

    /// Asks or tells the list, and makes a change of the node in use known.
    fn list<T>(&self, work: impl FnOnce(&mut NodeList) -> T) -> T {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        let done = work(&mut list);
        let (before, now) = (self.in_use(), list.in_use());
        if before != now {
            self.in_use.send_replace(now);
            metrics::node_used(self.name(before), false);
            metrics::node_used(self.name(now), true);
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
        let nodes = ["http://127.0.0.1:1", "http://127.0.0.1:2"].map(|url| url.parse().unwrap()).to_vec();
        Nodes::new(&AgentConfig { nodes, ..AgentConfig::default() })
    }

    #[test]
    fn a_node_that_stands_by_is_asked_for_each_decision_and_one_that_fails_or_says_so_late_is_not() {
        let is_asked = |detail: &str, took: Duration| {
            let nodes = two();
            for _ in 0..10 {
                let refused = || NodeClientError::Refused { status: 503, detail: detail.to_owned() };
                (0..2).for_each(|node| nodes.note_decision(node, &Err::<(), _>(refused()), took));
            }
            nodes.ask(&[], MS(240)).is_some()
        };
        assert!(is_asked("the node stands by: another one serves", MS(5)));
        assert!(!is_asked("the node stands by: another one serves", PROMPT));
        assert!(!is_asked("the database is not available", MS(5)));
    }

    #[test]
    fn a_node_is_left_after_its_share_of_a_decision_or_twice_less() {
        let late = |nodes: &Nodes, ms| nodes.note(0, &Err::<(), _>(NodeClientError::Late(MS(ms))));
        for (ms, times, enough) in [(240, 1, true), (239, 1, false), (80, 2, true), (79, 3, false)] {
            let nodes = two();
            nodes.is_alive(1);
            (0..times).for_each(|_| late(&nodes, ms));
            assert_eq!(nodes.in_use(), usize::from(enough), "{times} times {ms} ms");
        }
    }
}
