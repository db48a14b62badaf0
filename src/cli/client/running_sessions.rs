//! The sessions that run, and whether there is room for more files.

use std::collections::HashSet;

use super::running_session::RunningSession;
use crate::core::base::name::CallId;
use crate::media::invitations::FileInvitation;
use crate::media::signal::DeviceTag;

/// Maximum number of sessions at once, in all and in one call: nobody else's call must be kept from them.
const SESSIONS_MAX: usize = 16;
pub(super) const SESSIONS_OF_CALL_MAX: usize = 4;
/// Why no more files are accepted for now.
pub(super) const TRANSFERS: &str = "too many transfers at once";
const DEVICES: &str = "too many devices at once";

/// All sessions of this client, also those that are about to end.
#[derive(Debug, Default)]
pub(super) struct RunningSessions(Vec<RunningSession>);

impl RunningSessions {
    pub(super) fn add(&mut self, session: RunningSession) {
        self.0.push(session);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &RunningSession> {
        self.0.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut RunningSession> {
        self.0.iter_mut()
    }

    /// The session with this key.
    pub(super) fn with_key(&mut self, key: u64) -> Option<&mut RunningSession> {
        self.iter_mut().find(|session| session.key == key)
    }

    /// Removes the session with this key.
    pub(super) fn remove(&mut self, key: u64) -> Option<RunningSession> {
        let at = self.iter().position(|session| session.key == key)?;
        Some(self.0.remove(at))
    }

    /// The session through which files of this device in this call can come.
    pub(super) fn serving(&self, call: &CallId, device: &DeviceTag) -> Option<&RunningSession> {
        self.iter().find(|session| session.serves(call, device))
    }

    /// The same, to change it.
    pub(super) fn serving_mut(&mut self, call: &CallId, device: &DeviceTag) -> Option<&mut RunningSession> {
        self.iter_mut().find(|session| session.serves(call, device))
    }

    /// How many there are in a call.
    pub(super) fn of_call(&self, call: &CallId) -> usize {
        self.iter().filter(|session| session.call == *call).count()
    }

    /// Says why no files of this device can come now, if so. The files of `claimed` will come, too, if their claims are won.
    pub(super) fn check_room<'a>(
        &self,
        call: &CallId,
        device: &DeviceTag,
        claimed: impl Iterator<Item = &'a FileInvitation>,
    ) -> Result<(), &'static str> {
        let is_of_device = |it: &&FileInvitation| it.call == *call && it.from == *device;
        let (of_device, others): (Vec<_>, Vec<_>) = claimed.partition(is_of_device);
        if let Some(session) = self.serving(call, device) {
            return if session.has_room(of_device.len()) { Ok(()) } else { Err(TRANSFERS) };
        }
        let begin_one = others.into_iter().filter(|it| self.serving(&it.call, &it.from).is_none());
        let devices: HashSet<_> = begin_one.map(|it| (&it.call, &it.from)).collect();
        let in_call = devices.iter().filter(|(other, _)| *other == call).count();
        let is_full =
            self.0.len() + devices.len() >= SESSIONS_MAX || self.of_call(call) + in_call >= SESSIONS_OF_CALL_MAX;
        if is_full { Err(DEVICES) } else { Ok(()) }
    }
}
