//! Opens the database, and creates a file that is missing.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Access, access};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::directory::SharedDirectory;
use super::file_lock::FileLock;
use super::lost_file::Opened;
use super::sql::{Connection, Pool, Wait};
use super::writer::Writer;
use super::{Location, NodeRow, StandByReason, Store, StoreError, sql};

/// A database that no other process writes to.
pub(super) struct OpenDatabase {
    /// None if it is PostgreSQL, where the connection has the lease.
    pub(super) lock: Option<FileLock>,
    /// The connection for writes.
    pub(super) connection: Connection,
    /// The connections for reads.
    pub(super) pool: Pool,
}

/// Opens a database and runs migrations. An SQLite file is created if necessary. `wait` is for PostgreSQL.
pub(super) async fn open_database(location: &Location, wait: &Wait) -> Result<OpenDatabase, StoreError> {
    let failed = |reason: String| StoreError::Open { path: location.to_string(), reason };
    let (lock, (connection, pool)) = match location {
        Location::File(path) => {
            create(path).map_err(|e| failed(e.to_string()))?;
            (Some(FileLock::acquire(path).await?), sql::open_file(path).await?)
        }
        Location::Postgres(url) => (
            None,
            sql::open_url(url.as_str(), &url.to_string(), wait).await.map_err(|error| match error {
                in_use @ StoreError::InUse { .. } => in_use,
                error => failed(error.to_string()),
            })?,
        ),
    };
    Ok(OpenDatabase { lock, connection, pool })
}

impl Store {
    /// Opens the database, runs migrations, and loads the directory. An SQLite file is created if necessary; fails if it isn't
    /// a sidecall database, or if another process has it open and doesn't end within seconds.
    pub async fn open(location: impl Into<Location>) -> Result<Store, StoreError> {
        Store::open_after(Wait::Briefly, location.into()).await
    }

    /// As [`Store::open`], but waits for a PostgreSQL database for as long as another process has it. `told` gets what it waits
    /// for. A server that can't be reached then is waited for, too. The other nodes on the database see this one by `row` until
    /// the store is closed. Once `stop` is cancelled this fails soon, unless it has just succeeded, and gives back the row and the
    /// lease if the server answers. A lease whose commit is in doubt lapses by itself. If this is dropped, both may stay for a while.
    pub async fn stand_by(
        location: Location,
        row: NodeRow,
        told: watch::Sender<Option<StandByReason>>,
        stop: CancellationToken,
    ) -> Result<Store, StoreError> {
        Store::open_after(Wait::StandBy { told, row, stop }, location).await
    }

    async fn open_after(wait: Wait, location: Location) -> Result<Store, StoreError> {
        let failed = |reason: String| StoreError::Open { path: location.to_string(), reason };
        let OpenDatabase { lock, mut connection, pool } = open_database(&location, &wait).await?;
        let (lease, nodes) = (connection.lease(), connection.nodes());
        let load = async {
            let load = SharedDirectory::load(&mut connection);
            match &lease {
                Some(lease) => lease.during(load).await,
                None => load.await,
            }
        };
        let loaded = tokio::select! {
            loaded = load => loaded,
            () = wait.stopped() => Err(StoreError::closed()),
        };
        let directory = match loaded {
            Ok(directory) => directory,
            Err(error) => {
                // Others get it at once.
                connection.give_up();
                let _ = connection.close().await;
                return Err(failed(error.to_string()));
            }
        };
        let file = location.file().map(Opened::at).transpose().map_err(|e| failed(e.to_string()))?.map(Arc::new);
        let writer = Writer::start(connection, directory.clone(), lock);
        Ok(Store { pool, writer, directory, reads: Default::default(), file, lease, nodes })
    }
}

/// Creates the file without permissions for others: it contains hashes, names and calls. A file that exists must be
/// writable, but isn't opened: closing it would end SQLite's locks on it.
pub(super) fn create(path: &Path) -> std::io::Result<()> {
    if path.is_file() {
        return Ok(access(path, Access::WRITE_OK)?);
    }
    if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
        fs::create_dir_all(folder)?;
    }
    OpenOptions::new().create(true).append(true).mode(0o600).open(path).map(drop)
}
