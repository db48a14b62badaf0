// Perfect negotiation (W3C webrtc-pc, 10.7) without a connection: which descriptions are applied and which are ignored.
//
// One side begins a connection: the first offer carries the data channels, and a browser that rolls such an offer back loses them.
//
// | state    | input             | next     | actions       |                                              |
// |----------|-------------------|----------|---------------|----------------------------------------------|
// | waiting  | needed, answer    | waiting  | –             | the other side begins                        |
// | waiting  | offer             | stable   | apply, answer | the browser asks then                        |
// | stable   | needed            | offering | offer         |                                              |
// | stable   | offer             | stable   | apply, answer |                                              |
// | stable   | answer            | stable   | –             | a late one, to an offer that was rolled back |
// | offering | needed            | offering | –             | the browser asks again once it is stable     |
// | offering | answer            | stable   | apply         |                                              |
// | offering | answer to another | offering | –             | to an offer that was repeated                |
// | offering | offer, polite     | stable   | apply, answer | rolls back; the browser asks again           |
// | offering | offer, impolite   | offering | –             |                                              |
// | offering | undelivered       | offering | repeat        | nobody was there: there is time              |
// | offering | unanswered        | offering | repeat        | the offer or the answer was lost             |
// | offering | unanswered, often | offering | give up       |                                              |
// | any      | the last offer    | the same | answer again  | it was repeated                              |
//
// Neither "undelivered" nor "unanswered" changes anything in another state.

/** An offer is repeated so often before only a new connection helps. */
const REPEATS = 3;

export interface Negotiation {
  readonly polite: boolean;
  readonly offering: boolean;
  /** The number of the last own offer, from 1. */
  readonly offer: number;
  /** How often it has been sent again. */
  readonly repeats: number;
  /** The number of the other side's last offer, if it has one. */
  readonly remoteOffer: number | undefined;
  /** The other side begins, and has not yet. */
  readonly waiting: boolean;
}

export type NegotiationInput =
  | { readonly type: "needed" | "undelivered" | "unanswered" }
  /** With the number of the offer, or of the one that is answered, if the other side counts. */
  | { readonly type: "offer" | "answer"; readonly offer: number | undefined };
export type NegotiationAction = "offer" | "apply" | "answer" | "repeat" | "answer again" | "give up";

export function negotiation(polite: boolean, begins: boolean): Negotiation {
  return { polite, offering: false, offer: 0, repeats: 0, remoteOffer: undefined, waiting: !begins };
}

export function negotiate(now: Negotiation, input: NegotiationInput): [Negotiation, readonly NegotiationAction[]] {
  switch (input.type) {
    case "needed":
      if (now.offering || now.waiting) return [now, []];
      return [{ ...now, offering: true, offer: now.offer + 1, repeats: 0 }, ["offer"]];
    case "answer":
      if (!now.offering || (input.offer ?? now.offer) !== now.offer) return [now, []];
      return [{ ...now, offering: false }, ["apply"]];
    case "offer":
      if (input.offer !== undefined && input.offer === now.remoteOffer) return [now, ["answer again"]];
      if (now.offering && !now.polite) return [now, []];
      return [{ ...now, offering: false, waiting: false, remoteOffer: input.offer }, ["apply", "answer"]];
    case "undelivered":
      return [now, now.offering ? ["repeat"] : []];
    case "unanswered":
      if (!now.offering) return [now, []];
      return now.repeats < REPEATS ? [{ ...now, repeats: now.repeats + 1 }, ["repeat"]] : [now, ["give up"]];
  }
}
