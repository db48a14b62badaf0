//! Four people with phones and clients, three of them on one PBX, where calls come to somebody else.

use std::time::Duration;

use serde_json::Value;

use crate::scenario::letters::Letters;
use crate::{Call, Client, Hosted, Kind, Pbx, Phone, Plan, arrives};

/// How long anything may take.
pub const SOON: Duration = Duration::from_secs(12);

/// How long a phone rings: so whether ringing is passed on is no matter of who is faster.
const RINGS: Duration = Duration::from_millis(100);

/// What happened to a step of a scenario, if not what should.
pub type Step<T> = std::result::Result<T, String>;

/// Where the four are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// All on one PBX.
    OnePbx,
    /// The first in another organisation: calls come over the packet trunk, with the address of that client.
    FromOutside,
    /// The same, and the three are on a PBX behind the one that the trunk leads to.
    Behind,
}

impl Setting {
    /// All of them.
    pub const ALL: [Setting; 3] = [Setting::OnePbx, Setting::FromOutside, Setting::Behind];

    /// In the head of a table.
    pub fn title(self) -> &'static str {
        match self {
            Setting::OnePbx => "one PBX",
            Setting::FromOutside => "from outside",
            Setting::Behind => "behind",
        }
    }
}

/// What they are called.
pub(crate) const NAMES: [&str; 4] = ["Alice", "Bob", "Carol", "Dan"];

/// The four. The PBX of the three who are called is "that PBX".
#[derive(Debug)]
pub struct People {
    setting: Setting,
    kind: Kind,
    plan: Plan,
    clients: Vec<Hosted>,
    /// How many events each client had shown before.
    shown: Vec<usize>,
    phones: Vec<Phone>,
    /// As the directory has them.
    numbers: Vec<String>,
}

impl People {
    /// They have come: a number of the directory, a client and a phone for each. `pbx` is that PBX.
    pub fn new(setting: Setting, pbx: &Pbx, everybody: Vec<(String, Hosted, Phone)>) -> People {
        let (kind, plan) = (pbx.kind(), pbx.config().plan.clone());
        let shown = vec![0; everybody.len()];
        let mut people =
            People { setting, kind, plan, clients: Vec::new(), shown, phones: Vec::new(), numbers: Vec::new() };
        for (number, client, phone) in everybody {
            people.numbers.push(number);
            people.clients.push(client);
            people.phones.push(phone);
        }
        people
    }

    /// Everybody has hung up, nobody has a habit, and what was told before is no matter any more.
    pub fn rewind(&mut self) -> Step<()> {
        for phone in &self.phones {
            expect(phone.rest(SOON), &format!("{} does not hang up", phone.number()))?;
        }
        self.shown = self.clients.iter().map(|client| client.all().len()).collect();
        Ok(())
    }

    /// Hands out the clients: what they are told is not waited for any more, where the voice alone counts.
    pub fn hand_out_clients(&mut self) -> Vec<Hosted> {
        std::mem::take(&mut self.clients)
    }

    /// The kind of that PBX.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// A phone.
    pub fn phone(&self, n: usize) -> &Phone {
        &self.phones[n]
    }

    /// What somebody dials for somebody else.
    pub fn dials(&self, from: usize, to: usize) -> String {
        self.reaches(from, &self.extension(to))
    }

    /// What somebody dials for an extension of that PBX.
    pub fn reaches(&self, from: usize, extension: &str) -> String {
        let Some(plan) = self.outside().filter(|_| from == 0) else { return extension.to_owned() };
        match extension {
            // The menu has a main number.
            "5000" => plan.main.to_owned(),
            // `+13105556200` is 2000.
            service if !service.starts_with(plan.digit) => format!("{}{}", plan.did, &service[..3]),
            own => format!("{}{}", plan.did, &own[1..]),
        }
    }

    /// An extension of that PBX: `1008`, `6008`.
    pub fn extension(&self, n: usize) -> String {
        self.plan.extension(n as u8)
    }

    /// The numbers there, if the first person isn't.
    fn outside(&self) -> Option<&Plan> {
        (self.setting != Setting::OnePbx).then_some(&self.plan)
    }

    /// What a client was told in this scenario so far: `+1 -1 +3`.
    pub fn told(&self, n: usize) -> String {
        let word = |event: &Value| {
            let (sign, number) = match event["event"].as_str()? {
                "peer" => ("+", event.pointer("/peer/number").or_else(|| event.pointer("/message/peer/number"))),
                "ended" => ("-", event.pointer("/number").or_else(|| event.pointer("/message/number"))),
                _ => return None,
            };
            let number = number.and_then(Value::as_str).unwrap_or("nobody");
            let who = self.numbers.iter().position(|known| known == number).map(|n| n.to_string());
            Some(format!("{sign}{}", who.as_deref().unwrap_or(number)))
        };
        let words: Vec<_> = self.clients[n].all().iter().skip(self.shown[n]).filter_map(word).collect();
        words.join(" ")
    }

