//! Which endpoints of this PBX are phones.
//!
//! A client says by itself which user of our domain it is. `MessageSend` reaches any endpoint by its name, a trunk with the
//! credentials that it has at its carrier. So the PBX is asked first: a phone registers here, and a trunk has a
//! permanent contact or logs in elsewhere. What is neither gets no message.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use moka::sync::Cache;
use tokio::time::timeout;

use crate::ami::{Action, AmiClient};
use crate::core::numbering::endpoint_names::Endpoints;
use crate::pbx::PbxError;

/// An answer is used again for so long: one more question for each message would double what Asterisk has to do.
const KNOWN_FOR: Duration = Duration::from_secs(60);
/// How long Asterisk may take to say it.
const ASKED_WITHIN: Duration = Duration::from_secs(5);
/// How long after its link is up Asterisk may still be loading its modules.
const STARTS_WITHIN: Duration = Duration::from_secs(60);
/// Phones that are kept.
const NAMES: u64 = 10_000;

/// Why Asterisk tells nothing: `Getvar` has other classes than `MessageSend` (manager.c).
const MAY_NOT_ASK: &str = "it can't be checked without Getvar (the manager user needs write=call or write=reporting)";

/// Why an endpoint is no phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NoPhone {
    Unknown,
    NoAor,
    LogsIn,
    DoesNotRegister,
    Permanent,
}

impl NoPhone {
    fn reason(self) -> &'static str {
        match self {
            NoPhone::Unknown => "it does not exist, or func_pjsip_endpoint is not loaded",
            NoPhone::NoAor => "its AOR is unknown, or func_pjsip_aor is not loaded",
            NoPhone::LogsIn => {
                "it is a trunk and not a phone: it has outbound_auth (if it is a phone, name it in `endpoints` of its [[pbx]])"
            }
            NoPhone::DoesNotRegister => "it is a trunk and not a phone: its AOR has no max_contacts",
            NoPhone::Permanent => "it is a trunk and not a phone: its AOR has a permanent contact",
        }
    }

    /// Asterisk said nothing at all, as it does while it starts.
    fn is_silence(self) -> bool {
        matches!(self, NoPhone::Unknown | NoPhone::NoAor)
    }
}

/// The endpoints that are known to be phones. A refusal is not kept: the endpoint may be new. A restart of Asterisk ends
/// the link, and the next link has `Phones` of its own.
#[derive(Debug)]
pub(super) struct Phones {
    known: Cache<String, ()>,
    /// How the configuration names phones. These may have `outbound_auth`, for phones that challenge Asterisk's requests.
    named: Endpoints,
    /// When the link came up.
    since: Instant,
    /// Whether Asterisk has described any endpoint. Then it is no longer starting.
    has_told: AtomicBool,
}

impl Phones {
    pub(super) fn new(named: Endpoints) -> Phones {
        let known = Cache::builder().max_capacity(NAMES).time_to_live(KNOWN_FOR).build();
        Phones { known, named, since: Instant::now(), has_told: AtomicBool::new(false) }
    }

    fn may_be_starting(&self) -> bool {
        !self.has_told.load(Ordering::Relaxed) && self.since.elapsed() < STARTS_WITHIN
    }

    /// Refuses an endpoint that is no phone, or that our manager user may not ask about, with `EndpointRefused`. The error
    /// is `Unsent` if Asterisk didn't answer or may still be starting.
    pub(super) async fn check(&self, client: &AmiClient, name: &str) -> Result<(), PbxError> {
        if self.known.contains_key(name) {
            return Ok(());
        }
        let found = match timeout(ASKED_WITHIN, self.ask(client, name)).await {
            Ok(Err(error)) if error.is_disconnect() || error.is_timeout() => return Err(PbxError::unsent(error)),
            Ok(Err(PbxError::Ami(error))) if error.is_refused() => return Err(PbxError::EndpointRefused(MAY_NOT_ASK)),
            Ok(found) => found?,
            Err(_) => return Err(PbxError::unsent("Asterisk did not say in time whether the endpoint is a phone")),
        };
        match found {
            Err(why) if why.is_silence() && self.may_be_starting() => return Err(PbxError::unsent(why.reason())),
            Err(why) if why.is_silence() => {}
            _ => self.has_told.store(true, Ordering::Relaxed),
        }
        found.map_err(|why| PbxError::EndpointRefused(why.reason()))?;
        self.known.insert(name.to_owned(), ());
        Ok(())
    }

    async fn ask(&self, client: &AmiClient, name: &str) -> Result<IsPhone, PbxError> {
        let of_endpoint = |field| format!("PJSIP_ENDPOINT({name},{field})");
        let [aors, auth] = values(client, [of_endpoint("aors"), of_endpoint("outbound_auth")]).await?;
        if aors.is_empty() {
            return Ok(Err(NoPhone::Unknown));
        }
        if !auth.is_empty() && self.named.read(name).is_none() {
            return Ok(Err(NoPhone::LogsIn));
        }
        for aor in aors.split(',').map(str::trim) {
            let of_aor = |field| format!("PJSIP_AOR({aor},{field})");
            let [max, contacts] = values(client, [of_aor("max_contacts"), of_aor("contact")]).await?;
            if let Err(why) = registers(&max, &contacts) {
                return Ok(Err(why));
            }
        }
        Ok(Ok(()))
    }
}

