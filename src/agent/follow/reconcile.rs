//! Brings the followed calls in line with a snapshot, and with the calls that the node takes for live.
//!
//! Pure: what is done about a call is up to whoever follows it ([`Calls`]).

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use super::tracked_event::TrackedEvent;
use super::tracker::{Key, Tracker};
use crate::contract::{CallReport, CallView};
use crate::core::base::name::{CallId, LegId};
use crate::core::numbering::number::Number;
use crate::pbx::{CallTags, PbxEvent, Shown, Snapshot, sorted};

/// What tells a followed call from others.
#[derive(Debug, Clone)]
pub(in crate::agent) struct CallIdentity {
    /// The announced leg.
    pub leg: LegId,
    pub called: Number,
    /// The node's id, where the PBX or the node has told it.
    pub id: Option<CallId>,
}

/// What was followed when a snapshot was asked for.
#[derive(Debug)]
pub(in crate::agent) struct Asked {
    /// Followed legs, and those that the node takes for live.
    pub legs: Vec<LegId>,
    /// The key of the next call: calls with this key or a later one are newer than the snapshot.
    pub next: Key,
    /// The same when the node was asked for its live calls: what it lists is older than these.
    pub listed: Key,
}

/// The followed calls, and what is done about them.
pub(in crate::agent) trait Calls {
    fn tracker(&mut self) -> &mut Tracker;

    /// All of them.
    fn identities(&self) -> impl Iterator<Item = (Key, &CallIdentity)>;

    fn identity(&self, key: Key) -> Option<&CallIdentity>;

    /// The followed calls that are over for the node: it has dropped what was last reported of them.
    fn over(&mut self) -> Vec<Key>;

    /// The called number that the tags name, if calls to it are followed.
    fn called(&self, tags: &CallTags) -> Option<Number>;

    /// The node has reports up to this one. An agent before us may have had another clock, and the node may take a call's
    /// reports with lower numbers for repeats.
    fn reported(&mut self, last_seq: u64);

    fn tell(&mut self, said: Vec<TrackedEvent>);

    /// Follows a call whose announced leg is in the snapshot.
    fn start(&mut self, key: Key, leg: LegId, tags: CallTags, called: Number);

    /// Follows a call that the node knows.
    fn adopt(&mut self, key: Key, view: &CallView);

    /// Stops following a call and reports nothing: none of the legs that it still had was its own.
    fn forget(&mut self, key: Key);

    /// Reports the end of these legs of a call that is not followed, unless its own last reports are on their way.
    fn end(&mut self, view: &CallView, legs: Vec<LegId>);

    /// Follows the calls of main numbers, before anybody is told who hears whom.
    fn follow_main_callers(&mut self, snapshot: &Snapshot);
}

/// The calls that the node takes for live: the latest first, but after all others those that their announced leg has left.
struct Claims {
    views: Vec<CallView>,
    by_id: HashMap<CallId, usize>,
    /// The latest call of a leg to a number: the node takes an announcement that is repeated for the same call.
    by_leg: HashMap<(LegId, Number), usize>,
    /// The call in which the node has a leg.
    homes: HashMap<LegId, usize>,
}

impl Claims {
    fn new(mut views: Vec<CallView>) -> Claims {
        // A call that its announced leg has left may have been registered late, with a later id than the leg's next call.
        views.sort_unstable_by_key(|view| (view.moved.contains(&view.leg), Reverse(view.call.clone())));
        let by_id = views.iter().enumerate().map(|(n, view)| (view.call.clone(), n)).collect();
        let legs = views.iter().enumerate().rev();
        let by_leg = legs.map(|(n, view)| ((view.leg.clone(), view.called.clone()), n)).collect();
        let mut claims = Claims { views, by_id, by_leg, homes: HashMap::new() };
        for n in (0..claims.views.len()).rev() {
            claims.homes.extend(claims.own(n).into_iter().map(|leg| (leg, n)));
        }
        claims
    }

