//! Several nodes that can do the same work: which one an agent uses, and when it goes over to another.

use std::ops::Add;
use std::time::{Duration, Instant};

use super::backoff::Backoff;
use super::breaker::Breaker;

/// An answer that comes later than this shows that a node is slow. With less time left, no other node is asked.
pub const PROMPT: Duration = Duration::from_millis(80);

/// What the first of several nodes gets of the time for a decision.
pub fn first_share(left: Duration) -> Duration {
    left * 3 / 5
}

/// The nodes of an agent, by their place in its configuration. One of them is in use, at first the first. The agent stays with
/// it while it answers: nothing changes back by itself.
///
/// | node | event | next |
/// |---|---|---|
/// | in use | answered | it is well |
/// | in use | failed, and another node does not rest | it rests, and the next such node is in use |
/// | in use | failed, and all others rest | it rests, and stays in use |
/// | another | answered, and the node in use has failed | it is well, and in use |
/// | another | answered, and the node in use is well | – |
/// | another | failed | it rests |
/// | any | stands by | as if it had failed for the first time: it may take over soon |
///
/// A node rests for a back-off after each failure. Its failures in that time count as one: they are those of requests that were
/// under way. A node that rests is the last choice, and it can still be asked. Only its [`Breaker`] forbids that, and for
/// decisions alone.
#[derive(Debug, Clone)]
pub struct NodeList<T = Instant> {
    nodes: Vec<Node<T>>,
    in_use: usize,
}

#[derive(Debug, Clone)]
struct Node<T> {
    state: State<T>,
    breaker: Breaker<T>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State<T> {
    /// Nothing is known of it.
    Untried,
    /// It has not failed since it last answered.
    Well,
    /// It has failed so many times since.
    Failed { times: u32, rests_until: T },
}

impl<T: Copy + Ord + Add<Duration, Output = T>> NodeList<T> {
    /// A list of so many nodes, at least one, each behind a breaker like this one.
    pub fn new(nodes: usize, breaker: &Breaker<T>) -> NodeList<T> {
        let node = Node { state: State::Untried, breaker: breaker.clone() };
        NodeList { nodes: vec![node; nodes.max(1)], in_use: 0 }
    }

    /// The node in use.
    pub fn in_use(&self) -> usize {
        self.in_use
    }

    /// Whether a node has failed, and its back-off is not over.
    pub fn rests(&self, node: usize, now: T) -> bool {
        matches!(self.nodes[node].state, State::Failed { rests_until, .. } if now < rests_until)
    }

    /// Records that a node has answered. True if the agent goes over to it.
    pub fn answered(&mut self, node: usize) -> bool {
        if node != self.in_use && !matches!(self.nodes[self.in_use].state, State::Failed { .. }) {
            return false;
        }
        self.nodes[node].state = State::Well;
        std::mem::replace(&mut self.in_use, node) != node
    }

    /// Records that a node can't be reached, is late, or says that it can't work. Returns the node that the agent goes over to,
    /// if it does. `random`, in 0..1, is for the back-off.
    pub fn failed(&mut self, node: usize, now: T, random: f64) -> Option<usize> {
        if !self.rests(node, now) {
            let times = match self.nodes[node].state {
                State::Untried | State::Well => 1,
                State::Failed { times, .. } => times.saturating_add(1),
            };
            let rests_until = now + Backoff::NODE.wait(times, random);
            self.nodes[node].state = State::Failed { times, rests_until };
        }
        self.leave(node, now)
    }

    /// Records that a node says that it waits for the database of another one. Otherwise as [`NodeList::failed`].
    pub fn stands_by(&mut self, node: usize, now: T, random: f64) -> Option<usize> {
        let soon = now + Backoff::NODE.wait(1, random);
        let rests_until = match self.nodes[node].state {
            State::Failed { rests_until, .. } if now < rests_until => rests_until.min(soon),
            _ => soon,
        };
        self.nodes[node].state = State::Failed { times: 1, rests_until };
        self.leave(node, now)
    }

    /// Goes over from this node, if it is in use, to one that does not rest.
    fn leave(&mut self, node: usize, now: T) -> Option<usize> {
        if node != self.in_use {
            return None;
        }
        let next = self.ring().skip(1).find(|other| !self.rests(*other, now))?;
        self.in_use = next;
        Some(next)
    }

    /// The node to ask for a decision: the one in use, else another that does not rest, else one that does. None if all
    /// breakers are open. `tried` has been asked already. The question may be a breaker's trial, so it must be asked.
    pub fn ask(&mut self, tried: Option<usize>, now: T) -> Option<usize> {
        let mut order: Vec<usize> = self.ring().collect();
        order[1..].sort_by_key(|node| self.rests(*node, now));
        order.retain(|node| tried != Some(*node));
        order.into_iter().find(|node| self.nodes[*node].breaker.allows(now))
    }

    /// How much of the time that is left for a decision this node gets. If another node could be asked after it, that one is
    /// left two fifths. That is any node if this one is not known to be well, else one that does not rest.
    pub fn share(&self, node: usize, left: Duration, now: T) -> Duration {
        let is_well = self.nodes[node].state == State::Well;
        let is_out = |other: usize| self.nodes[other].breaker.rests(now) || is_well && self.rests(other, now);
        let is_spare = |other: usize| other != node && !is_out(other);
        let share = first_share(left);
        if left - share >= PROMPT && self.ring().any(is_spare) { share } else { left }
    }

    /// Records a decision in time. True if that closed the node's breaker.
    pub fn decided(&mut self, node: usize) -> bool {
        self.nodes[node].breaker.succeeded()
    }

    /// Records that a decision failed or was late. True if that opened the node's breaker.
    pub fn undecided(&mut self, node: usize, now: T) -> bool {
        self.nodes[node].breaker.failed(now)
    }

    /// All nodes from the one in use on.
    fn ring(&self) -> impl Iterator<Item = usize> {
        let (first, nodes) = (self.in_use, self.nodes.len());
        (0..nodes).map(move |step| (first + step) % nodes)
    }
}

#[cfg(test)]
#[path = "node_list_tests.rs"]
mod tests;
