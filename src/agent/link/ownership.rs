//! Which agent is in charge of a PBX: the one that attached last. It writes a heartbeat with each check. An agent that
//! stands by takes over when the heartbeat stops.

use std::sync::Arc;

use crate::agent::micros;
use crate::core::base::name::PbxName;
use crate::core::base::pbx_clock::ROUND_TRIP_MAX;
use crate::pbx::{PbxCommands, PbxError};

/// Checks in a row without a new heartbeat before the agent in charge counts as dead. One that was only cut off for longer
/// attaches anew, and is in charge again.
const SILENT: u32 = 3;

/// How often the time is asked for until that is quick enough to be of use.
const TIME_TRIES: usize = 3;

/// The PBX's time, when it was asked and when that arrived, in microseconds.
pub(super) type Time = Option<(i64, i64, i64)>;

/// What attaching to a PBX told.
#[derive(Debug)]
pub(super) struct Attachment {
    pub version: String,
    /// Who was in charge before.
    pub other: Option<String>,
    pub clock: Time,
}

/// What a check told.
#[derive(Debug)]
pub(super) struct Checked {
    /// Who is in charge.
    pub owner: String,
    pub clock: Time,
}

/// Claims a PBX for this agent and checks who has it, as long as a link lasts.
pub(super) struct Ownership {
    commands: Arc<dyn PbxCommands>,
    pbx: PbxName,
    us: String,
    other: Other,
}

/// Another agent that is in charge.
#[derive(Debug, Default)]
struct Other {
    /// Who, and its last heartbeat; an agent of an earlier version writes none.
    last: Option<(String, Option<String>)>,
    silent: u32,
}

impl Other {
    /// Whether it counts as dead, now that a check has found this.
    fn is_dead(&mut self, owner: &str, heartbeat: Option<String>) -> bool {
        let now = Some((owner.to_owned(), heartbeat));
        self.silent = if self.last == now { self.silent + 1 } else { 0 };
        self.last = now;
        self.silent >= SILENT
    }
}

impl Ownership {
    pub(super) fn new(commands: Arc<dyn PbxCommands>, pbx: PbxName, us: String) -> Ownership {
        Ownership { commands, pbx, us, other: Other::default() }
    }

    /// From here on the dialplan announces calls to us.
    pub(super) async fn attach(&self) -> Result<Attachment, PbxError> {
        let version = self.commands.version().await?;
        self.commands.ping().await?;
        let clock = self.time().await?;
        let other = self.commands.owner().await?.filter(|owner| *owner != self.us);
        self.claim(clock).await?;
        Ok(Attachment { version, other, clock })
    }

    /// Pings each connection, writes the heartbeat, and tells who is in charge and what time it is there. If nobody is in charge any more, after a reload
    /// that clears the global variables, another agent's goodbye or its death, we are.
    pub(super) async fn check(&mut self) -> Result<Checked, PbxError> {
        self.commands.ping().await?;
        let clock = self.time().await?;
        let mut owner = self.commands.owner().await?;
        if let Some(other) = owner.take_if(|owner| *owner != self.us) {
            let heartbeat = self.commands.heartbeat().await?;
            if !self.other.is_dead(&other, heartbeat) {
                return Ok(Checked { owner: other, clock });
            }
            tracing::warn!(pbx = %self.pbx, other, "the agent in charge gives no sign of life: taking over");
        }
        self.other = Other::default();
        match owner {
            Some(_) => self.beat(clock).await?,
            None => self.claim(clock).await?,
        }
        let owner = self.us.clone();
        Ok(Checked { owner, clock })
    }

    /// The heartbeat first: with our name and an old one we would look dead. If two do this at once, the
    /// last one is in charge, and the other sees that.
    async fn claim(&self, clock: Time) -> Result<(), PbxError> {
        self.beat(clock).await?;
        self.commands.set_owner(Some(&self.us)).await
    }

    async fn beat(&self, clock: Time) -> Result<(), PbxError> {
        self.commands.beat(clock.map_or_else(micros, |(pbx, ..)| pbx)).await
    }

    /// A PBX that is busy at this moment may be quicker at the next, and without its time no call is answered.
    async fn time(&self) -> Result<Time, PbxError> {
        let mut time = None;
        for _ in 0..TIME_TRIES {
            let asked = micros();
            let Some(pbx) = self.commands.clock().await? else { return Ok(None) };
            let arrived = micros();
            time = Some((pbx, asked, arrived));
            if arrived - asked <= ROUND_TRIP_MAX {
                break;
            }
        }
        Ok(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_gives_signs_of_life_is_alive_however_they_look() {
        let mut other = Other::default();
        for n in [5, 6, 6, 6, 7, 3, 3, 3] {
            assert!(!other.is_dead("a", Some(n.to_string())), "{n}");
        }
        assert!(other.is_dead("a", Some("3".into())));
    }

    #[test]
    fn another_one_in_charge_has_its_own_time() {
        let mut other = Other::default();
        for owner in ["a", "a", "a", "b", "b", "b"] {
            assert!(!other.is_dead(owner, None), "{owner}");
        }
        assert!(other.is_dead("b", None));
    }
}