    /// Which of them this is. An id that the node doesn't claim says nothing: the node may have lost the call, and
    /// have given it another id when the agent registered it again.
    fn find(&self, call: &CallIdentity) -> Option<usize> {
        let by_id = call.id.as_ref().and_then(|id| self.by_id.get(id));
        by_id.or_else(|| self.by_leg.get(&(call.leg.clone(), call.called.clone()))).copied()
    }

    /// Whether the node has this leg in another call by now, and not in this one.
    fn has_gone_over(&self, n: usize, leg: &LegId) -> bool {
        !self.views[n].legs.contains(leg) && self.homes.contains_key(leg)
    }

    /// Legs of these calls that hear each other, which the node doesn't know.
    fn unheard(&self, shown: &Shown<'_>) -> Vec<[LegId; 2]> {
        let known: HashSet<[LegId; 2]> = self.views.iter().flat_map(|view| view.hears.iter().map(sorted)).collect();
        let is_news = |legs: &[LegId; 2]| legs.iter().all(|leg| self.homes.contains_key(leg)) && !known.contains(legs);
        shown.heard().filter(|legs| is_news(legs)).cloned().collect()
    }

    /// The legs that the node has in this call. It has each leg in one call; a node of an earlier version may list it in
    /// its earlier calls, too.
    fn own(&self, n: usize) -> Vec<LegId> {
        let view = &self.views[n];
        let elsewhere = |leg: &&LegId| view.strangers.contains(leg) || view.moved.contains(leg);
        view.legs.iter().filter(|leg| !elsewhere(leg)).cloned().collect()
    }
}

