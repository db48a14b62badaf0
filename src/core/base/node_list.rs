//! Several nodes that can do the same work: which one an agent uses, and when it goes over to another.

use std::ops::Add;
use std::time::{Duration, Instant};

use super::breaker::Breaker;

/// An answer that comes later than this shows that a node is slow. With less time left, no other node is asked.
pub const PROMPT: Duration = Duration::from_millis(80);

/// How long a node that failed is spared: it takes no time from one that is well, and the agent does not go over to it if it
/// could not work. While calls are up, each node is asked for a sign of life more often than that.
const SPARED_FOR: Duration = Duration::from_secs(1);

/// How long after an answer a node counts as reachable. While no call is up, nodes may be asked for nothing for hours.
const FRESH_FOR: Duration = Duration::from_secs(1);

/// What the first of several nodes gets of the time for a decision.
pub fn first_share(left: Duration) -> Duration {
    left * 3 / 5
}

/// The nodes of an agent, by their place in its configuration. One of them is in use, at first the first.
///
/// A node is *untried* until it answers or fails. It is *well* after an answer, *late* after one answer that did not come in a
/// short time, and *failed* after a failure. A node that is well is *fresh* for a second after its last answer. For a second it
/// is *spared* if it could not do what it was asked to do, or if the agent has left it.
///
/// | node | its state | event | next |
/// |---|---|---|---|
/// | any | any | answered | it is well; if the node in use has failed and this one is not spared, it is in use |
/// | any | untried, well | late | it is late |
/// | any | late, failed | late, and was asked after that | as if it had failed |
/// | in use | any | failed, and others are fresh and not spared | it has failed, and is spared; the next of these is in use |
/// | in use | any | failed, and there is no such other | it has failed, and stays in use |
/// | another | any | failed | it has failed |
///
/// So the agent leaves a node only if that one fails, and only for one that has just answered. One that was well in the evening
/// may be out of reach by the morning: it must answer first. The agent does not go back by itself. A node may give signs of life
/// while it can't work, so they don't end the time in which it is spared: whatever the nodes do, each is left at most once a
/// second.
///
/// The work of the node in use shows what must be repeated there: see [`InUse`].
///
/// Each question is for the node in use first. The others follow: first those that are well, then the untried, then those whose
/// trouble is the longest ago. Only an open [`Breaker`] keeps a node from being asked, and for decisions alone.
#[derive(Debug, Clone)]
pub struct NodeList<T = Instant> {
    nodes: Vec<Node<T>>,
    in_use: usize,
    /// Which process worked last.
    worked: Option<Process>,
    /// The node in use has failed since then.
    is_broken: bool,
    handovers: u32,
    recoveries: u32,
}

/// What is known of the node in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InUse {
    /// Its place in the list.
    pub node: usize,
    /// Its last word was an answer.
    pub is_well: bool,
    /// How many times another process worked than before. It may lack what that one was told.
    pub handovers: u32,
    /// How many times a node worked after a failure, or another process did: what waits may be tried again.
    pub recoveries: u32,
}

#[derive(Debug, Clone)]
struct Node<T> {
    state: State<T>,
    /// When it last could not do what it was asked to do, or was left.
    spared: Option<T>,
    breaker: Breaker<T>,
}

/// Who works: a process with this name, or an older node, which has no name for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Process {
    Named(u128),
    At(usize),
}

/// `at` is the time of the last answer, failure or lateness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State<T> {
    Untried,
    Well { at: T },
    Late { at: T },
    Failed { at: T },
}

impl<T: Copy> State<T> {
    fn is_well(&self) -> bool {
        matches!(self, State::Well { .. })
    }

    fn trouble(&self) -> Option<T> {
        match *self {
            State::Untried | State::Well { .. } => None,
            State::Late { at } | State::Failed { at } => Some(at),
        }
    }
}

