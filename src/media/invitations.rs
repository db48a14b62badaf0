//! Invitations to receive files, from the first word to the last.
//!
//! | state    | event               | next      |
//! |----------|---------------------|-----------|
//! | open     | accept              | claiming  |
//! | open     | decline             | forgotten |
//! | claiming | won                 | accepted  |
//! | claiming | the claim failed    | open      |
//! | open, claiming | another client of the number has it, or the sender or the call is gone | forgotten |
//!
//! Any other event changes nothing. An accepted invitation is a transfer, and a transfer ends by itself.

use super::signal::{DeviceTag, FileInvite};
use crate::core::address::Address;
use crate::core::base::name::{CallId, InvitationId};

/// Maximum number of invitations of one call that wait for the user or for the node. More are ignored.
const OPEN_MAX: usize = 8;
/// Maximum number of invitations in all. The oldest are forgotten: those that are transfers first, and of the same call.
pub const INVITATIONS_MAX: usize = 200;

/// An invitation, and who sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileInvitation {
    /// The call.
    pub call: CallId,
    /// The device.
    pub from: DeviceTag,
    /// Where answers go.
    pub address: Address,
    /// The address of the party whose device it is, if the node has named it.
    pub sender: Option<Address>,
    /// What the device said.
    pub invite: FileInvite,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Claiming,
    Accepted,
}

/// The invitations of all calls, in the order in which they arrived.
#[derive(Debug, Default)]
pub struct FileInvitations(Vec<(FileInvitation, State)>);

impl FileInvitations {
    /// Adds an invitation. Returns false if it is known already, or too many of its call wait.
    pub fn receive(&mut self, invitation: FileInvitation) -> bool {
        let of_call = |known: &FileInvitation| known.call == invitation.call;
        let is_known =
            self.0.iter().any(|(known, _)| of_call(known) && known.invite.invitation == invitation.invite.invitation);
        let waiting = self.0.iter().filter(|(known, state)| of_call(known) && *state != State::Accepted).count();
        if is_known || waiting >= OPEN_MAX {
            return false;
        }
        if self.0.len() == INVITATIONS_MAX {
            let worth = |at: &usize| (self.0[*at].1 != State::Accepted, !of_call(&self.0[*at].0));
            let least = (0..self.0.len()).min_by_key(worth);
            least.map(|at| self.0.remove(at));
        }
        self.0.push((invitation, State::Open));
        true
    }

    /// This invitation, if it waits for the user.
    pub fn open_one(&self, call: &CallId, id: &InvitationId) -> Option<&FileInvitation> {
        self.open().find(|known| known.call == *call && known.invite.invitation == *id)
    }

    /// The invitations that wait for the user.
    pub fn open(&self) -> impl Iterator<Item = &FileInvitation> {
        self.in_state(State::Open)
    }

    /// The invitations that are being claimed.
    pub fn claiming(&self) -> impl Iterator<Item = &FileInvitation> {
        self.in_state(State::Claiming)
    }

    fn in_state(&self, wanted: State) -> impl Iterator<Item = &FileInvitation> {
        self.0.iter().filter(move |(_, state)| *state == wanted).map(|(invitation, _)| invitation)
    }

    /// The user accepts. The invitation must then be claimed.
    pub fn accept(&mut self, call: &CallId, id: &InvitationId) -> Option<FileInvitation> {
        let concerned = |known: &FileInvitation| known.call == *call && known.invite.invitation == *id;
        let (invitation, state) = self.0.iter_mut().find(|(known, state)| concerned(known) && *state == State::Open)?;
        *state = State::Claiming;
        Some(invitation.clone())
    }

    /// The claim of this very invitation was won: the device gets the answer. Returns false if it was forgotten meanwhile. Its id
    /// may have come again with other files.
    pub fn won(&mut self, invitation: &FileInvitation) -> bool {
        self.claim_answered(invitation, State::Accepted)
    }

    /// The claim of this very invitation failed, and may be tried again. Returns false if it was forgotten meanwhile.
    pub fn claim_failed(&mut self, invitation: &FileInvitation) -> bool {
        self.claim_answered(invitation, State::Open)
    }

    /// Forgets an invitation that is not accepted: it was declined, another client has it, or the device that may withdraw it
    /// has done so.
    pub fn forget(&mut self, call: &CallId, id: &InvitationId, by: Option<&DeviceTag>) -> Option<FileInvitation> {
        let at = self.0.iter().position(|(known, state)| {
            let concerned = known.call == *call && known.invite.invitation == *id;
            concerned && *state != State::Accepted && by.is_none_or(|device| *device == known.from)
        })?;
        Some(self.0.remove(at).0)
    }

