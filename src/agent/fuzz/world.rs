//! Calls from their first event to their last: the translator, the tracker and the exchange against a naive
//! Asterisk.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::naive_pbx::NaivePbx;
use super::reports::{Numbering, QueuedReport, Task};
use crate::agent::follow::reconcile::{Asked, CallIdentity, Calls, reconcile};
use crate::agent::follow::tracker::{Key, Tracker};
use crate::contract::CallView;
use crate::core::base::name::{CallId, LegId, PbxName};
use crate::core::base::time::UnixMillis;
use crate::core::call::exchange::Exchange;
use crate::core::call::{Call, Phase};
use crate::core::numbering::number::Number;
use crate::core::routing::route::{Reason, Route, Side};
use crate::pbx::asterisk::fuzz::{AmiEvent as Raw, Translator};
use crate::pbx::{CallTags, PbxEvent};

/// A snapshot under way: events wait for it.
pub(super) struct AskedSnapshot {
    asked: Asked,
    /// What the node took for live before.
    sought: Vec<CallView>,
    lists: Option<(Vec<Raw>, Vec<Raw>)>,
    waiting: Vec<Raw>,
    /// Events were lost meanwhile.
    lost: bool,
}

/// What the node takes for live, as an agent asks when it begins or takes over.
enum Claims {
    None,
    /// The node tells only after the next snapshot.
    Late,
    Told(Vec<CallView>, Key),
}

/// By how much an agent's clock may be ahead of the node's, in reports: the first one's is.
const CLOCK_MAX: u64 = 10_000;

pub(super) struct World {
    pub(super) pbx: NaivePbx,
    translator: Translator,
    pub(super) tracker: Tracker,
    pub(super) exchange: Exchange,
    /// So many people of one conference are paired with each other.
    pub(super) conference: usize,
    pub(super) name: PbxName,
    /// The node's name of each call that is followed.
    pub(super) ids: BTreeMap<Key, CallId>,
    pub(super) followed: BTreeMap<Key, CallIdentity>,
    /// Calls that the node has ended, as it said when they were reported on.
    pub(super) over: BTreeSet<CallId>,
    pub(super) reports: BTreeMap<Task, VecDeque<(u64, QueuedReport)>>,
    /// How many reports were made.
    pub(super) made: u64,
    pub(super) numbering: Numbering,
    /// Reports wait until they are told to go, each task's by itself.
    slow: bool,
    /// Reports that are made in one tick of the agent's clock.
    per_tick: u64,
    /// When the last call was announced.
    announced: UnixMillis,
    /// A call's id is given when the node decides it, not when it is announced: the node is told late of some.
    pub(super) late_ids: bool,
    /// Some have overtaken others, or another agent's have overtaken them.
    pub(super) overtook: bool,
    pub(super) asked: Option<AskedSnapshot>,
    claims: Claims,
    /// Calls are announced to another agent, which reports nothing of them.
    standby: bool,
    /// Events that are lost from now on.
    pub(super) lose: u8,
    /// Events were lost since the last snapshot.
    pub(super) dirty: bool,
    /// How many times these have begun to hear each other, and whether they still do.
    pub(super) met: BTreeMap<[usize; 2], (usize, bool)>,
    /// What the agent read showed who hears whom in another order than it came to be.
    pub(super) disordered: bool,
    /// Pairs, as clients were told of them.
    pub(super) paired: BTreeSet<(CallId, [Number; 2])>,
    /// Announcements so far.
    calls: usize,
    /// Calls that the node was told of so far.
    ids_given: usize,
}

/// Does what the bytes say at a PBX, and follows it. Panics if somebody is paired with somebody whom they don't hear or
/// who isn't there at all, somebody isn't paired whom they hear, people are parted who have heard each other ever since
/// they met and no reports overtook each other, a pair outlives one of its legs, a call ends while one of its legs is up,
/// clients are told something else than the exchange knows, or something is left when all have hung up.
pub fn calls(data: &[u8]) {
    let Some(name) = "pbx".parse().ok() else { return };
    let (head, script) = data.split_at(data.len().min(1));
    let head = head.first().copied().unwrap_or_default();
    let conference = 3 + usize::from(head >> 4);
    let mut world = World {
        pbx: NaivePbx::default(),
        translator: Translator::default(),
        tracker: Tracker::default(),
        exchange: Exchange::new(conference),
        conference,
        name,
        ids: BTreeMap::new(),
        followed: BTreeMap::new(),
        over: BTreeSet::new(),
        reports: BTreeMap::new(),
        made: 0,
        numbering: Numbering::new(0, CLOCK_MAX),
        slow: head & 1 == 1,
        per_tick: 1 + 2 * u64::from(head >> 1 & 3),
        announced: UnixMillis(-1),
        late_ids: head & 8 == 8,
        overtook: false,
        asked: None,
        claims: Claims::None,
        standby: false,
        lose: 0,
        dirty: false,
        met: BTreeMap::new(),
        disordered: false,
        paired: BTreeSet::new(),
        calls: 0,
        ids_given: 0,
    };
    for op in script.chunks(3).take(400) {
        let [op, a, b] = [0, 1, 2].map(|n| op.get(n).copied().unwrap_or_default());
        world.act(op, a, b);
        world.meet();
        world.listen();
        world.check();
    }
    world.end_all();
}

