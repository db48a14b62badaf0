//! What is played, where, and for about how long.

use std::fmt;
use std::iter::repeat_n;

use lab::Kind;
use lab::scenario::between::{DOMAIN_SCENARIOS, DomainScenario};
use lab::scenario::calls::{CALL_SCENARIOS, CallScenario};
use lab::scenario::desks::DESK_SCENARIOS;
use lab::scenario::transfers::{TRANSFERS, Transfer};

/// All of them.
pub(crate) const BEHAVIOURS: [&str; 13] =
    ["B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B9", "B10", "B11", "B12", "B13"];

/// The transfers that are shown, and what for: of each kind one. The tests run all.
const SHOWN: [(&str, &str); 6] = [
    ("IVR menu", "B8"),
    ("attended, by the called", "B8"),
    ("blind, by the called", "B13"),
    ("directed pick-up", "B13"),
    ("parked and taken back", "B13"),
    ("conference of three", "B13"),
];

/// The behaviour that browsers beside a call show.
pub(crate) const BROWSERS: &str = "B7";

/// Lines of progress on one PBX, between two organisations, for transfers, and for browsers.
const STEPS: [usize; 4] = [3, 2, 1, 1];

/// Where something is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// On one PBX.
    On(Kind),
    /// From the first to the second.
    Between(Kind, Kind),
}

impl Place {
    pub(crate) fn words(self) -> (&'static str, Option<&'static str>) {
        match self {
            Place::On(kind) => (kind.word(), None),
            Place::Between(near, far) => (near.word(), Some(far.word())),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::On(kind) => kind.fmt(f),
            Place::Between(near, far) => write!(f, "{near} → {far}"),
        }
    }
}

/// What somebody asks for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wish {
    /// Only this one alone, and as the calling organisation's.
    pub(crate) near: Option<Kind>,
    /// Only this one as the called organisation's.
    pub(crate) remote: Option<Kind>,
    /// Every pair, not only one PBX with the other.
    pub(crate) all_pairs: bool,
    /// Only these; empty: all.
    pub(crate) behaviours: Vec<&'static str>,
    /// There is a browser for people beside a call.
    pub(crate) browser: bool,
}

/// What is played.
#[derive(Debug)]
pub(crate) struct Bill {
    /// Calling organisation and called one.
    pairs: Vec<(Kind, Kind)>,
    behaviours: Vec<&'static str>,
    browser: bool,
}

impl Bill {
    /// What was wished for, on a machine with these PBXs. `None` if none of them fits.
    pub(crate) fn new(here: &[Kind], wish: &Wish) -> Option<Bill> {
        let named = wish.near.is_some() || wish.remote.is_some();
        let mixed = here.len() > 1 && !wish.all_pairs && !named;
        let wanted = |(a, b): &(Kind, Kind)| {
            wish.near.is_none_or(|near| near == *a)
                && wish.remote.is_none_or(|remote| remote == *b)
                && (!mixed || a != b)
        };
        let pairs = here.iter().flat_map(|a| here.iter().map(|b| (*a, *b)));
        let pairs: Vec<_> = pairs.filter(wanted).collect();
        let wanted = |behaviour: &&str| wish.behaviours.is_empty() || wish.behaviours.contains(behaviour);
        let behaviours = BEHAVIOURS.into_iter().filter(wanted).collect();
        (!pairs.is_empty()).then_some(Bill { pairs, behaviours, browser: wish.browser })
    }

    pub(crate) fn has(&self, behaviour: &str) -> bool {
        self.behaviours.contains(&behaviour)
    }

