// What happens beside the voice in one call: who is invited to what, the sessions, shared sources and files.
import type { Call, FileFailure, Party } from "../core/calls.ts";
import { keyOf, present, senderKey } from "../core/people.ts";
import type { SentBy } from "../core/envelope.ts";
import type { Invitation } from "../core/invitations.ts";
import type { InvitationKind, Signal, Source } from "../core/signal.ts";
import { bundleOf, type Entry } from "../files/entries.ts";
import { postAtOnce } from "../net/outbox.ts";
import { Agreements } from "./agreements.ts";
import { GuestNews } from "./guestnews.ts";
import { replyTo } from "./reach.ts";
import type { Session, SessionFacts } from "./session.ts";
import { type Self, Sessions } from "./sessions.ts";
import { Sources } from "./sources.ts";
import { Transfers, type TransferView } from "./transfers.ts";

export interface ConversationEvents {
  /** Resolves with how many devices it reached, or why none. */
  post(address: string, content: object): Promise<unknown>;
  claim(invitation: string): Promise<boolean>;
  changed(): void;
  /** Files have arrived; or `failed` says why they have not. */
  transferred(id: string, transfer: TransferView, failed?: FileFailure): void;
  saveSession(facts: SessionFacts): void;
  forgetSession(id: string): void;
  /** Whether the person accepts these without being asked. */
  autoAccepts(kind: InvitationKind): boolean;
}

export class Conversation {
  readonly #self: Self;
  readonly #events: ConversationEvents;
  #call: Call;
  readonly #agreements: Agreements;
  readonly #sessions: Sessions;
  readonly #guestNews: GuestNews;
  readonly sources: Sources;
  readonly transfers: Transfers;

