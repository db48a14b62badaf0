//! Writes of deliveries and their states.

use std::collections::BTreeMap;

use super::deliveries::{Delivery, DeliveryState, Parted, read};
use super::error::legible;
use super::record::{self, MessageRecord};
use super::sql::{self, Builder, Connection, Row};
use super::writer::{Commit, Done, MergedWrites, Write};
use super::{Store, StoreError};
use crate::contract::{Message, MessageBody};
use crate::core::base::name::{CallId, ClientId};
use crate::core::base::time::UnixMillis;
use crate::core::numbering::number::Number;

impl Store {
    /// Stores deliveries and returns the ids of the new ones. A client that knows of a pair isn't told again.
    pub async fn add_deliveries(&self, deliveries: Vec<Delivery>) -> Result<Vec<String>, StoreError> {
        match self.writer.run(Write::Deliveries(deliveries)).await? {
            Done::Ids(ids) => Ok(ids),
            _ => Ok(Vec::new()),
        }
    }

    /// Stores messages that say that one call was missed, and returns the ids of the new ones. A client isn't told again.
    pub async fn add_missed(&self, deliveries: Vec<Delivery>) -> Result<Vec<String>, StoreError> {
        match self.writer.run(Write::Missed(deliveries)).await? {
            Done::Ids(ids) => Ok(ids),
            _ => Ok(Vec::new()),
        }
    }

    /// Drops pending messages about missed calls that were made before this time.
    pub async fn expire_missed(&self, before: UnixMillis) -> Result<(), StoreError> {
        self.writer.run(Write::ExpireMissed(before)).await.map(drop)
    }

    /// Marks a delivery as delivered. With `client`, only if it belongs to that client.
    pub fn delivered(&self, id: &str, client: Option<&ClientId>, at: UnixMillis) -> Result<Commit, StoreError> {
        self.writer.submit(Write::Delivered { id: id.to_owned(), client: client.cloned(), at })
    }

    /// Records an attempt and the resulting state.
    pub fn attempted(&self, id: &str, state: DeliveryState, error: Option<String>) -> Result<Commit, StoreError> {
        self.writer.submit(Write::Attempted { id: id.to_owned(), state, error })
    }

    /// Ends a pair: drops its pending messages, and creates those that announce its end.
    pub async fn part(&self, call: &CallId, numbers: [Number; 2], at: UnixMillis) -> Result<Parted, StoreError> {
        match self.writer.run(Write::Part { call: call.clone(), numbers, at }).await? {
            Done::Parted(parted) => Ok(parted),
            _ => Ok(Parted::default()),
        }
    }

    /// Drops the pending peer messages of calls. With `all`, drops all pending messages but those that
    /// [outlive](Delivery::outlives_call) their call, and clears the contents of the others.
    pub async fn drop_pending(&self, calls: Vec<CallId>, all: bool) -> Result<(), StoreError> {
        self.writer.run(Write::DropPending { calls, all }).await.map(drop)
    }
}

/// Maximum number of deliveries, or of their calls, in one statement.
const ROWS: usize = 64;

pub(super) async fn add(connection: &mut Connection, all: &[Delivery]) -> Result<Done, StoreError> {
    let mut ids = Vec::with_capacity(all.len());
    for deliveries in all.chunks(ROWS) {
        let bodies = deliveries.iter().map(|delivery| record::write(&MessageRecord::from(delivery.message.clone())));
        let bodies = bodies.collect::<Result<Vec<_>, _>>()?;
        let mut query = Builder::new(
            "INSERT INTO deliveries (id, call, number, other, client, form, kind, body, is_open, state, attempts, created) ",
        );
        query.push_values(deliveries.iter().zip(bodies), |row, (delivery, body)| {
            let message = &delivery.message;
            row.push_bind(message.id.clone())
                .push_bind(message.call.to_string())
                .push_bind(delivery.number.to_string())
                .push_bind(delivery.other.to_string())
                .push_bind(delivery.client.to_string())
                .push_bind(delivery.form.as_str())
                .push_bind(message.body.kind())
                .push_bind(body)
                .push_bind(i64::from(is_open(delivery)))
                .push("'pending', 0")
                .push_bind(delivery.created.0);
        });
        query.push(" ON CONFLICT DO NOTHING RETURNING id");
        for row in query.build().fetch_all(&mut *connection).await? {
            ids.push(row.try_get(0)?);
        }
    }
    Ok(Done::Ids(ids))
}