impl World {
    fn act(&mut self, op: u8, a: u8, b: u8) {
        let channel = self.pbx.pick(a);
        match (op % 20, channel) {
            (0, _) => {
                if let Some(n) = self.pbx.phone(None) {
                    self.announce(n);
                }
            }
            (1, Some(n)) => self.announce(n),
            (2, Some(n)) => self.pbx.dial(n),
            (3, Some(n)) => self.pbx.dial_local(n),
            (4, Some(n)) => self.pbx.answer(n),
            (5..=7, Some(n)) => self.pbx.enter(n, b, None),
            (8, Some(n)) => self.pbx.enter(n, b >> 4, Some(b & 15)),
            (9, Some(n)) => self.pbx.leave(n),
            (10 | 11, Some(n)) => self.pbx.hang_up(n),
            (12, _) => self.pbx.destroy(a),
            (13, Some(n)) => self.pbx.begin_to_take_out(n),
            (14, _) => self.pbx.take_out(a),
            (15, _) => drop(self.pbx.phone(None)),
            (16, _) if a & 2 == 2 => self.ask_the_node(),
            (16, _) => self.ask(a & 1 == 1),
            (17, _) => self.answered(),
            (18, _) if a & 1 == 1 => self.overtake(usize::from(b)),
            (18, _) => self.deliver(usize::from(b)),
            (19, _) if a < 64 => self.lose = self.lose.saturating_add(1 + b % 4),
            (19, _) if a < 80 => self.restart(b & 1 == 1, u64::from(b >> 1)),
            (19, _) if a < 96 => self.stand_by(),
            (19, _) if a < 128 => self.take_over(b & 1 == 1),
            _ => {}
        }
    }

    fn announce(&mut self, n: usize) {
        self.calls += 1;
        self.pbx.announce(n, &format!("3105550{:03}", self.calls));
    }

    /// The agent reads what the PBX says. While a snapshot is under way only announcements are read at once.
    fn listen(&mut self) {
        for event in self.pbx.said() {
            if self.lose > 0 {
                self.lose -= 1;
                (self.dirty, self.disordered) = (true, true);
                self.asked.iter_mut().for_each(|asked| asked.lost = true);
            } else if let Some(asked) = self.asked.as_mut().filter(|_| event.name() != "UserEvent") {
                asked.waiting.push(event);
            } else {
                self.read(&event);
            }
        }
        if !self.slow {
            self.deliver_all();
        }
    }

    fn read(&mut self, event: &Raw) {
        for event in self.translator.read(event) {
            if let PbxEvent::Announced(held) = event {
                if self.standby {
                    self.other_opens(&held.leg, &held.tags);
                    continue;
                }
                let (key, left) = self.tracker.announce(&held.leg);
                self.tell(left.into_iter().collect());
                self.follow(key, &held.leg, &held.tags, true);
            } else {
                let said = self.tracker.apply(&event);
                self.tell(said);
            }
        }
    }

    /// A call is followed from now on, and the node is told of it first, if it doesn't know it.
    pub(super) fn follow(&mut self, key: Key, leg: &LegId, tags: &CallTags, held: bool) {
        let Some(called) = number(&tags.called) else { return };
        self.followed.insert(key, CallIdentity { leg: leg.clone(), called, id: tags.call.clone() });
        if let Some(known) = tags.call.as_ref().filter(|known| !self.over.contains(known)) {
            self.ids.insert(key, known.clone());
            return;
        }
        let Some(mut call) = self.decide(leg, tags, held) else { return };
        if !self.late_ids {
            self.give_id(&mut call);
            if held {
                // The answer to the dialplan: a later snapshot shows it.
                self.pbx.decided(leg, Some(call.id.clone()));
            }
        }
        self.report(Task::Call(key), QueuedReport::Open(Box::new(call)));
    }

    /// As the node's own ids: later calls have later ones.
    pub(super) fn give_id(&mut self, call: &mut Call) {
        call.id = id(self.ids_given);
        self.ids_given += 1;
    }

    /// The agent's clock when it makes this report.
    pub(super) fn at(&self, made: u64) -> UnixMillis {
        UnixMillis(i64::try_from(made / self.per_tick).unwrap_or_default())
    }

