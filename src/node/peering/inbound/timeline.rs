//! A peer's timeline of a call that it has offered, for ours of the same call.

use std::time::Instant;

use axum::http::StatusCode;

use crate::contract::Part;
use crate::core::call::Call;
use crate::core::name::CallId;
use crate::core::offer::OfferId;
use crate::node::Problem;
use crate::node::app::App;
use crate::node::peering::outbound::STEPS_MAX;
use crate::peer::Peer;

impl App {
    /// A peer tells its part of a call that it has offered; ours, if one of our calls has used the offer.
    pub(in crate::node) async fn take_timeline(&self, peer: &Peer, call: CallId, part: Part) -> Result<Part, Problem> {
        if !self.limits.take_part(peer.name(), Instant::now()) {
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too many of these; slow down");
            return Err(problem.retry_after(1));
        }
        if part.steps.len() > STEPS_MAX {
            return Err(Problem::invalid("steps", format!("at most {STEPS_MAX}")));
        }
        let offered = Some(OfferId { peer: peer.name().clone(), call });
        let has_used = |call: &&Call| call.far.offered == offered;
        let ours = self.live.read(|exchange| exchange.calls().find(has_used).map(|call| call.id.clone()));
        let Some(ours) = ours else { return Ok(Part::default()) };
        self.outbound.keep_remote_timeline(&ours, part);
        Ok(self.outbound.own_timeline(&ours).await?)
    }
}
