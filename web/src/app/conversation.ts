// What happens beside the voice in one call: invitations, sessions, shared sources and files.
import { type Call, present } from "../core/calls.ts";
import type { Invitation } from "../core/invitations.ts";
import type { Accept, Bundle, InvitationKind, Invite, Signal, Source } from "../core/signal.ts";
import { commitment } from "../core/verify.ts";
import { bundleOf, type Entry } from "../files/entries.ts";
import { Invitations } from "./invitations.ts";
import { randomHex } from "./random.ts";
import { isPolite, type Session, type SessionFacts } from "./session.ts";
import { type Self, Sessions } from "./sessions.ts";
import { Sources } from "./sources.ts";
import { Transfers, type TransferView } from "./transfers.ts";

export interface ConversationEvents {
  /** Resolves when it has arrived, or is lost. */
  post(address: string, content: object): Promise<unknown>;
  claim(invitation: string): Promise<boolean>;
  changed(): void;
  transferred(id: string, transfer: TransferView): void;
  saveSession(facts: SessionFacts): void;
  forgetSession(id: string): void;
  /** Whether the person accepts these without being asked. */
  autoAccepts(kind: InvitationKind): boolean;
}

export class Conversation {
  readonly #self: Self;
  readonly #events: ConversationEvents;
  #call: Call;
  readonly #invitations: Invitations;
  readonly #sessions: Sessions;
  readonly sources: Sources;
  readonly transfers: Transfers;

