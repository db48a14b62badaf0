//! Several nodes that can do the same work: which one an agent uses, and when it goes over to another.

use std::ops::Add;
use std::time::{Duration, Instant};

use super::breaker::Breaker;

/// An answer that comes later than this shows that a node is slow. With less time left, no other node is asked.
pub const PROMPT: Duration = Duration::from_millis(80);

/// How long a node that failed or was late takes no time from one that is well. While calls are up, each node is asked for a
/// sign of life more often than that.
const RESTS: Duration = Duration::from_secs(1);

/// What the first of several nodes gets of the time for a decision.
pub fn first_share(left: Duration) -> Duration {
    left * 3 / 5
}

/// The nodes of an agent, by their place in its configuration. One of them is in use, at first the first.
///
/// A node is *untried* until it answers or fails. It is *well* after an answer, *late* after one answer that did not come in a
/// short time, and *failed* after a failure.
///
/// | node | its state | event | next |
/// |---|---|---|---|
/// | any | any | answered | it is well; it is in use if the node in use has failed |
/// | any | untried, well | late | it is late |
/// | any | late, failed | late | as if it had failed |
/// | in use | any | failed, and others are well | it has failed; the next of these is in use |
/// | in use | any | failed, and no other is well | it has failed, and stays in use |
/// | another | any | failed | it has failed |
///
/// So the agent leaves a node only if that one fails, and only for one whose last word was an answer. It does not go back by
/// itself. If the node in use has failed, no node is well.
///
/// What the node in use does shows what must be repeated there ([`NodeList::worked`]):
///
/// | the node in use | repeat |
/// |---|---|
/// | works, and another one did so last | all calls |
/// | works after a failure with which it may have forgotten something | all calls |
/// | works after another failure | what waits |
/// | works | nothing |
///
/// Each question is for the node in use first. The others follow: first those in no trouble, then those whose trouble is the
/// longest ago. Only an open [`Breaker`] keeps a node from being asked, and for decisions alone.
#[derive(Debug, Clone)]
pub struct NodeList<T = Instant> {
    nodes: Vec<Node<T>>,
    in_use: usize,
    /// The last node that worked while it was in use.
    worked: Option<usize>,
}

#[derive(Debug, Clone)]
struct Node<T> {
    state: State<T>,
    /// What its failures since it last worked lead to.
    repeat: Repeat,
    breaker: Breaker<T>,
}

/// What must be repeated at a node that works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Repeat {
    /// It has had everything.
    Nothing,
    /// What waits for a node that works.
    Waiting,
    /// All calls that are up, too: it may lack what it or another node was told last.
    Calls,
}

/// `at` is the time of the last failure or lateness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State<T> {
    Untried,
    Well,
    Late { at: T },
    Failed { at: T },
}

impl<T: Copy> State<T> {
    fn trouble(&self) -> Option<T> {
        match *self {
            State::Untried | State::Well => None,
            State::Late { at } | State::Failed { at } => Some(at),
        }
    }
}

impl<T: Copy + Ord + Add<Duration, Output = T>> NodeList<T> {
    /// A list of so many nodes, at least one, each behind a breaker like this one.
    pub fn new(nodes: usize, breaker: &Breaker<T>) -> NodeList<T> {
        let node = Node { state: State::Untried, repeat: Repeat::Nothing, breaker: breaker.clone() };
        NodeList { nodes: vec![node; nodes.max(1)], in_use: 0, worked: None }
    }

    /// The node in use.
    pub fn in_use(&self) -> usize {
        self.in_use
    }

    /// Whether the node in use has failed. Then no other one is known to work.
    pub fn has_failed(&self) -> bool {
        matches!(self.nodes[self.in_use].state, State::Failed { .. })
    }

    /// Records that a node has answered. True if the agent goes over to it.
    pub fn answered(&mut self, node: usize) -> bool {
        self.nodes[node].state = State::Well;
        self.has_failed() && std::mem::replace(&mut self.in_use, node) != node
    }

    /// Records that a node has done what it was asked to do, after [`NodeList::answered`]. A sign of life is no work.
    pub fn worked(&mut self, node: usize) -> Repeat {
        if node != self.in_use {
            return Repeat::Nothing;
        }
        let is_another = self.worked.replace(node).is_some_and(|last| last != node);
        let repeat = std::mem::replace(&mut self.nodes[node].repeat, Repeat::Nothing);
        if is_another { Repeat::Calls } else { repeat }
    }

    /// Records that a node can't be reached, has taken too long, or says that it can't work, and whether it may have forgotten
    /// something. Returns the node that the agent goes over to, if it does.
    pub fn failed(&mut self, node: usize, forgets: bool, now: T) -> Option<usize> {
        let failed = &mut self.nodes[node];
        failed.state = State::Failed { at: now };
        failed.repeat = failed.repeat.max(if forgets { Repeat::Calls } else { Repeat::Waiting });
        if node != self.in_use {
            return None;
        }
        let next = self.ring().find(|other| self.nodes[*other].state == State::Well)?;
        self.in_use = next;
        Some(next)
    }

    /// Records that a node has not answered in a time that may have been too short. Returns the node that the agent goes over
    /// to, if it does.
    pub fn late(&mut self, node: usize, now: T) -> Option<usize> {
        match self.nodes[node].state {
            State::Untried | State::Well => {
                self.nodes[node].state = State::Late { at: now };
                None
            }
            State::Late { .. } | State::Failed { .. } => self.failed(node, false, now),
        }
    }

    /// The next node to ask, if there is one that has not been `tried`.
    pub fn next(&self, tried: &[usize]) -> Option<usize> {
        self.order(tried).first().copied()
    }

    /// The next node to ask for a decision. None if the breakers of all that have not been `tried` are open. The question may
    /// be a breaker's trial, so it must be asked.
    pub fn ask(&mut self, tried: &[usize], now: T) -> Option<usize> {
        self.order(tried).into_iter().find(|node| self.nodes[*node].breaker.allows(now))
    }

    /// How much of the time that is left for a decision this node gets. If another one could be asked after it, that one is
    /// left two fifths. A node that was in trouble a moment ago takes no time from one that is well.
    pub fn share(&self, node: usize, tried: &[usize], left: Duration, now: T) -> Duration {
        let is_well = self.nodes[node].state == State::Well;
        let is_spare = |other: &usize| {
            let rests = is_well && self.nodes[*other].state.trouble().is_some_and(|at| now < at + RESTS);
            *other != node && !rests && !self.nodes[*other].breaker.rests(now)
        };
        let share = first_share(left);
        if left - share >= PROMPT && self.order(tried).iter().any(is_spare) { share } else { left }
    }

    /// Records a decision in time. True if that closed the node's breaker.
    pub fn decided(&mut self, node: usize) -> bool {
        self.nodes[node].breaker.succeeded()
    }

    /// Records that a decision failed or was late. True if that opened the node's breaker.
    pub fn undecided(&mut self, node: usize, now: T) -> bool {
        self.nodes[node].breaker.failed(now)
    }

    /// The nodes that have not been tried, in the order in which they are asked.
    fn order(&self, tried: &[usize]) -> Vec<usize> {
        let mut order: Vec<usize> = self.ring().collect();
        order[1..].sort_by_key(|node| self.nodes[*node].state.trouble());
        order.retain(|node| !tried.contains(node));
        order
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
