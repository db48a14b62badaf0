//! SIP MESSAGEs in flight: those handed to an agent, and their outcomes.

use std::collections::{HashMap, HashSet};

use super::deliveries::DeliveryState;
use super::sql::{self, Builder, Connection};
use super::writer::{Commit, Done, Write};
use super::{Store, StoreError};
use crate::contract::ClientForm;

/// A SIP MESSAGE that couldn't be delivered.
#[derive(Debug, Clone)]
pub struct SipFailure {
    /// The delivery's id.
    pub id: String,
    /// Pending if it will be sent again, otherwise failed.
    pub state: DeliveryState,
    /// Why.
    pub error: String,
}

impl Store {
    /// Records that SIP MESSAGEs are handed to an agent: one attempt each, whose outcome [`Store::sip_outcomes`] adds
    /// later.
    pub async fn hand_out(&self, ids: Vec<String>) -> Result<(), StoreError> {
        self.writer.run(Write::HandedOut(ids)).await.map(drop)
    }

    /// Records the outcome of SIP MESSAGEs that couldn't be delivered.
    pub fn sip_outcomes(&self, outcomes: Vec<SipFailure>) -> Result<Commit, StoreError> {
        self.writer.submit(Write::Outcomes(outcomes))
    }

    /// The pending SIP MESSAGEs that were handed out and have no outcome.
    pub async fn handed_out(&self) -> Result<HashSet<String>, StoreError> {
        let query = sql::scalar::<String>(
            "SELECT id FROM deliveries WHERE state = 'pending' AND form = $1 AND attempts > 0 AND error IS NULL",
        );
        Ok(query.bind(ClientForm::Sip.as_str()).fetch_all(self.patient_reader()).await?.into_iter().collect())
    }
}

/// Uses one statement, since a call may have many unreachable clients.
pub(super) async fn handed_out(connection: &mut Connection, ids: &[String]) -> Result<Done, StoreError> {
    let mut query =
        Builder::new("UPDATE deliveries SET attempts = attempts + 1, error = NULL WHERE state = 'pending' AND id");
    query.push_in(ids.iter().cloned());
    Ok(Done::Rows(query.build().execute(connection).await?))
}

/// A message that will be sent again has no attempts: the PBX was never asked to send it.
pub(super) async fn outcomes(connection: &mut Connection, all: &[SipFailure]) -> Result<Done, StoreError> {
    let mut alike: HashMap<(&str, &str), Vec<&str>> = HashMap::new();
    for SipFailure { id, state, error } in all {
        alike.entry((state.as_str(), error)).or_default().push(id);
    }
    let mut rows = 0;
    for ((state, error), ids) in alike {
        for ids in ids.chunks(500) {
            let mut query = Builder::new("UPDATE deliveries SET state = ");
            query.push_bind(state.to_owned()).push(", error = ").push_bind(error.to_owned());
            if state == DeliveryState::Pending.as_str() {
                query.push(", attempts = 0");
            }
            query.push(" WHERE state = 'pending' AND id");
            query.push_in(ids.iter().map(|id| (*id).to_owned()));
            rows += query.build().execute(&mut *connection).await?;
        }
    }
    Ok(Done::Rows(rows))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Message, MessageBody, PeerClient, Role};
    use crate::core::base::name::CallId;
    use crate::core::base::time::UnixMillis;
    use crate::core::numbering::number::Number;
    use crate::store::Delivery;
    use crate::store::test_database::{TestDatabase, on_both_databases};

    on_both_databases! {
        only_a_client_that_may_know_of_the_call_is_told_of_its_end,
    }

    fn peer_message(id: &str, call: &CallId, numbers: &[Number; 2]) -> Delivery {
        let peer = PeerClient {
            number: Some(numbers[1].clone()),
            name: None,
            address: "https://node.example/a/x".parse().unwrap(),
            capabilities: Vec::new(),
        };
        Delivery {
            number: numbers[0].clone(),
            other: numbers[1].clone(),
            client: "softphone".parse().unwrap(),
            form: ClientForm::Sip,
            message: Message {
                id: id.to_owned(),
                call: call.clone(),
                body: MessageBody::Peer { role: Role::First, peer, own: None, reply: None },
            },
            attempts: 0,
            created: UnixMillis(1),
        }
    }

    async fn only_a_client_that_may_know_of_the_call_is_told_of_its_end(database: &TestDatabase) {
        let store = database.open().await;
        let numbers: [Number; 2] = ["+12125550100", "+12125550101"].map(|number| number.parse().unwrap());
        for (call, attempts, ends_unsent, is_told) in
            [("no-outcome", 1, false, true), ("unsent", 1, true, false), ("sent-at-last", 2, false, true)]
        {
            let (id, call) = (call.to_owned(), call.parse().unwrap());
            store.add_deliveries(vec![peer_message(&id, &call, &numbers)]).await.unwrap();
            for attempt in 1..=attempts {
                store.hand_out(vec![id.clone()]).await.unwrap();
                if attempt < attempts || ends_unsent {
                    let error = "there is no link".to_owned();
                    let unsent = SipFailure { id: id.clone(), state: DeliveryState::Pending, error };
                    store.sip_outcomes(vec![unsent]).unwrap().wait().await.unwrap();
                }
            }
            let parted = store.part(&call, numbers.clone(), UnixMillis(2)).await.unwrap();
            assert_eq!((parted.dropped.len(), parted.ended.len()), (1, usize::from(is_told)), "{call}");
        }
    }
}