type IsPhone = Result<(), NoPhone>;

/// Contacts are named `AOR;@HASH` if they registered, and `AOR@@HASH` if they are permanent (location.c in res_pjsip).
fn registers(max_contacts: &str, contacts: &str) -> IsPhone {
    if contacts.contains("@@") {
        return Err(NoPhone::Permanent);
    }
    match max_contacts {
        "" => Err(NoPhone::NoAor),
        "0" => Err(NoPhone::DoesNotRegister),
        _ => Ok(()),
    }
}

/// A function that fails has an empty value.
async fn values<const N: usize>(client: &AmiClient, names: [String; N]) -> Result<[String; N], PbxError> {
    let mut values = [const { String::new() }; N];
    let mut actions = Vec::with_capacity(N);
    for name in &names {
        actions.push(Action::get_variable(None, name)?);
    }
    for (value, reply) in values.iter_mut().zip(client.pipeline(actions).await?) {
        *value = reply.accepted()?.get("Value").unwrap_or_default().into_owned();
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ami::{AmiAuth, AmiOptions, Method, connect_stream};
    use crate::pbx::asterisk::scripted_ami::serve;
    use tokio::io::duplex;

    /// A client of such an Asterisk.
    async fn scripted(says: impl Fn(&str) -> Option<&'static str> + Send + 'static) -> AmiClient {
        let (ours, theirs) = duplex(1 << 16);
        tokio::spawn(serve(theirs, says));
        let auth = AmiAuth { user: "sidecall".into(), secret: "secret".into(), method: Method::Plain };
        let (client, _, connection) = connect_stream(ours, &auth, AmiOptions::default()).await.unwrap();
        tokio::spawn(connection.run());
        client
    }

    /// Endpoints whose name begins with `none` don't exist; the others register, and have `outbound_auth`.
    fn with_auth(variable: &str) -> Option<&'static str> {
        Some(match variable {
            _ if variable.contains("none") => "",
            _ if variable.ends_with(",max_contacts)") => "1",
            _ if variable.ends_with(",contact)") => "",
            _ => "x",
        })
    }

    fn phones(rule: &str) -> Phones {
        Phones::new([(rule.parse().unwrap(), None)].into_iter().collect())
    }

    #[tokio::test]
    async fn only_a_phone_that_the_configuration_names_may_have_outbound_auth() {
        let (client, phones) = (scripted(with_auth).await, phones("sip-XXXX"));
        assert!(phones.check(&client, "sip-1001").await.is_ok());
        let refused = phones.check(&client, "carrier").await;
        assert!(
            matches!(&refused, Err(PbxError::EndpointRefused(why)) if why.contains("outbound_auth")),
            "{refused:?}"
        );
    }

    #[tokio::test]
    async fn an_unknown_endpoint_is_final_only_once_asterisk_has_described_one() {
        let (client, phones) = (scripted(with_auth).await, phones("sip-XXXX"));
        let unknown = async || phones.check(&client, "none").await.unwrap_err();
        assert!(unknown().await.is_unsent() && unknown().await.is_unsent());
        phones.check(&client, "sip-1001").await.unwrap();
        assert!(matches!(unknown().await, PbxError::EndpointRefused(_)));
    }

    #[tokio::test]
    async fn an_unknown_endpoint_is_final_once_asterisk_has_had_time_to_start() {
        let (client, mut phones) = (scripted(with_auth).await, phones("sip-XXXX"));
        assert!(phones.check(&client, "none").await.unwrap_err().is_unsent());
        phones.since = phones.since.checked_sub(STARTS_WITHIN).unwrap();
        assert!(matches!(phones.check(&client, "none").await, Err(PbxError::EndpointRefused(_))));
    }

    #[tokio::test]
    async fn a_manager_user_that_may_not_ask_is_told_what_it_needs() {
        let client = scripted(|_| None).await;
        let refused = phones("sip-XXXX").check(&client, "sip-1001").await.unwrap_err();
        assert!(!refused.is_unsent() && refused.to_string().contains("write=call"), "{refused}");
    }

    #[test]
    fn a_phone_registers_here() {
        for (max, contacts, registers_here) in [
            ("1", "1001;@0123", Ok(())),
            ("1", "", Ok(())),
            ("0", "", Err(NoPhone::DoesNotRegister)),
            ("", "", Err(NoPhone::NoAor)),
            ("0", "carrier@@0123", Err(NoPhone::Permanent)),
            ("1", "1001;@0123,1001@@4567", Err(NoPhone::Permanent)),
        ] {
            assert_eq!(registers(max, contacts), registers_here, "{max} {contacts}");
        }
    }
}