    /// Forgets the invitations of a call, but for those whose sender stays in it.
    pub fn somebody_left(&mut self, call: &CallId, stays: impl Fn(Option<&Address>) -> bool) {
        self.0.retain(|(known, _)| known.call != *call || stays(known.sender.as_ref()));
    }

    fn claim_answered(&mut self, invitation: &FileInvitation, next: State) -> bool {
        let claimed = self.0.iter_mut().find(|(known, state)| known == invitation && *state == State::Claiming);
        let Some((_, state)) = claimed else { return false };
        *state = next;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Role;
    use crate::media::digits::digest_of;
    use crate::media::signal::FileBundle;

    const OTHER: &str = "fedcba9876543210";

    fn call() -> CallId {
        "c".parse().unwrap()
    }

    fn id(n: usize) -> InvitationId {
        format!("i{n}").parse().unwrap()
    }

    fn invitation(n: usize) -> FileInvitation {
        FileInvitation {
            call: call(),
            from: "0123456789abcdef".parse().unwrap(),
            address: "https://node.example/a/x".parse().unwrap(),
            sender: None,
            invite: FileInvite {
                invitation: id(n),
                session: "s".parse().unwrap(),
                role: Role::First,
                commit: digest_of(""),
                files: FileBundle { count: 1, bytes: 1, name: "x".to_owned() },
            },
        }
    }

    #[test]
    fn an_invitation_is_accepted_once() {
        let mut all = FileInvitations::default();
        assert!(all.receive(invitation(1)) && !all.receive(invitation(1)));
        assert!(!all.won(&invitation(1)));
        assert!(all.accept(&call(), &id(1)).is_some() && all.accept(&call(), &id(1)).is_none());
        assert!(all.claim_failed(&invitation(1)));
        assert!(all.accept(&call(), &id(1)).is_some() && all.won(&invitation(1)));
        // It is a transfer now.
        assert_eq!(all.forget(&call(), &id(1), None), None);
        assert!(!all.receive(invitation(1)));
    }

    #[test]
    fn only_the_device_that_invited_withdraws() {
        let mut all = FileInvitations::default();
        all.receive(invitation(1));
        assert_eq!(all.forget(&call(), &id(1), Some(&OTHER.parse().unwrap())), None);
        assert_eq!(all.forget(&call(), &id(1), Some(&invitation(1).from)), Some(invitation(1)));
        assert_eq!(all.accept(&call(), &id(1)), None);
    }

    #[test]
    fn a_claim_that_is_lost_to_another_client_is_over() {
        let mut all = FileInvitations::default();
        all.receive(invitation(1));
        all.accept(&call(), &id(1));
        assert!(all.forget(&call(), &id(1), None).is_some());
        assert!(!all.won(&invitation(1)));
    }

    #[test]
    fn the_answer_to_a_claim_is_about_that_invitation_alone() {
        let mut all = FileInvitations::default();
        all.receive(invitation(1));
        all.accept(&call(), &id(1));
        all.forget(&call(), &id(1), None);
        // Its id comes again, with other files.
        let mut larger = invitation(1);
        larger.invite.files.bytes = 1_000;
        all.receive(larger.clone());
        all.accept(&call(), &id(1));
        assert!(!all.won(&invitation(1)) && !all.claim_failed(&invitation(1)));
        assert!(all.won(&larger));
    }

    #[test]
    fn a_flood_of_invitations_is_ignored() {
        let mut all = FileInvitations::default();
        let accepted = (0..100).filter(|n| all.receive(invitation(*n))).count();
        assert_eq!((accepted, all.open().count()), (OPEN_MAX, OPEN_MAX));
        // Those that wait for the node count, too.
        for n in 0..OPEN_MAX {
            all.accept(&call(), &id(n));
        }
        assert!(!all.receive(invitation(100)));
        all.won(&invitation(0));
        assert!(all.receive(invitation(100)));
        all.somebody_left(&call(), |_| false);
        assert!(all.0.is_empty());
    }

    #[test]
    fn many_invitations_of_one_call_push_out_no_others() {
        let mut all = FileInvitations::default();
        let other = FileInvitation { call: "other".parse().unwrap(), ..invitation(1) };
        all.receive(other.clone());
        all.receive(invitation(1));
        for n in 2..1000 {
            all.receive(invitation(n));
            all.accept(&call(), &id(n));
            all.won(&invitation(n));
            assert!(all.0.len() <= INVITATIONS_MAX);
        }
        assert_eq!(all.open().collect::<Vec<_>>(), [&other, &invitation(1)]);
        assert!(!all.receive(invitation(999)));
    }
}
