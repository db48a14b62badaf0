//! Telling connected clients how a call goes on that no other client is told of: that it was answered, and that it is over.
//!
//! Both are notices, like `ringing`. A client that connects later gets those that still hold.

use super::{Ringing, SideNotice, rings_here};
use crate::contract::{Notice, NoticeBody, PeerIdentity, Role};
use crate::core::base::name::CallId;
use crate::core::call::Call;
use crate::core::call::exchange::{Exchange, Pair};
use crate::core::call::ringing::CallProgress;
use crate::core::numbering::number::Number;
use crate::node::delivery::new_notice;
use crate::store::{Binding, StoreError};

impl Ringing {
    /// Tells the connected clients of one side of a pair that they are connected, if the other side has no client that they
    /// are told of.
    pub(in crate::node) async fn tell_answered(&self, pair: &Pair) -> Result<(), StoreError> {
        if self.push.hub().connected() == 0 {
            return Ok(());
        }
        if let Some(told) = self.answered(pair).await? {
            self.notify_if(&pair.call, &told, |exchange| exchange.is_told(pair));
        }
        Ok(())
    }

    /// Tells the connected clients of a call's numbers that it is answered, though nobody knows by whom.
    pub(in crate::node) async fn tell_answered_by_unknown(&self, id: &CallId) -> Result<(), StoreError> {
        if self.push.hub().connected() == 0 {
            return Ok(());
        }
        let Some(call) = self.live.call(id) else { return Ok(()) };
        for told in self.answered_by_unknown(&call).await? {
            self.notify_if(id, &told, |exchange| exchange.call(id).is_some_and(Call::is_answered_by_unknown));
        }
        Ok(())
    }

    /// Tells connected clients of the numbers for which a call is over, and so is one as which it left our other PBXs.
    pub(in crate::node) async fn tell_over(&self, id: &CallId) -> Result<(), StoreError> {
        if self.push.hub().connected() == 0 {
            return Ok(());
        }
        for (id, numbers) in self.live.read(|exchange| exchange.over_by(id)) {
            let Some(call) = self.live.call(&id) else { continue };
            for number in numbers {
                let Some(told) = self.over(&call, &number).await? else { continue };
                let is_over = |call: &Call, exchange: &Exchange| exchange.over_for(call).contains(&number);
                self.notify_if(&id, &told, |exchange| exchange.call(&id).is_some_and(|call| is_over(call, exchange)));
            }
        }
        Ok(())
    }

    /// Tells clients what was worked out a moment ago, if it still holds. The calls don't change meanwhile, so nothing that is
    /// told after this is older.
    fn notify_if(&self, call: &CallId, told: &SideNotice, holds: impl FnOnce(&Exchange) -> bool) {
        self.live.read(|exchange| {
            if holds(exchange) {
                self.notify(call, told);
            }
        });
    }

    /// The notices that still hold for a client that has just connected.
    pub(in crate::node) async fn notices_for(&self, client: &Binding) -> Result<Vec<Notice>, StoreError> {
        let mut found = Vec::new();
        for (id, progress) in self.live.read(|exchange| exchange.progress_of(&client.number)) {
            let Some(call) = self.live.call(&id) else { continue };
            let notices = match progress {
                CallProgress::Rings => self.ringing(&call).await?,
                CallProgress::AnsweredByUnknown => self.answered_by_unknown(&call).await?,
                CallProgress::Talks(pair) => Vec::from_iter(self.answered(&pair).await?),
                CallProgress::Over => Vec::from_iter(self.over(&call, &client.number).await?),
            };
            let own = notices.into_iter().filter(|told| told.clients.iter().any(|known| known.id == client.id));
            found.extend(own.map(|own| new_notice(&id, own.body)));
        }
        Ok(found)
    }

    /// Each side is told of the number that is announced to it, whatever has answered.
    async fn answered_by_unknown(&self, call: &Call) -> Result<Vec<SideNotice>, StoreError> {
        let numbers = self.live.read(|exchange| exchange.answered_for(call));
        self.side_notices(call, &numbers, |role, peer| NoticeBody::Answered { role, peer }).await
    }

    /// None if the pair doesn't talk, or its clients are told of each other, or there are none.
    async fn answered(&self, pair: &Pair) -> Result<Option<SideNotice>, StoreError> {
        let found = self.live.read(|exchange| {
            let remote = exchange.remote_party(pair).and_then(|(home, _)| home.remote.client.clone());
            let names = [&pair.first, &pair.second].map(|number| exchange.is_named(&pair.call, number));
            exchange.is_told(pair).then_some((names, remote))
        });
        let Some(([names_first, names_second], remote)) = found else { return Ok(None) };
        let first = self.disclosure.participating_clients(&pair.call, &pair.first).await?;
        let second = self.disclosure.participating_clients(&pair.call, &pair.second).await?;
        let (role, clients, other) = match (first.is_empty(), second.is_empty()) {
            (false, true) => (Role::First, first, Some(&pair.second).filter(|_| names_second)),
            (true, false) => (Role::Second, second, Some(&pair.first).filter(|_| names_first)),
            _ => return Ok(None),
        };
        let remote = remote.as_ref().map(|remote| self.disclosure.remote_receiver(Some(remote)));
        if remote.is_some_and(|remote| clients.iter().any(|client| client.offer.allows(&remote))) {
            // They are told of another node's client.
            return Ok(None);
        }
        let peer = match other {
            Some(number) => self.named(number).await?,
            None => PeerIdentity::default(),
        };
        Ok(Some(SideNotice { clients, body: NoticeBody::Answered { role, peer } }))
    }

    /// None if the number's clients were told of nothing in this call, or get `ended`, or there are none.
    async fn over(&self, call: &Call, number: &Number) -> Result<Option<SideNotice>, StoreError> {
        let talk = self.live.read(|exchange| exchange.told_talk(call, number).cloned());
        let was_told = match talk {
            Some(talk) => {
                let other = if talk.first == *number { talk.second } else { talk.first };
                self.disclosure.participating_clients(&call.id, &other).await?.is_empty()
            }
            None => rings_here(call, self.called(call).await?.as_ref()),
        };
        if !was_told {
            return Ok(None);
        }
        let clients = self.disclosure.participating_clients(&call.id, number).await?;
        Ok((!clients.is_empty()).then_some(SideNotice { clients, body: NoticeBody::Over }))
    }
}
