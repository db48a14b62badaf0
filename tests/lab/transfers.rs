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

/// Four people with the extensions 1000 to 1003, each with a phone and a client.
#[derive(Debug)]
pub struct Staff {
    kind: Kind,
    /// As the directory has them.
    numbers: Vec<String>,
    clients: Vec<Hosted>,
    phones: Vec<Phone>,
    /// What their clients had shown when the play began.
    shown: Vec<usize>,
}

/// A PBX with four people, and sidecall.
#[derive(Debug)]
pub struct Office {
    // Dropped in this order.
    /// Who is there.
    pub staff: Staff,
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
    pub play: fn(&Staff) -> Step<Vec<Call>>,
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
    pub fn play(&self, staff: &mut Staff) -> Step<[String; 4]> {
        self.play_and(staff, || ())
    }

    /// The same, with something that happens while the last ones talk.
    ///
    /// # Errors
    /// Says which step failed, or who was told what instead.
    pub fn play_and(&self, staff: &mut Staff, meanwhile: impl FnOnce()) -> Step<[String; 4]> {
        staff.begin()?;
        let expected = self.told.map(sorted);
        let calls = (self.play)(staff)?;
        let told = || [0, 1, 2, 3].map(|n| sorted(&staff.told(n)));
        if !wait_until(SOON, || told() == expected) {
            return Err(format!("{:?} were told, not {expected:?}", told()));
        }
        meanwhile();
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
        Ok([0, 1, 2, 3].map(|n| staff.told(n)))
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
        let number = |extension: &str| format!("{extension};phone-context={}", domain(&pbx));
        let staff = Staff::come(&pbx, &sidecall, number, |extension| Phone::register(pbx.sip(), extension))?;
        Ok(Office { staff, sidecall, pbx })
    }
}

impl Staff {
    /// They get entries in the directory, clients and phones. `number` and `phone` are those of an extension.
    pub fn come(
        pbx: &Pbx,
        sidecall: &Sidecall,
        number: impl Fn(&str) -> String,
        phone: impl Fn(&str) -> Result<Phone>,
    ) -> Result<Staff> {
        let extensions = [0, 1, 2, 3].map(|n| format!("100{n}"));
        let numbers: Vec<String> = extensions.iter().map(|extension| number(extension)).collect();
        for (number, name) in numbers.iter().zip(["Alice", "Bob", "Carol", "Dan"]) {
            sidecall.number(number, name, true);
        }
        let clients = numbers.iter().map(|number| Hosted::start(sidecall, number)).collect::<Result<_>>()?;
        let phones = extensions.iter().map(|extension| phone(extension)).collect::<Result<_>>()?;
        Ok(Staff { kind: pbx.kind(), numbers, clients, phones, shown: vec![0; 4] })
    }

    /// The next play begins: nobody talks, and no phone does anything by itself.
    ///
    /// # Errors
    /// If somebody still does.
    pub fn begin(&mut self) -> Step<()> {
        for phone in &self.phones {
            phone.habit(Habit::Wait);
            expect(phone.wait_idle(SOON), "somebody still talks")?;
            while phone.next_call(Duration::ZERO).is_some() {}
        }
        self.shown = self.clients.iter().map(|client| client.all().len()).collect();
        Ok(())
    }

    /// Hands out the clients: what they are told is not waited for any more, where the voice alone counts.
    pub fn hand_out_clients(&mut self) -> Vec<Hosted> {
        std::mem::take(&mut self.clients)
    }

    /// A phone.
    pub fn phone(&self, n: usize) -> &Phone {
        &self.phones[n]
    }

    /// What a client was told in this play so far: `+1 -1 +3`. A stranger stands there by the whole number.
    pub fn told(&self, n: usize) -> String {
        let word = |event: &Value| {
            let (sign, number) = match event["event"].as_str()? {
                "peer" => ("+", event.pointer("/peer/number").or_else(|| event.pointer("/message/peer/number"))?),
                "ended" => ("-", event.pointer("/number").or_else(|| event.pointer("/message/number"))?),
                _ => return None,
            };
            let number = number.as_str()?;
            let own = self.numbers.iter().position(|own| own == number);
            Some(own.map_or_else(|| format!("{sign}{number}"), |n| format!("{sign}{n}")))
        };
        let words: Vec<_> = self.clients[n].all().iter().skip(self.shown[n]).filter_map(word).collect();
        words.join(" ")
    }

