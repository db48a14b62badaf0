// Perfect negotiation (W3C webrtc-pc, 10.7) without a connection: which descriptions are applied and which are ignored.
//
// | state    | input           | next     | actions       |                                              |
// |----------|-----------------|----------|---------------|----------------------------------------------|
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
}

export type NegotiationInput = { readonly type: "needed" | "offer" | "answer" };
export type NegotiationAction = "offer" | "apply" | "answer";

export function negotiation(polite: boolean): Negotiation {
  return { polite, offering: false };
}

export function negotiate(now: Negotiation, input: NegotiationInput): [Negotiation, readonly NegotiationAction[]] {
  switch (input.type) {
    case "needed":
      return now.offering ? [now, []] : [{ ...now, offering: true }, ["offer"]];
    case "answer":
      return now.offering ? [{ ...now, offering: false }, ["apply"]] : [now, []];
    case "offer":
      if (now.offering && !now.polite) return [now, []];
      return [{ ...now, offering: false }, ["apply", "answer"]];
  }
}
