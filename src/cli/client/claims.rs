//! Claims of invitations: the first client of a number to claim one at the node gets it.

use reqwest::Method;
use tokio_util::sync::CancellationToken;

use super::stream::Current;
use crate::cli::api_client::{Api, ApiError};
use crate::contract::{ClaimOutcome, NewClaim};
use crate::core::base::backoff::Backoff;
use crate::core::base::name::{CallId, InvitationId};

/// Attempts for an invitation that is accepted unasked, over about a quarter of a minute unless the node asks for longer waits.
pub(super) const UNASKED_ATTEMPTS: u32 = 6;
/// The user who has accepted one sees a failure, and can retry.
pub(super) const ASKED_ATTEMPTS: u32 = 1;

/// Claims an invitation. Returns whether this client has it, or why the node doesn't say. Before another attempt it waits as long
/// as the node asks. After `end` there is no other attempt.
pub(super) async fn claim(
    api: &Api,
    client: &Current,
    call: &CallId,
    invitation: &InvitationId,
    attempts: u32,
    end: &CancellationToken,
) -> Result<bool, String> {
    let path = ["v1", "calls", call.as_str(), "claims"];
    let mut attempt = 1;
    loop {
        let (problem, is_final, after) = match client.get() {
            Some(client) => {
                let claim = NewClaim { client, invitation: invitation.clone() };
                let outcome: Result<ClaimOutcome, ApiError> = api.send(Method::POST, &path, &claim).await;
                match outcome {
                    Ok(outcome) => return Ok(outcome.won),
                    Err(error) => (error.to_string(), error.is_final(), error.retry_after()),
                }
            }
            None => ("the node can't be asked now; try again".to_owned(), false, None),
        };
        if is_final || attempt >= attempts {
            return Err(problem);
        }
        let pause = tokio::time::sleep(Backoff::HTTP.wait_for(attempt, rand::random(), after));
        if end.run_until_cancelled(pause).await.is_none() {
            return Err(problem);
        }
        attempt += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::cli::client::node_double::NodeDouble;

    const BUSY: &str = "503 Service Unavailable";
    const SLOW_DOWN: &str = "429 Too Many Requests\r\nretry-after: 1";
    const GONE: &str = "404 Not Found";
    const WON: &str = "200 OK";

    /// Claims at a node that gives these answers, one for each request.
    async fn claimed(answers: &'static [&'static str], attempts: u32) -> Result<bool, String> {
        let node = NodeDouble::start().await;
        let (api, client) = (node.api(), Current::of("a".parse().unwrap()));
        tokio::spawn(async move {
            for status in answers {
                node.answer(status, if *status == WON { r#"{"client":"a","won":true}"# } else { "" }).await;
            }
        });
        let (call, invitation) = ("c".parse().unwrap(), "i".parse().unwrap());
        claim(&api, &client, &call, &invitation, attempts, &CancellationToken::new()).await
    }

    #[tokio::test]
    async fn a_claim_that_no_user_waits_for_is_tried_again() {
        assert_eq!(claimed(&[BUSY, WON], UNASKED_ATTEMPTS).await, Ok(true));
        assert!(claimed(&[BUSY, WON], ASKED_ATTEMPTS).await.is_err());
    }

    #[tokio::test]
    async fn a_claim_is_tried_again_when_the_node_says() {
        let begun = Instant::now();
        assert_eq!(claimed(&[SLOW_DOWN, WON], UNASKED_ATTEMPTS).await, Ok(true));
        assert!(begun.elapsed() >= Duration::from_secs(1));
    }

    #[tokio::test]
    async fn a_claim_that_is_refused_for_good_is_not() {
        let refused = claimed(&[GONE, WON], UNASKED_ATTEMPTS).await.unwrap_err();
        assert!(refused.contains("404"), "{refused}");
    }
}
