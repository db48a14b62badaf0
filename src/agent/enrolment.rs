//! Enrolment by dialling: asks the node about a code that a phone has dialled, and tells the dialplan within its hold.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::agent::call::hold;
use crate::agent::call::reply_path::write_in_time;
use crate::agent::link::context::LinkContext;
use crate::contract::{EnrolmentConfirmation, EnrolmentConfirmed};
use crate::core::numbering::numbering_plan::PbxNumberingPlan;
use crate::monitor::brief;
use crate::pbx::{Device, EnrolmentCall, PbxCommands};

/// Answers a phone that has dialled a code, in a task of its own. If nothing is said in time, the dialplan refuses the code.
/// `age` is how long ago it was announced, if that is known.
pub(super) fn answer(
    context: &Arc<LinkContext>,
    plan: &PbxNumberingPlan,
    commands: &Arc<dyn PbxCommands>,
    held: EnrolmentCall,
    age: Option<Duration>,
) {
    let pbx = &context.pbx.name;
    if held.agent != context.shared.id {
        tracing::debug!(%pbx, leg = %held.leg, "a code was announced to another agent");
        return;
    }
    let arrived = Instant::now();
    let Some(left) = age.and_then(|age| hold::time_left(held.hold, age, context.shared.deadline)) else {
        tracing::debug!(%pbx, leg = %held.leg, "a code was announced too long ago");
        return;
    };
    let asked = confirmation(context, plan, &held);
    let (link, commands) = (Arc::clone(context), Arc::clone(commands));
    context.shared.calls.spawn(brief("enrolment", async move {
        let enrolled = match asked {
            Some(asked) => confirm(&link, &asked, left).await,
            None => false,
        };
        let write = commands.answer_enrolment(&held, enrolled);
        let written = write_in_time(held.hold, arrived, Some(left), write).await;
        let heard = matches!(written, Some(Ok(())));
        tracing::info!(pbx = %link.pbx.name, leg = %held.leg, enrolled, applied = heard, "code dialled");
    }));
}

/// What the node is asked; none if the phone has no number.
fn confirmation(context: &LinkContext, plan: &PbxNumberingPlan, held: &EnrolmentCall) -> Option<EnrolmentConfirmation> {
    let Device::Named { number, tenant } = &held.device else { return None };
    let calling = plan.device(number, tenant.as_deref(), None).ok()?;
    Some(EnrolmentConfirmation { pbx: context.pbx.name.clone(), leg: held.leg.clone(), calling, digits: held.digits })
}

async fn confirm(context: &LinkContext, asked: &EnrolmentConfirmation, left: Duration) -> bool {
    match context.shared.node.confirm_enrolment(asked, left).await {
        Ok(EnrolmentConfirmed { enrolled }) => enrolled,
        Err(error) => {
            tracing::warn!(%error, pbx = %asked.pbx, leg = %asked.leg, "the node did not say whether a code is right");
            false
        }
    }
}