    pub(super) fn decide(&mut self, leg: &LegId, tags: &CallTags, held: bool) -> Option<Call> {
        // Other reports can share their time with an announcement, but no leg is announced twice at once.
        if self.at(self.made + 1) == self.announced {
            self.made = ((self.made + 1) / self.per_tick + 1) * self.per_tick - 1;
        }
        self.announced = self.at(self.made + 1);
        let (calling, called, at) = (number(&tags.calling)?, number(&tags.called)?, self.at(self.made + 1));
        Some(Call {
            id: id(0),
            pbx: self.name.clone(),
            leg: leg.clone(),
            legs: Call::announced_leg(leg, Some(&calling), at),
            calling: Some(calling),
            withheld: false,
            called,
            side: Side::Originating,
            route: Route::Local,
            trunk: None,
            reason: Reason::CalledHasClient,
            alerting: Default::default(),
            carried: None,
            announced: held.then_some(at),
            decided: at,
            answered: None,
            ended: None,
            cause: None,
            phase: Phase::Decided,
            parted: BTreeMap::new(),
            talks: Vec::new(),
            remote: Default::default(),
            last_seq: 0,
            last_by: None,
        })
    }

    /// As the agent does now and then: the next snapshot is compared with what the node lists now.
    fn ask_the_node(&mut self) {
        if !self.standby {
            self.claims = Claims::Told(self.live(), self.tracker.next());
        }
    }

    fn ask(&mut self, early: bool) {
        if self.asked.is_some() {
            return;
        }
        let next = self.tracker.next();
        let (sought, listed) = match std::mem::replace(&mut self.claims, Claims::None) {
            Claims::Told(calls, listed) => (calls, listed),
            other => {
                self.claims = other;
                (Vec::new(), next)
            }
        };
        let mut asked = Asked { legs: self.tracker.legs(), next, listed };
        asked.legs.extend(sought.iter().flat_map(|call| call.legs.iter().cloned()));
        let lists = early.then(|| self.pbx.list());
        self.asked = Some(AskedSnapshot { asked, sought, lists, waiting: Vec::new(), lost: false });
    }

    fn answered(&mut self) {
        let Some(AskedSnapshot { asked, sought, lists, waiting, lost }) = self.asked.take() else { return };
        let (channels, bridges) = lists.unwrap_or_else(|| self.pbx.list());
        let snapshot = self.translator.restart(&channels, &bridges);
        reconcile(self, &snapshot, &asked, sought);
        if matches!(self.claims, Claims::Late) {
            self.claims = Claims::Told(self.live(), self.tracker.next());
        }
        // The lists may be too old for what was lost, or too new for the events that waited: the agent asks for another
        // snapshot. It does so as well for what the node claims.
        self.dirty = self.lose > 0 || lost || self.standby || !matches!(self.claims, Claims::None);
        // The lists may show already what they tell.
        self.disordered |= !waiting.is_empty();
        waiting.iter().for_each(|event| self.read(event));
    }

    /// Another agent begins anew, whose clock is ahead by this. What the old one had not reported is lost with it.
    fn restart(&mut self, late: bool, ahead: u64) {
        self.deliver_all();
        // That takes longer than a tick.
        self.made += self.per_tick;
        self.numbering = Numbering::new(self.made, ahead * CLOCK_MAX / 127);
        self.translator = Translator::default();
        self.tracker = Tracker::default();
        self.ids.clear();
        self.followed.clear();
        self.reports.clear();
        self.asked = None;
        self.begin(late);
    }

    /// Another agent is in charge from now on.
    fn stand_by(&mut self) {
        self.standby = true;
        self.dirty = true;
    }

    /// The other agent is gone.
    fn take_over(&mut self, late: bool) {
        if self.standby {
            self.begin(late);
        }
    }

    /// In charge, the agent asks the node for its live calls.
    fn begin(&mut self, late: bool) {
        self.standby = false;
        self.dirty = true;
        self.claims = if late { Claims::Late } else { Claims::Told(self.live(), self.tracker.next()) };
        self.ask(false);
    }

    /// Everything settles, and then everybody hangs up.
    fn end_all(&mut self) {
        self.lose = 0;
        self.answered();
        self.take_over(false);
        // The second snapshot shows who else was there of those whom the first one made followed. A call that the node has
        // ended takes one more, to be registered anew.
        for round in 0..6 {
            self.deliver_all();
            if round >= 2 && !self.dirty {
                break;
            }
            self.ask_the_node();
            self.ask(false);
            self.answered();
        }
        self.deliver_all();
        self.check();
        self.check_that_all_are_paired();
        while let Some(n) = self.pbx.pick(0) {
            self.pbx.hang_up(n);
        }
        self.meet();
        self.listen();
        self.deliver_all();
        self.check();
        assert!(self.paired.is_empty());
        assert!(self.translator.is_empty(), "{:?}", self.translator);
        assert!(self.tracker.is_empty(), "{:?}", self.tracker);
        let calls: Vec<CallId> = self.exchange.calls().map(|call| call.id.clone()).collect();
        for call in calls {
            let call = self.exchange.forget(&call);
            assert!(call.as_ref().is_some_and(|call| call.phase == Phase::Ended), "{call:?}");
        }
        assert!(self.exchange.is_empty(), "{:?}", self.exchange);
    }
}

fn id(n: usize) -> CallId {
    format!("c{n:06}").parse().unwrap_or_else(|_| unreachable!("a letter and digits are a name"))
}

pub(super) fn number(digits: &str) -> Option<Number> {
    format!("+1{digits}").parse().ok()
}
