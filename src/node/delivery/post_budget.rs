//! How much somebody may post to one call-scoped address: two token buckets for each, of messages and of
//! bytes, and an end to what is stored.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::core::base::name::CallId;
use crate::core::base::token_bucket::TokenBucket;
use crate::node::live_calls::LiveCalls;

/// Posts at once.
const BURST: f64 = 50.0;
/// Posts per second after that.
const RATE: f64 = 20.0;
/// Bytes at once, for all clients of a number: more than a dozen of the largest messages to one.
const BYTES_BURST: f64 = 1024.0 * 1024.0;
/// Bytes per second after that.
const BYTES_RATE: f64 = 128.0 * 1024.0;
/// Stored bytes in all: they are kept until the call ends. Files go from client to client.
const BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Whether a post may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::node) enum PostVerdict {
    /// It may.
    Yes,
    /// In a moment.
    NotNow,
    /// Not in this call.
    NoMore,
    /// The node keeps as much as it may, of all calls together.
    Full,
}

/// What was posted to each address, until its call is forgotten.
#[derive(Debug)]
pub(in crate::node) struct PostBudget {
    posts: Mutex<Posts>,
    /// Bytes of posts that are kept in all calls together.
    bytes_max: u64,
}

#[derive(Debug, Default)]
struct Posts {
    calls: HashMap<CallId, HashMap<String, Spent>>,
    /// Bytes of all calls.
    total: u64,
}

#[derive(Debug)]
struct Spent {
    posts: TokenBucket,
    bytes: TokenBucket,
    total: u64,
}

impl Spent {
    fn new(now: Instant) -> Spent {
        Spent { posts: TokenBucket::full(BURST, now), bytes: TokenBucket::full(BYTES_BURST, now), total: 0 }
    }
}

impl PostBudget {
    /// `bytes_max`: bytes of posts that are kept in all calls together.
    pub(in crate::node) fn new(bytes_max: u64) -> PostBudget {
        PostBudget { posts: Mutex::default(), bytes_max }
    }

    /// Begins what one request takes of the budget of an address.
    pub(in crate::node) fn spending<'a>(
        &'a self,
        live: &'a LiveCalls,
        address: &'a str,
        call: &'a CallId,
    ) -> Spending<'a> {
        Spending { budget: self, live, address, call }
    }

    /// Takes a post to an address of this call.
    fn take_post(&self, address: &str, call: &CallId, now: Instant) -> PostVerdict {
        let take = |spent: &mut Spent, _: &mut u64| match spent.posts.take(1.0, BURST, RATE, now) {
            true => PostVerdict::Yes,
            false => PostVerdict::NotNow,
        };
        self.spend(address, call, now, take)
    }

    /// Takes so many bytes to an address of this call, or none of them. What is more than a burst is taken by a full
    /// bucket, which is filled up again from below.
    fn take_bytes(&self, address: &str, call: &CallId, length: usize, now: Instant) -> PostVerdict {
        self.spend(address, call, now, |spent, _| {
            let bytes = length as f64;
            if !spent.bytes.holds(bytes.min(BYTES_BURST), BYTES_BURST, BYTES_RATE, now) {
                return PostVerdict::NotNow;
            }
            spent.bytes.owe(bytes);
            PostVerdict::Yes
        })
    }

    /// Takes room for so many bytes that are stored until the call is forgotten, or none.
    fn take_room(&self, address: &str, call: &CallId, length: usize, now: Instant) -> PostVerdict {
        self.spend(address, call, now, |spent, total| {
            if spent.total.saturating_add(length as u64) > BYTES_MAX {
                return PostVerdict::NoMore;
            }
            if total.saturating_add(length as u64) > self.bytes_max {
                return PostVerdict::Full;
            }
            spent.total += length as u64;
            *total += length as u64;
            PostVerdict::Yes
        })
    }

    fn spend(
        &self,
        address: &str,
        call: &CallId,
        now: Instant,
        spend: impl FnOnce(&mut Spent, &mut u64) -> PostVerdict,
    ) -> PostVerdict {
        let mut posts = self.lock();
        let Posts { calls, total } = &mut *posts;
        spend(
            calls.entry(call.clone()).or_default().entry(address.to_owned()).or_insert_with(|| Spent::new(now)),
            total,
        )
    }

    /// Counts what a call of before a restart has kept.
    pub(in crate::node) fn kept(&self, call: &CallId, bytes: u64, now: Instant) {
        self.spend("", call, now, |spent, total| {
            spent.total += bytes;
            *total += bytes;
            PostVerdict::Yes
        });
    }

    /// The addresses of this call are over.
    pub(in crate::node) fn forget(&self, call: &CallId) {
        let mut posts = self.lock();
        let over = posts.calls.remove(call).unwrap_or_default();
        posts.total -= over.values().map(|spent| spent.total).sum::<u64>();
    }

    fn lock(&self) -> MutexGuard<'_, Posts> {
        self.posts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one request takes of the budget of an address. The call may be forgotten while the request is under way: then,
