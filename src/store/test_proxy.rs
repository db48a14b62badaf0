//! A proxy before the server, which fails as networks and servers do.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use super::Location;
use super::test_database::TestDatabase;
use super::test_protocol::{ProxiedRequest, RequestReader, refusal};

/// What is to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Fault {
    /// The connection breaks at the next statement with this word, which the server never gets.
    CutBefore(&'static str),
    /// The server runs the next statement with this word. Then the connection breaks before its answer.
    CutAfter(&'static str),
    /// The same, and the server can't be reached from then on.
    CutAfterAndRefuse(&'static str),
    /// The server runs the next statement with this word. The connection breaks before its answer, and the server fails the next
    /// three statements with the second word.
    CutAfterAndFail(&'static str, &'static str),
    /// From the next statement with this word on, nothing passes to the server, and no connection is closed.
    SwallowFrom(&'static str),
    /// Nothing passes to the server, and no connection is closed.
    Swallow,
    /// No connection can be made.
    Refuse,
    /// The server fails the next statements with this word, as many as this, with this SQLSTATE.
    Fail { word: &'static str, code: &'static str, times: u32 },
    /// `passing` statements pass, then the next `times` meet this fate. Statements of connections for reads and renewals aren't
    /// counted.
    Later { passing: u32, times: u32, fate: Fate },
    /// The server fails some statements of the writer's transactions with 40001 or 40P01.
    FailSome(Dice),
    /// The connection breaks at some statements of the writer's transactions, before or after the server runs them.
    CutSome(Dice),
}

/// How many statements in a row fail at most by [`Dice`]: a transaction that fails is retried as often.
const IN_A_ROW: u8 = 4;

/// Which statements fail, by random numbers from a seed. After as many failures as a transaction survives, the next commit
/// succeeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct Dice {
    state: u64,
    one_in: u64,
    in_a_row: u8,
}

impl Dice {
    /// One statement in so many fails.
    pub(in crate::store) fn new(seed: u64, one_in: u64) -> Dice {
        Dice { state: seed, one_in, in_a_row: 0 }
    }

    /// The dice for the next statement, and in which of two ways this one fails, if it does.
    fn throw(self, statement: &str) -> (Dice, Option<bool>) {
        // SplitMix64: <https://prng.di.unimi.it/splitmix64.c>.
        let state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let number = z ^ (z >> 31);
        let fails = number.is_multiple_of(self.one_in) && self.in_a_row < IN_A_ROW;
        let in_a_row = match (fails, statement.starts_with("COMMIT")) {
            (true, _) => self.in_a_row + 1,
            (false, true) => 0,
            (false, false) => self.in_a_row,
        };
        let which = (number / self.one_in).is_multiple_of(2);
        (Dice { state, in_a_row, ..self }, fails.then_some(which))
    }
}

/// What is to happen, and how much has.
#[derive(Default)]
struct Plan {
    fault: Option<Fault>,
    failures: u32,
}

/// The proxy, and the server behind it. Both end when it is dropped.
pub(in crate::store) struct Proxy {
    folder: TempDir,
    plan: Arc<Mutex<Plan>>,
}

impl Proxy {
    pub(in crate::store) fn before(database: &TestDatabase) -> Proxy {
        let TestDatabase::Postgres(server) = database else { panic!("a file") };
        let server = server.socket().join(".s.PGSQL.5432");
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).unwrap();
        let plan = Arc::<Mutex<Plan>>::default();
        let shared = plan.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if lock(&shared).fault != Some(Fault::Refuse) {
                    tokio::spawn(pass(client, UnixStream::connect(&server).await.unwrap(), shared.clone()));
                }
            }
        });
        Proxy { folder, plan }
    }

    pub(in crate::store) fn location(&self) -> Location {
        let folder = self.folder.path().display().to_string().replace('/', "%2F");
        PathBuf::from(format!("postgres://sidecall@{folder}/postgres?sslmode=disable")).try_into().unwrap()
    }

    pub(in crate::store) fn fail(&self, fault: Fault) {
        lock(&self.plan).fault = Some(fault);
    }

    /// What passes from now on passes. What was swallowed is lost.
    pub(in crate::store) fn heal(&self) {
        lock(&self.plan).fault = None;
    }

    /// What is still to happen, or happens.
    pub(in crate::store) fn fault(&self) -> Option<Fault> {
        lock(&self.plan).fault
    }

    /// How many requests have failed.
    pub(in crate::store) fn failures(&self) -> u32 {
        lock(&self.plan).failures
    }
}

