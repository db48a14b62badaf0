//! Two people, each at a phone and a browser: what their pages show while their phones talk, and what one of them sends to a
//! terminal.

use std::fs;
use std::path::Path;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::process::folder;
use crate::scenario::{Step, answer, expect, sound_both_ways};
use crate::sidecall::browser::Browser;
use crate::sidecall::clients::Hosted;
use crate::sidecall::domain;
use crate::{Call, Kind, LabError, Pbx, PbxConfig, Phone, Result, Sidecall};

/// How long a phone may take.
const SOON: Duration = Duration::from_secs(20);
/// Pictures of a camera that count as seen.
const FRAMES: u64 = 10;
/// The file that a page sends, and its size in bytes.
const FILE: (&str, u32) = ("plan.bin", 3_000_000);
/// How long it may take to a terminal.
const TRANSFER: Duration = Duration::from_secs(60);

/// A call, and what passes beside it.
#[derive(Debug, Clone, Copy)]
pub struct DeskScenario {
    /// One line for a person.
    pub title: &'static str,
    /// The steps, in another line.
    pub summary: &'static str,
    pub run: fn(&Desks) -> Step<()>,
}

/// All of them.
pub const DESK_SCENARIOS: &[DeskScenario] = &[
    DeskScenario {
        title: "Two browsers beside a call show each other's names, camera, screen and messages",
        summary: "Alice calls Bob; Bob watches her camera, and she his screen; both write; both pages show the end",
        run: Desks::share,
    },
    DeskScenario {
        title: "A browser beside a call sends a file to a terminal",
        summary: "Alice calls Carol, who has no browser; Carol's terminal saves what Alice's page sends; the digests are equal",
        run: Desks::send_file,
    },
];

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
    pub fn share(&self) -> Step<()> {
        let [call, _there] = self.alice.call(&self.bob, self.bob.phone.number())?;
        self.alice.share_with(&self.bob)?;
        self.alice.hang_up(&self.bob, &call)
    }

    /// A call from Alice to Carol, whose terminal saves the file that Alice's page sends. The digest of what it saved must be
    /// that of what was sent.
    pub fn send_file(&self) -> Step<()> {
        let (number, carol) = self.carol()?;
        let (outbox, inbox) = (folder("outbox-")?, folder("inbox-")?);
        let (name, size) = FILE;
        let [sent, saved] = [&outbox, &inbox].map(|folder| folder.path().join(name));
        let content: Vec<u8> = (0..size).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        fs::write(&sent, content).map_err(LabError::io("the file to send"))?;
        let terminal = Hosted::receive(&self.sidecall, &number, inbox.path())?;
        let call = self.alice.phone.call(carol.number());
        let _there = answer(&carol, SOON)?;
        self.alice.browser.sees("Carol")?;
        self.alice.browser.send(&sent)?;
        let is_saved = terminal.wait_for("saved", 1, TRANSFER).len() == 1;
        expect(is_saved, format!("Carol's terminal doesn't save the file; log: {:?}", terminal.all()))?;
        let (sent, saved) = (digest(&sent)?, digest(&saved)?);
        expect(sent == saved, format!("Carol's terminal saved a file with the digest {saved}; Alice's has {sent}"))?;
        call.hang_up();
        self.alice.sees_the_end()
    }

    /// The number of Carol, who has no browser, and her phone.
    pub fn carol(&self) -> Step<(String, Phone)> {
        let extension = self.pbx.config().plan.extension(2);
        let number = format!("{extension};phone-context={}", domain(&self.pbx));
        self.sidecall.number(&number, "Carol", true);
        Ok((number, Phone::register(self.pbx.sip(), &extension)?))
    }

    /// What everything logged, for a test that fails.
    pub fn log(&self) -> String {
        format!("{:#?}\n{}\n{}", self.sidecall.calls(), self.sidecall.log(), self.pbx.log())
    }
}

/// The SHA-256 digest of a file, in hexadecimal.
fn digest(file: &Path) -> Result<String> {
    let content = fs::read(file).map_err(LabError::io(file.display().to_string()))?;
    Ok(hex::encode(Sha256::digest(content)))
}
