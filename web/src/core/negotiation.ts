// Perfect negotiation (W3C webrtc-pc, 10.7) without a connection: which descriptions are applied and which are ignored.
//
// One side begins a connection: the first offer carries the data channels, and a browser that rolls such an offer back loses them.
//
// | state    | input           | next     | actions       |                                              |
// |----------|-----------------|----------|---------------|----------------------------------------------|
// | waiting  | needed, answer  | waiting  | –             | the other side begins                        |
// | waiting  | offer           | stable   | apply, answer | the browser asks then                        |
// | stable   | needed          | offering | offer         |                                              |
// | stable   | offer           | stable   | apply, answer |                                              |
// | stable   | answer          | stable   | –             | a late one, to an offer that was rolled back |
// | offering | needed          | offering | –             | the browser asks again once it is stable     |
// | offering | answer          | stable   | apply         |                                              |
// | offering | offer, polite   | stable   | apply, answer | rolls back; the browser asks again           |
// | offering | offer, impolite | offering | –             |                                              |

export interface Negotiation {
  readonly polite: boolean;
  readonly offering: boolean;
  /** The other side begins, and has not yet. */
  readonly waiting: boolean;
}

export type NegotiationInput = { readonly type: "needed" | "offer" | "answer" };
export type NegotiationAction = "offer" | "apply" | "answer";

export function negotiation(polite: boolean, begins: boolean): Negotiation {
  return { polite, offering: false, waiting: !begins };
}

export function negotiate(now: Negotiation, input: NegotiationInput): [Negotiation, readonly NegotiationAction[]] {
  switch (input.type) {
    case "needed":
      return now.offering || now.waiting ? [now, []] : [{ ...now, offering: true }, ["offer"]];
    case "answer":
      return now.offering ? [{ ...now, offering: false }, ["apply"]] : [now, []];
    case "offer":
      if (now.offering && !now.polite) return [now, []];
      return [{ ...now, offering: false, waiting: false }, ["apply", "answer"]];
  }
}
