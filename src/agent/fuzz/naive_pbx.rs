//! A naive Asterisk: it knows who is in which bridge, and says so in events.

use crate::core::base::name::{CallId, LegId};
use crate::core::numbering::number::Number;
use crate::pbx::asterisk::fuzz::{AmiEvent, printed};

/// The bridge of those who wait: they hear nobody.
const HOLDING: u8 = 5;
/// Bridges that there are, the holding one included.
const BRIDGES: u8 = 6;

/// A channel: a phone's, or one half of a `Local` channel.
pub(super) struct Channel {
    pub(super) leg: LegId,
    number: String,
    pub(super) stands_for: Number,
    name: String,
    linked: String,
    intermediate: Option<(usize, usize)>,
    bridge: Option<u8>,
    pub(super) alive: bool,
    up: bool,
    /// Whom it calls, and the call that it was told to be.
    tags: Option<(String, Option<CallId>)>,
}

impl Channel {
    pub(super) fn is_phone(&self) -> bool {
        self.intermediate.is_none()
    }
}

/// All channels that there ever were, and what they have said since that was last asked.
#[derive(Default)]
pub(super) struct NaivePbx {
    pub(super) channels: Vec<Channel>,
    locals: usize,
    said: Vec<AmiEvent>,
    /// `Local` channels that are being taken out: who hears whom is open until that is done.
    pub(super) taking_out: Vec<usize>,
}

impl NaivePbx {
    /// What was said since.
    pub(super) fn said(&mut self) -> Vec<AmiEvent> {
        std::mem::take(&mut self.said)
    }

    /// One of the channels that are up.
    pub(super) fn pick(&self, byte: u8) -> Option<usize> {
        let alive: Vec<usize> = (0..self.channels.len()).filter(|n| self.channels[*n].alive).collect();
        (!alive.is_empty()).then(|| alive[usize::from(byte) % alive.len()])
    }

    fn say(&mut self, lines: &str) {
        self.said.push(printed(lines));
    }

    fn make(&mut self, name: String, linked: Option<usize>, intermediate: Option<(usize, usize)>) -> Option<usize> {
        let n = self.channels.len();
        let id = format!("1795345005.{n}");
        let linked = linked.map_or_else(|| id.clone(), |by| self.channels[by].linked.clone());
        let number = format!("2125550{n:03}");
        let (leg, stands_for) = (id.parse().ok()?, format!("+1{number}").parse().ok()?);
        self.channels.push(Channel {
            leg,
            number,
            stands_for,
            name,
            linked,
            intermediate,
            bridge: None,
            alive: true,
            up: false,
            tags: None,
        });
        Some(n)
    }

    /// A phone picks up its handset.
    pub(super) fn phone(&mut self, by: Option<usize>) -> Option<usize> {
        let n = self.channels.len();
        if n >= 100 {
            return None;
        }
        let name = format!("PJSIP/2125550{n:03}-{n:08x}");
        self.make(name, by, None)
    }

    /// The dialplan announces a call. A channel that runs in the dialplan is in no bridge.
    pub(super) fn announce(&mut self, n: usize, called: &str) {
        if self.channels[n].bridge.is_some() || !self.channels[n].is_phone() {
            return;
        }
        self.channels[n].tags = Some((called.to_owned(), None));
        let (id, name, number) = self.names(n);
        self.say(&format!(
            "Event: UserEvent\nUserEvent: SidecallSetup\nChannel: {name}\nUniqueid: {id}\nContext: c\n\
             Exten: s\nAgent: agent\nSide: originating\nCalling: {number}\nCalled: {called}\nHold: 500\n"
        ));
    }

    /// The dialplan is told the id of the call.
    pub(super) fn decided(&mut self, leg: &LegId, call: Option<CallId>) {
        let tags = self.channels.iter_mut().find(|c| c.leg == *leg).and_then(|c| c.tags.as_mut());
        tags.into_iter().for_each(|(_, decided)| decided.clone_from(&call));
    }

    /// The same, if it still waits for that: it goes on by itself sooner or later, here when it comes into a bridge.
    pub(super) fn decided_while_held(&mut self, leg: &LegId, called: &Number, call: &CallId) {
        let waits = |c: &&Channel| c.leg == *leg && c.bridge.is_none();
        let waiting = self.channels.iter().find(waits).and_then(|channel| channel.tags.as_ref());
        if waiting.is_some_and(|(to, _)| format!("+1{to}") == called.to_string()) {
            self.decided(leg, Some(call.clone()));
        }
    }

