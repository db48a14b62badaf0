// How devices agree on a session: invitations that are sent, answered and taken up, and the sessions that they open.
import type { Call } from "../core/calls.ts";
import { differ, keyOf, present, writers } from "../core/people.ts";
import type { Invitation } from "../core/invitations.ts";
import type { Accept, Bundle, InvitationKind, Invite } from "../core/signal.ts";
import { commitment } from "../core/verify.ts";
import { Invitations } from "./invitations.ts";
import { randomHex } from "./random.ts";
import { isPolite, type Session } from "./session.ts";
import type { Self, Sessions } from "./sessions.ts";
import type { Sources } from "./sources.ts";
import type { Transfers } from "./transfers.ts";

/** What sessions are opened for. */
export interface Shared {
  readonly sessions: Sessions;
  readonly sources: Sources;
  readonly transfers: Transfers;
}

export interface AgreementsEvents {
  /** The call as it is now. */
  call(): Call;
  post(address: string, content: object): Promise<unknown>;
  claim(invitation: string): Promise<boolean>;
  /** Whether the person accepts these without being asked. */
  autoAccepts(kind: InvitationKind): boolean;
  changed(): void;
}

export class Agreements {
  readonly #self: Self;
  readonly #shared: Shared;
  readonly #events: AgreementsEvents;
  readonly #invitations: Invitations;

  constructor(self: Self, shared: Shared, events: AgreementsEvents) {
    this.#self = self;
    this.#shared = shared;
    this.#events = events;
    this.#invitations = new Invitations(() => events.changed());
  }

  get all(): readonly Invitation[] {
    return this.#invitations.all;
  }

