//! What is played, and on what.

use crate::lab::Kind;
use crate::lab::cast::SCENES;
use crate::lab::plays::{PLAYS, Play, pairs};
use crate::{one_pbx, transfers, two_domains};

/// All of them.
pub(crate) const BEHAVIOURS: [&str; 13] =
    ["B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B9", "B10", "B11", "B12", "B13"];

/// What is played, and on what.
pub(crate) struct Bill {
    /// Calling organisation and called one.
    pairs: Vec<(Kind, Kind)>,
    behaviours: Vec<&'static str>,
}

impl Bill {
    /// What was asked for, if it is here.
    pub(crate) fn new(pbx: Option<Kind>, far: Option<Kind>, behaviours: &[&'static str]) -> Result<Bill, String> {
        for kind in pbx.into_iter().chain(far) {
            kind.find().map_err(|error| format!("{kind} {error}"))?;
        }
        let wanted = |(a, b): &(Kind, Kind)| pbx.is_none_or(|pbx| pbx == *a) && far.is_none_or(|far| far == *b);
        let pairs: Vec<_> = pairs().into_iter().filter(wanted).collect();
        if pairs.is_empty() {
            return Err("there is neither an Asterisk nor a FreeSWITCH on this machine".to_owned());
        }
        let all = BEHAVIOURS.into_iter();
        Ok(Bill { pairs, behaviours: all.filter(|b| behaviours.is_empty() || behaviours.contains(b)).collect() })
    }

    pub(crate) fn has(&self, behaviour: &str) -> bool {
        self.behaviours.contains(&behaviour)
    }

    fn those(&self, played: impl Fn(&str) -> bool) -> Vec<&'static str> {
        self.behaviours.iter().copied().filter(|behaviour| played(behaviour)).collect()
    }

    /// What is played on one PBX.
    pub(crate) fn alone_behaviours(&self) -> Vec<&'static str> {
        self.those(|behaviour| behaviour == "B12" || SCENES.iter().any(|scene| scene.behaviour == behaviour))
    }

    /// What is played between two.
    pub(crate) fn pair_behaviours(&self) -> Vec<&'static str> {
        self.those(|behaviour| behaviour == "B12" || PLAYS.iter().any(|play| play.behaviour == behaviour))
    }

    /// The plays between two, but for the comparison of B12.
    pub(crate) fn between(&self) -> Vec<&'static Play> {
        PLAYS.iter().filter(|play| self.has(play.behaviour)).collect()
    }

    /// The PBXs that play something alone.
    pub(crate) fn alone(&self) -> Vec<Kind> {
        if self.alone_behaviours().is_empty() { Vec::new() } else { self.nears() }
    }

    /// The pairs that play something.
    pub(crate) fn pairs(&self) -> Vec<(Kind, Kind)> {
        if self.pair_behaviours().is_empty() { Vec::new() } else { self.pairs.clone() }
    }

    /// The calling organisations' PBXs.
    pub(crate) fn nears(&self) -> Vec<Kind> {
        let mut kinds: Vec<Kind> = self.pairs.iter().map(|(near, _)| *near).collect();
        kinds.dedup();
        kinds
    }

    /// How many plays these are.
    pub(crate) fn plays(&self) -> usize {
        let compared = usize::from(self.has("B12"));
        let scenes = SCENES.iter().filter(|scene| self.has(scene.behaviour)).count() + compared;
        let between = self.between().len() + compared;
        self.alone().len() * scenes + self.pairs().len() * between + transfers::plays(self)
    }

    /// How many lines of progress.
    pub(crate) fn steps(&self) -> usize {
        self.alone().len() * one_pbx::STEPS + self.pairs().len() * two_domains::STEPS + transfers::steps(self)
    }

    /// What comes, before anything does.
    pub(crate) fn announce(&self) {
        let what = if self.plays() == 1 { "one play".to_owned() } else { format!("{} plays", self.plays()) };
        eprintln!("What is played, {what}, in about {}:", self.time());
        let names = |all: &[String]| all.join(", ");
        let alone: Vec<String> = self.alone().iter().map(Kind::to_string).collect();
        if !alone.is_empty() {
            eprintln!("  {} on one PBX: {}", self.alone_behaviours().join(" "), names(&alone));
        }
        let pairs: Vec<String> = self.pairs().iter().map(|(a, b)| format!("{a} → {b}")).collect();
        if !pairs.is_empty() {
            eprintln!("  {} between two organisations: {}", self.pair_behaviours().join(" "), names(&pairs));
        }
        if transfers::plays(self) > 0 {
            let nears: Vec<String> = self.nears().iter().map(Kind::to_string).collect();
            eprintln!("  all kinds of transfers: {}", names(&nears));
        }
        eprintln!("Less: --pbx asterisk --far asterisk, or --behaviour B8 (--help).\n");
    }

    fn time(&self) -> String {
        let seconds = self.alone().len() * one_pbx::seconds(self)
            + self.pairs().len() * two_domains::seconds(self)
            + transfers::plays(self) * transfers::SECONDS;
        if seconds < 90 {
            format!("{} seconds", seconds.div_ceil(10) * 10)
        } else {
            format!("{} minutes", (seconds + 30) / 60)
        }
    }
}
