//! The ways in which a call comes to somebody else, and whose clients must be told of whom: as the tests
//! and the demo play them, on either PBX.

use std::time::Duration;

use serde_json::Value;

use super::sidecall::domain;
use super::{Call, Habit, Hosted, Kind, Pbx, PbxConfig, Phone, Result, Sidecall, SidecallConfig, wait_until};

/// How long anything may take.
const SOON: Duration = Duration::from_secs(12);

/// How long a phone rings: so whether ringing is passed on is no matter of who is faster.
const RINGS: Duration = Duration::from_millis(100);

/// A PBX with four phones, 1000 to 1003, a client for each, and sidecall.
#[derive(Debug)]
pub struct Office {
    // Dropped in this order.
    clients: Vec<Hosted>,
    phones: Vec<Phone>,
    /// Agent and node.
    pub sidecall: Sidecall,
    /// The PBX.
    pub pbx: Pbx,
}

/// What happened to a step of a story, if not what should.
pub type Step<T> = std::result::Result<T, String>;

/// One way in which a call comes to somebody else.
#[derive(Debug, Clone, Copy)]
pub struct Transfer {
    /// In a line of a table.
    pub name: &'static str,
    /// What the clients of 1000 to 1003 are told until the last ones hang up: `+1` you talk to 1001, `-1`
    /// you no longer do.
    pub told: [&'static str; 4],
    /// The PBX that alone has it.
    pub only: Option<Kind>,
    /// The story; the calls that are up at its end.
    pub play: fn(&Office) -> Step<Vec<Call>>,
}

/// All of them.
pub const TRANSFERS: &[Transfer] = &[
    Transfer { name: "IVR menu", told: ["+2", "", "+0", ""], only: None, play: menu },
    Transfer { name: "blind, by the called", told: ["+1 -1 +3", "+0 -0", "", "+0"], only: None, play: blind_by_called },
    Transfer { name: "blind, by the caller", told: ["+1 -1", "+0 -0 +3", "", "+1"], only: None, play: blind_by_caller },
    Transfer {
        name: "attended, by the called",
        told: ["+1 -1 +3", "+0 -0 +3 -3", "", "+1 -1 +0"],
        only: None,
        play: attended_by_called,
    },
    Transfer {
        name: "attended, by the caller",
        told: ["+1 -1 +3 -3", "+0 -0 +3", "", "+0 -0 +1"],
        only: None,
        play: attended_by_caller,
    },
    Transfer {
        name: "attended, by feature code",
        told: ["+1 -1 +3", "+0 -0 +3 -3", "", "+1 -1 +0"],
        only: Some(Kind::Asterisk),
        play: attended_by_feature_code,
    },
    Transfer { name: "directed pick-up", told: ["+2", "", "+0", ""], only: None, play: directed_pickup },
    Transfer { name: "group pick-up", told: ["+2", "", "+0", ""], only: None, play: group_pickup },
    Transfer { name: "hold and resume", told: ["+1", "+0", "", ""], only: None, play: hold },
    Transfer { name: "forwarded by the dialplan", told: ["+2", "", "+0", ""], only: None, play: forwarded },
    Transfer { name: "forwarded by the phone (302)", told: ["+3", "", "", "+0"], only: None, play: redirected },
    Transfer { name: "ring group", told: ["+2", "", "+0", ""], only: None, play: ring_group },
    Transfer { name: "queue", told: ["+1", "+0", "", ""], only: None, play: queue },
    Transfer { name: "parked and taken back", told: ["+1 -1 +2", "+0 -0", "+0", ""], only: None, play: parked },
    Transfer { name: "conference of three", told: ["+1 +2", "+0 +2", "+0 +1", ""], only: None, play: conference },
];

impl Transfer {
    /// Plays it; what was told until everybody had hung up.
    ///
    /// # Errors
    /// Says which step failed, or who was told what instead.
    pub fn play(&self, office: &mut Office) -> Step<[String; 4]> {
        self.play_and(office, |_| ())
    }

