// The client of a device or a guest: takes what the node sends, keeps the calls, and gives each live call its conversation.
import { type Call, type CallEvent, type Calls, type FileFailure, type Line, step } from "../core/calls.ts";
import { authors, keyOf, personOf, present, senderOf } from "../core/people.ts";
import type { NodeMessage, Person, SentBy } from "../core/envelope.ts";
import { parseSignal, type Signal } from "../core/signal.ts";
import { identityOf, newCertificate } from "../media/certificate.ts";
import { keepOnly } from "../files/sink.ts";
import type { Access } from "../net/access.ts";
import { Outbox } from "../net/outbox.ts";
import { type Preferences, type SavedSession, type Storage } from "../net/storage.ts";
import type { StreamState } from "../net/stream.ts";
import { Binding } from "./binding.ts";
import { Conversation } from "./conversation.ts";
import { Ice } from "./ice.ts";
import { randomHex } from "./random.ts";
import { addresses, missed, replyTo, standing } from "./reach.ts";
import { Texts } from "./texts.ts";
import type { TransferView } from "./transfers.ts";

export interface ClientEvents {
  changed(): void;
  revoked(): void;
  /** Something that the person should notice even if they look elsewhere. */
  notice(call: Call, what: "ringing" | "missed" | "text" | "invite", by?: readonly Person[], text?: string): void;
  preferences(): Preferences;
}

/** Milliseconds that somebody is shown as typing. */
const TYPED = 5_000;
/** Received files stay for so long after the call. */
const FILES_KEPT = 24 * 3600 * 1000;

export class Client {
  readonly #access: Access;
  readonly #storage: Storage;
  readonly #events: ClientEvents;
  readonly #outbox: Outbox;
  readonly #conversations = new Map<string, Promise<Conversation | undefined>>();
  readonly #ready = new Map<string, Conversation>();
  readonly #binding: Binding;
  readonly texts: Texts;
  calls: Calls = new Map();
  stream: StreamState = "connecting";
  /** Whether the person sees the page. */
  watching = true;
  /** Nothing is stored any more: this device may have been removed, and what it knew wiped. */
  #stopped = false;

  constructor(access: Access, storage: Storage, events: ClientEvents) {
    this.#access = access;
    this.#outbox = new Outbox(access);
    this.#storage = storage;
    this.#events = events;
    this.#binding = new Binding(access, { message: (message) => this.#take(message), state: (state) => this.#streamState(state) });
    this.texts = new Texts({
      call: (id) => this.calls.get(id),
      step: (event) => this.#step(event),
      post: (address, content) => this.#outbox.post(address, content),
    });
  }

  /** Takes up what was stored, binds, and listens. Fails only if the node cannot be reached or refuses the client. */
  async start(): Promise<void> {
    if (this.calls.size === 0) await this.#restore();
    await this.#binding.start();
  }

  stop(): void {
    this.#stopped = true;
    this.#binding.stop();
    this.#ready.forEach((conversation) => conversation.close());
  }

  /** The page of a guest is being left: it comes back without its sessions, if at all. */
  leave(): void {
    this.#ready.forEach((conversation) => conversation.leave());
  }

  /** All calls are over for this client. */
  end(): void {
    for (const call of this.calls.keys()) this.#step({ type: "over", call, now: Date.now() });
    this.stop();
  }

  /** Its id at the node. */
  get id(): string {
    return this.#binding.client;
  }

  conversation(call: string): Conversation | undefined {
    return this.#ready.get(call);
  }

  /** The call in front of the person: of any other one, nothing is shown to anybody. */
  front(call: string | undefined): void {
    this.#ready.forEach((conversation, id) => id !== call && conversation.sources.stopAll());
  }

  networkChanged(): void {
    this.#binding.replace();
    this.#ready.forEach((conversation) => conversation.networkChanged());
  }

  retry(): void {
    this.#binding.retry();
  }

