//! Four people with phones and clients, three of them on one PBX, where calls come to somebody else.

use std::time::Duration;

use serde_json::Value;

use crate::scenario::letters::Letters;
use crate::scenario::{Step, expect, sound_both_ways};
use crate::sidecall::domain;
use crate::{Call, Client, Hosted, Kind, Pbx, PbxConfig, Phone, Plan, Result, Sidecall, SidecallConfig, arrives};

/// How long anything may take.
pub(super) const SOON: Duration = Duration::from_secs(12);

/// How long a phone rings: so whether ringing is passed on is no matter of who is faster.
const RINGS: Duration = Duration::from_millis(100);

/// What they are called.
pub const NAMES: [&str; 4] = ["Alice", "Bob", "Carol", "Dan"];

/// The four. The PBX of the three who are called is "that PBX".
#[derive(Debug)]
pub struct People {
    /// Empty where what they are told doesn't count, but the voice alone.
    pub clients: Vec<Hosted>,
    /// How many events each client had shown before.
    shown: Vec<usize>,
    pub phones: Vec<Phone>,
    /// As the directory has them.
    numbers: Vec<String>,
    /// The first one calls that PBX from another organisation.
    outside: bool,
    kind: Kind,
    plan: Plan,
}

impl People {
    /// `everybody` has a number of the directory, a client and a phone for each. `pbx` is that PBX.
    pub fn new(outside: bool, pbx: &Pbx, everybody: Vec<(String, Hosted, Phone)>) -> People {
        let (mut numbers, mut clients, mut phones) = (Vec::new(), Vec::new(), Vec::new());
        for (number, client, phone) in everybody {
            numbers.push(number);
            clients.push(client);
            phones.push(phone);
        }
        let (kind, plan) = (pbx.kind(), pbx.config().plan.clone());
        People { clients, shown: vec![0; phones.len()], phones, numbers, outside, kind, plan }
    }

    /// All four on one PBX. `number` and `phone` are those of an extension, 1000 to 1003.
    pub fn on_one(
        pbx: &Pbx,
        sidecall: &Sidecall,
        number: impl Fn(&str) -> String,
        phone: impl Fn(&str) -> Result<Phone>,
    ) -> Result<People> {
        let person = |(n, name)| {
            let extension = pbx.config().plan.extension(n);
            let number = number(&extension);
            sidecall.number(&number, name, true);
            Ok((number.clone(), Hosted::start(sidecall, &number)?, phone(&extension)?))
        };
        let everybody = (0..).zip(NAMES).map(person).collect::<Result<_>>()?;
        Ok(People::new(false, pbx, everybody))
    }

    /// Everybody has hung up, nobody has a habit, and what was told before is no matter any more.
    pub fn rewind(&mut self) -> Step<()> {
        for phone in &self.phones {
            expect(phone.rest(SOON), format!("{} does not hang up", phone.number()))?;
        }
        self.shown = self.clients.iter().map(|client| client.all().len()).collect();
        Ok(())
    }

    /// The kind of that PBX.
    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// What somebody dials for somebody else.
    pub(super) fn dials(&self, from: usize, to: usize) -> String {
        self.dials_extension(from, &self.extension(to))
    }

    /// What somebody dials for an extension of that PBX.
    fn dials_extension(&self, from: usize, extension: &str) -> String {
        let plan = &self.plan;
        match extension {
            _ if !self.outside || from != 0 => extension.to_owned(),
            // The menu has a main number.
            "5000" => plan.main.to_owned(),
            // `+13105556200` is 2000.
            service if !service.starts_with(plan.digit) => format!("{}{}", plan.did, &service[..3]),
            own => format!("{}{}", plan.did, &own[1..]),
        }
    }

    /// An extension of that PBX: `1008`, `6008`.
    pub(super) fn extension(&self, n: usize) -> String {
        self.plan.extension(n as u8)
    }

    /// What a client was told in this scenario so far: `+1 -1 +3`.
    pub fn told(&self, n: usize) -> String {
        let word = |event: &Value| {
            let (sign, number) = match event["event"].as_str()? {
                "peer" => ("+", &event["peer"]["number"]),
                "ended" => ("-", &event["number"]),
                _ => return None,
            };
            let number = number.as_str().unwrap_or("nobody");
            let who = self.numbers.iter().position(|known| known == number).map(|n| n.to_string());
            Some(format!("{sign}{}", who.as_deref().unwrap_or(number)))
        };
        let words: Vec<_> = self.clients[n].all().iter().skip(self.shown[n]).filter_map(word).collect();
        words.join(" ")
    }

