//! The state of each agent's link to a PBX.
//!
//! A PBX may have two agents: the old one still reports while the new one starts. Each of them is given SIP MESSAGEs
//! according to its own link.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::contract::{LinkState, PbxReport, PbxView};
use crate::core::base::name::PbxName;
use crate::core::base::time::UnixMillis;
use crate::monitor::Metrics;

/// An agent is forgotten after this long without a report. It reports every two seconds.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);
/// Agents that are remembered per PBX.
const AGENTS: usize = 16;
/// A PBX that no agent has reported for so long is shown as down.
const SILENT: Duration = Duration::from_secs(10);

/// The links that were reported since the start.
pub(in crate::node) struct PbxLinks {
    reported: Mutex<HashMap<PbxName, ReportedPbx>>,
    metrics: Metrics,
}

struct ReportedPbx {
    /// The latest report, from any agent.
    view: PbxView,
    /// The link of each agent, and when the agent reported it.
    agents: HashMap<String, (LinkState, UnixMillis)>,
}

impl ReportedPbx {
    /// The link of an agent. One that has not reported is taken for the one that reported last.
    fn link(&self, agent: Option<&str>) -> LinkState {
        let own = agent.and_then(|agent| self.agents.get(agent));
        own.map_or(self.view.report.link, |(link, _)| *link)
    }

    fn note(&mut self, agent: String, link: LinkState, now: UnixMillis) {
        self.agents.insert(agent, (link, now));
        self.agents.retain(|_, (_, seen)| now - *seen < FORGOTTEN_AFTER);
        if self.agents.len() > AGENTS {
            let oldest = self.agents.iter().min_by_key(|(_, (_, seen))| *seen).map(|(agent, _)| agent.clone());
            oldest.map(|agent| self.agents.remove(&agent));
        }
    }
}

impl PbxLinks {
    pub(in crate::node) fn new(metrics: Metrics) -> PbxLinks {
        PbxLinks { reported: Mutex::default(), metrics }
    }

    /// Notes an agent's report. True if its link can send SIP MESSAGEs again.
    pub(super) fn report(&self, pbx: PbxName, report: PbxReport, now: UnixMillis) -> bool {
        let (agent, link) = (report.agent.clone(), report.link);
        self.metrics.pbx(&pbx, link);
        let view = PbxView { pbx: pbx.clone(), report: PbxReport { sent: Vec::new(), ..report }, reported: now };
        let mut links = self.lock();
        let is_back = link.sends() && links.get(&pbx).is_some_and(|before| !before.link(Some(&agent)).sends());
        let reported = links.entry(pbx).or_insert_with(|| ReportedPbx { view: view.clone(), agents: HashMap::new() });
        reported.view = view;
        reported.note(agent, link, now);
        is_back
    }

    /// Whether an agent can send SIP MESSAGEs, as far as is known. Agents of earlier versions don't always say who they are.
    pub(in crate::node) fn sends(&self, pbx: &PbxName, agent: Option<&str>) -> bool {
        self.lock().get(pbx).is_none_or(|reported| reported.link(agent).sends())
    }

    /// The latest report about each PBX, in order. A PBX of which nothing has been heard for a while is shown as down, and so
    /// is its metric from now on.
    pub(in crate::node) fn views(&self, now: UnixMillis) -> Vec<PbxView> {
        let mut views: Vec<PbxView> = self.lock().values().map(|reported| reported.view.clone()).collect();
        views.sort_by(|a, b| a.pbx.cmp(&b.pbx));
        for view in &mut views {
            if now - view.reported > SILENT && view.report.link != LinkState::Down {
                view.report.link = LinkState::Down;
                view.report.error = Some("the agent has fallen silent".to_owned());
                view.report.since = view.reported;
                self.metrics.pbx(&view.pbx, LinkState::Down);
            }
        }
        views
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PbxName, ReportedPbx>> {
        self.reported.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::PbxKind;

    fn report(links: &PbxLinks, agent: &str, link: LinkState, now: i64) -> bool {
        let report = PbxReport {
            kind: PbxKind::Freeswitch,
            agent: agent.to_owned(),
            link,
            since: UnixMillis(0),
            error: None,
            version: None,
            node: None,
            refused: 0,
            sent: Vec::new(),
        };
        links.report("a".parse().unwrap(), report, UnixMillis(now))
    }

    #[test]
    fn each_agent_sends_by_its_own_link() {
        let (links, pbx) = (PbxLinks::new(Metrics::install()), "a".parse().unwrap());
        assert!(links.sends(&pbx, Some("old")) && links.sends(&pbx, None), "nothing is known yet");
        assert!(!report(&links, "old", LinkState::Up, 1));
        assert!(!report(&links, "new", LinkState::Syncing, 2));
        assert!(links.sends(&pbx, Some("old")) && !links.sends(&pbx, Some("new")));
        assert!(
            report(&links, "new", LinkState::Up, 3),
            "its link is back, though the other one was there all the time"
        );
        assert!(!report(&links, "old", LinkState::Down, 4));
        assert!(!links.sends(&pbx, Some("old")) && links.sends(&pbx, Some("new")));
        assert!(!links.sends(&pbx, None), "who doesn't say who it is is taken for the one that reported last");
    }

    #[test]
    fn agents_that_fell_silent_are_forgotten() {
        let links = PbxLinks::new(Metrics::install());
        let known = || links.lock().values().map(|reported| reported.agents.len()).sum::<usize>();
        report(&links, "killed", LinkState::Up, 0);
        report(&links, "new", LinkState::Up, 1);
        assert_eq!(known(), 2);
        report(&links, "new", LinkState::Up, 60_000);
        assert_eq!(known(), 1);
        (0..100).for_each(|n| _ = report(&links, &format!("run-{n}"), LinkState::Down, 60_001 + n));
        assert_eq!(known(), AGENTS);
        assert!(!links.sends(&"a".parse().unwrap(), Some("run-99")), "the newest are remembered");
        assert_eq!(links.views(UnixMillis(60_100)).len(), 1);
    }
}
