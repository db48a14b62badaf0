//! B7 where one client is a softphone or a webhook: its node takes the other's address for it, or answers for it.

use super::*;
use crate::sidecall::domain;
use crate::{Client, Webhook, arrives};

/// Somebody with such a client.
pub(super) struct OtherClient {
    name: &'static str,
    /// Calls from A; else is called at B.
    calls: bool,
    extension: u8,
    webhook: bool,
    /// What the scenario shows.
    shows: &'static str,
}

pub(super) const ADA: OtherClient = OtherClient {
    name: "Ada",
    calls: true,
    extension: 3,
    webhook: false,
    shows: "Ada's softphone shows Bob's address, and a text to her own",
};
pub(super) const EVA: OtherClient = OtherClient {
    name: "Eva",
    calls: true,
    extension: 4,
    webhook: true,
    shows: "Eva's webhook gets Bob's address, and a text to her own, signed",
};
pub(super) const DAN: OtherClient = OtherClient {
    name: "Dan",
    calls: false,
    extension: 3,
    webhook: false,
    shows: "Alice's client has an address of B's node, a text to it is shown by the softphone, and one to Alice's by hers",
};
pub(super) const ERIN: OtherClient = OtherClient {
    name: "Erin",
    calls: false,
    extension: 4,
    webhook: true,
    shows: "the webhook got Alice's address, Alice's client an address of B's node, and a text to each came to it alone",
};

/// The call, with a hosted client at the other side; then both write.
pub(super) fn run(domains: &mut Domains, between: Between, who: &OtherClient) -> Step<()> {
    domains.start_sidecall(between, NO_MORE)?;
    let [alice, bob, _] = domains.people()?;
    let (home, away, hosted) = if who.calls { (&domains.a, &domains.b, bob) } else { (&domains.b, &domains.a, alice) };
    let (phone, number, hook) = (home.phone(who.extension)?, home.number(who.extension), Webhook::start()?);
    home.sidecall().number(&number, who.name, true);
    let client: (_, &dyn Client) = if who.webhook { (who.name, &hook) } else { (who.name, &phone) };
    match who.webhook {
        true => hook.bind(home.sidecall(), &number),
        false => drop(home.sidecall().bind(&number, &format!("sip:{}@{}", phone.number(), domain(&home.pbx)))),
    }
    let (caller, called, answers) =
        if who.calls { (&phone, &hosted.number, &hosted.phone) } else { (&hosted.phone, &number, &phone) };
    let (call, there) = domains.connect(caller, called, answers)?;
    let addresses = away.sidecall().url("/a/");
    expect(arrives(SOON, || client.1.shows(&addresses)), format!("{} got no address of the other node's", who.name))?;
    let shown = client.1.shown();
    let (_, token) = shown.iter().find_map(|text| text.split_once(&addresses)).unwrap_or_default();
    let token = token.split(|c: char| !c.is_ascii_alphanumeric() && !"-_".contains(c)).next().unwrap_or_default();
    let to_hosted = format!("{addresses}{token}");
    let to_other = hosted.client.peer(Some(&number));
    let to_other = to_other.ok_or_else(|| format!("{}'s client was not told of {number}", hosted.name))?;
    domains.carry(between, if who.calls { &to_other } else { &to_hosted })?;
    if !who.calls && !who.webhook {
        domains.say(format!("Dan's softphone shows: {}", shown[0].split(" sidecall:").next().unwrap_or_default()));
    }
    domains.write([(&to_other, client), (&to_hosted, hosted.reader())])?;
    hang_up(&call, &there)?;
    expect(hosted.client.ended(Some(&number)), format!("{}'s client was not told of the end", hosted.name))?;
    if who.webhook {
        expect(hook.accepted("peer").len() == 1, "the webhook was not told once of the other")?;
        expect(hook.wait_for("ended", 1, SOON).len() == 1, "the webhook was not told of the end")?;
        expect(hook.refused() == 0, "a signature was wrong")?;
    }
    domains.say(who.shows);
    domains.nothing_astray(&[client])
}