    /// The same, with something that happens while the last ones talk.
    ///
    /// # Errors
    /// Says which step failed, or who was told what instead.
    pub fn play_and(&self, office: &mut Office, meanwhile: impl FnOnce(&mut Office)) -> Step<[String; 4]> {
        let expected = self.told.map(sorted);
        let calls = (self.play)(office)?;
        let told = |office: &Office| [0, 1, 2, 3].map(|n| sorted(&office.told(n)));
        if !wait_until(SOON, || told(office) == expected) {
            return Err(format!("{:?} were told, not {expected:?}", told(office)));
        }
        meanwhile(office);
        let told = || told(office);
        for call in &calls {
            call.hang_up();
        }
        if !calls.iter().all(|call| call.wait_ended(SOON)) {
            return Err("a call does not end".into());
        }
        // Whoever still talks is told that it is over, and nobody is told anything else.
        let over = |words: &str| -> String {
            let open = words.split_whitespace().filter(|word| word.starts_with('+')).map(|word| &word[1..]);
            open.map(|who| format!("+{who} -{who} ")).collect()
        };
        let expected = self.told.map(|words| sorted(&over(words)));
        if !wait_until(SOON, || told() == expected) {
            return Err(format!("at the end {:?} were told, not {expected:?}", told()));
        }
        Ok([0, 1, 2, 3].map(|n| office.told(n)))
    }
}

/// PBXs differ in which of two legs they move first.
fn sorted(words: &str) -> String {
    let mut words: Vec<_> = words.split_whitespace().collect();
    words.sort_unstable();
    words.join(" ")
}

impl Office {
    /// Opens it.
    pub fn open(kind: Kind) -> Result<Office> {
        let pbx = Pbx::start_with(kind, PbxConfig { feature_codes: true, ..PbxConfig::default() })?;
        let sidecall = Sidecall::start_with(&pbx, &SidecallConfig::default())?;
        let number = |n: usize| format!("100{n};phone-context={}", domain(&pbx));
        for n in 0..4 {
            sidecall.number(&number(n), ["Alice", "Bob", "Carol", "Dan"][n], true);
        }
        let clients = (0..4).map(|n| Hosted::start(&sidecall, &number(n))).collect::<Result<_>>()?;
        let phones = (0..4).map(|n| Phone::register(pbx.sip(), &format!("100{n}"))).collect::<Result<_>>()?;
        Ok(Office { clients, phones, sidecall, pbx })
    }

    /// Hands out the clients: what they are told is not waited for any more, where the voice alone counts.
    pub fn hand_out_clients(&mut self) -> Vec<Hosted> {
        std::mem::take(&mut self.clients)
    }

    /// A phone.
    pub fn phone(&self, n: usize) -> &Phone {
        &self.phones[n]
    }

    /// What a client was told so far: `+1 -1 +3`.
    pub fn told(&self, n: usize) -> String {
        let word = |event: &Value| {
            let (sign, number) = match event["event"].as_str()? {
                "peer" => ("+", event.pointer("/peer/number").or_else(|| event.pointer("/message/peer/number"))?),
                "ended" => ("-", event.pointer("/number").or_else(|| event.pointer("/message/number"))?),
                _ => return None,
            };
            let extension = number.as_str()?.split(';').next()?;
            Some(format!("{sign}{}", extension.strip_prefix("100").unwrap_or(extension)))
        };
        let words: Vec<_> = self.clients[n].all().iter().filter_map(word).collect();
        words.join(" ")
    }

    /// One phone calls another; both ends, answered.
    pub fn talk(&self, from: usize, to: usize) -> Step<(Call, Call)> {
        let call = self.phone(from).call(self.phone(to).number());
        let there = self.answer(to)?;
        self.hear((&call, from), (&there, to))?;
        Ok((call, there))
    }

    /// Whoever rings is answered.
    pub fn answer(&self, n: usize) -> Step<Call> {
        let call = self.ring(n)?;
        std::thread::sleep(RINGS);
        call.answer();
        Ok(call)
    }

    fn ring(&self, n: usize) -> Step<Call> {
        let call = self.phone(n).next_call(SOON).ok_or_else(|| format!("100{n} isn't called"))?;
        call.ring();
        Ok(call)
    }

    /// Two calls hear each other's phones.
    pub fn hear(&self, (a, from): (&Call, usize), (b, to): (&Call, usize)) -> Step<()> {
        let both = a.wait_hears(self.phone(to), SOON) && b.wait_hears(self.phone(from), SOON);
        expect(both, &format!("100{from} and 100{to} don't hear each other"))
    }

    /// Waits until a client was told that.
    fn wait_told(&self, n: usize, told: &str) -> Step<()> {
        if self.clients.is_empty() {
            return Ok(());
        }
        let in_time = wait_until(SOON, || self.told(n) == told);
        expect(in_time, &format!("100{n} was told {:?}, not {told:?}", self.told(n)))
    }