/// All deliveries are about one call.
pub(super) async fn add_missed(connection: &mut Connection, all: &[Delivery]) -> Result<Done, StoreError> {
    let Some(first) = all.first() else { return Ok(Done::Ids(Vec::new())) };
    let told = sql::scalar::<String>("SELECT client FROM deliveries WHERE call = $1 AND kind = 'missed'");
    let told = told.bind(first.message.call.to_string()).fetch_all(&mut *connection).await?;
    let is_new = |delivery: &&Delivery| !told.iter().any(|client| client == delivery.client.as_str());
    let new: Vec<Delivery> = all.iter().filter(is_new).cloned().collect();
    add(connection, &new).await
}

pub(super) async fn expire_missed(connection: &mut Connection, before: UnixMillis) -> Result<Done, StoreError> {
    let dropped = sql::query(
        "UPDATE deliveries SET state = 'dropped' WHERE state = 'pending' AND kind = 'missed' AND created < $1",
    );
    Ok(Done::Rows(dropped.bind(before.0).execute(connection).await?))
}

/// Whether a peer message belongs to a pair. One that the peer itself sent doesn't.
fn is_open(delivery: &Delivery) -> bool {
    matches!(&delivery.message.body, MessageBody::Peer { .. }) && delivery.number != delivery.other
}

/// A change to a delivery that is pending.
pub(super) struct StateChange<'a> {
    /// The new state.
    pub(super) state: DeliveryState,
    /// The attempts that it adds.
    pub(super) attempts: i64,
    /// When the client got the message, if it did.
    pub(super) delivered: Option<UnixMillis>,
    /// Why the client didn't get it.
    pub(super) error: Option<&'a str>,
    /// The client whose delivery it must be.
    pub(super) client: Option<&'a ClientId>,
}

