//! The numbers of an organisation of the lab, and the dialplan files with them put in.

use std::net::SocketAddr;

use crate::Result;
use crate::pbx::conf;

/// Which extensions a PBX has, and which numbers reach them from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What its extensions begin with: ten of four digits, `1000` to `1009` for `1`.
    pub digit: char,
    /// What stands before an extension's last three digits in its number from outside.
    pub did: &'static str,
    /// The main number, where the menu answers.
    pub main: &'static str,
    /// The domain in which its extensions are valid, on an Asterisk. A FreeSWITCH has one of its own.
    pub context: &'static str,
    /// Outgoing calls show the extension's number from outside. Otherwise they show the extension.
    pub shows_did: bool,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan { digit: '1', did: "+12125551", main: "+12125552000", context: "pbx.example", shows_did: false }
    }
}

impl Plan {
    /// The first organisation of two: 1000 to 1009 are `+12125551000` to `+12125551009`.
    pub fn a() -> Plan {
        Plan { context: "a.example", shows_did: true, ..Plan::default() }
    }

    /// The second: 6000 to 6009 are `+13105556000` to `+13105556009`.
    pub fn b() -> Plan {
        Plan { digit: '6', did: "+13105556", main: "+13105552000", context: "b.example", shows_did: true }
    }

    /// The PBX behind the second one's call server: 7000 to 7009 are `+13105557000` to `+13105557009`.
    pub fn c() -> Plan {
        Plan { digit: '7', did: "+13105557", main: "+13105552007", context: "c.example", shows_did: true }
    }

    pub fn extension(&self, n: u8) -> String {
        format!("{}00{}", self.digit, n % 10)
    }

    /// The other main number, at which the first extension's phone rings: somebody answers there in person.
    pub fn reception(&self) -> String {
        format!("{}9", &self.main[..self.main.len() - 1])
    }

    pub fn extensions(&self) -> Vec<String> {
        (0..10).map(|n| self.extension(n)).collect()
    }

    pub fn number(&self, n: u8) -> String {
        format!("{}00{}", self.did, n % 10)
    }
}

/// A PBX behind this one: its numbers, and where its trunk is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inner {
    pub plan: Plan,
    pub sip: SocketAddr,
}

/// A file of `lab/dialplan/`, with the numbers of `plan` and more `NAME`s put in.
pub(super) fn fill(file: &str, plan: &Plan, more: &[(&str, &str)]) -> Result<String> {
    let text = conf::project_file(&format!("lab/dialplan/{file}"))?;
    let digit = plan.digit.to_string();
    let reception = plan.reception();
    let own = [("X", digit.as_str()), ("DID", plan.did), ("MAIN", plan.main), ("RECEPTION", reception.as_str())];
    let put = |text: String, (name, value): &(&str, &str)| text.replace(&format!("@{name}@"), value);
    Ok(own.iter().chain(more).fold(text, put))
}