    fn paired(&self, a: usize, b: usize) -> Step<()> {
        self.wait_told(a, &format!("+{b}"))?;
        self.wait_told(b, &format!("+{a}"))
    }
}

fn expect(ok: bool, problem: &str) -> Step<()> {
    if ok { Ok(()) } else { Err(problem.to_owned()) }
}

fn menu(office: &Office) -> Step<Vec<Call>> {
    let call = office.phone(0).call("5000");
    expect(call.wait_answered(SOON), "the menu does not answer")?;
    call.dtmf("1002");
    let there = office.answer(2)?;
    office.hear((&call, 0), (&there, 2))?;
    Ok(vec![call])
}

fn blind_by_called(office: &Office) -> Step<Vec<Call>> {
    let (call, there) = office.talk(0, 1)?;
    office.paired(0, 1)?;
    blind(office, &there, (call, 0))
}

fn blind_by_caller(office: &Office) -> Step<Vec<Call>> {
    let (call, there) = office.talk(0, 1)?;
    office.paired(0, 1)?;
    blind(office, &call, (there, 1))
}

fn blind(office: &Office, transferring: &Call, (staying, who): (Call, usize)) -> Step<Vec<Call>> {
    expect(transferring.refer_to("1003") == Some(202), "the transfer is refused")?;
    let third = office.answer(3)?;
    office.hear((&staying, who), (&third, 3))?;
    Ok(vec![staying])
}

fn attended_by_called(office: &Office) -> Step<Vec<Call>> {
    let (call, there) = office.talk(0, 1)?;
    office.paired(0, 1)?;
    attended(office, (&there, 1), (call, 0))
}

fn attended_by_caller(office: &Office) -> Step<Vec<Call>> {
    let (call, there) = office.talk(0, 1)?;
    office.paired(0, 1)?;
    attended(office, (&call, 0), (there, 1))
}

fn attended(office: &Office, (transferring, from): (&Call, usize), (staying, who): (Call, usize)) -> Step<Vec<Call>> {
    expect(transferring.hold(), "hold is refused")?;
    let (consult, third) = office.talk(from, 3)?;
    office.wait_told(3, &format!("+{from}"))?;
    expect(transferring.attended_transfer_to(&consult) == Some(202), "the transfer is refused")?;
    office.hear((&staying, who), (&third, 3))?;
    Ok(vec![staying])
}

fn attended_by_feature_code(office: &Office) -> Step<Vec<Call>> {
    let (call, there) = office.talk(0, 1)?;
    office.paired(0, 1)?;
    there.dtmf("*21003");
    let third = office.answer(3)?;
    office.hear((&there, 1), (&third, 3))?;
    office.wait_told(3, "+1")?;
    there.hang_up();
    office.hear((&call, 0), (&third, 3))?;
    Ok(vec![call])
}

fn directed_pickup(office: &Office) -> Step<Vec<Call>> {
    pickup(office, if office.pbx.kind() == Kind::Asterisk { "*81001" } else { "**1001" })
}

fn group_pickup(office: &Office) -> Step<Vec<Call>> {
    pickup(office, "*8")
}

fn pickup(office: &Office, code: &str) -> Step<Vec<Call>> {
    let call = office.phone(0).call("1001");
    office.ring(1)?;
    expect(call.wait_ringing(SOON), "it does not ring")?;
    let picked = office.phone(2).call(code);
    expect(picked.wait_answered(SOON) && call.wait_answered(SOON), "not picked up")?;
    office.hear((&call, 0), (&picked, 2))?;
    Ok(vec![call])
}

fn hold(office: &Office) -> Step<Vec<Call>> {
    let (call, there) = office.talk(0, 1)?;
    office.paired(0, 1)?;
    for inactive in [false, true] {
        expect(if inactive { there.hold_inactive() } else { there.hold() }, "hold is refused")?;
        expect(call.wait_deaf_to(office.phone(1), SOON), "it is not held")?;
        expect(there.resume(), "resuming is refused")?;
        office.hear((&call, 0), (&there, 1))?;
    }
    Ok(vec![call])
}

fn forwarded(office: &Office) -> Step<Vec<Call>> {
    let call = office.phone(0).call("1008");
    let there = office.answer(2)?;
    office.hear((&call, 0), (&there, 2))?;
    Ok(vec![call])
}

fn redirected(office: &Office) -> Step<Vec<Call>> {
    office.phone(1).habit(Habit::Forward("1003".into()));
    let call = office.phone(0).call("1001");
    let there = office.answer(3)?;
    office.hear((&call, 0), (&there, 3))?;
    Ok(vec![call])
}

fn ring_group(office: &Office) -> Step<Vec<Call>> {
    let call = office.phone(0).call("2000");
    office.ring(1)?;
    let there = office.answer(2)?;
    office.hear((&call, 0), (&there, 2))?;
    Ok(vec![call])
}

fn queue(office: &Office) -> Step<Vec<Call>> {
    office.phone(2).habit(Habit::Ring);
    let call = office.phone(0).call("3000");
    expect(call.wait_answered(SOON), "the queue does not answer")?;
    let there = office.answer(1)?;
    office.hear((&call, 0), (&there, 1))?;
    Ok(vec![call])
}

fn parked(office: &Office) -> Step<Vec<Call>> {
    let (call, there) = office.talk(0, 1)?;
    office.paired(0, 1)?;
    expect(there.refer_to("700") == Some(202), "parking is refused")?;
    expect(call.wait_deaf_to(office.phone(1), SOON) && there.wait_ended(SOON), "it is not parked")?;
    office.wait_told(0, "+1 -1")?;
    let back = office.phone(2).call("701");
    office.hear((&call, 0), (&back, 2))?;
    Ok(vec![call, back])
}

fn conference(office: &Office) -> Step<Vec<Call>> {
    let calls: Vec<Call> = (0..3).map(|n| office.phone(n).call("4000")).collect();
    expect(calls.iter().all(|call| call.wait_answered(SOON)), "the conference does not answer")?;
    for (a, b) in [(0, 1), (1, 2), (2, 0)] {
        office.hear((&calls[a], a), (&calls[b], b))?;
    }
    Ok(calls)
}