impl<T: Copy + Ord + Add<Duration, Output = T>> NodeList<T> {
    /// A list of so many nodes, at least one, each behind a breaker like this one.
    pub fn new(nodes: usize, breaker: &Breaker<T>) -> NodeList<T> {
        let node = Node { state: State::Untried, spared: None, breaker: breaker.clone() };
        let nodes = vec![node; nodes.max(1)];
        NodeList { nodes, in_use: 0, worked: None, is_broken: false, handovers: 0, recoveries: 0 }
    }

    /// The node in use.
    pub fn in_use(&self) -> InUse {
        let is_well = self.nodes[self.in_use].state.is_well();
        InUse { node: self.in_use, is_well, handovers: self.handovers, recoveries: self.recoveries }
    }

    /// Whether the node in use has failed.
    pub fn has_failed(&self) -> bool {
        matches!(self.nodes[self.in_use].state, State::Failed { .. })
    }

    /// Records that a node has answered. True if the agent goes over to it.
    pub fn answered(&mut self, node: usize, now: T) -> bool {
        self.nodes[node].state = State::Well { at: now };
        let moves = self.has_failed() && !self.is_spared(node, now);
        if moves {
            self.go_over(node, now);
        }
        moves
    }

    /// Records that a node has done what it was asked to do, and the name of its process. True if the agent goes over to it. A
    /// sign of life is no work.
    pub fn worked(&mut self, node: usize, process: Option<u128>, now: T) -> bool {
        let moves = self.answered(node, now);
        if node == self.in_use {
            let process = process.map_or(Process::At(node), Process::Named);
            let is_another = self.worked.replace(process).is_some_and(|last| last != process);
            let was_broken = std::mem::replace(&mut self.is_broken, false);
            self.handovers += u32::from(is_another);
            self.recoveries += u32::from(is_another || was_broken);
        }
        moves
    }

    /// Records that it was work that a node could not do, after [`NodeList::failed`] or [`NodeList::late`]. One that is only late
    /// may do it the next time.
    pub fn spare(&mut self, node: usize, now: T) {
        if matches!(self.nodes[node].state, State::Failed { .. }) {
            self.nodes[node].spared = Some(now);
        }
    }

    /// Records that a node can't be reached, has taken too long, or says that it can't work. Returns the node that the agent
    /// goes over to, if it does.
    pub fn failed(&mut self, node: usize, now: T) -> Option<usize> {
        self.nodes[node].state = State::Failed { at: now };
        if node != self.in_use {
            return None;
        }
        self.is_broken = true;
        let is_next = |other: &usize| self.is_fresh(*other, now) && !self.is_spared(*other, now);
        let next = self.ring().find(is_next)?;
        self.go_over(next, now);
        Some(next)
    }

    /// Records that a node has not answered what it was `asked` then, in a time that may have been too short. Returns the node
    /// that the agent goes over to, if it does.
    pub fn late(&mut self, node: usize, asked: T, now: T) -> Option<usize> {
        match self.nodes[node].state.trouble() {
            None => {
                self.nodes[node].state = State::Late { at: now };
                None
            }
            // Both waited at the same time, so that is one and the same trouble.
            Some(at) if asked < at => None,
            Some(_) => self.failed(node, now),
        }
    }

    fn go_over(&mut self, node: usize, now: T) {
        self.spare(self.in_use, now);
        self.in_use = node;
    }

    fn is_fresh(&self, node: usize, now: T) -> bool {
        matches!(self.nodes[node].state, State::Well { at } if now < at + FRESH_FOR)
    }

    fn is_spared(&self, node: usize, now: T) -> bool {
        self.nodes[node].spared.is_some_and(|at| now < at + SPARED_FOR)
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
        let is_well = self.nodes[node].state.is_well();
        let is_spare = |other: &usize| {
            let is_spared = is_well && self.nodes[*other].state.trouble().is_some_and(|at| now < at + SPARED_FOR);
            *other != node && !is_spared && !self.nodes[*other].breaker.rests(now)
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
        let rank = |node: &usize| (!self.nodes[*node].state.is_well(), self.nodes[*node].state.trouble());
        order[1..].sort_by_key(rank);
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
