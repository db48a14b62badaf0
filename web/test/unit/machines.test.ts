import assert from "node:assert/strict";
import { test } from "node:test";
import { backoff } from "../../src/core/backoff.ts";
import { advance, type Invitation, type InvitationEvent, type InvitationState } from "../../src/core/invitations.ts";
import { negotiate, type Negotiation, negotiation } from "../../src/core/negotiation.ts";
import { quality, sample } from "../../src/core/quality.ts";

test("two sides that offer at once come to an agreement, whatever the order", () => {
  // What each side has sent, and what it has applied last: the browser's part, in short.
  for (const order of ["ab", "ba"]) {
    let [a, b]: Negotiation[] = [negotiation(false, true), negotiation(true, true)];
    [a] = negotiate(a!, { type: "needed" });
    [b] = negotiate(b!, { type: "needed" });
    const toB = () => negotiate(b!, { type: "offer", offer: undefined });
    const toA = () => negotiate(a!, { type: "offer", offer: undefined });
    let answered = false;
    for (const side of order) {
      const [next, actions] = side === "a" ? toA() : toB();
      if (side === "a") assert.deepEqual(actions, []);
      else answered = actions.join() === "apply,answer";
      if (side === "a") a = next;
      else b = next;
    }
    assert.ok(answered);
    const [done, actions] = negotiate(a!, { type: "answer", offer: undefined });
    assert.deepEqual(actions, ["apply"]);
    assert.equal(done.offering, false);
    assert.equal(b!.offering, false);
    // The polite side's browser asks again, and now it is its turn.
    assert.deepEqual(negotiate(b!, { type: "needed" })[1], ["offer"]);
  }
});

test("a late answer and a second question change nothing", () => {
  const stable = negotiation(true, true);
  assert.deepEqual(negotiate(stable, { type: "answer", offer: undefined }), [stable, []]);
  const [offering] = negotiate(stable, { type: "needed" });
  assert.deepEqual(negotiate(offering, { type: "needed" }), [offering, []]);
});

test("the side that does not begin offers nothing before it has an offer", () => {
  const waiting = negotiation(false, false);
  assert.deepEqual(negotiate(waiting, { type: "needed" }), [waiting, []]);
  assert.deepEqual(negotiate(waiting, { type: "answer", offer: undefined }), [waiting, []]);
  const [stable, actions] = negotiate(waiting, { type: "offer", offer: undefined });
  assert.deepEqual(actions, ["apply", "answer"]);
  assert.deepEqual(negotiate(stable, { type: "needed" })[1], ["offer"]);
});

test("an offer is repeated until it is answered, but not for ever if somebody is there", () => {
  let [now] = negotiate(negotiation(false, true), { type: "needed" });
  const on = (type: "undelivered" | "unanswered") => {
    const [next, actions] = negotiate(now, { type });
    now = next;
    return actions.join();
  };
  for (let n = 0; n < 100; n += 1) assert.equal(on("undelivered"), "repeat");
  assert.deepEqual([1, 2, 3, 4].map(() => on("unanswered")), ["repeat", "repeat", "repeat", "give up"]);
  [now] = negotiate(now, { type: "answer", offer: 1 });
  assert.deepEqual([on("undelivered"), on("unanswered")], ["", ""]);
});

test("an offer that comes again is answered again, whatever has happened since", () => {
  let [now, actions] = negotiate(negotiation(true, false), { type: "offer", offer: 1 });
  assert.deepEqual(actions, ["apply", "answer"]);
  assert.deepEqual(negotiate(now, { type: "offer", offer: 1 }), [now, ["answer again"]]);
  [now] = negotiate(now, { type: "needed" });
  assert.deepEqual(negotiate(now, { type: "offer", offer: 1 }), [now, ["answer again"]]);
  assert.deepEqual(negotiate(now, { type: "offer", offer: 2 })[1], ["apply", "answer"]);
  // Somebody who does not count.
  [now] = negotiate(now, { type: "offer", offer: undefined });
  [now, actions] = negotiate(now, { type: "offer", offer: undefined });
  assert.deepEqual(actions, ["apply", "answer"]);
});

test("a second answer to a repeated offer does not answer the next one", () => {
  let [now] = negotiate(negotiation(false, true), { type: "needed" });
  [now] = negotiate(now, { type: "answer", offer: 1 });
  [now] = negotiate(now, { type: "needed" });
  assert.deepEqual(negotiate(now, { type: "answer", offer: 1 }), [now, []]);
  assert.deepEqual(negotiate(now, { type: "answer", offer: 2 })[1], ["apply"]);
});

const invitation = (incoming: boolean, state: InvitationState): Invitation => ({
  id: "i", incoming, kind: "camera", session: "s", state, address: "https://a.example/a/x",
});

test("an invitation takes only the transitions of its table", () => {
  const states: InvitationState[] = ["open", "claiming", "accepted", "declined", "taken", "withdrawn"];
  const events: InvitationEvent[] = ["accepting", "won", "lost", "failed", "accepted", "declined", "taken", "withdrawn"];
  const changes: string[] = [];
  for (const incoming of [true, false]) {
    for (const state of states) {
      for (const event of events) {
        const before = invitation(incoming, state);
        const after = advance(before, event);
        if (after !== before) changes.push(`${incoming ? "in" : "out"} ${state} ${event} ${after.state}`);
      }
    }
  }
  assert.deepEqual(changes, [
    "in open accepting claiming",
    "in open declined declined",
    "in open taken taken",
    "in open withdrawn withdrawn",
    "in claiming won accepted",
    "in claiming lost taken",
    "in claiming failed open",
    "in claiming withdrawn withdrawn",
    "out open accepted accepted",
    "out open declined declined",
    "out open withdrawn withdrawn",
  ]);
});

test("attempts become rarer, up to half a minute, and never come in step", () => {
  assert.deepEqual([0, 1, 2, 10, 1000].map((attempt) => backoff(attempt, 1)), [500, 1000, 2000, 30_000, 30_000]);
  assert.equal(backoff(0, 0), 250);
});

test("a connection is judged by what was lost since the last look", () => {
  const reports = (lost: number, received: number, rtt = 0.02, kind = "host") => [
    { id: "T", type: "transport", selectedCandidatePairId: "P" },
    { id: "P", type: "candidate-pair", localCandidateId: "L", remoteCandidateId: "R", currentRoundTripTime: rtt },
    { id: "L", type: "local-candidate", candidateType: kind },
    { id: "R", type: "remote-candidate", candidateType: "host" },
    { id: "I", type: "inbound-rtp", packetsLost: lost, packetsReceived: received },
  ];
  const first = sample(reports(0, 100), { lost: 0, received: 0 });
  assert.equal(quality(first.sample!), "good");
  assert.equal(quality(sample(reports(20, 180), first.counters).sample!), "lossy");
  assert.equal(quality(sample(reports(2, 101), first.counters).sample!), "good");
  assert.equal(quality(sample(reports(0, 200, 0.6), first.counters).sample!), "slow");
  assert.equal(sample(reports(0, 0, 0, "relay"), first.counters).sample!.relayed, true);
  assert.equal(sample([], first.counters).sample, undefined);
});