    /// Everybody writes to each address that the own client was given in this scenario. Of a pair that talks, the text must
    /// reach the other's client. The address of somebody one no longer talks to may be good for a while yet, and then
    /// reaches the client of that person.
    pub fn write(&self) -> Step<Letters> {
        let mut letters = Letters::default();
        for (from, client) in self.clients.iter().enumerate() {
            let given = client.all().into_iter().skip(self.shown[from]).filter(|event| event["event"] == "peer");
            let mut given: Vec<(usize, String)> = given.filter_map(|event| self.given(&event)).collect();
            given.reverse();
            let mut current = self.talks_to(from);
            for (to, address) in given {
                // The newest address of somebody counts; older ones are of a pair that is over.
                let talks = current.iter().position(|who| *who == to).map(|at| current.remove(at)).is_some();
                let post = |address: &str, text: &str| client.write(address, text);
                let written = letters.write(&address, (NAMES[to], &self.clients[to]), post);
                match written {
                    Err(problem) if talks || !problem.contains("404") => {
                        return Err(format!("{from} writes: {problem}"));
                    }
                    _ => {}
                }
            }
        }
        Ok(letters)
    }

    /// No text was shown by anybody's client but that of the person it was for.
    pub(crate) fn none_astray(&self, letters: &Letters) -> Step<()> {
        let everybody = self.clients.iter().zip(NAMES).map(|(client, name)| (name, client as &dyn Client));
        let astray = letters.astray(&everybody.collect::<Vec<_>>());
        expect(astray.is_empty(), &astray.join("; "))
    }

    /// Whom a client was given an address of, and that.
    fn given(&self, peer: &Value) -> Option<(usize, String)> {
        let field = |at: &str| peer.pointer(&format!("/peer/{at}"))?.as_str().map(str::to_owned);
        let number = field("number")?;
        Some((self.numbers.iter().position(|known| *known == number)?, field("address")?))
    }

    /// Whom a person's client takes him to talk to.
    fn talks_to(&self, n: usize) -> Vec<usize> {
        let mut talks = Vec::new();
        for word in self.told(n).split_whitespace() {
            let Ok(who) = word[1..].parse::<usize>() else { continue };
            match word.starts_with('+') {
                true => talks.push(who),
                false => talks.retain(|other| *other != who),
            }
        }
        talks
    }

    /// One phone calls another; both ends, answered.
    pub fn talk(&self, from: usize, to: usize) -> Step<(Call, Call)> {
        let call = self.phone(from).call(&self.dials(from, to));
        let there = self.answer(to)?;
        self.sound_both_ways((&call, from), (&there, to))?;
        Ok((call, there))
    }

    /// Whoever rings is answered.
    pub fn answer(&self, n: usize) -> Step<Call> {
        let call = self.ring(n)?;
        std::thread::sleep(RINGS);
        call.answer();
        Ok(call)
    }

    /// The next call of a phone, which rings.
    pub fn ring(&self, n: usize) -> Step<Call> {
        let call = self.phone(n).next_call(SOON).ok_or_else(|| format!("{n} isn't called"))?;
        call.ring();
        Ok(call)
    }

    /// Two calls hear each other's phones.
    pub fn sound_both_ways(&self, (a, from): (&Call, usize), (b, to): (&Call, usize)) -> Step<()> {
        let both = a.wait_hears(self.phone(to), SOON) && b.wait_hears(self.phone(from), SOON);
        expect(both, &format!("{from} and {to} don't hear each other"))
    }

    /// Waits until a client was told that.
    pub(crate) fn wait_told(&self, n: usize, told: &str) -> Step<()> {
        if self.clients.is_empty() {
            return Ok(());
        }
        let in_time = arrives(SOON, || self.told(n) == told);
        expect(in_time, &format!("{n} was told {:?}, not {told:?}", self.told(n)))
    }

    /// Waits until two clients were told of each other and of nobody else.
    pub fn paired(&self, a: usize, b: usize) -> Step<()> {
        self.wait_told(a, &format!("+{b}"))?;
        self.wait_told(b, &format!("+{a}"))
    }
}

/// A problem, unless all is well.
pub fn expect(ok: bool, problem: &str) -> Step<()> {
    if ok { Ok(()) } else { Err(problem.to_owned()) }
}
