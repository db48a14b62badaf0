//! A bounded queue of events that never blocks the reader of the connection. FreeSWITCH drops a listener
//! that doesn't read (`MAX_MISSED` in `mod_event_socket.c`), and Asterisk drops a session that blocks for
//! 100 ms (`writetimeout` in `manager.c`). If the consumer is too slow, events are lost, and the consumer
//! gets their number in their place.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// An item of [`Events`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item<E> {
    /// An event.
    Event(E),
    /// This many events were lost here, because the consumer was too slow.
    Lost(u64),
}

/// The events of one connection, in order.
#[derive(Debug)]
pub struct Events<E> {
    state: Arc<Mutex<State<E>>>,
}

impl<E> Events<E> {
    /// The next item; `None` once the connection has ended and the queue is empty. Cancel-safe.
    pub async fn next(&mut self) -> Option<Item<E>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// As [`Events::next`].
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Item<E>>> {
        let mut state = lock(&self.state);
        let item = state.pop();
        if item.is_some() || state.closed {
            return Poll::Ready(item);
        }
        match &mut state.reader {
            Some(waker) => waker.clone_from(cx.waker()),
            reader => *reader = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

impl<E> Drop for Events<E> {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        state.unread = true;
        state.items.clear();
    }
}

/// The sending half of the queue.
#[derive(Debug)]
pub(crate) struct EventSender<E> {
    state: Arc<Mutex<State<E>>>,
    capacity: usize,
}

/// Creates a queue for up to `capacity` events.
pub(crate) fn queue<E>(capacity: usize) -> (EventSender<E>, Events<E>) {
    let state = State { items: VecDeque::new(), lost: 0, closed: false, unread: false, reader: None };
    let state = Arc::new(Mutex::new(state));
    (EventSender { state: Arc::clone(&state), capacity }, Events { state })
}

impl<E> EventSender<E> {
    /// Queues the event, or counts it as lost.
    pub(crate) fn push(&self, event: E) {
        let mut state = lock(&self.state);
        if state.unread {
            return;
        }
        if state.items.len() >= self.capacity {
            state.lost += 1;
            return;
        }
        if let Some(lost) = state.take_lost() {
            state.items.push_back(lost);
        }
        state.items.push_back(Item::Event(event));
        wake(state);
    }

    /// Whether the receiver was dropped.
    pub(crate) fn is_unread(&self) -> bool {
        lock(&self.state).unread
    }
}

impl<E> Drop for EventSender<E> {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        state.closed = true;
        wake(state);
    }
}

/// Releases the lock, then wakes a waiting reader.
fn wake<E>(mut state: MutexGuard<'_, State<E>>) {
    let reader = state.reader.take();
    drop(state);
    if let Some(reader) = reader {
        reader.wake();
    }
}

fn lock<E>(state: &Mutex<State<E>>) -> MutexGuard<'_, State<E>> {
    // No update can be left incomplete, so a poisoned lock is still usable.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
struct State<E> {
    items: VecDeque<Item<E>>,
    /// Number of events lost since the last item.
    lost: u64,
    closed: bool,
    unread: bool,
    /// The waker of the waiting reader.
    reader: Option<Waker>,
}

impl<E> State<E> {
    fn pop(&mut self) -> Option<Item<E>> {
        self.items.pop_front().or_else(|| self.take_lost())
    }

    fn take_lost(&mut self) -> Option<Item<E>> {
        match std::mem::take(&mut self.lost) {
            0 => None,
            lost => Some(Item::Lost(lost)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_did_not_fit_is_said_at_its_place() {
        let (sender, mut events) = queue(2);
        for name in ["1", "2", "3", "4"] {
            sender.push(name);
        }
        assert_eq!(events.next().await, Some(Item::Event("1")));
        sender.push("5");
        sender.push("6");
        drop(sender);
        assert_eq!(events.next().await, Some(Item::Event("2")));
        assert_eq!(events.next().await, Some(Item::Lost(2)));
        assert_eq!(events.next().await, Some(Item::Event("5")));
        assert_eq!(events.next().await, Some(Item::Lost(1)));
        assert_eq!(events.next().await, None);
        assert_eq!(events.next().await, None);
    }

    #[tokio::test]
    async fn a_reader_that_waits_is_woken_by_an_event_and_by_the_end() {
        let (sender, mut events) = queue(2);
        let reader = tokio::spawn(async move { (events.next().await, events.next().await, events.next().await) });
        tokio::task::yield_now().await;
        sender.push("1");
        tokio::task::yield_now().await;
        sender.push("2");
        tokio::task::yield_now().await;
        drop(sender);
        assert_eq!(reader.await.unwrap(), (Some(Item::Event("1")), Some(Item::Event("2")), None));
    }

    #[tokio::test]
    async fn events_without_a_reader_take_no_memory() {
        let (sender, events) = queue(2);
        sender.push("1");
        drop(events);
        sender.push("2");
        assert!(sender.is_unread());
        assert!(lock(&sender.state).items.is_empty());
    }
}
