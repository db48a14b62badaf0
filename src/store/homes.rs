//! Homes: which process has the calls of a PBX. Only that one changes them.
//!
//! A process takes the home of a PBX in the transaction that writes the first call there, if no process with a lease has it.
//! Each later transaction locks the homes of its calls. So a process that has lost a home changes none of its calls any more,
//! and goes on with the others. A file has no homes: no other process writes to it.

use std::collections::{BTreeSet, HashMap};

use super::StoreError;
use super::record::CallRecord;
use super::sql::{self, Builder, Connection, Lease};
use super::writer::Write;
use crate::core::base::name::PbxName;

/// Takes a home. Waits for a transaction of its owner.
const TAKE: &str = "INSERT INTO homes (pbx, node, run, fencing) VALUES ($1, $2, $3, 1)
    ON CONFLICT (pbx) DO UPDATE SET node = excluded.node, run = excluded.run, fencing = homes.fencing + 1
    WHERE NOT EXISTS (SELECT 1 FROM leases
        WHERE leases.name = homes.node AND leases.fencing = homes.run AND leases.expires > now())
    RETURNING fencing";

/// What the writer knows of the homes that it has used.
#[derive(Debug, Default)]
pub(super) struct Homes(HashMap<PbxName, Home>);

/// A home that this process had.
#[derive(Debug, Clone, Copy)]
enum Home {
    /// It still has it, with this number, unless the database says otherwise.
    Own(i64),
    /// Another process has taken it over.
    Lost,
}

/// Homes that a transaction has taken. They belong to this process once it is committed.
#[derive(Debug)]
pub(super) struct NewHomes(Vec<(PbxName, Home)>);

impl Homes {
    /// Locks the homes of these PBXs until the transaction ends, and takes those that are new to this process. Fails if another
    /// process has one of them.
    pub(super) async fn lock(
        &mut self,
        connection: &mut Connection,
        pbxs: BTreeSet<&PbxName>,
    ) -> Result<NewHomes, StoreError> {
        let mut taking = NewHomes(Vec::new());
        let Some(lease) = connection.own_lease() else { return Ok(taking) };
        let (mut own, mut new) = (Vec::new(), Vec::new());
        for pbx in pbxs {
            match self.0.get(pbx) {
                Some(Home::Own(fencing)) => own.push((pbx, *fencing)),
                Some(Home::Lost) => return Err(StoreError::LostHome(pbx.clone())),
                None => new.push(pbx),
            }
        }
        self.check(connection, &lease, &own).await?;
        for pbx in new {
            let fencing = take(connection, &lease, pbx).await?;
            taking.0.push((pbx.clone(), Home::Own(fencing)));
        }
        Ok(taking)
    }

    /// Locks homes. Fails if another process has taken one over.
    async fn check(
        &mut self,
        connection: &mut Connection,
        lease: &Lease,
        own: &[(&PbxName, i64)],
    ) -> Result<(), StoreError> {
        if own.is_empty() {
            return Ok(());
        }
        let mut query = Builder::new("SELECT pbx, fencing FROM homes WHERE node = ");
        query.push_bind(lease.name()).push(" AND run = ").push_bind(lease.fencing()).push(" AND pbx");
        query.push_in(own.iter().map(|(pbx, _)| pbx.to_string())).push(" ORDER BY pbx FOR UPDATE");
        let mut found: HashMap<String, i64> = HashMap::new();
        for row in query.build().fetch_all(connection).await? {
            found.insert(row.try_get(0)?, row.try_get(1)?);
        }
        match own.iter().find(|(pbx, fencing)| found.get(pbx.as_str()) != Some(fencing)) {
            Some((lost, _)) => {
                self.0.insert((*lost).clone(), Home::Lost);
                Err(StoreError::LostHome((*lost).clone()))
            }
            None => Ok(()),
        }
    }

    /// The transaction that has taken these homes was committed.
    pub(super) fn add(&mut self, new: NewHomes) {
        self.0.extend(new.0);
    }
}

/// Takes a home. Fails if a process that lives has it.
async fn take(connection: &mut Connection, lease: &Lease, pbx: &PbxName) -> Result<i64, StoreError> {
    let query = sql::scalar::<i64>(TAKE).bind(pbx.as_str()).bind(lease.name()).bind(lease.fencing());
    query.fetch_optional(connection).await?.ok_or_else(|| StoreError::LostHome(pbx.clone()))
}

/// The PBXs whose calls these writes change.
pub(super) fn pbxs<'a>(writes: impl Iterator<Item = &'a Write>) -> BTreeSet<&'a PbxName> {
    writes.flat_map(calls).map(|call| &call.pbx).collect()
}

fn calls(write: &Write) -> &[CallRecord] {
    if let Write::Calls(calls) = write { calls } else { &[] }
}

#[cfg(test)]
#[path = "homes_tests.rs"]
mod tests;
