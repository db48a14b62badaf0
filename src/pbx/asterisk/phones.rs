//! Which endpoints of this PBX are phones.
//!
//! A client says by itself which user of our domain it is. `MessageSend` reaches any endpoint by its name, a trunk with the
//! credentials that it has at its carrier. So the PBX is asked first: a phone registers here, and a trunk has a
//! permanent contact or logs in elsewhere. What is neither gets no message.

use std::time::Duration;

use moka::sync::Cache;
use tokio::time::timeout;

use crate::ami::{Action, Client};
use crate::pbx::Error;

/// An answer is used again for so long: one more question for each message would double what Asterisk has to do.
const KNOWN_FOR: Duration = Duration::from_secs(60);
/// How long Asterisk may take to say it.
const ASKED_WITHIN: Duration = Duration::from_secs(5);
/// Phones that are kept.
const NAMES: u64 = 10_000;

/// Why an endpoint is no phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NoPhone {
    Unknown,
    LogsIn,
    DoesNotRegister,
    Permanent,
}

impl NoPhone {
    fn reason(self) -> &'static str {
        match self {
            NoPhone::Unknown => "no such endpoint, or func_pjsip_endpoint is not loaded",
            NoPhone::LogsIn => "a trunk and not a phone: it has outbound_auth",
            NoPhone::DoesNotRegister => {
                "a trunk and not a phone: its AOR has no max_contacts, or func_pjsip_aor is not loaded"
            }
            NoPhone::Permanent => "a trunk and not a phone: its AOR has a permanent contact",
        }
    }
}

/// The endpoints that are known to be phones. A refusal is not kept: the endpoint may be new, or Asterisk still starts.
#[derive(Debug)]
pub(super) struct Phones(Cache<String, ()>);

impl Default for Phones {
    fn default() -> Self {
        Phones(Cache::builder().max_capacity(NAMES).time_to_live(KNOWN_FOR).build())
    }
}

impl Phones {
    /// Refuses an endpoint that is no phone.
    ///
    /// # Errors
    /// `NoPhone`; `Unsent` if Asterisk didn't answer, since nothing was sent so far; or why Asterisk refused the question.
    pub(super) async fn check(&self, client: &Client, name: &str) -> Result<(), Error> {
        if self.0.contains_key(name) {
            return Ok(());
        }
        let found = match timeout(ASKED_WITHIN, ask(client, name)).await {
            Ok(Err(error)) if error.is_disconnect() || error.is_timeout() => return Err(Error::unsent(error)),
            Ok(found) => found?,
            Err(late) => return Err(Error::unsent(late)),
        };
        found.map_err(|why| Error::NoPhone(why.reason()))?;
        self.0.insert(name.to_owned(), ());
        Ok(())
    }
}

type IsPhone = Result<(), NoPhone>;

async fn ask(client: &Client, name: &str) -> Result<IsPhone, Error> {
    let of_endpoint = |field| format!("PJSIP_ENDPOINT({name},{field})");
    let [aors, auth] = values(client, [of_endpoint("aors"), of_endpoint("outbound_auth")]).await?;
    if aors.is_empty() {
        return Ok(Err(NoPhone::Unknown));
    }
    if !auth.is_empty() {
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

/// Contacts are named `AOR;@HASH` if they registered, and `AOR@@HASH` if they are permanent (location.c in res_pjsip).
fn registers(max_contacts: &str, contacts: &str) -> IsPhone {
    if contacts.contains("@@") {
        return Err(NoPhone::Permanent);
    }
    match max_contacts {
        "" | "0" => Err(NoPhone::DoesNotRegister),
        _ => Ok(()),
    }
}

/// A function that fails has an empty value.
async fn values<const N: usize>(client: &Client, names: [String; N]) -> Result<[String; N], Error> {
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

    #[test]
    fn a_phone_registers_here() {
        for (max, contacts, registers_here) in [
            ("1", "1001;@0123", Ok(())),
            ("1", "", Ok(())),
            ("0", "", Err(NoPhone::DoesNotRegister)),
            ("", "", Err(NoPhone::DoesNotRegister)),
            ("0", "carrier@@0123", Err(NoPhone::Permanent)),
            ("1", "1001;@0123,1001@@4567", Err(NoPhone::Permanent)),
        ] {
            assert_eq!(registers(max, contacts), registers_here, "{max} {contacts}");
        }
    }
}
