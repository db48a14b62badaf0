//! Makes the faults of a plan, and restarts processes that end, as systemd does.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::evidence::{Excuse, ExitRecord, FaultRecord, Process};
use super::load_balancer::LoadBalancer;
use super::plan::{Fault, Link, LinkFault, PlannedFault, Target};
use crate::sidecall::surroundings::step;
use crate::sip::message::now;
use crate::{ChaosProxy, LabError, Postgres, Result, Sidecall};

/// `RestartSec` of the unit.
const RESTART: Duration = Duration::from_millis(200);
/// How often the operator checks the time and the nodes.
const TICK: Duration = Duration::from_millis(50);
/// The delay of everything on a slow link.
const SLOW: Duration = Duration::from_millis(50);
/// How long a node may take to work again after a fault of its own.
const SOON: Duration = Duration::from_secs(20);

/// The proxies of the two nodes.
#[derive(Debug)]
pub(super) struct Links {
    /// From the agent to each node.
    pub(super) agent: [ChaosProxy; 2],
    /// From each node to PostgreSQL.
    pub(super) database: [ChaosProxy; 2],
}

/// Makes faults and ends them.
pub(super) struct Operator<'a> {
    nodes: &'a mut [Sidecall; 2],
    database: &'a mut Postgres,
    links: &'a Links,
    balancer: &'a LoadBalancer,
    /// A fault has killed or stopped the node: it is not started again.
    broken: [bool; 2],
    /// Since when the node has been found to have ended.
    ended: [Option<Instant>; 2],
    exits: Vec<ExitRecord>,
}

/// The operator's records of a round.
pub(super) struct OperatorLog {
    pub(super) faults: Vec<FaultRecord>,
    pub(super) exits: Vec<ExitRecord>,
}

/// A fault that has begun.
struct ActiveFault {
    planned: PlannedFault,
    node: usize,
    began: Duration,
    /// How much could be seen of its effect before, by [`Operator::effect`].
    effect: u64,
    /// No other fault overlaps it by the plan, and the last one was over when it began.
    alone: bool,
    /// When it was ended. Its node may not work yet.
    ended: Option<Instant>,
}

