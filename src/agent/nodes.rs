//! The nodes that the agent knows, and which of them it uses: a [`NodeList`] with URLs, a clock and a log.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use url::Url;

use super::config::AgentConfig;
use super::node_client::NodeClientError;
use crate::core::base::breaker::Breaker;
use crate::core::base::node_list::NodeList;
use crate::monitor::metrics::agent as metrics;

#[derive(Debug)]
pub(super) struct Nodes {
    urls: Vec<Url>,
    /// How logs, metrics and reports call them: their URLs without passwords.
    names: Vec<String>,
    list: Mutex<NodeList>,
    in_use: watch::Sender<usize>,
}

impl Nodes {
    pub(super) fn new(config: &AgentConfig) -> Nodes {
        let urls = config.urls();
        let breaker = Breaker::new(config.breaker_failures, Duration::from_millis(config.breaker_rest_ms));
        let list: NodeList = NodeList::new(urls.len(), &breaker);
        let names: Vec<String> = urls.iter().map(name).collect();
        names.iter().enumerate().for_each(|(node, name)| metrics::node_used(name, node == list.in_use()));
        let in_use = watch::Sender::new(list.in_use());
        Nodes { urls, names, list: Mutex::new(list), in_use }
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

    /// Waits until another node is in use.
    pub(super) async fn moved_from(&self, node: usize) {
        let mut moves = self.moves();
        // The sender lives as long as this.
        let _ = moves.wait_for(|used| *used != node).await;
    }

    /// Notes how a node answered a request.
    pub(super) fn note<A>(&self, node: usize, answer: &Result<A, NodeClientError>) {
        match answer {
            Err(error) if error.is_absent() => self.failed(node, error),
            Err(error) if !error.is_refusal() => {}
            _ => {
                if self.list(|list| list.answered(node)) {
                    tracing::info!(node = self.name(node), "this node answers: it is used from now on");
                }
            }
        }
    }

    /// The node to ask for a decision, if any may be asked, and how much of the time that is left it gets.
    pub(super) fn ask(&self, tried: Option<usize>, left: Duration) -> Option<(usize, Duration)> {
        let now = Instant::now();
        self.list(|list| {
            let node = list.ask(tried, now)?;
            Some((node, if tried.is_none() { list.share(node, left, now) } else { left }))
        })
    }

    /// Notes whether a node decided in time.
    pub(super) fn note_decision<A>(&self, node: usize, answer: &Result<A, NodeClientError>) {
        self.note(node, answer);
        let name = self.name(node);
        match answer {
            // It says so at once, so no call waits for it. It may decide the next one.
            Err(error) if error.stands_by() => _ = self.list(|list| list.decided(node)),
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

    fn failed(&self, node: usize, error: &NodeClientError) {
        let (now, random) = (Instant::now(), rand::random());
        let next = self.list(|list| match error.stands_by() {
            true => list.stands_by(node, now, random),
            false => list.failed(node, now, random),
        });
        if let Some(next) = next {
            tracing::warn!(node = self.name(node), %error, next = self.name(next), "the node does not work: using the next one");
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
    let mut url = url.clone();
    // Neither fails on a URL that requests are sent to.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.as_str().trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_stands_by_is_asked_for_each_decision_and_one_that_fails_is_not() {
        let urls = ["http://127.0.0.1:1", "http://127.0.0.1:2"].map(|url| url.parse().unwrap()).to_vec();
        let is_asked = |detail: &str| {
            let nodes = Nodes::new(&AgentConfig { nodes: urls.clone(), ..AgentConfig::default() });
            for _ in 0..10 {
                let refused = || NodeClientError::Refused { status: 503, detail: detail.to_owned() };
                (0..2).for_each(|node| nodes.note_decision(node, &Err::<(), _>(refused())));
            }
            nodes.ask(None, Duration::from_millis(240)).is_some()
        };
        assert!(is_asked("the node stands by: another one serves"));
        assert!(!is_asked("the database is not available"));
    }
}
