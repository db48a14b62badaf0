//! What happens when a connection or a channel is replaced by another one, and when somebody else answers in its place.

use super::*;

#[tokio::test]
async fn a_transfer_goes_on_where_its_channel_was_cut() {
    let mut call = Call::new().await;
    call.connect().await;
    let first = call.first_bytes().await;
    call.browser.close(first);
    call.until(|call| call.browser.closed.contains(&first).then_some(())).await;
    call.other_bytes().await;
}

#[tokio::test]
async fn a_transfer_goes_on_in_the_next_connection() {
    let mut call = Call::new().await;
    call.connect().await;
    call.first_bytes().await;
    call.tell(SessionCommand::Signal(Signal::Restart { session: session_id(), round: 7 })).await;
    let asked = |event: &SessionEvent| matches!(event, SessionEvent::Say(OwnSignal::Restart { round: 8, .. }));
    call.until(|call| call.told.iter().any(asked).then_some(())).await;
    call.browser = call.browser.anew(Instant::now());
    call.offer(8).await;
    call.until(|call| call.browser.is_connected.then_some(())).await;
    call.other_bytes().await;
}

#[tokio::test]
async fn a_device_with_another_certificate_than_its_offers_is_an_impostor() {
    let mut call = Call::new().await;
    // It has the offer of the device that invited, and not its key.
    call.browser = Offerer::new(call.socket.local_addr().unwrap(), Instant::now());
    call.offer(0).await;
    assert_eq!(call.over().await, SessionOver::Impostor);
    assert!(!call.told.iter().any(|event| matches!(event, SessionEvent::Interrupted)), "{:?}", call.told);
}

#[tokio::test]
async fn a_session_tries_only_what_its_call_has_left() {
    let mut call = Call::with(Patience { connection: Duration::from_millis(300), ..PATIENCE }).await;
    // Another session of the call has tried enough.
    let tried = (0..200).filter(|n| call.addresses.admit(([127, 0, 0, 2], 5000 + n).into(), Instant::now())).count();
    assert!(tried < 200);
    call.offer(0).await;
    assert_eq!(call.over().await, SessionOver::Unreachable);
    assert!(!call.browser.is_connected);
}

#[tokio::test]
async fn a_channel_that_another_replaces_is_closed() {
    let mut call = Call::new().await;
    call.connect().await;
    call.tell(SessionCommand::Expect { invitation: invitation(), files: one_file() }).await;
    let first = call.browser.open("files:i", "sidecall-files");
    call.until(|call| call.browser.texts.contains(&r#"{"have":[0,0]}"#.to_owned()).then_some(())).await;
    let second = call.browser.open("files:i", "sidecall-files");
    call.until(|call| call.browser.closed.contains(&first).then_some(())).await;
    call.finish(second, b"123456789").await;
}