fn lock(plan: &Mutex<Plan>) -> MutexGuard<'_, Plan> {
    plan.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Fate {
    Passes,
    Fails { code: &'static str },
    IsCut { reaches_server: bool },
    IsSwallowed,
}

impl Plan {
    /// Decides about a request.
    fn fate(&mut self, statement: &str, sender: Sender) -> Fate {
        let has = |word: &str| statement.contains(word);
        // No server fails a rollback.
        let may_fail = !statement.is_empty() && !has("ROLLBACK");
        let (next, fate) = match self.fault {
            Some(Fault::CutBefore(word)) if has(word) => (None, Fate::IsCut { reaches_server: false }),
            Some(Fault::CutAfter(word)) if has(word) => (None, Fate::IsCut { reaches_server: true }),
            Some(Fault::CutAfterAndRefuse(word)) if has(word) => {
                (Some(Fault::Refuse), Fate::IsCut { reaches_server: true })
            }
            Some(Fault::CutAfterAndFail(word, next)) if has(word) => {
                (Some(Fault::Fail { word: next, code: "40001", times: 3 }), Fate::IsCut { reaches_server: true })
            }
            Some(Fault::SwallowFrom(word)) if has(word) => (Some(Fault::Swallow), Fate::IsSwallowed),
            Some(Fault::Swallow) => (Some(Fault::Swallow), Fate::IsSwallowed),
            Some(Fault::Fail { word, code, times }) if has(word) => {
                let rest = (times > 1).then(|| Fault::Fail { word, code, times: times - 1 });
                (rest, Fate::Fails { code })
            }
            Some(Fault::Later { passing: 0, times, fate }) if may_fail && !sender.reads => {
                ((times > 1).then(|| Fault::Later { passing: 0, times: times - 1, fate }), fate)
            }
            Some(Fault::Later { passing, times, fate }) if may_fail && !sender.reads => {
                (Some(Fault::Later { passing: passing - 1, times, fate }), Fate::Passes)
            }
            Some(Fault::FailSome(dice)) if may_fail && sender.writes => {
                let (dice, which) = dice.throw(statement);
                let code = which.map(|which| if which { "40001" } else { "40P01" });
                (Some(Fault::FailSome(dice)), code.map_or(Fate::Passes, |code| Fate::Fails { code }))
            }
            Some(Fault::CutSome(dice)) if may_fail && sender.writes => {
                let (dice, which) = dice.throw(statement);
                let cut = which.map(|reaches_server| Fate::IsCut { reaches_server });
                (Some(Fault::CutSome(dice)), cut.unwrap_or(Fate::Passes))
            }
            other => (other, Fate::Passes),
        };
        self.fault = next;
        self.failures += u32::from(!matches!(fate, Fate::Passes));
        fate
    }
}

/// Who sends a statement.
#[derive(Default, Clone, Copy)]
struct Sender {
    /// The writer, within a transaction.
    writes: bool,
    /// A connection for reads, or for the renewal of the lease.
    reads: bool,
}

async fn pass(mut client: UnixStream, mut server: UnixStream, plan: Arc<Mutex<Plan>>) {
    let (mut sent, mut received) = ([0; 8192], [0; 8192]);
    let (mut requests, mut sender) = (RequestReader::default(), Sender::default());
    loop {
        tokio::select! {
            n = client.read(&mut sent) => {
                let Ok(n @ 1..) = n else { return };
                requests.push(&sent[..n]);
                while let Some(request) = requests.take() {
                    // A read that may take long begins with this word alone.
                    sender.writes |= request.statement.starts_with("BEGIN;");
                    // The limit of reads.
                    sender.reads |= request.statement.starts_with("SET statement_timeout");
                    let fate = lock(&plan).fate(&request.statement, sender);
                    sender.writes &= !["COMMIT", "ROLLBACK"].contains(&request.statement.as_str());
                    if !carry_out(fate, &request, &mut server).await {
                        return;
                    }
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

/// False if the connection breaks.
async fn carry_out(fate: Fate, request: &ProxiedRequest, server: &mut UnixStream) -> bool {
    match fate {
        Fate::Passes => server.write_all(&request.bytes).await.unwrap(),
        Fate::Fails { code } => server.write_all(&refusal(request, code)).await.unwrap(),
        Fate::IsCut { reaches_server: false } => return false,
        Fate::IsCut { reaches_server: true } => {
            server.write_all(&request.bytes).await.unwrap();
            // The answer comes after the commit, and goes no further.
            assert_ne!(server.read(&mut [0; 8192]).await.unwrap(), 0);
            return false;
        }
        // The server doesn't learn either that the client goes.
        Fate::IsSwallowed => std::future::pending().await,
    }
    true
}