    /// One phone calls another; both ends, answered.
    pub fn talk(&self, from: usize, to: usize) -> Step<(Call, Call)> {
        let call = self.phone(from).call(&format!("100{to}"));
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

fn menu(staff: &Staff) -> Step<Vec<Call>> {
    let call = staff.phone(0).call("5000");
    expect(call.wait_answered(SOON), "the menu does not answer")?;
    call.dtmf("1002");
    let there = staff.answer(2)?;
    staff.hear((&call, 0), (&there, 2))?;
    Ok(vec![call])
}

fn blind_by_called(staff: &Staff) -> Step<Vec<Call>> {
    let (call, there) = staff.talk(0, 1)?;
    staff.paired(0, 1)?;
    blind(staff, &there, (call, 0))
}

fn blind_by_caller(staff: &Staff) -> Step<Vec<Call>> {
    let (call, there) = staff.talk(0, 1)?;
    staff.paired(0, 1)?;
    blind(staff, &call, (there, 1))
}

fn blind(staff: &Staff, transferring: &Call, (staying, who): (Call, usize)) -> Step<Vec<Call>> {
    expect(transferring.refer_to("1003") == Some(202), "the transfer is refused")?;
    let third = staff.answer(3)?;
    staff.hear((&staying, who), (&third, 3))?;
    Ok(vec![staying])
}

fn attended_by_called(staff: &Staff) -> Step<Vec<Call>> {
    let (call, there) = staff.talk(0, 1)?;
    staff.paired(0, 1)?;
    attended(staff, (&there, 1), (call, 0))
}

fn attended_by_caller(staff: &Staff) -> Step<Vec<Call>> {
    let (call, there) = staff.talk(0, 1)?;
    staff.paired(0, 1)?;
    attended(staff, (&call, 0), (there, 1))
}

fn attended(staff: &Staff, (transferring, from): (&Call, usize), (staying, who): (Call, usize)) -> Step<Vec<Call>> {
    expect(transferring.hold(), "hold is refused")?;
    let (consult, third) = staff.talk(from, 3)?;
    staff.wait_told(3, &format!("+{from}"))?;
    expect(transferring.attended_transfer_to(&consult) == Some(202), "the transfer is refused")?;
    staff.hear((&staying, who), (&third, 3))?;
    Ok(vec![staying])
}

fn attended_by_feature_code(staff: &Staff) -> Step<Vec<Call>> {
    let (call, there) = staff.talk(0, 1)?;
    staff.paired(0, 1)?;
    there.dtmf("*21003");
    let third = staff.answer(3)?;
    staff.hear((&there, 1), (&third, 3))?;
    staff.wait_told(3, "+1")?;
    there.hang_up();
    staff.hear((&call, 0), (&third, 3))?;
    Ok(vec![call])
}

fn directed_pickup(staff: &Staff) -> Step<Vec<Call>> {
    pickup(staff, if staff.kind == Kind::Asterisk { "*81001" } else { "**1001" })
}

fn group_pickup(staff: &Staff) -> Step<Vec<Call>> {
    pickup(staff, "*8")
}

fn pickup(staff: &Staff, code: &str) -> Step<Vec<Call>> {
    let call = staff.phone(0).call("1001");
    staff.ring(1)?;
    expect(call.wait_ringing(SOON), "it does not ring")?;
    let picked = staff.phone(2).call(code);
    expect(picked.wait_answered(SOON) && call.wait_answered(SOON), "not picked up")?;
    staff.hear((&call, 0), (&picked, 2))?;
    Ok(vec![call])
}

fn hold(staff: &Staff) -> Step<Vec<Call>> {
    let (call, there) = staff.talk(0, 1)?;
    staff.paired(0, 1)?;
    for inactive in [false, true] {
        expect(if inactive { there.hold_inactive() } else { there.hold() }, "hold is refused")?;
        expect(call.wait_deaf_to(staff.phone(1), SOON), "it is not held")?;
        expect(there.resume(), "resuming is refused")?;
        staff.hear((&call, 0), (&there, 1))?;
    }
    Ok(vec![call])
}

fn forwarded(staff: &Staff) -> Step<Vec<Call>> {
    let call = staff.phone(0).call("1008");
    let there = staff.answer(2)?;
    staff.hear((&call, 0), (&there, 2))?;
    Ok(vec![call])
}

fn redirected(staff: &Staff) -> Step<Vec<Call>> {
    staff.phone(1).habit(Habit::Forward("1003".into()));
    let call = staff.phone(0).call("1001");
    let there = staff.answer(3)?;
    staff.hear((&call, 0), (&there, 3))?;
    Ok(vec![call])
}

fn ring_group(staff: &Staff) -> Step<Vec<Call>> {
    let call = staff.phone(0).call("2000");
    staff.ring(1)?;
    let there = staff.answer(2)?;
    staff.hear((&call, 0), (&there, 2))?;
    Ok(vec![call])
}

fn queue(staff: &Staff) -> Step<Vec<Call>> {
    staff.phone(2).habit(Habit::Ring);
    let call = staff.phone(0).call("3000");
    expect(call.wait_answered(SOON), "the queue does not answer")?;
    let there = staff.answer(1)?;
    staff.hear((&call, 0), (&there, 1))?;
    Ok(vec![call])
}

fn parked(staff: &Staff) -> Step<Vec<Call>> {
    let (call, there) = staff.talk(0, 1)?;
    staff.paired(0, 1)?;
    expect(there.refer_to("700") == Some(202), "parking is refused")?;
    expect(call.wait_deaf_to(staff.phone(1), SOON) && there.wait_ended(SOON), "it is not parked")?;
    staff.wait_told(0, "+1 -1")?;
    let back = staff.phone(2).call("701");
    staff.hear((&call, 0), (&back, 2))?;
    Ok(vec![call, back])
}

fn conference(staff: &Staff) -> Step<Vec<Call>> {
    let calls: Vec<Call> = (0..3).map(|n| staff.phone(n).call("4000")).collect();
    expect(calls.iter().all(|call| call.wait_answered(SOON)), "the conference does not answer")?;
    for (a, b) in [(0, 1), (1, 2), (2, 0)] {
        staff.hear((&calls[a], a), (&calls[b], b))?;
    }
    Ok(calls)
}
