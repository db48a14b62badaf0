//! A call's timeline as a node shows it, and what must be in it.

use serde_json::Value;

use crate::scenario::report::{SOON, calls_to};
use crate::scenario::{Step, expect};
use crate::sidecall::Sidecall;
use crate::wait_until;

/// The timeline of the last call to a number, once that is over and everybody was told.
#[derive(Debug)]
pub(super) struct Timeline {
    /// By `/v1/calls/{call}`.
    steps: Vec<Value>,
    /// By `/v1/status`.
    status: Value,
}

impl Timeline {
    /// As this node tells it.
    pub(super) fn of(sidecall: &Sidecall, called: &str) -> Timeline {
        let last = || calls_to(sidecall, called).into_iter().next().unwrap_or_default();
        let pending = |call: &Value| {
            let deliveries = call["deliveries"].as_array();
            deliveries.is_none_or(|all| all.iter().any(|delivery| delivery["state"] == "pending"))
        };
        wait_until(SOON, || Some(last()).is_some_and(|call| call["phase"] == "ended" && !pending(&call)));
        let id = last()["call"].clone();
        let mut timeline = Timeline { steps: Vec::new(), status: Value::Null };
        // What the other node tells of its part may come between the two.
        wait_until(SOON, || {
            let mut status = sidecall.get("/v1/status");
            let calls = status["calls"].as_array_mut().map(std::mem::take).unwrap_or_default();
            let status = calls.into_iter().find(|call| call["call"] == id).unwrap_or_default()["timeline"].take();
            timeline = Timeline { steps: steps(sidecall, &id), status };
            timeline.status == Value::from(timeline.steps.clone())
        });
        timeline
    }

    /// It begins with these steps; then the two are paired, told, parted and told, and it ends.
    pub(super) fn begins(&self, begin: &[&str]) -> Step<()> {
        let parted = [begin, &["paired", "pushed peer: delivered", "parted"]].concat();
        self.tells(&[parted.as_slice(), &["ended"]].concat())?;
        // By the clock of the node, which hears of the end a moment after it.
        self.tells(&[parted.as_slice(), &["pushed ended: delivered"]].concat())
    }

    /// These steps are in it, in this order, and time doesn't go backwards.
    pub(super) fn tells(&self, wanted: &[&str]) -> Step<()> {
        let lines: Vec<String> = self.steps.iter().map(line).collect();
        let mut rest = lines.iter();
        for step in wanted {
            let there = rest.any(|line| line.starts_with(step));
            expect(there, format!("{step:?} is not in its place: {lines:#?}"))?;
        }
        expect(self.status == Value::from(self.steps.clone()), format!("the status page tells {}", self.status))?;
        let time = |step: &Value, key: &str| step[key].as_i64();
        let begins = self.steps.iter().map(|step| time(step, "at").unwrap_or_default());
        expect(begins.is_sorted(), format!("time goes backwards: {:#?}", self.steps))?;
        for step in &self.steps {
            let done = ["delivered", "settled"].into_iter().find_map(|key| time(step, key));
            expect(done.is_none_or(|done| time(step, "at") <= Some(done)), format!("done before begun: {step}"))?;
        }
        Ok(())
    }
}

fn steps(sidecall: &Sidecall, call: &Value) -> Vec<Value> {
    let mut view = sidecall.get(&format!("/v1/calls/{}", call.as_str().unwrap_or_default()));
    view["timeline"].as_array_mut().map(std::mem::take).unwrap_or_default()
}

/// The timeline of the newest call to a number includes the part of the other end, which is another node's, up to the end.
pub(super) fn tells_the_other_end(sidecall: &Sidecall, called: &str, end: &str) -> Step<()> {
    let mut timeline = Vec::new();
    let whole = wait_until(SOON, || {
        let call = calls_to(sidecall, called).first().map(|call| call["call"].clone()).unwrap_or_default();
        timeline = steps(sidecall, &call);
        let has = |what| timeline.iter().any(|s| s["step"] == "there" && s["side"] == end && s["what"] == what);
        ["announced", "decided", "answered", "paired", "pushed", "ended"].into_iter().all(has)
    });
    expect(whole, format!("of the {end} end: {timeline:?}"))
}

/// A step as one line.
fn line(step: &Value) -> String {
    let word = |key: &str| step[key].as_str().unwrap_or_default();
    let with = |text: &str, key: &str| step[key].as_str().map(|value| format!("{text}{value}")).unwrap_or_default();
    match word("step") {
        "decided" => format!("decided {} {}{}", word("route"), word("reason"), with(" served by ", "serves")),
        "routed" if step["address"] == true => format!("routed {} with the address", word("route")),
        "routed" => format!("routed {}", word("route")),
        "offered" => format!("offered to {}: {}", word("peer"), word("state")),
        "heard" => format!("heard by {}{}", word("source"), with(" of ", "peer")),
        "answered" if step["machine"] == true => "answered by a machine".to_owned(),
        "answered" => format!("answered at {}", word("side")),
        "pushed" => format!("pushed {}: {}", word("message"), word("state")),
        other => other.to_owned(),
    }
}
