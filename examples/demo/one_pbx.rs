//! One PBX with one node: B1 to B4 and B10, each with its set-up time against the same call without
//! sidecall; and B12.

use crate::bill::{Bill, Place};
use crate::show::Show;
use crate::trouble::{Trouble, Venue, sentence};
use crate::voice::{self, Heard};
use crate::{Interrupted, go_on, text};
use lab::scenario::calls::CallScenario;
use lab::scenario::site::{CallResult, Site};
use lab::{Kind, PbxConfig, SidecallConfig};

/// Calls that a set-up time is the median of.
const CALLS: u32 = 7;

/// What is compared on one PBX.
pub(crate) const VOICE: &str = "The voice call is as it would be without sidecall";

/// Everything that is measured without sidecall.
#[derive(Default)]
struct Plain {
    setup_ms: Vec<Option<f64>>,
    voice: Option<Vec<Heard>>,
}

/// Runs what is wanted; the site, if it still stands.
pub(crate) fn run(kind: Kind, bill: &Bill, show: &mut Show) -> Result<Option<Site>, Interrupted> {
    let (place, scenarios) = (Place::On(kind), bill.scenarios());
    let bare = || Ok(Site::start(kind, PbxConfig::patient())?);
    let mut venue = Venue::new();
    show.step(&format!(
        "starting {kind} in a private instance, with its vanilla configuration and our dialplan snippets,\n     \
         two phones, a packet trunk and a PSTN with somebody at the far end"
    ));
    let measured = venue.run(
        bare,
        |site| {
            show.step("making the calls without sidecall first, to compare");
            plain(site, &scenarios, bill.has("B12"))
        },
        |_| true,
    );
    go_on()?;
    show.step("starting sidecall (agent, node, database), connecting three multimedia clients, playing the calls\n");
    let started = venue.run(
        bare,
        |site| {
            site.start_sidecall(&SidecallConfig::default())?;
            show.words(|| text::people(kind, site));
            Ok(())
        },
        |()| true,
    );
    go_on()?;
    if let Err(trouble) = started {
        show.trouble("starting sidecall", &trouble);
    }
    let plain = measured.unwrap_or_else(|trouble| {
        show.trouble("the calls without sidecall", &trouble);
        Plain::default()
    });
    let ready = || Ok(Site::ready(kind, PbxConfig::default(), &SidecallConfig::default())?);
    let mut all = Vec::new();
    for (n, scenario) in scenarios.into_iter().enumerate() {
        let baseline = plain.setup_ms.get(n).copied().flatten();
        let result = venue.run(ready, |site| Ok(one(site, scenario, baseline)), |result| result.ok);
        go_on()?;
        let tell = |result: &CallResult| text::call(scenario, result);
        all.extend(show.played((scenario.behaviour, place), scenario.title, result, |result| result.ok, tell));
    }
    if !all.is_empty() {
        show.words(|| text::calls(&all));
    }
    if bill.has("B12") {
        let compared = venue.run(
            ready,
            |site| {
                let plain = plain.voice.ok_or_else(|| "there are no calls without sidecall to compare".to_owned())?;
                Ok(voice::compared(site, plain)?)
            },
            |compared| compared.ok,
        );
        go_on()?;
        show.played(("B12", place), VOICE, compared, |compared| compared.ok, text::voice);
    }
    Ok(venue.into_open())
}

fn plain(site: &mut Site, scenarios: &[&CallScenario], voice: bool) -> Result<Plain, Trouble> {
    let setup_ms = scenarios.iter().map(|scenario| setup_time(site, scenario)).collect();
    Ok(Plain { setup_ms, voice: voice.then(|| voice::listen(site)).transpose()? })
}

/// INVITE → 200 in ms: the median of a few calls, one after the other.
fn setup_time(site: &Site, scenario: &CallScenario) -> Option<f64> {
    let (calls, to) = site.calls(scenario);
    let report = calls.times(CALLS, 4).hold(100).place(to).ok()?;
    report.answer_time(50.0).map(|time| (time.as_secs_f64() * 1e5).round() / 1e2)
}

fn one(site: &mut Site, scenario: &CallScenario, baseline: Option<f64>) -> CallResult {
    let mut result = site.run(scenario);
    result.setup_ms = setup_time(site, scenario);
    result.baseline_ms = baseline;
    if result.setup_ms.is_none() || baseline.is_none() {
        result.problems.push("the set-up time could not be measured".into());
        result.ok = false;
    }
    result.problems = result.problems.iter().map(|problem| sentence(problem)).collect();
    result
}
