//! B11 where nobody can know which offer belongs to which call.

use super::*;

/// Alice and Anna call Bob at once, both withheld: whoever was told might be told of the wrong one.
pub(super) fn two_withheld(domains: &mut Domains, report: &mut Report) -> Result<()> {
    domains.start_sidecall(Between::Network, "")?;
    domains.a.serve(2, "Anna");
    let client = domains.a.client(2)?;
    domains.pstn.caller_id(CallerId::Withheld);
    let result = run(domains, &client, report);
    domains.pstn.caller_id(CallerId::AsIs);
    result
}

fn run(domains: &Domains, client: &Hosted, report: &mut Report) -> Result<()> {
    let (a, number) = (&domains.a, domains.b.number(1));
    let (callers, bob) = ([a.phone(1)?, a.phone(2)?], domains.b.phone(1)?);
    let clients = [domains.alice(), client, domains.there(1)].map(Since::now);
    let offered = || {
        let calls = calls_to(a.sidecall(), &number).into_iter();
        calls.filter(|call| call["phase"] != "ended" && call["remote"]["offer"]["state"] == "accepted").count()
    };
    let wire = Wire::tap(domains, report)?;
    let calls = callers.each_ref().map(|phone| phone.call(&number));
    let there: Vec<Call> = (0..2).filter_map(|_| bob.next_call(SOON)).collect();
    let both = wait_until(SOON, || offered() == 2);
    report.expect(there.len() == 2 && both, format!("{} calls came, and not both offers were taken", there.len()));
    there.iter().for_each(Call::answer);
    for (call, phone) in calls.iter().zip(&callers) {
        report.expect(call.wait_answered(SOON) && call.wait_hears(&bob, SOON), "a caller doesn't hear Bob");
        let heard = || there.iter().any(|there| there.hears(phone));
        report.expect(wait_until(SOON, heard), "Bob doesn't hear a caller");
    }
    report.expect(Since::all_stay_without(&clients), "somebody's client was told of somebody");
    report.say("both calls are answered, everybody hears everybody, and no client is told of anybody");
    wire.on_the_network(2, domains, report)?;
    calls.iter().for_each(Call::hang_up);
    report.expect(there.iter().all(|there| there.wait_ended(SOON)), "a call did not end at the other side");
    report.expect(Since::all_stay_without(&clients), "somebody was told of somebody at the end");
    Ok(())
}