/// whichever way the request ends, what it took is forgotten, too.
pub(in crate::node) struct Spending<'a> {
    budget: &'a PostBudget,
    live: &'a LiveCalls,
    address: &'a str,
    call: &'a CallId,
}

impl Spending<'_> {
    /// Takes a post.
    pub(in crate::node) fn take_post(&self, now: Instant) -> PostVerdict {
        self.budget.take_post(self.address, self.call, now)
    }

    /// Takes so many bytes, or none of them.
    pub(in crate::node) fn take_bytes(&self, length: usize, now: Instant) -> PostVerdict {
        self.budget.take_bytes(self.address, self.call, length, now)
    }

    /// Takes room for so many bytes that are stored until the call is forgotten, or none.
    pub(in crate::node) fn take_room(&self, length: usize, now: Instant) -> PostVerdict {
        self.budget.take_room(self.address, self.call, length, now)
    }
}

impl Drop for Spending<'_> {
    fn drop(&mut self) {
        if self.live.read(|exchange| exchange.call(self.call).is_none()) {
            self.budget.forget(self.call);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::routing::route::{Route, Side};
    use crate::store::Store;
    use std::time::Duration;

    fn call() -> CallId {
        "c-1".parse().unwrap()
    }

    #[test]
    fn a_burst_and_then_a_rate() {
        let (budget, start, call) = (PostBudget::new(u64::MAX), Instant::now(), call());
        let taken = |address, now| budget.take_post(address, &call, now) == PostVerdict::Yes;
        assert_eq!((0..100).filter(|_| taken("a", start)).count(), 50);
        assert!(taken("b", start));
        let later = start + Duration::from_secs(1);
        assert_eq!((0..100).filter(|_| taken("a", later)).count(), 20);
        budget.forget(&call);
        assert!(budget.lock().calls.is_empty());
    }

    #[test]
    fn all_calls_together_keep_so_much() {
        let (budget, start, first) = (PostBudget::new(1000), Instant::now(), call());
        let second = "c-2".parse().unwrap();
        budget.kept(&first, 300, start);
        assert_eq!(budget.take_room("a", &first, 400, start), PostVerdict::Yes);
        assert_eq!(budget.take_room("b", &second, 301, start), PostVerdict::Full);
        assert_eq!(budget.take_bytes("b", &second, 301, start), PostVerdict::Yes, "what isn't stored needs no room");
        assert_eq!(budget.take_room("b", &second, 300, start), PostVerdict::Yes);
        budget.forget(&first);
        assert_eq!(budget.take_room("b", &second, 700, start), PostVerdict::Yes);
        budget.forget(&second);
        assert_eq!(budget.lock().total, 0);
    }

    #[tokio::test]
    async fn a_request_that_outlives_its_call_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let live = LiveCalls::new(Store::open(&folder.path().join("sidecall.db")).await.unwrap(), 8, 1);
        let (budget, start) = (PostBudget::new(1000), Instant::now());
        let opened = crate::node::timeline::tests::call("c-1", "a", Side::Terminating, Route::Local, "+12125550101");
        let call = live.open(opened, None).call.id;
        assert_eq!(budget.spending(&live, "a", &call).take_room(600, start), PostVerdict::Yes);
        assert_eq!(budget.lock().total, 600, "it is kept while the call is known");
        let late = budget.spending(&live, "a", &call);
        assert!(live.forget(&call).is_some());
        budget.forget(&call);
        assert_eq!(late.take_post(start), PostVerdict::Yes);
        assert_eq!(late.take_room(600, start), PostVerdict::Yes);
        drop(late);
        assert!(budget.lock().calls.is_empty());
        assert_eq!(budget.lock().total, 0);
    }

    #[test]
    fn bytes_have_a_rate_and_what_is_stored_has_an_end() {
        let (budget, start, call) = (PostBudget::new(u64::MAX), Instant::now(), call());
        const LARGE: usize = 64 * 1024;
        assert_eq!((0..50).filter(|_| budget.take_bytes("a", &call, LARGE, start) == PostVerdict::Yes).count(), 16);
        assert_eq!(budget.take_bytes("a", &call, 10, start), PostVerdict::NotNow);
        let later = start + Duration::from_secs(1);
        assert_eq!((0..50).filter(|_| budget.take_bytes("a", &call, LARGE, later) == PostVerdict::Yes).count(), 2);
        assert_eq!((0..2000).filter(|_| budget.take_room("a", &call, LARGE, start) == PostVerdict::Yes).count(), 1024);
        assert_eq!(budget.take_room("a", &call, LARGE, start), PostVerdict::NoMore);
        assert_eq!(budget.take_room("b", &call, LARGE, start), PostVerdict::Yes, "another address has its own");
        // The largest message to as many clients as a number can have.
        assert_eq!(budget.take_bytes("c", &call, 64 * LARGE, start), PostVerdict::Yes);
        assert_eq!(budget.take_bytes("c", &call, 10, start + Duration::from_secs(23)), PostVerdict::NotNow);
        assert_eq!(budget.take_bytes("c", &call, 10, start + Duration::from_secs(25)), PostVerdict::Yes);
    }
}
