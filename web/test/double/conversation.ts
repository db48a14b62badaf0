// A conversation for unit tests: what it posts is kept, and the test speaks for the other devices.
import { Conversation } from "../../src/app/conversation.ts";
import { Ice } from "../../src/app/ice.ts";
import type { Session } from "../../src/app/session.ts";
import type { TransferView } from "../../src/app/transfers.ts";
import type { Call, FileFailure, Party } from "../../src/core/calls.ts";
import type { Posted } from "../../src/net/outbox.ts";
import { keyOf } from "../../src/core/people.ts";
import { parseSignal } from "../../src/core/signal.ts";
import type { IceAnswer } from "../../src/net/api.ts";
import type { Identity } from "../../src/media/certificate.ts";
import { type Devices, fingerprint, install, sdpOf, settle } from "./browser.ts";

type Json = Record<string, unknown>;

/** Devices of others, as they name themselves. */
export const [PHONE, TABLET, STRANGER] = ["phone-phone-phone", "tablet-tablet-tablet", "stranger-stranger"];

export const party = (number: string): Party => ({ number, address: `https://other.example/a/${number}`, capabilities: [], present: true });

export const callWith = (...parties: Party[]): Call => ({
  id: "call", role: "first", phase: "active", began: 0, answered: 0, parties, reply: "https://own.example/a/me", lines: [], unread: 0,
});

export class ConversationDouble {
  readonly devices: Devices = install();
  readonly posted: Json[] = [];
  /** The same, with the addresses. */
  readonly addressed: (readonly [string, Json])[] = [];
  /** How many devices a post reaches, or why it does not arrive. */
  reach: Posted = 1;
  automatic = false;
  /** How to connect, as the node says it. */
  ice: () => Promise<IceAnswer> = async () => ({ configuration: {}, expires: Infinity });
  readonly done: TransferView[] = [];
  /** Why transfers have failed for good. */
  readonly failed: FileFailure[] = [];
  readonly conversation: Conversation;
  readonly #call: Call;
  #ids = 0;

  constructor(call: Call = callWith(party("2"))) {
    this.#call = call;
    const identity = { certificate: {}, fingerprint: fingerprint("AA") } as Identity;
    const ice = new Ice(() => this.ice(), () => undefined);
    this.conversation = new Conversation(call, { identity, from: "own-own-own-own-own", ice }, {
      post: async (address, content) => {
        this.posted.push(content as Json);
        this.addressed.push([address, content as Json]);
        return this.reach;
      },
      claim: async () => true,
      changed: () => undefined,
      transferred: (_, transfer, failed) => void (failed === undefined ? this.done.push(transfer) : this.failed.push(failed)),
      saveSession: () => undefined,
      forgetSession: () => undefined,
      autoAccepts: () => this.automatic,
    });
  }

  /** What was posted last of a type. */
  last(type: string): Json {
    return this.posted.findLast((content) => content["type"] === type) ?? {};
  }

  count(type: string): number {
    return this.posted.filter((content) => content["type"] === type).length;
  }

  get sessions(): readonly Session[] {
    return this.conversation.sessions;
  }

  /** Another device says something, that of this party if the node says so. */
  async says(from: string, content: Json, party?: string): Promise<void> {
    const signal = parseSignal({ reply: `https://other.example/a/${from}`, ...content, from });
    if (signal === undefined) throw new Error(`not understood: ${JSON.stringify(content)}`);
    const { guest, address: sender } = this.#call.parties.find((known) => keyOf(known) === party) ?? {};
    this.conversation.signal(signal, guest !== undefined ? { guest } : sender !== undefined ? { sender } : {});
    await settle();
  }

  /** Another device accepts what was offered last. */
  async accepts(from: string, extra: Json = {}): Promise<void> {
    const { invitation, session } = this.last("invite");
    const part = { role: "second", nonce: "b".repeat(32), fingerprint: fingerprint("BB") };
    await this.says(from, { type: "accept", invitation, session, ...part, ...extra });
  }

  /** Another device answers what was offered over a session. */
  async answers(from: string): Promise<void> {
    const { session, offer } = this.last("sdp");
    await this.says(from, { type: "sdp", session, kind: "answer", sdp: sdpOf("BB"), tracks: {}, ...(offer !== undefined && { offer }) });
  }

  /** Another device invites, that of this party if the node says so; the invitation's id. */
  async invites(from: string, kind: string, extra: Json = {}, party?: string): Promise<string> {
    const id = `i${(this.#ids += 1)}`;
    await this.says(from, { type: "invite", invitation: id, session: id, kind, role: "second", commit: "0".repeat(64), ...extra }, party);
    return id;
  }

  /** Shows the camera, and another device accepts it. */
  async show(from: string): Promise<void> {
    await this.conversation.sources.start("camera", "");
    await settle();
    await this.accepts(from);
  }
}