  constructor(call: Call, self: Self, events: ConversationEvents) {
    this.#call = call;
    this.#self = self;
    this.#events = events;
    const post = (address: string, content: object) => this.#post(address, content);
    const sources = new Sources((source) => this.#sourceChanged(source));
    const transfers = new Transfers({ changed: events.changed, outcome: events.transferred });
    const sessions = new Sessions(self, transfers, { ...events, post, alone: () => sources.stopAll() });
    this.sources = sources;
    this.transfers = transfers;
    this.#sessions = sessions;
    this.#agreements = new Agreements(self, { sessions, sources, transfers }, { ...events, post, call: () => this.#call });
    this.#guestNews = new GuestNews(post);
    this.#guestNews.tell(call);
  }

  /** How this device names itself in the call. */
  get from(): string {
    return this.#self.from;
  }

  get invitations(): readonly Invitation[] {
    return this.#agreements.all;
  }

  get sessions(): readonly Session[] {
    return this.#sessions.all;
  }

  /** The call has changed: those who have left are no longer shown anything, nor is anybody who may be one of them. */
  update(call: Call): void {
    const here = present(call);
    const isHere = (key: string) => here.some((party) => keyOf(party) === key);
    const someoneLeft = present(this.#call).some((party) => party.phone !== true && !isHere(keyOf(party)));
    this.#call = call;
    if (here.length === 0) {
      this.transfers.end();
      return this.close();
    }
    const isGone = (party: string) => (party === "" ? someoneLeft : !isHere(party));
    for (const session of this.sessions) if (isGone(session.facts.party)) this.#sessions.end(session);
    this.#agreements.left(isGone);
    this.#guestNews.tell(call);
  }

  /** Takes sessions up again after a reload. */
  restore(saved: readonly SessionFacts[]): void {
    for (const facts of saved) this.#sessions.open(facts).restart();
  }

  networkChanged(): void {
    this.sessions.forEach((session) => session.networkChanged());
  }

  /** The page is being left, and no session outlives it. */
  leave(): void {
    for (const { facts } of this.sessions) postAtOnce(facts.address, { type: "bye", session: facts.id, from: this.#self.from });
  }

  close(): void {
    this.sources.close();
    this.sessions.forEach((session) => this.#sessions.end(session));
    this.transfers.dropAll();
    this.#agreements.close();
    this.#events.changed();
  }

  /** Offers files to everybody in the call. */
  share(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    const bundle = bundleOf(entries);
    for (const party of present(this.#call)) {
      if (party.address === undefined) continue;
      this.transfers.offer(this.#agreements.invite("files", party.address, keyOf(party), bundle), entries, bundle);
    }
  }

  /** Whether files that were not sent can be offered again to the one whom they were for. */
  canRepeat(id: string): boolean {
    return this.transfers.hasFailed(id) && this.#recipient(id) !== undefined;
  }

  repeat(id: string): void {
    const [party, bundle] = [this.#recipient(id), this.invitations.find((known) => known.id === id)?.files];
    if (!this.canRepeat(id) || party?.address === undefined) return;
    this.transfers.renew(id, this.#agreements.invite("files", party.address, keyOf(party), bundle));
  }

  accept(id: string): void {
    this.#agreements.accept(id);
  }

  decline(id: string): void {
    this.#agreements.decline(id);
  }

  withdraw(id: string): void {
    this.#agreements.withdraw(id);
  }

  /** Goes on here with what another device of this number has accepted. */
  join(id: string): void {
    this.#agreements.join(id);
  }

  /** Another device of this number has accepted it. */
  taken(id: string): void {
    this.#agreements.taken(id);
  }

  /** Stops files that are on their way, or the offer of them. */
  cancelTransfer(id: string): void {
    this.transfers.cancel(id);
    this.withdraw(id);
  }

  /** What another device sent. Nothing comes of what those send who have left since. */
  signal(signal: Signal, by: SentBy): void {
    if (!("from" in signal) || signal.from === this.#self.from) return;
    const [address, sender] = [replyTo(this.#call, signal.reply, by), senderKey(this.#call, by)];
    if (address === undefined) return;
    switch (signal.type) {
      case "invite":
        return this.#agreements.invited(signal, address, sender, by.guest !== undefined);
      case "accept":
        return this.#agreements.accepted(signal, address, sender);
      case "decline":
        return this.#agreements.declined(signal.invitation, signal.from, sender);
      case "sdp":
      case "ice":
      case "restart":
        return this.#sessionOf(signal.session, signal.from, sender)?.signal(signal);
      case "bye": {
        if (signal.invitation !== undefined) this.#agreements.withdrawn(signal.invitation, signal.from, sender);
        const session = this.#sessionOf(signal.session ?? "", signal.from, sender);
        if (session !== undefined) this.#sessions.close(session);
        return;
      }
    }
  }

  /** A session, if it is with this device of this party. */
  #sessionOf(id: string, from: string, party: string | undefined): Session | undefined {
    const session = this.#sessions.get(id);
    return session?.isWith(from, party) ? session : undefined;
  }

  /** Whom files were offered to, if they are there. */
  #recipient(id: string): Party | undefined {
    const invitation = this.invitations.find((known) => known.id === id);
    return present(this.#call).find((party) => party.address !== undefined && keyOf(party) === invitation?.party);
  }

  #sourceChanged(source: Source): void {
    for (const session of this.sessions) session.setSources(this.sources.tracks);
    if (this.sources.tracks.has(source)) {
      const reached = (key: string) => this.sessions.some(({ facts }) => facts.party === key);
      for (const party of present(this.#call)) {
        const key = keyOf(party);
        if (party.address !== undefined && !reached(key)) this.#agreements.invite(source, party.address, key);
      }
    } else {
      const pending = this.invitations.filter(({ incoming, kind }) => !incoming && kind === source);
      for (const { id } of pending) this.withdraw(id);
    }
    this.#events.changed();
  }

  #post(address: string, content: object): Promise<unknown> {
    const { parties, reply } = this.#call;
    // A guest answers to an address of their own. What came to this one would not be known as theirs.
    const toGuest = parties.some((party) => party.guest !== undefined && party.address === address);
    const own = reply !== undefined && !toGuest ? { reply } : {};
    return this.#events.post(address, { ...content, from: this.#self.from, ...own });
  }
}
