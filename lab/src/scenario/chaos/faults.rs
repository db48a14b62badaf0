//! What breaks, as it is planned, and what systemd does about it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::check::{Excuse, FaultRecord};
use super::front::Front;
use super::plan::{Fault, Link, PlannedFault, Target, Trouble};
use crate::sidecall::surroundings::step;
use crate::sip::message::now;
use crate::{ChaosProxy, Postgres, Result, Sidecall};

/// `RestartSec` of the unit.
const RESTART: Duration = Duration::from_millis(200);
/// How late everything on a slow link is.
const SLOW: Duration = Duration::from_millis(50);

/// The proxies of the two nodes.
#[derive(Debug)]
pub(super) struct Links {
    /// From the agent to each node.
    pub(super) agent: [ChaosProxy; 2],
    /// From each node to PostgreSQL.
    pub(super) database: [ChaosProxy; 2],
}

/// Breaks things and mends them.
pub(super) struct Operator<'a> {
    pub(super) nodes: &'a mut [Sidecall; 2],
    pub(super) database: &'a mut Postgres,
    pub(super) links: &'a Links,
    pub(super) front: &'a Front,
    /// The nodes that are killed or hang, and so are not started again.
    pub(super) broken: [bool; 2],
}

/// A fault that has begun.
struct Begun {
    planned: PlannedFault,
    node: usize,
    at: Duration,
}

impl Operator<'_> {
    /// Carries out a plan, and starts nodes again that end by themselves, until it is done. What was broken then works
    /// again.
    pub(super) fn run(mut self, plan: &[PlannedFault], done: &AtomicBool) -> Result<Vec<FaultRecord>> {
        let start = Instant::now();
        let mut planned: VecDeque<PlannedFault> = plan.iter().copied().collect();
        let (mut begun, mut records) = (Vec::<Begun>::new(), Vec::new());
        while !done.load(Ordering::Relaxed) || !begun.is_empty() {
            self.start_again_what_ended()?;
            let now = start.elapsed();
            for over in begun.extract_if(.., |fault| fault.planned.over() <= now) {
                records.push(self.end(&over)?);
            }
            while let Some(next) = planned.pop_front() {
                if next.at > now {
                    planned.push_front(next);
                    break;
                }
                begun.push(self.begin(next)?);
            }
            thread::sleep(RESTART / 2);
        }
        Ok(records)
    }

    /// As systemd does with `Restart=always`, but for a node that has just been killed.
    fn start_again_what_ended(&mut self) -> Result<()> {
        for (node, broken) in self.nodes.iter_mut().zip(self.broken) {
            if !broken && !node.child().is_running() {
                node.start_again()?;
            }
        }
        Ok(())
    }

    fn begin(&mut self, planned: PlannedFault) -> Result<Begun> {
        let node = self.node(planned.fault);
        let begun = Begun { planned, node, at: now() };
        match planned.fault {
            Fault::Kill(_) => {
                self.broken[node] = true;
                self.nodes[node].child().kill();
            }
            Fault::Stop(_) => {
                self.broken[node] = true;
                self.nodes[node].child().stop();
            }
            Fault::Break(link, trouble) => begin_trouble(self.proxy(link, node), trouble),
            Fault::RestartPostgres => self.database.stop(),
            Fault::FillDisk => self.database.fill_disk()?,
            Fault::StepClock(seconds) => step(self.nodes[node].dir(), seconds),
        }
        eprintln!("{:?} at node {node}", planned.fault);
        Ok(begun)
    }

    fn end(&mut self, begun: &Begun) -> Result<FaultRecord> {
        let Begun { planned, node, at } = *begun;
        match planned.fault {
            Fault::Kill(_) => {
                self.broken[node] = false;
                self.nodes[node].start_again()?;
            }
            Fault::Stop(_) => {
                self.broken[node] = false;
                self.nodes[node].child().cont();
            }
            Fault::Break(link, trouble) => end_trouble(self.proxy(link, node), trouble),
            Fault::RestartPostgres => self.database.restart()?,
            Fault::FillDisk => self.database.free_disk()?,
            Fault::StepClock(_) => step(self.nodes[node].dir(), 0),
        }
        let what = format!("{:?} at node {node}", planned.fault);
        Ok(FaultRecord { what, began: at, over: now(), excuse: excuse(planned.fault) })
    }

    /// Which node it is for. One that is broken already can't break again: then it is the other one.
    fn node(&self, fault: Fault) -> usize {
        let active = self.front.active();
        let node = match target(fault) {
            Target::Active => active,
            Target::StandBy => 1 - active,
        };
        if self.broken[node] && fault.nodes_down() == 1 { 1 - node } else { node }
    }

    fn proxy(&self, link: Link, node: usize) -> &ChaosProxy {
        match link {
            Link::Agent(_) => &self.links.agent[node],
            Link::Database(_) => &self.links.database[node],
            Link::Clients => &self.front.proxy,
        }
    }
}

fn target(fault: Fault) -> Target {
    match fault {
        Fault::Kill(target) | Fault::Stop(target) => target,
        Fault::Break(Link::Agent(target) | Link::Database(target), _) => target,
        Fault::Break(Link::Clients, _) | Fault::RestartPostgres | Fault::FillDisk | Fault::StepClock(_) => {
            Target::Active
        }
    }
}

fn excuse(fault: Fault) -> Excuse {
    match fault {
        Fault::Kill(Target::Active) | Fault::Stop(Target::Active) => Excuse::Begin,
        Fault::Kill(Target::StandBy) | Fault::Stop(Target::StandBy) => Excuse::Nothing,
        Fault::Break(Link::Agent(Target::StandBy) | Link::Database(Target::StandBy), _) => Excuse::Nothing,
        // What expires is a matter of days, or of the end of a call.
        Fault::StepClock(_) => Excuse::Nothing,
        // An agent that reaches only the stand-by decides nothing. A database's fault is over before all have gone over.
        Fault::Break(..) | Fault::RestartPostgres | Fault::FillDisk => Excuse::All,
    }
}

fn begin_trouble(proxy: &ChaosProxy, trouble: Trouble) {
    match trouble {
        Trouble::Cut => {
            proxy.refuse(true);
            proxy.cut();
        }
        Trouble::Slow => proxy.delay(SLOW),
        Trouble::Partition => proxy.pause(),
    }
}

fn end_trouble(proxy: &ChaosProxy, trouble: Trouble) {
    match trouble {
        Trouble::Cut => proxy.refuse(false),
        Trouble::Slow => proxy.delay(Duration::ZERO),
        Trouble::Partition => proxy.resume(),
    }
}