impl<'a> Operator<'a> {
    pub(super) fn new(
        nodes: &'a mut [Sidecall; 2],
        database: &'a mut Postgres,
        links: &'a Links,
        balancer: &'a LoadBalancer,
    ) -> Operator<'a> {
        Operator { nodes, database, links, balancer, broken: [false; 2], ended: [None; 2], exits: Vec::new() }
    }

    /// Carries out a plan, and starts nodes again that end by themselves, until it is done and all faults are over.
    pub(super) fn run(mut self, plan: &[PlannedFault], done: &AtomicBool) -> Result<OperatorLog> {
        let start = Instant::now();
        let mut planned = plan.iter().copied().peekable();
        let (mut active, mut faults) = (Vec::<ActiveFault>::new(), Vec::new());
        while !done.load(Ordering::Relaxed) || !active.is_empty() {
            self.start_ended_nodes()?;
            let elapsed = start.elapsed();
            for fault in active.iter_mut().filter(|fault| fault.ended.is_none() && fault.planned.over() <= elapsed) {
                self.end(fault)?;
            }
            self.all_recover(&active)?;
            let over = active.extract_if(.., |fault| fault.ended.is_some() && self.has_recovered(fault));
            faults.extend(over.map(|fault| record(&fault)));
            while let Some(next) = planned.next_if(|next| next.at <= elapsed) {
                active.push(self.begin(next, !active.is_empty())?);
            }
            thread::sleep(TICK);
        }
        Ok(OperatorLog { faults: not_alone_if_late(faults), exits: self.exits })
    }

    /// Starts nodes that ended, as systemd does with `Restart=always`. Leaves those that a fault has killed.
    fn start_ended_nodes(&mut self) -> Result<()> {
        for n in [0, 1] {
            let child = self.nodes[n].child();
            if self.broken[n] || child.is_running() {
                self.ended[n] = None;
                continue;
            }
            match self.ended[n] {
                None => {
                    let code = child.wait(Duration::ZERO).and_then(|status| status.code());
                    self.exits.push(ExitRecord { process: Process::Node(n), at: now(), code });
                    self.ended[n] = Some(Instant::now());
                }
                Some(since) if since.elapsed() >= RESTART => {
                    self.nodes[n].start_again()?;
                    self.ended[n] = None;
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn begin(&mut self, planned: PlannedFault, is_another_active: bool) -> Result<ActiveFault> {
        let node = self.node(planned.fault);
        let effect = self.effect(planned.fault, node);
        let alone = planned.alone && !is_another_active;
        let fault = ActiveFault { planned, node, began: now(), effect, alone, ended: None };
        eprintln!("{:?} at node {node}", planned.fault);
        match planned.fault {
            Fault::Kill(_) => {
                self.broken[node] = true;
                self.nodes[node].child().kill();
            }
            Fault::Stop(_) => {
                self.broken[node] = true;
                self.nodes[node].child().stop();
            }
            Fault::Break(link, link_fault) => begin_link_fault(self.proxy(link, node), link_fault),
            Fault::RestartPostgres => self.database.stop(),
            Fault::FillDisk => self.database.fill_disk()?,
            Fault::StepClock(seconds) => step(self.nodes[node].dir(), seconds),
        }
        Ok(fault)
    }

    fn end(&mut self, fault: &mut ActiveFault) -> Result<()> {
        let ActiveFault { planned, node, .. } = *fault;
        let had_effect = self.effect(planned.fault, node) > fault.effect;
        match planned.fault {
            Fault::Kill(_) => {
                self.broken[node] = false;
                self.nodes[node].start_again()?;
            }
            Fault::Stop(_) => {
                self.broken[node] = false;
                self.nodes[node].child().cont();
            }
            Fault::Break(link, link_fault) => end_link_fault(self.proxy(link, node), link_fault),
            Fault::RestartPostgres => self.database.restart()?,
            Fault::FillDisk => self.database.free_disk()?,
            Fault::StepClock(_) => step(self.nodes[node].dir(), 0),
        }
        fault.ended = Some(Instant::now());
        // Beside another fault, nobody may have used what was broken.
        if had_effect || !fault.alone || !shows_effect(planned.fault) {
            return Ok(());
        }
        let logs = format!("{}\n{}", self.nodes[node].log(), self.database.log());
        Err(LabError::late(format!("{:?} had no effect", planned.fault), planned.lasts, logs))
    }

    /// A count that grows if the fault has an effect: how often bytes met a broken link, a node noticed that its clock was
    /// stepped, or PostgreSQL found its disk full.
    fn effect(&self, fault: Fault, node: usize) -> u64 {
        match fault {
            Fault::Break(link, _) => self.proxy(link, node).hits(),
            Fault::StepClock(_) => self.nodes[node].log().matches("the wall clock was stepped").count() as u64,
            Fault::FillDisk => self.database.found_disk_full() as u64,
            Fault::Kill(_) | Fault::Stop(_) | Fault::RestartPostgres => 0,
        }
    }

    /// Fails if a node doesn't recover.
    fn all_recover(&self, active: &[ActiveFault]) -> Result<()> {
        let late = active.iter().find(|fault| fault.ended.is_some_and(|ended| ended.elapsed() > SOON));
        late.map_or(Ok(()), |fault| {
            let wanted = format!("node {} does not work after {:?}", fault.node, fault.planned.fault);
            Err(LabError::late(wanted, SOON, self.nodes[fault.node].log()))
        })
    }

    /// A node that was killed, or hung, works again: it is ready, or stands by.
    fn has_recovered(&self, fault: &ActiveFault) -> bool {
        match fault.planned.fault {
            Fault::Kill(_) | Fault::Stop(_) => self.balancer.is_in_service(fault.node),
            _ => true,
        }
    }

    /// Chooses the node for a fault. If that one is broken already, it is the other one.
    fn node(&self, fault: Fault) -> usize {
        let active = self.active();
        let node = match target(fault) {
            Target::Active => active,
            Target::StandBy => 1 - active,
        };
        if self.broken[node] && fault.nodes_down() == 1 { 1 - node } else { node }
    }

    /// The node that is ready now. If none is ready, the last one that the load balancer has found ready.
    fn active(&self) -> usize {
        let ready = |node: &usize| !self.broken[*node] && self.balancer.is_ready(*node);
        [0, 1].into_iter().find(ready).unwrap_or_else(|| self.balancer.active())
    }

    fn proxy(&self, link: Link, node: usize) -> &ChaosProxy {
        match link {
            Link::Agent(_) => &self.links.agent[node],
            Link::Database(_) => &self.links.database[node],
            Link::Clients => &self.balancer.proxy,
        }
    }
}

/// Whether [`Operator::effect`] grows. A process that was killed needs no other proof.
fn shows_effect(fault: Fault) -> bool {
    !matches!(fault, Fault::Kill(_) | Fault::Stop(_) | Fault::RestartPostgres)
}

/// A node that took long to recover may not have been there for the next fault, whatever the plan says.
fn not_alone_if_late(faults: Vec<FaultRecord>) -> Vec<FaultRecord> {
    let overlaps = |one: &FaultRecord, other: &FaultRecord| one.began < other.over && other.began < one.over;
    let alone = |n: usize| (0..faults.len()).all(|other| other == n || !overlaps(&faults[n], &faults[other]));
    let alone: Vec<bool> = (0..faults.len()).map(alone).collect();
    let both = faults.into_iter().zip(alone);
    both.map(|(fault, alone)| FaultRecord { alone: fault.alone && alone, ..fault }).collect()
}

fn record(fault: &ActiveFault) -> FaultRecord {
    let ActiveFault { planned, node, began, .. } = *fault;
    FaultRecord {
        name: format!("{:?} at node {node}", planned.fault),
        began,
        over: now(),
        alone: planned.alone,
        pairing: pairing(planned.fault),
        deciding: deciding(planned.fault),
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

/// How long the fault may delay pairs.
fn pairing(fault: Fault) -> Excuse {
    match fault {
        Fault::Kill(Target::Active) | Fault::Stop(Target::Active) => Excuse::Start,
        Fault::Kill(Target::StandBy) | Fault::Stop(Target::StandBy) => Excuse::Nothing,
        Fault::Break(Link::Agent(Target::StandBy) | Link::Database(Target::StandBy), _) => Excuse::Nothing,
        // A message to a client may take that long anyway.
        Fault::Break(Link::Clients, LinkFault::Slow) => Excuse::Nothing,
        // Bindings expire after days, and messages after the end of their call.
        Fault::StepClock(_) => Excuse::Nothing,
        // An agent that reaches only the stand-by gets no decision. There is one PostgreSQL. A link to it may work again before
        // the stand-by has taken over.
        Fault::Break(..) | Fault::RestartPostgres | Fault::FillDisk => Excuse::All,
    }
}

/// How long the fault may keep calls from being decided. Clients decide nothing.
fn deciding(fault: Fault) -> Excuse {
    if matches!(fault, Fault::Break(Link::Clients, _)) { Excuse::Nothing } else { pairing(fault) }
}

fn begin_link_fault(proxy: &ChaosProxy, fault: LinkFault) {
    match fault {
        LinkFault::Cut => {
            proxy.refuse(true);
            proxy.cut();
        }
        LinkFault::Slow => proxy.delay(SLOW),
        LinkFault::Partition => proxy.pause(),
    }
}

fn end_link_fault(proxy: &ChaosProxy, fault: LinkFault) {
    match fault {
        LinkFault::Cut => proxy.refuse(false),
        LinkFault::Slow => proxy.delay(Duration::ZERO),
        LinkFault::Partition => proxy.resume(),
    }
}