    /// What all are told, in alphabetical order: PBXs differ in which of two legs they move first.
    pub(super) fn all_told(&self) -> [String; 4] {
        [0, 1, 2, 3].map(|n| sorted(&self.told(n)))
    }

    /// Everybody writes to each address that their client was given in this scenario. While two people talk, a text must
    /// reach the other's client. Afterwards the address may be gone (404); until then a text to it reaches the same client.
    pub(super) fn write(&self) -> Step<Letters> {
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
                if let Err(problem) = written
                    && (talks || !problem.contains("404"))
                {
                    return Err(format!("{from} writes: {problem}"));
                }
            }
        }
        Ok(letters)
    }

    /// No text was shown by anybody's client but that of the person it was for.
    pub(super) fn none_astray(&self, letters: &Letters) -> Step<()> {
        letters.none_astray(NAMES.into_iter().zip(self.clients.iter().map(|client| client as &dyn Client)))
    }

    /// The person and the address in a `peer` event.
    fn given(&self, event: &Value) -> Option<(usize, String)> {
        let field = |name: &str| event["peer"][name].as_str().map(str::to_owned);
        let number = field("number")?;
        Some((self.numbers.iter().position(|known| *known == number)?, field("address")?))
    }

    /// The people whom a person's client shows as connected.
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

    /// The first one calls an extension of that PBX.
    pub(super) fn call(&self, extension: &str) -> Call {
        self.phones[0].call(&self.dials_extension(0, extension))
    }

    /// One phone calls another; both ends, answered.
    pub fn talk(&self, from: usize, to: usize) -> Step<(Call, Call)> {
        let call = self.phones[from].call(&self.dials(from, to));
        let there = self.answer(to)?;
        self.sound_both_ways((&call, from), (&there, to))?;
        Ok((call, there))
    }

    /// The next call of a phone is answered.
    pub fn answer(&self, n: usize) -> Step<Call> {
        let call = self.ring(n)?;
        std::thread::sleep(RINGS);
        call.answer();
        Ok(call)
    }

    /// The next call of a phone, which rings.
    pub fn ring(&self, n: usize) -> Step<Call> {
        let call = self.phones[n].next_call(SOON).ok_or_else(|| format!("{n} isn't called"))?;
        call.ring();
        Ok(call)
    }

    /// The first person's call reaches somebody, who answers it.
    pub fn comes_to(&self, call: Call, who: usize) -> Step<Vec<Call>> {
        let there = self.answer(who)?;
        self.sound_both_ways((&call, 0), (&there, who))?;
        Ok(vec![call])
    }

    /// Two calls hear each other's phones.
    pub fn sound_both_ways(&self, (a, from): (&Call, usize), (b, to): (&Call, usize)) -> Step<()> {
        sound_both_ways((a, &self.phones[from]), (b, &self.phones[to]), SOON)
    }

    /// Waits until a client was told that.
    pub(super) fn wait_told(&self, n: usize, told: &str) -> Step<()> {
        if self.clients.is_empty() || arrives(SOON, || self.told(n) == told) {
            return Ok(());
        }
        Err(format!("{n} was told {:?}, not {told:?}", self.told(n)))
    }
}

/// The words of what somebody was told, in alphabetical order.
pub(super) fn sorted(words: &str) -> String {
    let mut words: Vec<_> = words.split_whitespace().collect();
    words.sort_unstable();
    words.join(" ")
}

/// The four on one PBX, with sidecall.
#[derive(Debug)]
pub struct Office {
    // Dropped in this order.
    pub people: People,
    pub sidecall: Sidecall,
    pub pbx: Pbx,
}

impl Office {
    /// Starts it.
    pub fn open(kind: Kind) -> Result<Office> {
        let pbx = Pbx::start_with(kind, PbxConfig { feature_codes: true, ..PbxConfig::patient() })?;
        let sidecall = Sidecall::start_with(&pbx, &Office::config())?;
        let number = |extension: &str| format!("{extension};phone-context={}", domain(&pbx));
        let people = People::on_one(&pbx, &sidecall, number, |extension| Phone::register(pbx.sip(), extension))?;
        Ok(Office { people, sidecall, pbx })
    }

    /// Conferences are limited to three.
    pub fn config() -> SidecallConfig {
        SidecallConfig { node_lines: "conference_size = 3\n".into(), ..SidecallConfig::default() }
    }

    /// What everything logged, for a test that fails.
    pub fn log(&self) -> String {
        format!("{:#?}\n{}\n{}", self.sidecall.calls(), self.sidecall.log(), self.pbx.log())
    }
}