/// Changes the states of deliveries.
pub(super) async fn change_states(
    connection: &mut Connection,
    changes: &BTreeMap<&str, StateChange<'_>>,
) -> Result<(), StoreError> {
    let changes: Vec<(&str, &StateChange<'_>)> = changes.iter().map(|(id, change)| (*id, change)).collect();
    for changes in changes.chunks(ROWS) {
        let mut query = Builder::new(
            "UPDATE deliveries SET state = v.column2, attempts = deliveries.attempts + v.column3,
                 delivered = COALESCE(v.column4, deliveries.delivered), error = v.column5 FROM (",
        );
        query.push_values(changes, |row, (id, change)| {
            row.push_bind((*id).to_owned())
                .push_bind(change.state.as_str())
                .push_bind(change.attempts)
                .push_bind(change.delivered.map(|at| at.0))
                .push_bind(change.error.map(str::to_owned))
                .push_bind(change.client.map(ClientId::to_string));
        });
        query.push(
            ") AS v WHERE deliveries.id = v.column1 AND deliveries.state = 'pending'
                 AND (v.column6 IS NULL OR deliveries.client = v.column6)",
        );
        query.build().execute(&mut *connection).await?;
    }
    Ok(())
}

/// The messages to a pair that its clients know of: what [`read`] reads, the state, and the id.
async fn open(connection: &mut Connection, call: &CallId, [a, b]: &[Number; 2]) -> Result<Vec<Row>, StoreError> {
    let open = sql::query(
        "SELECT number, other, client, form, body, attempts, created, state, id FROM deliveries
         WHERE call = $1 AND is_open = 1 AND ((number = $2 AND other = $3) OR (number = $3 AND other = $2))
         ORDER BY id",
    );
    let open = open.bind(call.to_string()).bind(a.to_string()).bind(b.to_string());
    open.fetch_all(connection).await
}

pub(super) async fn part(
    connection: &mut Connection,
    merged: &mut MergedWrites<'_>,
    call: &CallId,
    numbers: &[Number; 2],
    at: UnixMillis,
) -> Result<Done, StoreError> {
    let mut rows = open(connection, call, numbers).await?;
    let ids = rows.iter().map(|row| row.try_get::<String>(8)).collect::<Result<Vec<_>, _>>()?;
    if merged.write_states_of(connection, &texts(&ids)).await? {
        rows = open(connection, call, numbers).await?;
    }
    let mut parted = Parted::default();
    for row in &rows {
        let (state, id): (String, String) = (row.try_get(7)?, row.try_get(8)?);
        parted.dropped.extend((state == "pending").then_some(id));
        let Some(told) = legible(read(row)).transpose()? else { continue };
        // A client that was never sent anything need not learn of the end.
        if state == "delivered" || (state == "pending" && told.attempts > 0) {
            // The number as it was shown, which may be withheld.
            let number = match &told.message.body {
                MessageBody::Peer { peer, .. } => peer.number.clone(),
                _ => None,
            };
            let message = Message {
                id: uuid::Uuid::now_v7().to_string(),
                call: call.clone(),
                body: MessageBody::Ended { number },
            };
            parted.ended.push(Delivery { message, attempts: 0, created: at, ..told });
        }
    }
    if !rows.is_empty() {
        let [a, b] = numbers;
        let closed = sql::query(
            "UPDATE deliveries SET is_open = 0, state = CASE state WHEN 'pending' THEN 'dropped' ELSE state END
             WHERE call = $1 AND is_open = 1 AND ((number = $2 AND other = $3) OR (number = $3 AND other = $2))",
        );
        closed.bind(call.to_string()).bind(a.to_string()).bind(b.to_string()).execute(&mut *connection).await?;
    }
    add(connection, &parted.ended).await?;
    Ok(Done::Parted(parted))
}

pub(super) async fn drop_pending(
    connection: &mut Connection,
    merged: &mut MergedWrites<'_>,
    calls: &[CallId],
    all: bool,
) -> Result<Done, StoreError> {
    let mut rows = 0;
    for calls in calls.chunks(ROWS) {
        // Usually there is nothing to drop.
        let pending = of_calls("SELECT id FROM deliveries", calls, all);
        let pending: Vec<String> = pending.build_scalar().fetch_all(&mut *connection).await?;
        merged.write_states_of(connection, &texts(&pending)).await?;
        if !pending.is_empty() {
            let dropped = of_calls("UPDATE deliveries SET state = 'dropped'", calls, all);
            rows += dropped.build().execute(&mut *connection).await?;
        }
        if all {
            let mut said =
                Builder::new("UPDATE deliveries SET body = '' WHERE kind = 'message' AND body <> '' AND call");
            said.push_in(calls.iter().map(CallId::to_string));
            said.build().execute(&mut *connection).await?;
        }
    }
    Ok(Done::Rows(rows))
}

/// A statement about the messages of calls that [`drop_pending`] drops.
fn of_calls(statement: &str, calls: &[CallId], all: bool) -> Builder {
    let mut query = Builder::new(statement);
    query.push(" WHERE state = 'pending' AND call");
    query.push_in(calls.iter().map(CallId::to_string));
    query.push(if all { " AND NOT (kind = 'missed' AND form = 'hosted')" } else { " AND kind = 'peer'" });
    query
}

fn texts(ids: &[String]) -> Vec<&str> {
    ids.iter().map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{ClientForm, PeerClient, PeerIdentity, Role};
    use crate::store::test_database::{TestDatabase, on_both_databases};

    on_both_databases! {
        a_client_is_told_once_that_it_missed_a_call,
        a_number_was_told_of_another_by_the_latest_peer_message_about_it,
        a_missed_call_waits_for_a_hosted_client_alone_and_not_for_ever,
    }

    fn missed(id: &str, client: &str, form: ClientForm, created: i64) -> Delivery {
        let body = MessageBody::Missed { role: Role::Second, peer: PeerIdentity::default(), at: UnixMillis(1) };
        Delivery {
            number: "+12125550101".parse().unwrap(),
            other: "+12125550100".parse().unwrap(),
            client: client.parse().unwrap(),
            form,
            message: Message { id: id.to_owned(), call: "call".parse().unwrap(), body },
            attempts: 0,
            created: UnixMillis(created),
        }
    }

    async fn pending(store: &Store) -> Vec<String> {
        store.pending().await.unwrap().into_iter().map(|delivery| delivery.message.id).collect()
    }

    async fn a_client_is_told_once_that_it_missed_a_call(database: &TestDatabase) {
        let store = database.open().await;
        let first = missed("1", "a", ClientForm::Hosted, 5);
        assert_eq!(store.add_missed(vec![first.clone()]).await.unwrap(), ["1"]);
        store.delivered("1", None, UnixMillis(6)).unwrap().wait().await.unwrap();
        let again = vec![missed("2", "a", ClientForm::Hosted, 7), missed("3", "b", ClientForm::Hosted, 7)];
        assert_eq!(store.add_missed(again).await.unwrap(), ["3"]);
        let mut other = missed("4", "a", ClientForm::Hosted, 8);
        other.message.call = "other".parse().unwrap();
        assert_eq!(store.add_missed(vec![other]).await.unwrap(), ["4"]);
        assert_eq!(store.add_missed(Vec::new()).await.unwrap(), [] as [&str; 0]);
    }

    /// What is passed on of a client's own is about no other number.
    async fn a_number_was_told_of_another_by_the_latest_peer_message_about_it(database: &TestDatabase) {
        let store = database.open().await;
        let peer = |id: &str, token: &str| {
            let address = format!("https://node.example/a/{token}").parse().unwrap();
            let peer = PeerClient { number: None, name: None, address, capabilities: Vec::new() };
            let mut delivery = missed(id, "a", ClientForm::Hosted, 5);
            delivery.message.body = MessageBody::Peer { role: Role::Second, peer, own: None, reply: None };
            delivery
        };
        let (one, two, mut own) = (peer("1", "one"), peer("2", "two"), peer("3", "own"));
        let mut elsewhere = peer("4", "elsewhere");
        elsewhere.message.call = "other".parse().unwrap();
        let (call, number, other) = (one.message.call.clone(), one.number.clone(), one.other.clone());
        own.other = number.clone();
        let told = async |number: &Number, other: &Number| {
            let peer = store.told_of(&call, number, other).await.unwrap();
            peer.map(|peer| peer.address.as_str().rsplit('/').next().unwrap().to_owned())
        };
        assert_eq!(told(&number, &other).await, None);
        store.add_deliveries(vec![elsewhere]).await.unwrap();
        assert_eq!(told(&number, &other).await, None, "it was told in another call");
        let part = || store.part(&call, [number.clone(), other.clone()], UnixMillis(6));
        store.add_deliveries(vec![peer("0", "never")]).await.unwrap();
        assert_eq!(told(&number, &other).await.as_deref(), Some("never"), "it is on its way");
        part().await.unwrap();
        assert_eq!(told(&number, &other).await, None, "it was never sent");
        store.add_deliveries(vec![one]).await.unwrap();
        store.delivered("1", None, UnixMillis(6)).unwrap().wait().await.unwrap();
        part().await.unwrap();
        assert_eq!(told(&number, &other).await.as_deref(), Some("one"), "also when it is over");
        store.add_deliveries(vec![two, own]).await.unwrap();
        assert_eq!(told(&number, &other).await.as_deref(), Some("two"));
        assert_eq!((told(&other, &number).await, told(&number, &number).await), (None, None));
    }

    async fn a_missed_call_waits_for_a_hosted_client_alone_and_not_for_ever(database: &TestDatabase) {
        let store = database.open().await;
        let forms = [ClientForm::Hosted, ClientForm::Sip, ClientForm::Webhook];
        let all = forms.map(|form| missed(form.as_str(), form.as_str(), form, 5));
        assert_eq!(all.each_ref().map(Delivery::outlives_call), [true, false, false]);
        store.add_missed(all.to_vec()).await.unwrap();
        let call = || vec!["call".parse().unwrap()];
        store.drop_pending(call(), false).await.unwrap();
        assert_eq!(pending(&store).await.len(), 3);
        store.drop_pending(call(), true).await.unwrap();
        assert_eq!(pending(&store).await, ["hosted"]);
        store.expire_missed(UnixMillis(5)).await.unwrap();
        assert_eq!(pending(&store).await, ["hosted"]);
        store.expire_missed(UnixMillis(6)).await.unwrap();
        assert_eq!(pending(&store).await, [] as [&str; 0]);
    }
}
