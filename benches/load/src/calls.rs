//! Calls: each from its announcement to its end, and many of them at a rate.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};

use crate::children::Children;
use crate::clients::{self, Faults, HostedClient};
use crate::figures::{Outcome, Step};
use crate::options::Options;
use crate::pbx::LoadPbx;

/// How long a client may take to be told of the other one, until the call counts as lost.
const PAIR_PATIENCE: Duration = Duration::from_secs(5);

/// PBXs, clients and processes, and the random numbers that choose among them.
pub struct Site {
    options: Options,
    pbxs: Vec<Arc<LoadPbx>>,
    /// Of each PBX, the clients that are in no call.
    free: Vec<Arc<Free>>,
    faults: Arc<Faults>,
    children: Children,
    random: StdRng,
}

/// The one that has waited longest comes first.
type Free = Mutex<VecDeque<[Arc<HostedClient>; 2]>>;

impl Site {
    pub async fn start(options: &Options) -> anyhow::Result<Site> {
        let mut pbxs = Vec::new();
        for n in 0..options.pbxs as usize {
            pbxs.push(LoadPbx::start(n).await);
        }
        let children = Children::start(options, &pbxs).await?;
        let faults = Arc::new(Faults::default());
        let clients = clients::connect(options, children.active(), &faults).await?;
        let free = clients.into_iter().map(|clients| Arc::new(Mutex::new(clients.into()))).collect();
        let random = StdRng::seed_from_u64(options.seed);
        Ok(Site { options: options.clone(), pbxs, free, faults, children, random })
    }

    /// Makes calls at this rate for so long, and waits until the last one is over.
    pub async fn step(&mut self, rate: f64, length: Duration) -> anyhow::Result<Step> {
        let before = self.children.readings().await?;
        let (begun, mut calls, mut unmade) = (Instant::now(), JoinSet::new(), 0);
        let mut due = begun;
        loop {
            // Calls come by chance, as people make them: the time between two is distributed exponentially.
            due += Duration::from_secs_f64(-(1.0 - self.random.random::<f64>()).ln() / rate);
            if due > begun + length {
                break;
            }
            sleep_until(due.into()).await;
            let pbx = self.random.random_range(0..self.pbxs.len());
            let Some(mut pair) = lock(&self.free[pbx]).pop_front() else {
                unmade += 1;
                continue;
            };
            if self.random.random() {
                pair.reverse();
            }
            let (pbx, free) = (Arc::clone(&self.pbxs[pbx]), Arc::clone(&self.free[pbx]));
            let (hold, talk) = (self.options.hold(), self.options.talk());
            calls.spawn(async move {
                let outcome = make(&pbx, &pair, due, hold, talk).await;
                lock(&free).push_back(pair);
                outcome
            });
        }
        let outcomes = calls.join_all().await;
        let after = self.children.readings().await?;
        let fault = |counter: &AtomicU64| counter.swap(0, Ordering::Relaxed);
        let mut step = Step::new(rate, length, &outcomes, &before, &after);
        step.unmade = unmade;
        step.strangers = fault(&self.faults.strangers);
        step.streams_ended = fault(&self.faults.streams);
        step.ended = self.children.ended();
        Ok(step)
    }
}

fn lock(free: &Free) -> MutexGuard<'_, VecDeque<[Arc<HostedClient>; 2]>> {
    free.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes one call between two clients' numbers: the first calls the second.
async fn make(pbx: &LoadPbx, pair: &[Arc<HostedClient>; 2], due: Instant, hold: Duration, talk: Duration) -> Outcome {
    let announced = Instant::now();
    let (mut call, decision) = pbx.announce([pair[0].number.clone(), pair[1].number.clone()], hold);
    let decided = timeout(hold, decision).await.ok().and_then(Result::ok);
    pbx.stop_waiting(&call);
    let decision = decided.as_ref().map(|decided| decided.at - announced);
    // Without a decision the dialplan goes on, too.
    call.id = decided.map(|decided| decided.call).unwrap_or_default();
    let [first, second] = [pair[0].expect(&call.id), pair[1].expect(&call.id)];
    let answered = Instant::now();
    pbx.answer(&call);
    let told = timeout(PAIR_PATIENCE, async { tokio::try_join!(first, second) }).await;
    let told = told.ok().and_then(Result::ok).map(|(first, second)| first.max(second) - answered);
    sleep_until((answered + talk).into()).await;
    pbx.hang_up(&call);
    Outcome { late: announced - due, decision, told }
}