    /// Whether a leg is up that was never announced, or for this call the last time.
    pub(super) fn is_up_in(&self, leg: &LegId, call: &CallId) -> bool {
        let channel = self.channels.iter().find(|channel| channel.leg == *leg && channel.alive);
        channel.is_some_and(|c| c.tags.as_ref().is_none_or(|(_, decided)| decided.as_ref() == Some(call)))
    }

    /// Calls a phone.
    pub(super) fn dial(&mut self, by: usize) {
        let Some(n) = self.phone(Some(by)) else { return };
        self.dial_begin(by, n);
    }

    /// Calls through a `Local` channel, whose second half calls a phone.
    pub(super) fn dial_local(&mut self, by: usize) {
        if self.channels.len() >= 98 {
            return;
        }
        let local = self.locals;
        self.locals += 1;
        let name = |half: usize| format!("Local/9@c-{local:08x};{half}");
        let (Some(one), Some(two)) =
            (self.make(name(1), Some(by), Some((local, 0))), self.make(name(2), Some(by), Some((local, 1))))
        else {
            return;
        };
        self.dial_begin(by, one);
        self.dial(two);
    }

    fn dial_begin(&mut self, by: usize, dest: usize) {
        let ((id, name, _), (dest_id, dest_name, number)) = (self.names(by), self.names(dest));
        self.say(&format!(
            "Event: DialBegin\nChannel: {name}\nUniqueid: {id}\nDestChannel: {dest_name}\n\
             DestUniqueid: {dest_id}\nDialString: {number}\n"
        ));
    }

    /// It answers.
    pub(super) fn answer(&mut self, n: usize) {
        self.channels[n].up = true;
        let (id, name, _) = self.names(n);
        self.say(&format!("Event: Newstate\nChannel: {name}\nUniqueid: {id}\nChannelState: 6\n"));
    }

    /// It comes into a bridge, from another one perhaps, and in another one's place perhaps.
    pub(super) fn enter(&mut self, n: usize, bridge: u8, swap: Option<u8>) {
        let bridge = bridge % BRIDGES;
        if self.channels[n].bridge == Some(bridge) {
            return;
        }
        self.leave(n);
        let there: Vec<usize> = self.members(bridge);
        let swapped = swap.filter(|_| !there.is_empty() && bridge != HOLDING);
        let swapped = swapped.map(|byte| there[usize::from(byte) % there.len()]);
        self.channels[n].bridge = Some(bridge);
        self.channels[n].up = true;
        let (id, name, _) = self.names(n);
        let technology = if bridge == HOLDING { "holding_bridge" } else { "softmix" };
        let swap_id = swapped.map(|other| self.names(other).0).unwrap_or_default();
        self.say(&format!(
            "Event: BridgeEnter\nBridgeUniqueid: b{bridge}\nBridgeTechnology: {technology}\n\
             Channel: {name}\nUniqueid: {id}\nSwapUniqueid: {swap_id}\n"
        ));
        swapped.into_iter().for_each(|other| self.leave(other));
    }

    /// It leaves its bridge.
    pub(super) fn leave(&mut self, n: usize) {
        let Some(bridge) = self.channels[n].bridge.take() else { return };
        let (id, name, _) = self.names(n);
        let bridge = format!("b{bridge}");
        self.say(&format!("Event: BridgeLeave\nBridgeUniqueid: {bridge}\nChannel: {name}\nUniqueid: {id}\n"));
    }

    /// Everybody leaves, and the bridge goes.
    pub(super) fn destroy(&mut self, bridge: u8) {
        let bridge = bridge % BRIDGES;
        self.members(bridge).into_iter().for_each(|n| self.leave(n));
        self.say(&format!("Event: BridgeDestroy\nBridgeUniqueid: b{bridge}\n"));
    }

    /// It hangs up; both halves of a `Local` channel go together.
    pub(super) fn hang_up(&mut self, n: usize) {
        let both = match self.channels[n].intermediate {
            Some((local, _)) => {
                self.taking_out.retain(|other| *other != local);
                let halves = |c: &Channel| c.intermediate.is_some_and(|(other, _)| other == local) && c.alive;
                (0..self.channels.len()).filter(|n| halves(&self.channels[*n])).collect()
            }
            None => vec![n],
        };
        for n in both {
            self.leave(n);
            self.channels[n].alive = false;
            let (id, name, _) = self.names(n);
            self.say(&format!("Event: Hangup\nChannel: {name}\nUniqueid: {id}\nCause-txt: Normal Clearing\n"));
        }
    }

