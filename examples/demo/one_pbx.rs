//! One PBX with one node: B1 to B4 and B10, each with its set-up time against the same call without
//! sidecall; and B12.

use crate::bill::{Bill, Place};
use crate::show::Show;
use crate::trouble::{Trouble, Venue, sentence};
use crate::voice::{self, Heard};
use crate::{Interrupted, go_on, story};
use lab::scenario::calls::Scene;
use lab::scenario::site::{Played, Stage};
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

/// Plays what is wanted; the stage, if it still stands.
pub(crate) fn play(kind: Kind, bill: &Bill, show: &mut Show) -> Result<Option<Stage>, Interrupted> {
    let (place, scenes) = (Place::On(kind), bill.scenes());
    let bare = || Ok(Stage::set(kind, PbxConfig::patient())?);
    let mut venue = Venue::new();
    show.step(&format!(
        "starting {kind} in a private instance, with its vanilla configuration and our dialplan snippets,\n     \
         two phones, a packet trunk and a PSTN with somebody at the far end"
    ));
    let measured = venue.play(
        bare,
        |stage| {
            show.step("making the calls without sidecall first, to compare");
            plain(stage, &scenes, bill.has("B12"))
        },
        |_| true,
    );
    go_on()?;
    show.step("starting sidecall (agent, node, database), connecting three multimedia clients, playing the calls\n");
    let raised = venue.play(
        bare,
        |stage| {
            stage.raise(&SidecallConfig::default())?;
            show.words(|| story::cast(kind, stage));
            Ok(())
        },
        |()| true,
    );
    go_on()?;
    if let Err(trouble) = raised {
        show.trouble("starting sidecall", &trouble);
    }
    let plain = measured.unwrap_or_else(|trouble| {
        show.trouble("the calls without sidecall", &trouble);
        Plain::default()
    });
    let ready = || Ok(Stage::ready(kind)?);
    let mut all = Vec::new();
    for (n, scene) in scenes.into_iter().enumerate() {
        let baseline = plain.setup_ms.get(n).copied().flatten();
        let played = venue.play(ready, |stage| Ok(one(stage, scene, baseline)), |played| played.ok);
        go_on()?;
        match played {
            Ok(played) => {
                show.play((scene.behaviour, place), played.ok, &played, |played| story::call(scene, played));
                all.push(played);
            }
            Err(trouble) => show.failed((scene.behaviour, place), scene.title, &trouble),
        }
    }
    if !all.is_empty() {
        show.words(|| story::calls(&all));
    }
    if bill.has("B12") {
        let compared = venue.play(
            ready,
            |stage| {
                let plain = plain.voice.ok_or_else(|| "there are no calls without sidecall to compare".to_owned())?;
                Ok(voice::compare(stage, plain)?)
            },
            |compared| compared.ok,
        );
        go_on()?;
        match compared {
            Ok(compared) => show.play(("B12", place), compared.ok, &compared, story::voice),
            Err(trouble) => show.failed(("B12", place), VOICE, &trouble),
        }
    }
    Ok(venue.into_open())
}

fn plain(stage: &mut Stage, scenes: &[&Scene], voice: bool) -> Result<Plain, Trouble> {
    let setup_ms = scenes.iter().map(|scene| stage.setup_time(scene, CALLS)).collect();
    Ok(Plain { setup_ms, voice: voice.then(|| voice::hear(stage)).transpose()? })
}

fn one(stage: &mut Stage, scene: &Scene, baseline: Option<f64>) -> Played {
    let mut played = stage.play(scene);
    played.setup_ms = stage.setup_time(scene, CALLS);
    played.baseline_ms = baseline;
    if played.setup_ms.is_none() || baseline.is_none() {
        played.problems.push("the set-up time could not be measured".into());
        played.ok = false;
    }
    played.problems = played.problems.iter().map(|problem| sentence(problem)).collect();
    played
}