    /// The calls on one PBX, but for the comparison of B12.
    pub(crate) fn scenarios(&self) -> Vec<&'static CallScenario> {
        CALL_SCENARIOS.iter().filter(|scenario| self.has(scenario.behaviour)).collect()
    }

    /// The scenarios between these two, but for the comparison of B12. What is the same between all runs between the
    /// first.
    pub(crate) fn between(&self, pair: (Kind, Kind)) -> Vec<&'static DomainScenario> {
        let first = self.pairs.first() == Some(&pair);
        DOMAIN_SCENARIOS.iter().filter(|scenario| self.has(scenario.behaviour) && (first || !scenario.once)).collect()
    }

    /// The transfers, and what each is shown for.
    pub(crate) fn transfers(&self) -> Vec<(&'static Transfer, &'static str)> {
        let shown = |transfer: &'static Transfer| {
            let (_, behaviour) = SHOWN.into_iter().find(|(name, _)| *name == transfer.name)?;
            self.has(behaviour).then_some((transfer, behaviour))
        };
        TRANSFERS.iter().filter_map(shown).collect()
    }

    /// The PBX on which two people talk with browsers beside their phones: the first.
    pub(crate) fn browsers(&self) -> Option<Kind> {
        self.nears().into_iter().next().filter(|_| self.browser && self.has(BROWSERS))
    }

    /// Whether that is left out because there is no browser.
    pub(crate) fn lacks_browser(&self) -> bool {
        !self.browser && self.has(BROWSERS)
    }

    /// The calling organisations' PBXs.
    pub(crate) fn nears(&self) -> Vec<Kind> {
        let mut kinds: Vec<Kind> = self.pairs.iter().map(|(near, _)| *near).collect();
        kinds.dedup();
        kinds
    }

    /// The PBXs on which something runs alone.
    pub(crate) fn alone(&self) -> Vec<Kind> {
        if self.scenarios().is_empty() && !self.has("B12") { Vec::new() } else { self.nears() }
    }

    /// The pairs between which something runs.
    pub(crate) fn pairs(&self) -> Vec<(Kind, Kind)> {
        let scenarios = |pair: &(Kind, Kind)| self.has("B12") || !self.between(*pair).is_empty();
        self.pairs.iter().copied().filter(scenarios).collect()
    }

    /// What has a line in the end, and where.
    pub(crate) fn lines(&self) -> Vec<(&'static str, Place)> {
        let b12 = || self.has("B12").then_some("B12").into_iter();
        let alone = self.alone().into_iter().flat_map(|kind| {
            self.scenarios()
                .into_iter()
                .map(|scenario| scenario.behaviour)
                .chain(b12())
                .map(move |of| (of, Place::On(kind)))
        });
        let between = self.pairs().into_iter().flat_map(|pair| {
            let place = Place::Between(pair.0, pair.1);
            b12().chain(self.between(pair).into_iter().map(|scenario| scenario.behaviour)).map(move |of| (of, place))
        });
        let transfers = self.transfers().into_iter().flat_map(|(transfer, behaviour)| {
            let on = self.nears().into_iter().filter(|kind| transfer.only.is_none_or(|only| only == *kind));
            on.map(move |kind| (behaviour, Place::On(kind)))
        });
        let browsers =
            self.browsers().into_iter().flat_map(|kind| repeat_n((BROWSERS, Place::On(kind)), DESK_SCENARIOS.len()));
        alone.chain(between).chain(transfers).chain(browsers).collect()
    }

    /// How many lines of progress.
    pub(crate) fn steps(&self) -> usize {
        let (transfers, browsers) = (!self.transfers().is_empty(), self.browsers().is_some());
        let parts = [self.alone().len(), self.pairs().len(), usize::from(transfers), usize::from(browsers)];
        parts.into_iter().zip(STEPS).map(|(parts, steps)| parts * steps).sum()
    }

    /// What comes, before anything does.
    pub(crate) fn announce(&self) {
        let scenarios = self.lines().len();
        let what = if scenarios == 1 { "one play".to_owned() } else { format!("{scenarios} plays") };
        eprintln!("What is played, {what}, in about {}:", self.time());
        let lines = self.lines();
        let those = |at: fn(Place) -> bool| {
            let has = |behaviour: &&str| lines.iter().any(|(of, place)| of == behaviour && at(*place));
            BEHAVIOURS.into_iter().filter(has).collect::<Vec<_>>().join(" ")
        };
        let names = |kinds: &[Kind]| kinds.iter().map(Kind::to_string).collect::<Vec<_>>().join(", ");
        let alone = those(|place| matches!(place, Place::On(_)));
        if !alone.is_empty() {
            eprintln!("  {alone} on one PBX: {}", names(&self.nears()));
        }
        let pairs: Vec<String> = self.pairs().iter().map(|(a, b)| Place::Between(*a, *b).to_string()).collect();
        if !pairs.is_empty() {
            let behaviours = those(|place| matches!(place, Place::Between(..)));
            eprintln!("  {behaviours} between two organisations: {}", pairs.join(", "));
        }
        eprintln!("Less: --pbx asterisk --far asterisk, or --behaviour B8. More: --pairs all (--help).\n");
    }

    /// About how long, as measured.
    fn time(&self) -> String {
        let b12 = usize::from(self.has("B12"));
        let alone = 8 + 7 * self.scenarios().len() + 8 * b12;
        let between = self.pairs().into_iter().map(|pair| 15 + 7 * self.between(pair).len() + 10 * b12);
        let transfers = self.nears().len() * 8 * self.transfers().len();
        let browsers = if self.browsers().is_some() { 20 + 10 * DESK_SCENARIOS.len() } else { 0 };
        let seconds = self.alone().len() * alone + between.sum::<usize>() + transfers + browsers;
        if seconds < 90 {
            format!("{} seconds", seconds.div_ceil(10) * 10)
        } else {
            format!("{} minutes", (seconds + 30) / 60)
        }
    }
}
