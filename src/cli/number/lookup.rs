//! `number lookup`: asks the portability sources who serves a number.

use std::path::Path;

use anyhow::bail;
use serde_json::{Value, json};

use crate::cli::output;
use crate::config::Config;
use crate::core::numbering::number::Number;
use crate::core::routing::portability::{Portability, PortabilityAnswer, ServedBy};
use crate::lnp::Heard;

pub(super) async fn run(config: &Path, number: &Number, json: bool) -> anyhow::Result<()> {
    let config = Config::load(config)?;
    let lnp = config.node.portability()?;
    if !lnp.is_configured() {
        bail!("nobody can be asked: the configuration has no [[node.lnp.source]]");
    }
    if let Number::Local { .. } = number {
        bail!("{number} is an extension: portability is for numbers that begin with +");
    }
    let heard = lnp.explain(number).await;
    let verdict = heard.iter().find_map(|heard| heard.said.as_ref().ok()?.2.clone()).unwrap_or_default();
    if json {
        let sources: Vec<Value> = heard.iter().map(as_json).collect();
        return output::json(&json!({"number": number, "sources": sources, "verdict": verdict}));
    }
    let rows: Vec<Vec<String>> = heard.iter().map(row).collect();
    output::table(&["SOURCE", "TOOK", "GOOD FOR", "SAYS"], &rows)?;
    output::line(format!("\n{number} {}", told(&verdict)))
}

fn as_json(heard: &Heard) -> Value {
    let mut value = match &heard.said {
        Ok((answer, ttl, means)) => json!({"said": answer, "ttl": ttl.as_secs(), "means": means}),
        Err(error) => json!({"error": error.to_string()}),
    };
    value["source"] = heard.source.to_string().into();
    value["ms"] = u64::try_from(heard.took.as_millis()).unwrap_or(u64::MAX).into();
    value
}

fn row(heard: &Heard) -> Vec<String> {
    let (ttl, says) = match &heard.said {
        Ok((answer, ttl, _)) if ttl.is_zero() => ("-".to_owned(), said(answer)),
        Ok((answer, ttl, _)) => (output::span(*ttl), said(answer)),
        Err(error) => (String::new(), format!("({})", output::clean(&error.to_string()))),
    };
    vec![heard.source.to_string(), output::span(heard.took), ttl, says]
}

fn said(answer: &PortabilityAnswer) -> String {
    let ported = answer.ported.map(|ported| if ported { "ported" } else { "not ported" }.to_owned());
    let client = answer.has_client.map(|client| if client { "has a client" } else { "has no client" }.to_owned());
    let facts = [
        ported,
        answer.routing_number.as_ref().map(|rn| format!("rn={rn}")),
        answer.operator.as_ref().map(|operator| format!("operator {operator}")),
        answer.node.as_ref().map(|node| format!("node {node}")),
        client,
    ];
    let facts: Vec<String> = facts.into_iter().flatten().collect();
    if facts.is_empty() { "nothing is known".to_owned() } else { facts.join(", ") }
}

/// What the answer means for a call.
fn told(verdict: &Portability) -> String {
    let mut told = match &verdict.served_by {
        ServedBy::Unknown => "is served by whom the directory says: nobody knows more".to_owned(),
        ServedBy::Ours if verdict.ported => "was ported to us".to_owned(),
        ServedBy::Ours => "is served by us".to_owned(),
        ServedBy::Peer(peer) => format!("is served by the peer {peer}"),
        ServedBy::Other => "is served by somebody else".to_owned(),
    };
    if let Some(trunk) = &verdict.trunk {
        told += &format!(", by the trunk {trunk}");
    }
    match verdict.has_client {
        Some(true) => told += ", and has a client",
        Some(false) => told += ", and has no client",
        None => {}
    }
    told
}
