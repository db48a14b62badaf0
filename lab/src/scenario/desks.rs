//! Two people, each at a phone and a browser: what their pages show while their phones talk.

use std::time::Duration;

use crate::scenario::{Step, expect, sound_both_ways};
use crate::sidecall::browser::Browser;
use crate::sidecall::domain;
use crate::{Call, Kind, Pbx, PbxConfig, Phone, Result, Sidecall};

/// How long a phone may take.
const SOON: Duration = Duration::from_secs(20);
/// Pictures of a camera that count as seen.
const FRAMES: u64 = 10;

/// Somebody with a phone, and a browser beside it.
#[derive(Debug)]
pub struct Desk {
    name: &'static str,
    pub browser: Browser,
    pub phone: Phone,
}

impl Desk {
    /// Enters a number in the directory, and connects a browser to it.
    pub fn new(sidecall: &Sidecall, number: &str, name: &'static str, phone: Phone) -> Result<Desk> {
        sidecall.number(number, name, true);
        let browser = Browser::start()?;
        browser.open(&sidecall.enrol(number))?;
        browser.sees("Ready")?;
        Ok(Desk { name, browser, phone })
    }

    /// Calls the other's phone, which rings until it is answered, and both pages say so.
    pub fn call(&self, other: &Desk, dialled: &str) -> Step<[Call; 2]> {
        let call = self.phone.call(dialled);
        let there = other.phone.next_call(SOON).ok_or_else(|| format!("{}'s phone isn't called", other.name))?;
        there.ring();
        self.browser.sees("Calling…")?;
        other.browser.sees("is calling your phone")?;
        there.answer();
        expect(call.wait_answered(SOON), format!("{} does not answer", other.name))?;
        sound_both_ways((&call, &self.phone), (&there, &other.phone), SOON)?;
        self.browser.sees(other.name)?;
        other.browser.sees(self.name)?;
        Ok([call, there])
    }

    /// While they talk, the other watches this one's camera, this one the other's screen, and both write.
    pub fn share_with(&self, other: &Desk) -> Step<()> {
        let (here, there) = (&self.browser, &other.browser);
        here.click("Camera")?;
        there.sees(&format!("{} would like to show you a camera", self.name))?;
        there.click("Accept")?;
        there.watches(&format!("Camera of {}", self.name), FRAMES)?;
        // Accepting once lets both show what they want. Nothing moves on the screen.
        there.click("Screen")?;
        here.watches(&format!("Screen of {}", other.name), 1)?;
        for (from, to) in [(self, other), (other, self)] {
            let text = format!("{} writes to {}", from.name, to.name);
            from.browser.write(&text)?;
            to.browser.sees(&text)?;
        }
        Ok(())
    }

    /// Hangs up, and both pages say so.
    pub fn hang_up(&self, other: &Desk, call: &Call) -> Step<()> {
        call.hang_up();
        [self, other].into_iter().try_for_each(Desk::sees_the_end)
    }

    /// The page says that the call is over.
    pub fn sees_the_end(&self) -> Step<()> {
        Ok(self.browser.sees("Call ended")?)
    }
}

/// Alice and Bob on one PBX.
#[derive(Debug)]
pub struct Desks {
    // Dropped in this order.
    pub alice: Desk,
    pub bob: Desk,
    pub sidecall: Sidecall,
    pub pbx: Pbx,
}

impl Desks {
    /// Starts everything.
    pub fn open(kind: Kind) -> Result<Desks> {
        let pbx = Pbx::start_with(kind, PbxConfig::patient())?;
        let sidecall = Sidecall::start(&pbx)?;
        let desk = |n, name| {
            let extension = pbx.config().plan.extension(n);
            let number = format!("{extension};phone-context={}", domain(&pbx));
            Desk::new(&sidecall, &number, name, Phone::register(pbx.sip(), &extension)?)
        };
        Ok(Desks { alice: desk(0, "Alice")?, bob: desk(1, "Bob")?, sidecall, pbx })
    }

    /// A call from Alice to Bob, with everything that their browsers add to it.
    pub fn run(&self) -> Step<()> {
        let [call, _there] = self.alice.call(&self.bob, self.bob.phone.number())?;
        self.alice.share_with(&self.bob)?;
        self.alice.hang_up(&self.bob, &call)
    }

    /// What everything logged, for a test that fails.
    pub fn log(&self) -> String {
        format!("{:#?}\n{}\n{}", self.sidecall.calls(), self.sidecall.log(), self.pbx.log())
    }
}
