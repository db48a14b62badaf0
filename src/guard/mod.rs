//! Restricts where the node may post when somebody else chose the address. Without this, any client or
//! caller could make it post to private machines that only it can reach.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;
use url::Host;

use crate::core::address::client_policy::{AddressRefusal, ClientPolicy};
use crate::core::address::hosts::{HostList, is_public};
use crate::core::address::{Address, AddressKind};

/// Time limit for resolving a name during a check.
const PATIENCE: Duration = Duration::from_secs(2);

/// Maximum number of concurrent lookups for requests. Each blocks a thread, for up to half a minute if the name
/// servers don't answer. The same threads access files.
static DELIVERING: Semaphore = Semaphore::const_new(32);
/// Maximum number of concurrent lookups for binding clients. They have a limit of their own, so that slow lookups
/// don't delay requests.
static CHECKING: Semaphore = Semaphore::const_new(8);

/// A name resolves to no permitted address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the name leads into a private network")]
pub struct LeadsInside;

impl LeadsInside {
    /// Whether this caused a request to fail.
    pub fn caused(error: &reqwest::Error) -> bool {
        let mut cause: Option<&(dyn Error + 'static)> = error.source();
        while let Some(error) = cause {
            if error.is::<LeadsInside>() {
                return true;
            }
            cause = error.source();
        }
        false
    }
}

/// A resolver that returns only public addresses, except for hosts that the administrator allows.
#[derive(Debug, Default)]
pub struct PublicOnly {
    allowed: HostList,
}

impl PublicOnly {
    /// Also allows these hosts, at any address.
    pub fn and(allowed: HostList) -> PublicOnly {
        PublicOnly { allowed }
    }
}

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed = self.allowed.clone();
        Box::pin(async move {
            // Lookups of other names don't delay those of listed hosts.
            let places = (!allowed.has_name(name.as_str())).then_some(&DELIVERING);
            let found = resolve(name.as_str().to_owned(), places).await?;
            let found = permitted(name.as_str(), found.into_iter(), &allowed)?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Checks whether the policy allows a client's address, and what a webhook's name resolves to now.
///
/// # Errors
/// Says why the address is refused, and how to allow it.
pub async fn check_client(policy: &ClientPolicy, address: &Address) -> Result<(), AddressRefusal> {
    policy.check(address)?;
    match address.host() {
        Some(Host::Domain(name)) if address.kind() == AddressKind::Http => {
            let checked = check_name(&name, &policy.webhook_hosts).await;
            checked.map_err(|LeadsInside| AddressRefusal::WebhookName(name))
        }
        _ => Ok(()),
    }
}

/// Checks what a name resolves to now. An unresolvable name passes, since [`PublicOnly`] checks each request.
///
/// # Errors
/// If it resolves to a private address.
async fn check_name(name: &str, allowed: &HostList) -> Result<(), LeadsInside> {
    match tokio::time::timeout(PATIENCE, resolve(name.to_owned(), Some(&CHECKING))).await {
        Ok(Ok(found)) => permitted(name, found.into_iter(), allowed).map(drop),
        Ok(Err(_)) | Err(_) => Ok(()),
    }
}

/// Resolves a name with the system's resolver. With `places`, the lookup waits for a free one.
async fn resolve(name: String, places: Option<&'static Semaphore>) -> io::Result<Vec<SocketAddr>> {
    let work = async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) };
    match places {
        Some(places) => limited(places, work).await,
        None => work.await,
    }
}

/// Waits for a place and keeps it until the work is done, even if the caller is dropped: the thread is blocked as long.
async fn limited<T: Send + 'static>(
    places: &'static Semaphore,
    work: impl Future<Output = io::Result<T>> + Send + 'static,
) -> io::Result<T> {
    let place = places.acquire().await.map_err(io::Error::other)?;
    let task = tokio::spawn(async move {
        let _place = place;
        work.await
    });
    task.await.map_err(io::Error::other)?
}

fn permitted(
    name: &str,
    found: impl Iterator<Item = SocketAddr>,
    allowed: &HostList,
) -> Result<Vec<SocketAddr>, LeadsInside> {
    let any = allowed.has_name(name);
    let permitted: Vec<SocketAddr> =
        found.filter(|address| any || is_public(address.ip()) || allowed.has_ip(address.ip())).collect();
    if permitted.is_empty() { Err(LeadsInside) } else { Ok(permitted) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_that_leads_inside_is_not_followed() {
        let resolved = PublicOnly::default().resolve("localhost".parse().unwrap()).await;
        assert!(resolved.err().unwrap().is::<LeadsInside>());
        assert_eq!(check_name("localhost", &HostList::default()).await, Err(LeadsInside));
    }

    #[tokio::test]
    async fn a_name_is_followed_where_it_or_its_network_is_allowed() {
        for rule in ["localhost", "127.0.0.0/8"] {
            let allowed: HostList = [rule.parse().unwrap()].into_iter().collect();
            let found = PublicOnly::and(allowed.clone()).resolve("localhost".parse().unwrap()).await;
            assert!(found.unwrap().any(|address| address.ip().is_loopback()), "{rule}");
            assert_eq!(check_name("localhost", &allowed).await, Ok(()));
        }
    }

    #[tokio::test]
    async fn slow_names_occupy_a_few_threads_however_many_give_up_on_them() {
        static PLACES: Semaphore = Semaphore::const_new(2);
        let slow = || limited(&PLACES, std::future::pending::<io::Result<()>>());
        for _ in 0..10 {
            assert!(tokio::time::timeout(Duration::from_millis(20), slow()).await.is_err());
        }
        assert_eq!(PLACES.available_permits(), 0, "two lookups go on after their callers have given up");
    }

    #[tokio::test]
    async fn names_that_clients_bind_delay_no_request_and_no_names_delay_listed_ones() {
        let listed = PublicOnly::and(["localhost".parse().unwrap()].into_iter().collect());
        let stranger = PublicOnly::and(["127.0.0.0/8".parse().unwrap()].into_iter().collect());
        let resolves = async |rules: &PublicOnly| {
            let resolved = rules.resolve("localhost".parse().unwrap());
            tokio::time::timeout(Duration::from_secs(1), resolved).await.is_ok_and(|found| found.is_ok())
        };
        let checked = CHECKING.acquire_many(8).await.unwrap();
        assert!(resolves(&stranger).await, "a request waits for the names that clients bind");
        drop(checked);
        let _delivered = DELIVERING.acquire_many(32).await.unwrap();
        assert!(resolves(&listed).await, "a listed name waits for others");
        assert!(!resolves(&stranger).await);
    }

    #[tokio::test]
    async fn a_request_that_fails_for_it_says_so() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().dns_resolver(PublicOnly::default()).build().unwrap();
        let error = client.post("http://localhost:9/").send().await.unwrap_err();
        assert!(LeadsInside::caused(&error), "{error:?}");
        let error = client.post("http://127.0.0.1:1/").send().await.unwrap_err();
        assert!(!LeadsInside::caused(&error), "{error:?}");
    }

    #[test]
    fn of_several_addresses_only_the_public_ones_are_kept() {
        let found = ["10.0.0.1:0", "8.8.8.8:0"].map(|text| text.parse().unwrap());
        let kept = permitted("a.example", found.into_iter(), &HostList::default());
        assert_eq!(kept.unwrap(), ["8.8.8.8:0".parse().unwrap()]);
    }
}
