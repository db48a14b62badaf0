// The invitations of one call, and what is needed to answer them or to take up their answers.
import { advance, type Invitation, type InvitationEvent, OPEN_MAX } from "../core/invitations.ts";
import type { Invite } from "../core/signal.ts";
import type { Proof } from "../core/verify.ts";

/** The oldest are forgotten. */
const MAX = 200;

export class Invitations {
  readonly #changed: () => void;
  readonly #all = new Map<string, Invitation>();
  readonly #invites = new Map<string, Invite>();
  /** The own parts that invitations have committed to, each for the one session that it opens. */
  readonly #proofs = new Map<string, Proof>();

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  get all(): readonly Invitation[] {
    return [...this.#all.values()];
  }

  get(id: string): Invitation | undefined {
    return this.#all.get(id);
  }

  /** What another device sent. */
  invite(id: string): Invite | undefined {
    return this.#invites.get(id);
  }

  /** The own part for the session that an invitation opens, once: after that, it is known to others. */
  takeProof(id: string): Proof | undefined {
    const own = this.#proofs.get(id);
    this.#proofs.delete(id);
    return own;
  }

  /** `own` is the part for a new session; an invitation into a session that there is opens none. */
  send(invitation: Invitation, own: Proof | undefined): void {
    if (own !== undefined) this.#proofs.set(invitation.id, own);
    this.#put(invitation);
  }

  /** False if it is known already, or too many are open. */
  receive(invite: Invite, address: string, party: string | undefined): boolean {
    const open = this.all.filter(({ incoming, state }) => incoming && state === "open");
    const { invitation: id, kind, session, from, files } = invite;
    if (this.#all.has(id) || open.length >= OPEN_MAX) return false;
    this.#invites.set(id, invite);
    const optional = { ...(party !== undefined && { party }), ...(files && { files }) };
    this.#put({ id, incoming: true, kind, session, state: "open", address, from, ...optional });
    return true;
  }

  /** False if the event changes nothing. */
  advance(id: string, event: InvitationEvent): boolean {
    const before = this.#all.get(id);
    if (before === undefined) return false;
    const after = advance(before, event);
    this.#all.set(id, after);
    if (after !== before) this.#changed();
    return after !== before;
  }

  #put(invitation: Invitation): void {
    this.#all.set(invitation.id, invitation);
    if (this.#all.size > MAX) {
      const oldest = this.#all.keys().next().value!;
      this.#all.delete(oldest);
      this.#invites.delete(oldest);
      this.#proofs.delete(oldest);
    }
    this.#changed();
  }
}
