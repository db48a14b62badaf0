//! Four people with phones and clients, where calls come to somebody else: on one PBX, or three of them there
//! and the caller in another organisation.

use std::time::Duration;

use serde_json::{Value, json};

use super::domains::INNER;
use super::sidecall::domain;
use super::{
    Call, Domain, Domains, Hosted, Kind, Pbx, PbxConfig, Phone, Plan, Result, Sidecall, SidecallConfig, wait_until,
};

/// How long anything may take.
pub const SOON: Duration = Duration::from_secs(12);

/// What happened to a step of a story, if not what should.
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

/// Phones, a client for each, and sidecall.
#[derive(Debug)]
pub struct Office {
    // Dropped in this order.
    clients: Vec<Hosted>,
    /// How many events each client had shown before the play.
    shown: Vec<usize>,
    phones: Vec<Phone>,
    numbers: Vec<String>,
    setting: Setting,
    house: House,
}

#[derive(Debug)]
enum House {
    One(Box<(Sidecall, Pbx)>),
    Two(Box<Domains>),
}

const NAMES: [&str; 4] = ["Alice", "Bob", "Carol", "Dan"];

impl Office {
    /// Opens one on one PBX.
    pub fn open(kind: Kind) -> Result<Office> {
        let pbx = Pbx::start_with(kind, with_feature_codes(PbxConfig::default()))?;
        let sidecall = Sidecall::start_with(&pbx, &config())?;
        let numbers: Vec<_> = (0..4).map(|n| format!("100{n};phone-context={}", domain(&pbx))).collect();
        for (number, name) in numbers.iter().zip(NAMES) {
            sidecall.number(number, name, true);
        }
        let clients = numbers.iter().map(|number| Hosted::start(&sidecall, number)).collect::<Result<_>>()?;
        let phones = (0..4).map(|n| Phone::register(pbx.sip(), &format!("100{n}"))).collect::<Result<_>>()?;
        let house = House::One(Box::new((sidecall, pbx)));
        Ok(Office { clients, shown: vec![0; 4], phones, numbers, setting: Setting::OnePbx, house })
    }

    /// Opens one where the three called people are on a PBX of this kind, and what else there is on `other`.
    pub fn open_in(setting: Setting, kind: Kind, other: Kind) -> Result<Office> {
        let (b, c) = match setting {
            Setting::OnePbx => return Office::open(kind),
            Setting::FromOutside => (kind, None),
            Setting::Behind => (other, Some(kind)),
        };
        let mut domains = Domains::set_with(other, b, c, with_feature_codes)?;
        domains.a.raise(&config())?;
        match c {
            Some(_) => domains.raise_b_with_inner(&config())?,
            None => domains.b.raise(&config())?,
        }
        let (mut numbers, mut clients, mut phones) = (Vec::new(), Vec::new(), Vec::new());
        for (n, name) in (0..).zip(NAMES) {
            let (at, node) = match (n, &domains.c) {
                (0, _) => (&domains.a, domains.a.sidecall()),
                (_, None) => (&domains.b, domains.b.sidecall()),
                (_, Some(inner)) => (inner, domains.b.sidecall()),
            };
            let home = if n > 0 && c.is_some() { INNER } else { super::sidecall::PBX };
            node.entry(&at.number(n), json!({"name": name, "pbx": home}));
            clients.push(Hosted::start(node, &at.number(n))?);
            phones.push(at.phone(n)?);
            numbers.push(at.number(n));
        }
        Ok(Office { clients, shown: vec![0; 4], phones, numbers, setting, house: House::Two(Box::new(domains)) })
    }

    /// Everybody has hung up, nobody has a habit, and what was told before is no matter any more.
    pub fn rewind(&mut self) -> Step<()> {
        for phone in &self.phones {
            expect(phone.rest(SOON), &format!("{} does not hang up", phone.number()))?;
        }
        self.shown = self.clients.iter().map(|client| client.all().len()).collect();
        Ok(())
    }

    /// The PBX where calls come to somebody else.
    pub fn pbx(&self) -> &Pbx {
        match &self.house {
            House::One(one) => &one.1,
            House::Two(domains) => &called(domains).pbx,
        }
    }

    /// Agent and node of the three who are called.
    pub fn sidecall(&mut self) -> &mut Sidecall {
        match &mut self.house {
            House::One(one) => &mut one.0,
            House::Two(domains) => domains.b.sidecall_mut(),
        }
    }

    /// What everything logged, for a test that fails.
    pub fn log(&self) -> String {
        match &self.house {
            House::One(one) => format!("{:#?}\n{}\n{}", one.0.calls(), one.0.log(), one.1.log()),
            House::Two(domains) => {
                let (a, b) = (domains.a.sidecall(), domains.b.sidecall());
                let (at_a, at_b) = (a.calls(), b.calls());
                format!("A: {at_a:#?}\n{}\nB: {at_b:#?}\n{}\n{}", a.log(), b.log(), domains.log())
            }
        }
    }

    /// A phone.
    pub fn phone(&self, n: usize) -> &Phone {
        &self.phones[n]
    }

    /// What somebody dials for somebody else.
    pub fn dials(&self, from: usize, to: usize) -> String {
        self.reaches(from, self.phone(to).number())
    }

    /// What somebody dials for an extension of the PBX where the called people are.
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

    /// An extension of the PBX where the called people are: `1008`, `6008`.
    pub fn extension(&self, n: u8) -> String {
        self.pbx().config().plan.extension(n)
    }

    /// The numbers there, if the first person isn't.
    fn outside(&self) -> Option<&Plan> {
        (self.setting != Setting::OnePbx).then(|| &self.pbx().config().plan)
    }

    /// What a client was told in this play so far: `+1 -1 +3`.
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

    /// One phone calls another; both ends, answered.
    pub fn talk(&self, from: usize, to: usize) -> Step<(Call, Call)> {
        let call = self.phone(from).call(&self.dials(from, to));
        let there = self.answer(to)?;
        self.hear((&call, from), (&there, to))?;
        Ok((call, there))
    }

    /// Whoever rings is answered.
    pub fn answer(&self, n: usize) -> Step<Call> {
        let call = self.ring(n)?;
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
    pub fn hear(&self, (a, from): (&Call, usize), (b, to): (&Call, usize)) -> Step<()> {
        let both = a.wait_hears(self.phone(to), SOON) && b.wait_hears(self.phone(from), SOON);
        expect(both, &format!("{from} and {to} don't hear each other"))
    }

    /// Waits until a client was told that.
    pub fn wait_told(&self, n: usize, told: &str) -> Step<()> {
        let in_time = wait_until(SOON, || self.told(n) == told);
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

fn called(domains: &Domains) -> &Domain {
    domains.c.as_ref().unwrap_or(&domains.b)
}

fn with_feature_codes(config: PbxConfig) -> PbxConfig {
    PbxConfig { feature_codes: true, ..config }
}

/// A conference is full soon.
fn config() -> SidecallConfig {
    SidecallConfig { node_lines: "conference_size = 3\n".into(), ..SidecallConfig::default() }
}