  constructor(call: Call, self: Self, events: ConversationEvents) {
    this.#call = call;
    this.#self = self;
    this.#events = events;
    this.#invitations = new Invitations(events.changed);
    this.sources = new Sources((source) => this.#sourceChanged(source));
    this.transfers = new Transfers({ changed: events.changed, done: events.transferred });
    this.#sessions = new Sessions(self, this.transfers, {
      ...events,
      post: (address, content) => this.#post(address, content),
      alone: () => this.sources.stopAll(),
    });
  }

  get invitations(): readonly Invitation[] {
    return this.#invitations.all;
  }

  get sessions(): readonly Session[] {
    return this.#sessions.all;
  }

  /** The call has changed: those who have left are no longer shown anything, nor is anybody who may be one of them. */
  update(call: Call): void {
    const here = present(call);
    const isHere = (party: string) => here.some(({ number }) => (number ?? "") === party);
    const someoneLeft = present(this.#call).some(({ number }) => !isHere(number ?? ""));
    this.#call = call;
    if (here.length === 0) return this.close();
    const isGone = (party: string) => (party === "" ? someoneLeft : !isHere(party));
    for (const session of this.sessions) if (isGone(session.facts.party)) this.#sessions.end(session);
    for (const { id, incoming, party = "" } of this.invitations) {
      if (!isGone(party)) continue;
      if (incoming) this.#invitations.advance(id, "withdrawn");
      else this.withdraw(id);
    }
  }

  /** Takes sessions up again after a reload. */
  restore(saved: readonly SessionFacts[]): void {
    for (const facts of saved) this.#sessions.open(facts).restart();
  }

  networkChanged(): void {
    this.sessions.forEach((session) => session.networkChanged());
  }

  close(): void {
    this.sources.close();
    this.sessions.forEach((session) => this.#sessions.end(session));
    this.transfers.dropAll();
    for (const { id } of this.invitations) this.#invitations.advance(id, "withdrawn");
    this.#events.changed();
  }

  /** Offers files to everybody in the call. */
  share(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    const bundle = bundleOf(entries);
    for (const { address, number } of present(this.#call)) {
      if (address !== undefined) this.transfers.offer(this.#invite("files", address, number, bundle), entries, bundle);
    }
  }

  accept(id: string): void {
    void this.#accept(id).catch(() => this.#invitations.advance(id, "failed"));
  }

  /** Goes on here with what another device of this number has accepted. */
  join(id: string): void {
    const taken = this.#invitations.get(id);
    if (taken?.state === "taken") this.#invite("join", taken.address, undefined);
  }

  decline(id: string): void {
    const invitation = this.#invitations.get(id);
    if (invitation === undefined || !this.#invitations.advance(id, "declined")) return;
    void this.#post(invitation.address, { type: "decline", invitation: id });
  }

  withdraw(id: string): void {
    const invitation = this.#invitations.get(id);
    if (invitation === undefined || !this.#invitations.advance(id, "withdrawn")) return;
    this.transfers.drop(id);
    void this.#post(invitation.address, { type: "bye", invitation: id });
  }

  /** Stops files that are on their way, or the offer of them. */
  cancelTransfer(id: string): void {
    this.transfers.cancel(id);
    this.withdraw(id);
  }

  /** Another device of this number has accepted it. */
  taken(id: string): void {
    this.#invitations.advance(id, "taken");
  }

  /** What another device sent. `address` is where answers to it go. */
  signal(signal: Signal, address: string): void {
    if (!("from" in signal) || signal.from === this.#self.from) return;
    switch (signal.type) {
      case "invite":
        return this.#invited(signal, address);
      case "accept":
        return this.#accepted(signal, address);
      case "decline":
        return this.#declined(signal.invitation, signal.from);
      case "sdp":
      case "ice":
      case "restart": {
        const session = this.#sessions.get(signal.session);
        if (session?.facts.from === signal.from) session.signal(signal);
        return;
      }
      case "bye": {
        const invitation = this.#invitations.get(signal.invitation ?? "");
        if (invitation?.from === signal.from) {
          this.#invitations.advance(invitation.id, "withdrawn");
          this.transfers.drop(invitation.id);
        }
        const session = this.#sessions.get(signal.session ?? "");
        if (session?.facts.from === signal.from) this.#sessions.close(session);
        return;
      }
    }
  }

  #sourceChanged(source: Source): void {
    for (const session of this.sessions) session.setSources(this.sources.tracks);
    if (this.sources.tracks.has(source)) {
      const reached = (party: string | undefined) => this.sessions.some(({ facts }) => facts.party === (party ?? ""));
      for (const { address, number } of present(this.#call)) {
        if (address !== undefined && !reached(number)) this.#invite(source, address, number);
      }
    } else {
      const pending = this.invitations.filter(({ incoming, kind }) => !incoming && kind === source);
      for (const { id } of pending) this.withdraw(id);
    }
    this.#events.changed();
  }

  #invite(kind: InvitationKind, address: string, party: string | undefined, files?: Bundle): string {
    const existing = this.sessions.find(({ facts }) => facts.party === (party ?? "") && facts.party !== "");
    const id = randomHex();
    const own = existing?.facts.own ?? { nonce: randomHex(), fingerprint: this.#self.identity.fingerprint };
    const session = existing?.facts.id ?? id;
    const to = existing?.facts.address ?? address;
    const optional = { ...(party !== undefined && { party }), ...(files && { files }) };
    const invitation: Invitation = { id, incoming: false, kind, session, state: "open", address: to, ...optional };
    this.#invitations.send(invitation, existing === undefined ? own : undefined);
    const commit = commitment(own);
    void this.#post(to, { type: "invite", invitation: id, session, kind, role: this.#call.role, commit, ...(files && { files }) });
    return id;
  }

  #invited(invite: Invite, address: string): void {
    const here = present(this.#call);
    if (!this.#invitations.receive(invite, address, here.length === 1 ? here[0]!.number : undefined)) return;
    const { invitation: id, kind, from } = invite;
    // Another device would see what this one shows, and nobody has compared words with it yet.
    if (kind === "join") return;
    const connected = kind !== "files" && this.#sessions.with(from) !== undefined;
    if (connected || this.#events.autoAccepts(kind)) this.accept(id);
  }

  async #accept(id: string): Promise<void> {
    const invite = this.#invitations.invite(id);
    if (invite === undefined || !this.#invitations.advance(id, "accepting")) return;
    const won = await this.#events.claim(id);
    if (!this.#invitations.advance(id, won ? "won" : "lost") || !won) return;
    const invitation = this.#invitations.get(id)!;
    const session = this.#sessions.with(invite.from) ?? this.#answering(invite, invitation);
    if (session === undefined) return;
    if (invite.files !== undefined) this.transfers.expect(id, invite.files, session);
    const { nonce, fingerprint } = session.facts.own;
    const role = this.#call.role;
    void this.#post(invitation.address, { type: "accept", invitation: id, session: session.facts.id, role, nonce, fingerprint });
    session.setSources(this.sources.tracks);
    if (invite.kind !== "join") return;
    for (const other of this.sessions) if (other !== session && other.facts.party === session.facts.party) this.#sessions.end(other);
  }

  /** The session that an invite proposes, from the accepting side. */
  #answering(invite: Invite, { address, party = "" }: Invitation): Session | undefined {
    if (this.#sessions.get(invite.session) !== undefined || this.#sessions.full) return undefined;
    return this.#sessions.open({
      id: invite.session,
      call: this.#call.id,
      inviter: false,
      round: 0,
      polite: isPolite(this.#call.role, invite.role, false),
      party,
      from: invite.from,
      address,
      own: { nonce: randomHex(), fingerprint: this.#self.identity.fingerprint },
      commit: invite.commit,
    });
  }

  #accepted(accept: Accept, address: string): void {
    const invitation = this.#invitations.get(accept.invitation);
    const agreed = invitation !== undefined && this.#invitations.advance(invitation.id, "accepted");
    const known = this.#known(accept);
    const session = agreed ? (known ?? this.#inviting(accept, invitation, address)) : undefined;
    if (session !== undefined) {
      this.transfers.start(accept.invitation, session);
      this.#sessions.keepOne(session);
      return;
    }
    // It was delivered twice.
    if (known !== undefined && invitation?.state === "accepted") return;
    // Another device was faster, or it is too late, or the session is gone. A session that there is goes on.
    void this.#post(address, { type: "bye", invitation: accept.invitation, ...(known === undefined && { session: accept.session }) });
    if (agreed) this.#inviteAnew(invitation);
  }

  #declined(id: string, from: string): void {
    const invitation = this.#invitations.get(id);
    const session = this.#sessions.get(invitation?.session ?? "");
    // An invitation into a session is for its device alone.
    const concerned = session === undefined || session.facts.from === from;
    if (invitation?.incoming !== false || !concerned) return;
    if (this.#invitations.advance(id, "declined")) this.transfers.drop(id);
  }

  #known(accept: Accept): Session | undefined {
    const known = this.#sessions.get(accept.session);
    return known?.facts.from === accept.from ? known : undefined;
  }

  /** The session that was accepted, from the inviting side. */
  #inviting(accept: Accept, invitation: Invitation, address: string): Session | undefined {
    const own = this.#invitations.takeProof(invitation.id);
    const free = this.#sessions.get(accept.session) === undefined && !this.#sessions.full;
    if (own === undefined || !free || accept.session !== invitation.session) return undefined;
    const session = this.#sessions.open({
      id: accept.session,
      call: this.#call.id,
      inviter: true,
      round: 0,
      polite: isPolite(this.#call.role, accept.role, true),
      party: invitation.party ?? "",
      from: accept.from,
      address,
      own,
      remote: { nonce: accept.nonce, fingerprint: accept.fingerprint },
    });
    session.setSources(this.sources.tracks);
    session.begin();
    return session;
  }

  /** The session that an invitation was for is gone: another invitation is for a new one. */
  #inviteAnew({ id, kind, session, party, files }: Invitation): void {
    const to = present(this.#call).find(({ number }) => number === party);
    if (session === id || to?.address === undefined) return this.transfers.drop(id);
    this.transfers.renew(id, this.#invite(kind, to.address, party, files));
  }

  #post(address: string, content: object): Promise<unknown> {
    const { reply } = this.#call;
    return this.#events.post(address, { ...content, from: this.#self.from, ...(reply !== undefined && { reply }) });
  }
}
