//! Checks that this machine reaches the other organisations' nodes.

use futures_util::future::join_all;

use super::report::DoctorReport;
use crate::config::Config;
use crate::core::base::name::CallId;
use crate::peer::{Outcome, Peers};

/// A call that doesn't exist. Withdrawing its offer tests our access to the peer and changes nothing.
const NO_CALL: &str = "doctor";

pub(super) async fn check(config: &Config, report: &mut DoctorReport) -> anyhow::Result<()> {
    if config.node.peers.is_empty() {
        return Ok(());
    }
    let peers = match Peers::new(&config.node.peers, false) {
        Ok(peers) => peers,
        Err(error) => return report.problem("peer", error.to_string(), "correct it; the node doesn't start like this"),
    };
    if config.node.public_url.is_none() && config.node.peers.iter().any(|peer| peer.url.starts_with("https:")) {
        report.problem(
            "peer",
            "node.public_url isn't set: nobody there can reach our clients",
            "set it, see [node]",
        )?;
    }
    let call: CallId = NO_CALL.parse()?;
    let asked = join_all(peers.all().map(|peer| peer.withdraw(&call))).await;
    for (peer, outcome) in peers.all().zip(asked) {
        let (about, url) = (format!("peer {}", peer.name()), peer.url());
        match outcome {
            Outcome::Accepted => report.ok(&about, format!("{url} answers, and knows us"))?,
            Outcome::Refused(why) => report.problem(
                &about,
                format!("{url} answers, and refuses us: {why}"),
                "compare our token_file with the accept_token_file there, or the certificates; is the URL its node's?",
            )?,
            Outcome::Again { error, .. } => report.problem(
                &about,
                format!("{url} can't be reached: {error}"),
                "is the node running there, and its URL reachable from here? ca_file, if the system doesn't know its CA",
            )?,
        }
    }
    Ok(())
}