/// Brings what is followed in line with a snapshot. The node took the `claimed` calls for live before the snapshot was
/// asked for. True if another snapshot is needed soon.
pub(in crate::agent) fn reconcile(
    calls: &mut impl Calls,
    snapshot: &Snapshot,
    asked: &Asked,
    claimed: Vec<CallView>,
) -> bool {
    // A call with a number near the largest must not leave the other calls without numbers.
    let last = claimed.iter().map(|view| view.last_seq).filter(|seq| *seq <= CallReport::SEQ_MAX / 2).max();
    last.into_iter().for_each(|last_seq| calls.reported(last_seq));
    // Their legs are found again below: by their tags, or by whom they hear.
    for key in calls.over().into_iter().filter(|key| *key < asked.next) {
        calls.tracker().abandon(key);
        calls.forget(key);
    }
    let claims = Claims::new(claimed);
    let shown = snapshot.shown();
    let tagged: HashMap<LegId, CallIdentity> = snapshot
        .legs
        .iter()
        .filter_map(|live| {
            let tags = live.tags.as_ref()?;
            let identity = CallIdentity { leg: live.leg.clone(), called: calls.called(tags)?, id: tags.call.clone() };
            Some((live.leg.clone(), identity))
        })
        .collect();
    // By which key each claimed call is followed.
    let mut followed: HashMap<usize, Key> = HashMap::new();
    let known: Vec<_> = calls.identities().filter_map(|(key, call)| Some((key, claims.find(call)?))).collect();
    for (key, n) in known {
        let latest = followed.entry(n).or_insert(key);
        *latest = key.max(*latest);
    }
    let mut over = forgotten(calls.tracker(), &claims, &followed, &shown);
    // First, where the call is followed: it is over with the last leg that the tracker knows.
    over.retain(|n, legs| match followed.get(n) {
        Some(key) => {
            calls.tell(legs.drain(..).map(|leg| TrackedEvent::ended(*key, &leg, None)).collect());
            false
        }
        None => true,
    });
    let gone = calls.tracker().missing(&shown, &asked.legs);
    calls.tell(gone);
    let (found, again) = calls.tracker().found(snapshot);
    let mut told: HashSet<(Key, LegId)> = HashSet::new();
    let found: HashSet<LegId> = found.into_iter().map(|(leg, _)| leg.clone()).collect();
    for live in &snapshot.legs {
        let (Some(identity), Some(tags)) = (tagged.get(&live.leg), &live.tags) else { continue };
        let claim = claims.find(identity).map(|n| (n, &claims.views[n]));
        if claim.is_some_and(|(n, _)| claims.has_gone_over(n, &live.leg)) {
            // It was registered in that order, perhaps late: the leg's reports count only where the node has it.
            continue;
        }
        let key = calls.tracker().call_of(&live.leg);
        let (key, left) = match (key, claim) {
            // Nothing was told of it: it is in no call.
            (None, _) if found.contains(&live.leg) => (calls.tracker().announce(&live.leg).0, None),
            // Announced to another agent while that one was in charge.
            (Some(key), Some((n, view)))
                if key < asked.next && view.leg == live.leg && followed.get(&n) != Some(&key) =>
            {
                calls.tracker().announce_with(&live.leg, &claims.own(n))
            }
            _ => continue,
        };
        told.extend(left.iter().map(|said| (said.key, live.leg.clone())));
        calls.tell(left.into_iter().collect());
        followed.extend(claim.map(|(n, _)| (n, key)));
        calls.start(key, live.leg.clone(), tags.clone(), identity.called.clone());
    }
    // Calls that an agent before us followed, also where no leg is left that the dialplan announced.
    let mut settled: HashSet<LegId> = HashSet::new();
    let mut introduced: HashSet<LegId> = HashSet::new();
    for (n, view) in claims.views.iter().enumerate() {
        let own: Vec<LegId> = claims.own(n).into_iter().filter(|leg| settled.insert(leg.clone())).collect();
        if !followed.contains_key(&n) && own.contains(&view.leg) && was_left_for(calls, &claims, n, &tagged, asked) {
            let (key, left) = calls.tracker().announce_with(&view.leg, &own);
            told.extend(left.iter().map(|said| (said.key, view.leg.clone())));
            calls.tell(left.into_iter().collect());
            calls.adopt(key, view);
            followed.insert(n, key);
        }
        for leg in own.iter().filter(|leg| shown.has(leg)) {
            release(calls, leg, followed.get(&n));
        }
        // Strangers only if nobody follows them: the report of their own call may be on its way to the node.
        let legs: Vec<LegId> =
            view.legs.iter().filter(|leg| shown.has(leg) && !view.moved.contains(leg)).cloned().collect();
        let joins = |leg: &&LegId| view.strangers.contains(leg) && calls.tracker().call_of(leg).is_none();
        introduced.extend(legs.iter().filter(joins).cloned());
        if let Some(key) = calls.tracker().adopt(&legs, |key| followed.get(&n) == Some(&key)) {
            calls.adopt(key, view);
            followed.insert(n, key);
        }
    }
    for (n, leg) in moved_on(calls, &claims, &followed, &tagged, &shown, asked) {
        if followed.get(&n).is_none_or(|key| !told.contains(&(*key, leg.clone()))) {
            over.entry(n).or_default().push(leg);
        }
    }
    for (n, legs) in over {
        match followed.get(&n).filter(|key| calls.identity(**key).is_some()) {
            // In its turn: a later report that overtook this one would make the node drop it.
            Some(key) => calls.tell(legs.iter().map(|leg| TrackedEvent::ended(*key, leg, None)).collect()),
            None => calls.end(&claims.views[n], legs),
        }
    }
    // A stranger's own call is over, or was never told of: it is who it is in the call that has it.
    for live in snapshot.legs.iter().filter(|live| introduced.contains(&live.leg)) {
        let identified = PbxEvent::Identified { leg: live.leg.clone(), device: live.device.clone() };
        let told = calls.tracker().apply(&identified);
        calls.tell(told);
    }
    calls.follow_main_callers(snapshot);
    let unheard = claims.unheard(&shown);
    calls.tracker().tell_again(unheard);
    let news = calls.tracker().catch_up(snapshot, &shown);
    calls.tell(news);
    for view in &claims.views {
        let apart = calls.tracker().apart(&shown, &view.hears);
        calls.tell(apart);
    }
    again
}