  /** Invites somebody, into the session with their device if there is one. The invitation's id. */
  invite(kind: InvitationKind, address: string, party: string | undefined, files?: Bundle): string {
    const existing = this.#shared.sessions.all.find(({ facts }) => facts.party === (party ?? "") && facts.party !== "");
    const id = randomHex();
    const own = existing?.facts.own ?? { nonce: randomHex(), fingerprint: this.#self.identity.fingerprint };
    const session = existing?.facts.id ?? id;
    const to = existing?.facts.address ?? address;
    const optional = { ...(party !== undefined && { party }), ...(files && { files }) };
    const invitation: Invitation = { id, incoming: false, kind, session, state: "open", address: to, ...optional };
    this.#invitations.send(invitation, existing === undefined ? own : undefined);
    const { role } = this.#events.call();
    const content = { type: "invite", invitation: id, session, kind, role, commit: commitment(own), ...(files && { files }) };
    void this.#events.post(to, content);
    return id;
  }

  accept(id: string): void {
    void this.#accept(id).catch(() => this.#invitations.advance(id, "failed"));
  }

  decline(id: string): void {
    const invitation = this.#invitations.get(id);
    if (invitation === undefined || !this.#invitations.advance(id, "declined")) return;
    void this.#events.post(invitation.address, { type: "decline", invitation: id });
  }

  withdraw(id: string): void {
    const invitation = this.#invitations.get(id);
    if (invitation === undefined || !this.#invitations.advance(id, "withdrawn")) return;
    this.#shared.transfers.drop(id);
    void this.#events.post(invitation.address, { type: "bye", invitation: id });
  }

  /** Goes on here with what another device of this number has accepted. */
  join(id: string): void {
    const taken = this.#invitations.get(id);
    if (taken?.state === "taken") this.invite("join", taken.address, undefined);
  }

  /** Another device of this number has accepted it. */
  taken(id: string): void {
    this.#invitations.advance(id, "taken");
  }

  /** Those whose invitations these are, or are for, have left. An empty party stands for one that is not known. */
  left(isGone: (party: string) => boolean): void {
    for (const { id, incoming, party = "" } of this.all) {
      if (!isGone(party)) continue;
      if (incoming) this.#invitations.advance(id, "withdrawn");
      else this.withdraw(id);
    }
  }

  /** The call is over. */
  close(): void {
    for (const { id } of this.all) this.#invitations.advance(id, "withdrawn");
  }

  /** `sender` is the key of the party whose device invites, as `senderKey` tells it. */
  invited(invite: Invite, address: string, sender: string | undefined, isGuest: boolean): void {
    const others = writers(this.#events.call());
    const party = sender ?? (others.length === 1 ? keyOf(others[0]!) : undefined);
    if (!this.#invitations.receive(invite, address, party)) return;
    const { invitation: id, kind, from } = invite;
    // Another device would see what this one shows, and nobody has compared words with it yet.
    if (kind === "join") return;
    const session = this.#shared.sessions.with(from, party);
    // Anybody may use the name of another's device, and nobody has checked who a guest is.
    const connected = kind !== "files" && party !== undefined && session?.facts.party === party;
    if (connected || (!isGuest && this.#events.autoAccepts(kind))) this.accept(id);
  }

  /** `sender` as for `invited`. */
  accepted(accept: Accept, address: string, sender: string | undefined): void {
    const invitation = this.#invitations.get(accept.invitation);
    // Another one was invited. If the node names nobody: only the one who was invited knows the invitation's id.
    if (sender !== undefined && invitation?.party !== undefined && sender !== invitation.party) return;
    const agreed = invitation !== undefined && this.#invitations.advance(invitation.id, "accepted");
    const known = this.#known(accept, sender);
    const session = agreed ? (known ?? this.#inviting(accept, invitation, address, sender)) : undefined;
    if (session !== undefined) {
      this.#shared.transfers.start(accept.invitation, session);
      this.#shared.sessions.keepOne(session);
      return;
    }
    // It was delivered twice.
    if (known !== undefined && invitation?.state === "accepted") return;
    // Another device was faster, or it is too late, or the session is gone. A session that there is goes on.
    const bye = { type: "bye", invitation: accept.invitation, ...(known === undefined && { session: accept.session }) };
    void this.#events.post(address, bye);
    if (agreed) this.#inviteAnew(invitation);
  }

  declined(id: string, from: string, sender: string | undefined): void {
    const invitation = this.#invitations.get(id);
    const session = this.#shared.sessions.get(invitation?.session ?? "");
    // An invitation into a session is for its device alone.
    const concerned = session === undefined || session.facts.from === from;
    if (invitation?.incoming !== false || !concerned || differ(invitation.party, sender)) return;
    if (this.#invitations.advance(id, "declined")) this.#shared.transfers.drop(id);
  }

  /** The device that has invited no longer does. */
  withdrawn(id: string, from: string, sender: string | undefined): void {
    const invitation = this.#invitations.get(id);
    if (invitation?.from !== from || differ(invitation.party, sender)) return;
    this.#invitations.advance(id, "withdrawn");
    this.#shared.transfers.drop(id);
  }

  async #accept(id: string): Promise<void> {
    const { sessions, sources, transfers } = this.#shared;
    const invite = this.#invitations.invite(id);
    if (invite === undefined || !this.#invitations.advance(id, "accepting")) return;
    const won = await this.#events.claim(id);
    if (!this.#invitations.advance(id, won ? "won" : "lost") || !won) return;
    const invitation = this.#invitations.get(id)!;
    const session = sessions.with(invite.from, invitation.party) ?? this.#answering(invite, invitation);
    if (session === undefined) return;
    if (invite.files !== undefined) transfers.expect(id, invite.files, session);
    const { nonce, fingerprint } = session.facts.own;
    const { role } = this.#events.call();
    const content = { type: "accept", invitation: id, session: session.facts.id, role, nonce, fingerprint };
    // Whoever uses the name of a device learns nothing of its session.
    void this.#events.post(session.facts.address, content);
    session.setSources(sources.tracks);
    if (invite.kind !== "join") return;
    for (const other of sessions.all) if (other !== session && other.facts.party === session.facts.party) sessions.end(other);
  }

  /** The session that an invite proposes, from the accepting side. */
  #answering(invite: Invite, { address, party = "" }: Invitation): Session | undefined {
    const { sessions } = this.#shared;
    if (sessions.get(invite.session) !== undefined || sessions.full) return undefined;
    const call = this.#events.call();
    return sessions.open({
      id: invite.session,
      call: call.id,
      inviter: false,
      round: 0,
      polite: isPolite(call.role, invite.role, false),
      party,
      from: invite.from,
      address,
      own: { nonce: randomHex(), fingerprint: this.#self.identity.fingerprint },
      commit: invite.commit,
    });
  }

  #known(accept: Accept, sender: string | undefined): Session | undefined {
    const known = this.#shared.sessions.get(accept.session);
    return known?.isWith(accept.from, sender) ? known : undefined;
  }

  /** The session that was accepted, from the inviting side. */
  #inviting(accept: Accept, invitation: Invitation, address: string, sender = ""): Session | undefined {
    const { sessions, sources } = this.#shared;
    const own = this.#invitations.takeProof(invitation.id);
    const free = sessions.get(accept.session) === undefined && !sessions.full;
    if (own === undefined || !free || accept.session !== invitation.session) return undefined;
    const call = this.#events.call();
    const session = sessions.open({
      id: accept.session,
      call: call.id,
      inviter: true,
      round: 0,
      polite: isPolite(call.role, accept.role, true),
      party: invitation.party ?? sender,
      from: accept.from,
      address,
      own,
      remote: { nonce: accept.nonce, fingerprint: accept.fingerprint },
    });
    session.setSources(sources.tracks);
    return session;
  }

  /** The session that an invitation was for is gone: another invitation is for a new one. */
  #inviteAnew({ id, kind, session, party, files }: Invitation): void {
    const to = present(this.#events.call()).find((known) => keyOf(known) === party);
    const { transfers } = this.#shared;
    if (session === id || to?.address === undefined) return transfers.drop(id);
    transfers.renew(id, this.invite(kind, to.address, party, files));
  }
}
