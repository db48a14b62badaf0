//! Checks the nodes that share the database, as the active one sees them.

use std::collections::BTreeMap;

use super::report::DoctorReport;
use crate::cli::output;
use crate::config::Config;
use crate::contract::{NodeRole, NodeView};
use crate::core::base::time::UnixMillis;
use crate::node::StatusView;

const ABOUT: &str = "nodes";
/// What is found if nobody could take over. It is a warning if the agent has several nodes.
const ALONE: &str = "no other node stands by: if this one fails, none takes over";
/// What to do about a node that has gone.
const GONE: &str =
    "start it, or look at its log; if you removed it for good, this warning ends a day after it was last seen";

/// Checks whether another node could take over. A node whose database is a file has no others beside it.
pub(super) fn check(config: &Config, status: Option<&StatusView>, report: &mut DoctorReport) -> anyhow::Result<()> {
    let Some(StatusView { nodes: Some(nodes), now, .. }) = status else { return Ok(()) };
    let several = config.agent.urls().len() > 1;
    for (found, todo) in warnings(nodes, *now, several) {
        report.warning(ABOUT, found, todo)?;
    }
    match who_stands_by(nodes, *now, several) {
        Some(found) => report.ok(ABOUT, found),
        None => Ok(()),
    }
}

/// Who could take over. None if a warning says that nobody could, or that nobody knows.
fn who_stands_by(nodes: &[NodeView], now: UnixMillis, several: bool) -> Option<String> {
    let standing: Vec<&str> = standing_by(nodes, now).map(|node| node.machine.as_str()).collect();
    match standing[..] {
        _ if unread(nodes, now).is_some() => None,
        [] if several => None,
        [] => Some(ALONE.to_owned()),
        [one] => Some(format!("the node on {one} stands by")),
        _ => Some(format!("nodes stand by on {}", standing.join(" and "))),
    }
}

/// What is wrong if the active node can't read the list: that node is in it, and its own heartbeat is old, too.
fn unread(nodes: &[NodeView], now: UnixMillis) -> Option<String> {
    if nodes.iter().any(|node| node.role == NodeRole::Active && node.is_here(now)) {
        return None;
    }
    Some(match nodes.iter().map(|node| now - node.heartbeat).min() {
        Some(age) => format!("the node hasn't read the list of nodes for {}", output::span(age)),
        None => "the node hasn't read the list of nodes since its start".to_owned(),
    })
}

fn standing_by(nodes: &[NodeView], now: UnixMillis) -> impl Iterator<Item = &NodeView> {
    nodes.iter().filter(move |node| node.role == NodeRole::StandBy && node.is_here(now))
}

/// What is wrong, and what to do about it. `several`: whether the agent has several nodes.
fn warnings(nodes: &[NodeView], now: UnixMillis, several: bool) -> Vec<(String, &'static str)> {
    if let Some(found) = unread(nodes, now) {
        return vec![(found, "look at the node's log, which has the reason; calls need no list")];
    }
    let mut warnings = Vec::new();
    let (here, gone): (Vec<&NodeView>, Vec<&NodeView>) = nodes.iter().partition(|node| node.is_here(now));
    for node in &gone {
        let role = match node.role {
            NodeRole::Active => "was active",
            NodeRole::StandBy => "stood by",
            NodeRole::Other => "was there",
        };
        let silence = output::span(now - node.heartbeat);
        let found = format!("{} on {} {role}, and was last seen {silence} ago", node.url, node.machine);
        warnings.push((found, GONE));
    }
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for node in &here {
        versions.entry(&node.version).or_default().push(&node.machine);
    }
    if versions.len() > 1 {
        let each = versions.into_iter().map(|(version, machines)| format!("{version} on {}", machines.join(" and ")));
        let found = format!("the versions of the nodes differ: {}", each.collect::<Vec<_>>().join(", "));
        warnings.push((found, "finish the upgrade (docs/CLUSTER.md, Rolling upgrade)"));
    }
    if several && standing_by(nodes, now).next().is_none() {
        let todo = "start a second node; if one runs already, upgrade it: earlier versions are not listed";
        warnings.push((ALONE.to_owned(), todo));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_000_000);

    fn node(machine: &str, role: NodeRole, silence: i64) -> NodeView {
        NodeView {
            machine: machine.to_owned(),
            process: 1,
            url: format!("http://{machine}:8600"),
            version: "0.2.0".to_owned(),
            role,
            started: UnixMillis(0),
            heartbeat: UnixMillis(NOW.0 - silence),
        }
    }

    fn found(nodes: &[NodeView], several: bool) -> Vec<String> {
        warnings(nodes, NOW, several).into_iter().map(|(found, _)| found).collect()
    }

    #[test]
    fn two_nodes_of_one_version_are_as_they_should_be() {
        let both = [node("a", NodeRole::Active, 900), node("b", NodeRole::StandBy, 1_500)];
        assert_eq!(found(&both, true), [] as [&str; 0]);
        assert_eq!(who_stands_by(&both, NOW, true).as_deref(), Some("the node on b stands by"));
        // One node on PostgreSQL, and one of several that is the only one.
        assert_eq!(found(&both[..1], false), [] as [&str; 0]);
        assert_eq!(who_stands_by(&both[..1], NOW, false).as_deref(), Some(ALONE));
        assert_eq!(found(&both[..1], true), [ALONE]);
        assert_eq!(who_stands_by(&both[..1], NOW, true), None, "a warning says so");
    }

    #[test]
    fn a_node_that_is_gone_and_one_of_another_version_are_found() {
        let gone = [node("a", NodeRole::Active, 0), node("b", NodeRole::StandBy, 61_000)];
        let of_b = "http://b:8600 on b stood by, and was last seen 0:01:01 ago";
        assert_eq!(found(&gone, false), [of_b]);
        // Whether one that was there is gone, or there never was one: nobody takes over.
        assert_eq!(found(&gone, true), [of_b, ALONE]);
        assert_eq!(who_stands_by(&gone, NOW, false).as_deref(), Some(ALONE));
        let mut old = node("b", NodeRole::StandBy, 0);
        old.version = "0.1.0".to_owned();
        let mixed = [node("a", NodeRole::Active, 0), old];
        assert_eq!(found(&mixed, true), ["the versions of the nodes differ: 0.1.0 on b, 0.2.0 on a"]);
    }

    #[test]
    fn a_list_that_cant_be_read_says_nothing_about_the_nodes_in_it() {
        let old = [node("a", NodeRole::Active, 61_000), node("b", NodeRole::StandBy, 61_500)];
        assert_eq!(found(&old, true), ["the node hasn't read the list of nodes for 0:01:01"]);
        assert_eq!(who_stands_by(&old, NOW, false), None);
        assert_eq!(found(&[], false), ["the node hasn't read the list of nodes since its start"]);
        // After a take-over, one that was active is gone, and one that is active reads.
        let taken_over = [node("a", NodeRole::Active, 61_000), node("b", NodeRole::Active, 0)];
        assert_eq!(found(&taken_over, false), ["http://a:8600 on a was active, and was last seen 0:01:01 ago"]);
    }
}