/// Whether the announced leg of a claimed call, which the node has in that call, is still followed in one that it has
/// left: the node knows that one too, or the PBX says that the leg has since called somebody else.
fn was_left_for(
    calls: &mut impl Calls,
    claims: &Claims,
    n: usize,
    tagged: &HashMap<LegId, CallIdentity>,
    asked: &Asked,
) -> bool {
    let leg = &claims.views[n].leg;
    let Some(key) = calls.tracker().call_of(leg).filter(|key| *key < asked.listed) else { return false };
    let Some(old) = calls.identity(key).filter(|old| old.leg == *leg) else { return false };
    let tags = tagged.get(leg);
    let (known, by_tags) = (claims.find(old), tags.and_then(|tags| claims.find(tags)));
    known.is_none_or(|known| by_tags != Some(known) || claims.has_gone_over(known, leg))
        && (known.is_some() || tags.is_some_and(|tags| tags.called != old.called))
}

/// Takes a leg that the node has in one call out of any other that is followed. Before the node could be asked, it was
/// taken for part of the call of whoever dialled it or hears it. The call that announced it keeps it.
fn release(calls: &mut impl Calls, leg: &LegId, home: Option<&Key>) {
    let Some(key) = calls.tracker().call_of(leg).filter(|key| home != Some(key)) else { return };
    if calls.identity(key).is_none_or(|call| call.leg == *leg) {
        return;
    }
    if let Some(empty) = calls.tracker().release(leg) {
        calls.forget(empty);
    }
}

/// Legs that ended while no agent was there, by call: the node took them for live before the snapshot was asked for, the
/// PBX doesn't know them, and no other report tells their call. A later call of a leg may be followed already.
fn forgotten(
    tracker: &Tracker,
    claims: &Claims,
    followed: &HashMap<usize, Key>,
    shown: &Shown<'_>,
) -> HashMap<usize, Vec<LegId>> {
    let mut gone: HashMap<usize, Vec<LegId>> = HashMap::new();
    for (n, view) in claims.views.iter().enumerate() {
        // What the tracker knows of a call is told by its own report.
        let told = |leg: &LegId| tracker.call_of(leg).is_some_and(|key| followed.get(&n) == Some(&key));
        let untold = view.legs.iter().filter(|leg| !shown.has(leg) && !told(leg));
        let untold: Vec<LegId> = untold.cloned().collect();
        if !untold.is_empty() {
            gone.insert(n, untold);
        }
    }
    gone
}

/// Legs that a later call has announced, with the index of the call that they left: as the node says, or as the agent
/// knows better.
fn moved_on(
    calls: &mut impl Calls,
    claims: &Claims,
    followed: &HashMap<usize, Key>,
    tagged: &HashMap<LegId, CallIdentity>,
    shown: &Shown<'_>,
    asked: &Asked,
) -> Vec<(usize, LegId)> {
    let mut left = Vec::new();
    for (n, view) in claims.views.iter().enumerate() {
        for leg in &view.legs {
            let key = calls.tracker().call_of(leg);
            if key.is_some() && key.as_ref() == followed.get(&n) {
                continue;
            }
            if view.moved.contains(leg) && shown.has(leg) {
                left.push((n, leg.clone()));
                continue;
            }
            let Some(key) = key else { continue };
            let Some(now) = calls.identity(key).filter(|now| now.leg == *leg) else { continue };
            // What we follow may also be the earlier call: while another agent is in charge, announcements go there.
            let is_tagged = tagged.get(leg).is_some_and(|tags| tags.called == now.called);
            if key >= asked.listed || is_tagged {
                left.push((n, leg.clone()));
            }
        }
    }
    left
}

#[cfg(test)]
#[path = "reconcile_tests.rs"]
mod tests;
