// An invitation to media or files, from its first word to its last.
//
// | direction | state    | event      | next      |
// |-----------|----------|------------|-----------|
// | incoming  | open     | accepting  | claiming  |
// | incoming  | open     | declined   | declined  |
// | incoming  | claiming | won        | accepted  |
// | incoming  | claiming | lost       | taken     |
// | incoming  | open     | taken      | taken     |
// | incoming  | claiming | failed     | open      |
// | outgoing  | open     | accepted   | accepted  |
// | outgoing  | open     | declined   | declined  |
// | both      | open     | withdrawn  | withdrawn |
//
// Any other event changes nothing.
import type { Bundle, InvitationKind } from "./signal.ts";

export type InvitationState = "open" | "claiming" | "accepted" | "declined" | "taken" | "withdrawn";
export type InvitationEvent = "accepting" | "won" | "lost" | "failed" | "accepted" | "declined" | "taken" | "withdrawn";

export interface Invitation {
  readonly id: string;
  readonly incoming: boolean;
  readonly kind: InvitationKind;
  readonly session: string;
  readonly state: InvitationState;
  /** Whom it is for, or whom answers go to: an address. */
  readonly address: string;
  /** The key of the party whom it is for, or from, if it is known: see `keyOf`. */
  readonly party?: string;
  /** The device that invites, if it is another one. */
  readonly from?: string;
  readonly files?: Bundle;
}

const NEXT: Record<"incoming" | "outgoing", Partial<Record<InvitationState, Partial<Record<InvitationEvent, InvitationState>>>>> = {
  incoming: {
    open: { accepting: "claiming", declined: "declined", taken: "taken", withdrawn: "withdrawn" },
    claiming: { won: "accepted", lost: "taken", failed: "open", withdrawn: "withdrawn" },
  },
  outgoing: {
    open: { accepted: "accepted", declined: "declined", withdrawn: "withdrawn" },
  },
};

/** The invitation after an event; the same object if the event changes nothing. */
export function advance(invitation: Invitation, event: InvitationEvent): Invitation {
  const next = NEXT[invitation.incoming ? "incoming" : "outgoing"][invitation.state]?.[event];
  return next === undefined ? invitation : { ...invitation, state: next };
}

/** Invitations of a peer that may be open at once. More are ignored. */
export const OPEN_MAX = 8;
