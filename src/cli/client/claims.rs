//! Claims of invitations: the first client of a number to claim one at the node gets it.

use reqwest::Method;

use super::stream::Current;
use crate::cli::api_client::{Api, ApiError};
use crate::contract::{ClaimOutcome, NewClaim};
use crate::core::base::backoff::Backoff;
use crate::core::base::name::{CallId, InvitationId};

/// Attempts for an invitation that is accepted unasked, over about a quarter of a minute.
pub(super) const UNASKED_ATTEMPTS: u32 = 6;
/// The user who has accepted one sees a failure, and can retry.
pub(super) const ASKED_ATTEMPTS: u32 = 1;

/// Claims an invitation. Returns whether this client has it, or why the node doesn't say.
pub(super) async fn claim(
    api: &Api,
    client: &Current,
    call: &CallId,
    invitation: &InvitationId,
    attempts: u32,
) -> Result<bool, String> {
    let path = ["v1", "calls", call.as_str(), "claims"];
    let mut attempt = 1;
    loop {
        let (problem, is_final) = match client.get() {
            Some(client) => {
                let claim = NewClaim { client, invitation: invitation.clone() };
                let outcome: Result<ClaimOutcome, ApiError> = api.send(Method::POST, &path, &claim).await;
                match outcome {
                    Ok(outcome) => return Ok(outcome.won),
                    Err(error) => (error.to_string(), error.is_final()),
                }
            }
            None => ("the node can't be asked now; try again".to_owned(), false),
        };
        if is_final || attempt >= attempts {
            return Err(problem);
        }
        tokio::time::sleep(Backoff::HTTP.wait(attempt, rand::random())).await;
        attempt += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    const BUSY: &str = "HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    const GONE: &str = "HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    const WON: &str =
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 25\r\n\r\n{\"client\":\"a\",\"won\":true}";

    /// Claims at a node that gives these answers, one for each request.
    async fn claimed(answers: &'static [&'static str], attempts: u32) -> Result<bool, String> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let node = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", node.local_addr().unwrap());
        tokio::spawn(async move {
            for answer in answers {
                let (mut socket, _) = node.accept().await.unwrap();
                let mut request = [0; 4096];
                assert!(socket.read(&mut request).await.unwrap() > 0);
                socket.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        let api = Api::new(url.parse().unwrap(), "token").unwrap();
        let client = Current::of("a".parse().unwrap());
        claim(&api, &client, &"c".parse().unwrap(), &"i".parse().unwrap(), attempts).await
    }

    #[tokio::test]
    async fn a_claim_that_no_user_waits_for_is_tried_again() {
        assert_eq!(claimed(&[BUSY, WON], UNASKED_ATTEMPTS).await, Ok(true));
        assert!(claimed(&[BUSY, WON], ASKED_ATTEMPTS).await.is_err());
    }

    #[tokio::test]
    async fn a_claim_that_is_refused_for_good_is_not() {
        let refused = claimed(&[GONE, WON], UNASKED_ATTEMPTS).await.unwrap_err();
        assert!(refused.contains("404"), "{refused}");
    }
}