    /// Asterisk begins to take a `Local` channel out from between two people, if this is one.
    pub(super) fn begin_to_take_out(&mut self, n: usize) {
        let Some((local, _)) = self.channels[n].intermediate.filter(|(local, _)| !self.taking_out.contains(local))
        else {
            return;
        };
        self.taking_out.push(local);
        let name = format!("Local/9@c-{local:08x};1");
        self.say(&format!("Event: LocalOptimizationBegin\nLocalOneChannel: {name}\n"));
    }

    /// It has taken it out: who was behind one half comes in the other's place, and the halves go.
    pub(super) fn take_out(&mut self, byte: u8) {
        if self.taking_out.is_empty() {
            return;
        }
        let local = self.taking_out.remove(usize::from(byte) % self.taking_out.len());
        let half = |side: usize| self.channels.iter().position(|c| c.intermediate == Some((local, side)) && c.alive);
        let (Some(one), Some(two)) = (half(0), half(1)) else { return };
        if let (Some(here), Some(there)) = (self.channels[one].bridge, self.channels[two].bridge)
            && let Some(behind) = self.members(there).into_iter().find(|n| self.channels[*n].is_phone())
        {
            let place = self.members(here).iter().position(|n| *n == one).and_then(|at| u8::try_from(at).ok());
            self.enter(behind, here, place);
        }
        let name = format!("Local/9@c-{local:08x};1");
        self.say(&format!("Event: LocalOptimizationEnd\nLocalOneChannel: {name}\n"));
        self.hang_up(one);
    }

    /// Whose number this is.
    pub(super) fn phone_of(&self, number: &Number) -> Option<usize> {
        self.channels.iter().position(|channel| channel.stands_for == *number)
    }

    /// Whether two phones hear each other.
    pub(super) fn are_connected(&self, a: usize, b: usize) -> bool {
        let phone = |n: usize| Some(&self.channels[n]).filter(|c| c.alive && c.is_phone())?.bridge;
        let (Some(from), Some(to)) = (phone(a), phone(b)) else { return false };
        if a == b || from == HOLDING || to == HOLDING {
            return false;
        }
        let mut reached = vec![from];
        let mut at = 0;
        while at < reached.len() {
            for (local, side) in self.members(reached[at]).into_iter().filter_map(|n| self.channels[n].intermediate) {
                let other = self.channels.iter().find(|c| c.intermediate == Some((local, 1 - side)));
                if let Some(next) = other.and_then(|other| other.bridge).filter(|next| *next != HOLDING)
                    && !reached.contains(&next)
                {
                    reached.push(next);
                }
            }
            at += 1;
        }
        reached.contains(&to)
    }

    /// The channel list and the bridge list.
    pub(super) fn list(&self) -> (Vec<AmiEvent>, Vec<AmiEvent>) {
        let entry = |c: &Channel| {
            let state = if c.up { 6 } else { 4 };
            let bridge = c.bridge.map(|bridge| format!("b{bridge}")).unwrap_or_default();
            let mut text = format!(
                "Event: Status\nChannel: {}\nChannelState: {state}\nUniqueid: {}\nLinkedid: {}\nBridgeID: {bridge}\n",
                c.name, c.leg, c.linked
            );
            if let Some((called, call)) = &c.tags {
                text += &format!(
                    "Variable: SIDECALL=on\nVariable: SIDECALL_SIDE=originating\nVariable: SIDECALL_CALLING={}\nVariable: SIDECALL_CALLED={called}\n",
                    c.number
                );
                text += &call.as_ref().map(|call| format!("Variable: SIDECALL_CALL={call}\n")).unwrap_or_default();
            }
            printed(&text)
        };
        let bridge = |bridge| {
            let technology = if bridge == HOLDING { "holding_bridge" } else { "softmix" };
            printed(&format!("Event: BridgeListItem\nBridgeUniqueid: b{bridge}\nBridgeTechnology: {technology}\n"))
        };
        (self.channels.iter().filter(|c| c.alive).map(entry).collect(), (0..BRIDGES).map(bridge).collect())
    }

    /// Who is in a bridge, in order.
    fn members(&self, bridge: u8) -> Vec<usize> {
        (0..self.channels.len()).filter(|n| self.channels[*n].bridge == Some(bridge)).collect()
    }

    /// Id, name and number.
    fn names(&self, n: usize) -> (String, String, String) {
        let channel = &self.channels[n];
        (channel.leg.to_string(), channel.name.clone(), channel.number.clone())
    }
}
