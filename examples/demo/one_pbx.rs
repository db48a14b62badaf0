//! One PBX with one node: B1 to B4 and B10, each with its set-up time against the same call without
//! sidecall; and B12.

use crate::lab::cast::{SCENES, Scene};
use crate::lab::stage::{Played, Stage};
use crate::lab::{Kind, PbxConfig, SidecallConfig};
use crate::show::{Place, Show};
use crate::{Bill, go_on, story, voice};

/// Lines of progress.
pub(crate) const STEPS: usize = 3;

/// Calls that a set-up time is the median of.
const CALLS: u32 = 7;

/// About how long it takes.
pub(crate) fn seconds(bill: &Bill) -> usize {
    8 + 5 * SCENES.iter().filter(|scene| bill.has(scene.behaviour)).count() + 8 * usize::from(bill.has("B12"))
}

pub(crate) fn play(kind: Kind, bill: &Bill, show: &mut Show) -> Result<Stage, String> {
    let scenes: Vec<&Scene> = SCENES.iter().filter(|scene| bill.has(scene.behaviour)).collect();
    show.step(&format!(
        "starting {kind} in a private instance, with its vanilla configuration and our dialplan snippets,\n     \
         two phones, a packet trunk and a PSTN with somebody at the far end"
    ));
    let mut stage = Stage::set(kind, PbxConfig::default()).map_err(|e| e.to_string())?;
    go_on()?;
    show.step("making the calls without sidecall first, to compare");
    let baselines: Vec<Option<f64>> = scenes.iter().map(|scene| stage.setup_time(scene, CALLS)).collect();
    let plain = bill.has("B12").then(|| voice::hear(&mut stage)).transpose()?;
    go_on()?;
    show.step("starting sidecall (agent, node, database), connecting three multimedia clients, playing the calls\n");
    stage.raise(&SidecallConfig::default()).map_err(|e| e.to_string())?;
    go_on()?;
    show.words(|| story::cast(kind, &stage));
    let mut all = Vec::new();
    for (scene, baseline) in scenes.into_iter().zip(baselines) {
        let played = one(&mut stage, scene, baseline);
        go_on()?;
        show.play((scene.behaviour, Place::On(kind)), played.ok, &played, |played| story::call(scene, played));
        all.push(played);
    }
    if !all.is_empty() {
        show.words(|| story::calls(&all));
    }
    if let Some(plain) = plain {
        let compared = voice::compare(&mut stage, plain)?;
        go_on()?;
        show.play(("B12", Place::On(kind)), compared.ok, &compared, story::voice);
    }
    Ok(stage)
}

fn one(stage: &mut Stage, scene: &Scene, baseline: Option<f64>) -> Played {
    let mut played = stage.play(scene);
    played.setup_ms = stage.setup_time(scene, CALLS);
    played.baseline_ms = baseline;
    if played.setup_ms.is_none() || baseline.is_none() {
        played.problems.push("the set-up time could not be measured".into());
        played.ok = false;
    }
    played
}