  async #restore(): Promise<void> {
    const [calls, sessions] = [await this.#storage.calls(), await this.#storage.sessions()];
    calls.sort((a, b) => a.began - b.began);
    this.calls = new Map(calls.map((call) => [call.id, call]));
    this.#events.changed();
    const recent = (call: Call) => call.ended === undefined || call.ended > Date.now() - FILES_KEPT;
    const lines = calls.filter(recent).flatMap((call) => call.lines);
    void keepOnly(new Set(lines.flatMap((line) => (line.kind === "files" && line.failed === undefined ? [line.id] : []))));
    const live = calls.filter(({ phase }) => phase === "active" || phase === "ringing");
    for (const call of calls) void (live.includes(call) ? this.#resume(call, sessions) : this.texts.resume(call));
    for (const session of sessions) {
      if (!live.some(({ id }) => id === session.call)) void this.#storage.forgetSession(session.id);
    }
  }

  /** A call that was live when the page was left. */
  async #resume(call: Call, sessions: readonly SavedSession[]): Promise<void> {
    const { over } = await standing(call, this.#access.guests(call.id));
    if (over) this.#step({ type: "over", call: call.id, now: Date.now() });
    this.texts.resume(call);
    if (over) return;
    const conversation = await this.#converse(call.id);
    conversation?.restore(sessions.filter((session) => session.call === call.id));
  }

  #streamState(state: StreamState): void {
    this.stream = state;
    if (state === "revoked") this.#events.revoked();
    if (state === "open") this.calls.forEach((call) => void this.#check(call));
    this.#events.changed();
  }

  /** A call that may have ended, or whose guests may have come and gone, while the node could not say so. */
  async #check(call: Call): Promise<void> {
    if (call.phase !== "active" && call.phase !== "ringing") return;
    const before = addresses(call);
    const { over, guests } = await standing(call, this.#access.guests(call.id));
    // Others may have come meanwhile.
    const now = this.calls.get(call.id);
    if (now === undefined || addresses(now).join() !== before.join()) return;
    if (over) return this.#step({ type: "over", call: call.id, now: Date.now() });
    for (const message of guests === undefined ? [] : missed(now, guests)) await this.#take(message);
  }

  async #take(message: NodeMessage): Promise<void> {
    this.#step({ type: "node", message, now: Date.now() });
    const call = this.calls.get(message.call);
    switch (message.type) {
      case "peer":
      case "guest":
        if (message.type === "peer" && message.own !== undefined && message.peer.address !== undefined) {
          void this.#outbox.post(message.peer.address, { type: "peer", peer: message.own });
        }
        void this.#converse(message.call);
        break;
      case "ringing":
        // Who calls need not be told.
        if (call?.role === "second") this.#events.notice(call, "ringing");
        break;
      case "missed":
        if (call?.phase === "missed" && call.role === "second") this.#events.notice(call, "missed");
        break;
      case "taken":
        if (message.client !== this.id) this.#ready.get(message.call)?.taken(message.invitation);
        break;
      case "message": {
        const signal = parseSignal(message.content);
        if (call !== undefined && signal !== undefined) this.#signal(call, message, signal);
        break;
      }
    }
    const after = this.calls.get(message.call);
    if (after !== undefined && !this.#stopped) await this.#storage.saveCall(after);
  }

  #signal(call: Call, message: SentBy & { readonly id: string }, signal: Signal): void {
    const by = authors(call, message);
    switch (signal.type) {
      case "text": {
        const { text, card } = signal;
        const body = { kind: "text", text, ...(card !== undefined && { card }) } as const;
        const line: Line = { id: signal.id ?? message.id, at: Date.now(), own: false, by, ...body };
        const known = call.lines.some(({ id }) => id === line.id);
        this.#step({ type: "line", call: call.id, line, shown: this.watching });
        if (!this.watching && !known) this.#events.notice(call, "text", by, signal.text);
        if (signal.id !== undefined) this.texts.tell(call.id, { type: this.watching ? "seen" : "delivered", ids: [signal.id] });
        return;
      }
      case "delivered":
      case "seen":
        return this.#step({ type: "state", call: call.id, ids: signal.ids, state: signal.type });
      case "typing":
        this.#step({ type: "typing", call: call.id, until: Date.now() + TYPED, by });
        setTimeout(() => this.#events.changed(), TYPED + 100);
        return;
      case "guests": {
        // Guests have none, and who has left has taken theirs along. Nobody speaks for this device.
        const isOwn = this.#ready.get(call.id)?.from === signal.from;
        if (message.guest !== undefined || isOwn || senderOf(call, message)?.present === false) return;
        const news = { id: message.id, device: signal.from, hosts: by, guests: signal.guests, now: Date.now() };
        return this.#step({ type: "visitors", call: call.id, ...news });
      }
      default:
        if (replyTo(call, signal.reply, message) === undefined) return;
        if (signal.type === "invite") this.#events.notice(call, "invite", by);
        void this.#converse(call.id).then((conversation) => conversation?.signal(signal, message));
    }
  }

  /** The conversation of a live call, made when it is first needed. */
  #converse(id: string): Promise<Conversation | undefined> {
    const call = this.calls.get(id);
    const known = this.#conversations.get(id);
    if (known !== undefined) return known;
    if (call === undefined || present(call).length === 0) return Promise.resolve(undefined);
    const isWanted = () => this.#conversations.get(id) === made;
    const made: Promise<Conversation | undefined> = this.#makeConversation(call, isWanted).catch(() => {
      if (isWanted()) this.#conversations.delete(id);
      return undefined;
    });
    this.#conversations.set(id, made);
    return made;
  }

  /** Nothing if the call ends meanwhile. Should it go on after that, another conversation is made. */
  async #makeConversation(call: Call, isWanted: () => boolean): Promise<Conversation | undefined> {
    const stored = await this.#storage.identity(call.id);
    const { certificate, from } = stored ?? { certificate: await newCertificate(), from: randomHex() };
    if (stored === undefined) await this.#storage.saveIdentity(call.id, { certificate, from });
    const identity = await identityOf(certificate);
    if (!isWanted()) return undefined;
    const ice = new Ice(() => this.#access.ice(), () => this.#events.changed());
    // So that the first session need not wait for it.
    void ice.current().catch(() => undefined);
    const conversation = new Conversation(this.calls.get(call.id) ?? call, { identity, from, ice }, {
      post: (address, content) => this.#outbox.post(address, content),
      claim: (invitation) => this.#access.claim(this.id, call.id, invitation),
      changed: () => this.#events.changed(),
      transferred: (id, transfer, failed) => this.#transferred(call.id, id, transfer, failed),
      saveSession: (facts) => void this.#storage.saveSession(facts),
      forgetSession: (id) => void this.#storage.forgetSession(id),
      autoAccepts: (kind) => {
        const { autoFiles, autoMedia } = this.#events.preferences();
        return kind === "files" ? autoFiles : autoMedia;
      },
    });
    this.#ready.set(call.id, conversation);
    this.#events.changed();
    return conversation;
  }

  #transferred(call: string, id: string, { bundle, incoming, saved }: TransferView, failed?: FileFailure): void {
    const outcome = failed === undefined ? incoming && { saved: [...saved] } : { failed };
    const files = { ...outcome, ...(incoming && this.#sender(call, id)) };
    const line: Line = { id, at: Date.now(), own: !incoming, kind: "files", ...bundle, ...files };
    this.#step({ type: "line", call, line, shown: true });
  }

  /** Who has offered files, if it is known. */
  #sender(id: string, invitation: string): { readonly by?: readonly Person[] } {
    const [call, invitations] = [this.calls.get(id), this.#ready.get(id)?.invitations ?? []];
    const party = invitations.find((known) => known.id === invitation)?.party;
    const sender = call?.parties.find((known) => keyOf(known) === party);
    return sender === undefined ? {} : { by: [personOf(sender)] };
  }

  #step(event: CallEvent): void {
    const before = this.calls;
    this.calls = step(before, event);
    for (const id of before.keys()) if (!this.calls.has(id)) void this.#storage.forgetCall(id);
    const id = event.type === "node" ? event.message.call : event.call;
    const call = this.calls.get(id);
    if (call !== undefined && call !== before.get(id)) {
      if (event.type !== "node" && event.type !== "typing" && !this.#stopped) void this.#storage.saveCall(call);
      this.#follow(call);
    }
    this.#events.changed();
  }

  #follow(call: Call): void {
    this.#ready.get(call.id)?.update(call);
    if (present(call).length > 0) return;
    this.#ready.delete(call.id);
    this.#conversations.delete(call.id);
    void this.#storage.forgetIdentity(call.id);
  }
}
