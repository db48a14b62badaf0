//! A proxy before the server, which fails as networks and servers do.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use super::Location;
use super::test_database::TestDatabase;

/// What is to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Fault {
    /// The connection breaks at the next statement with this word, which the server never gets.
    CutBefore(&'static str),
    /// The server runs the next statement with this word. Then the connection breaks before its answer.
    CutAfter(&'static str),
    /// The same, and the server can't be reached from then on.
    CutAfterAndRefuse(&'static str),
    /// From the next statement with this word on, nothing passes to the server, and no connection is closed.
    SwallowFrom(&'static str),
    /// Nothing passes to the server, and no connection is closed.
    Swallow,
    /// No connection can be made.
    Refuse,
}

/// The proxy, and the server behind it. Both end when it is dropped.
pub(in crate::store) struct Proxy {
    folder: TempDir,
    fault: Arc<Mutex<Option<Fault>>>,
}

impl Proxy {
    pub(in crate::store) fn before(database: &TestDatabase) -> Proxy {
        let TestDatabase::Postgres(server) = database else { panic!("a file") };
        let server = server.socket().join(".s.PGSQL.5432");
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).unwrap();
        let fault = Arc::<Mutex<Option<Fault>>>::default();
        let shared = fault.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if *lock(&shared) != Some(Fault::Refuse) {
                    tokio::spawn(pass(client, UnixStream::connect(&server).await.unwrap(), shared.clone()));
                }
            }
        });
        Proxy { folder, fault }
    }

    pub(in crate::store) fn location(&self) -> Location {
        let folder = self.folder.path().display().to_string().replace('/', "%2F");
        PathBuf::from(format!("postgres://sidecall@{folder}/postgres")).try_into().unwrap()
    }

    pub(in crate::store) fn fail(&self, fault: Fault) {
        *lock(&self.fault) = Some(fault);
    }

    /// What passes from now on passes. What was swallowed is lost.
    pub(in crate::store) fn heal(&self) {
        *lock(&self.fault) = None;
    }

    /// What is still to happen, or happens.
    pub(in crate::store) fn fault(&self) -> Option<Fault> {
        *lock(&self.fault)
    }
}

fn lock(fault: &Mutex<Option<Fault>>) -> MutexGuard<'_, Option<Fault>> {
    fault.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What happens to a statement.
enum Fate {
    Passes,
    IsCut { reaches_server: bool },
    IsSwallowed,
}

fn fate(sent: &[u8], fault: &Mutex<Option<Fault>>) -> Fate {
    let has = |word: &str| sent.windows(word.len()).any(|part| part == word.as_bytes());
    let mut fault = lock(fault);
    let (next, fate) = match *fault {
        Some(Fault::CutBefore(word)) if has(word) => (None, Fate::IsCut { reaches_server: false }),
        Some(Fault::CutAfter(word)) if has(word) => (None, Fate::IsCut { reaches_server: true }),
        Some(Fault::CutAfterAndRefuse(word)) if has(word) => {
            (Some(Fault::Refuse), Fate::IsCut { reaches_server: true })
        }
        Some(Fault::SwallowFrom(word)) if has(word) => (Some(Fault::Swallow), Fate::IsSwallowed),
        Some(Fault::Swallow) => (Some(Fault::Swallow), Fate::IsSwallowed),
        other => (other, Fate::Passes),
    };
    *fault = next;
    fate
}

async fn pass(mut client: UnixStream, mut server: UnixStream, fault: Arc<Mutex<Option<Fault>>>) {
    let (mut sent, mut received) = ([0; 8192], [0; 8192]);
    loop {
        tokio::select! {
            n = client.read(&mut sent) => {
                let Ok(n @ 1..) = n else { return };
                match fate(&sent[..n], &fault) {
                    Fate::Passes => server.write_all(&sent[..n]).await.unwrap(),
                    Fate::IsCut { reaches_server: false } => return,
                    Fate::IsCut { reaches_server: true } => {
                        server.write_all(&sent[..n]).await.unwrap();
                        // The answer comes after the commit, and goes no further.
                        assert_ne!(server.read(&mut received).await.unwrap(), 0);
                        return;
                    }
                    // The server doesn't learn either that the client goes.
                    Fate::IsSwallowed => return std::future::pending().await,
                }
            }
            n = server.read(&mut received) => {
                let Ok(n @ 1..) = n else { return };
                if client.write_all(&received[..n]).await.is_err() {
                    return;
                }
            }
        }
    }
}
