// What this device writes: texts until they have arrived, and that it reads and types.
import type { Call, CallEvent, Line, LineState } from "../core/calls.ts";
import { present } from "../core/people.ts";
import type { Card } from "../core/card.ts";
import { cleanText } from "../core/text.ts";
import type { Posted } from "../net/outbox.ts";
import { randomHex } from "./random.ts";

export interface TextsEvents {
  call(id: string): Call | undefined;
  step(event: CallEvent): void;
  post(address: string, content: object): Promise<Posted>;
}

type TextLine = Line & { readonly kind: "text" };

/** Others are told that we type at most this often. */
const TYPING = 3_000;

export class Texts {
  readonly #events: TextsEvents;
  readonly #from = randomHex();
  #typed = 0;

  constructor(events: TextsEvents) {
    this.#events = events;
  }

  write(id: string, raw: string, card?: Card): void {
    const [call, text] = [this.#events.call(id), cleanText(raw)];
    if (call === undefined || text === undefined) return;
    const body = { kind: "text", text, ...(card !== undefined && { card }) } as const;
    const line: TextLine = { id: randomHex(), at: Date.now(), own: true, state: "sending", ...body };
    this.#events.step({ type: "line", call: id, line, shown: true });
    void this.#send(id, line);
  }

  /** Sends a text again that could not be sent. */
  again(id: string, line: Line): void {
    if (line.kind !== "text" || line.state !== "failed") return;
    this.#events.step({ type: "state", call: id, ids: [line.id], state: "sending" });
    void this.#send(id, line);
  }

  /** Goes on with what was being sent when the page was left. Others ignore what they have already. */
  resume(call: Call): void {
    for (const line of call.lines) if (line.kind === "text" && line.own && line.state === "sending") void this.#send(call.id, line);
  }

  typing(id: string): void {
    if (Date.now() - this.#typed < TYPING) return;
    this.#typed = Date.now();
    this.tell(id, { type: "typing" });
  }

  /** The person sees this call's lines. */
  read(id: string): void {
    const call = this.#events.call(id);
    if (call === undefined || call.unread === 0) return;
    const ids = call.lines.filter((line) => !line.own && line.kind === "text").slice(-call.unread);
    this.#events.step({ type: "read", call: id });
    this.tell(id, { type: "seen", ids: ids.map((line) => line.id).slice(-50) });
  }

  /** Something ephemeral for everybody in the call. */
  tell(id: string, content: object): void {
    const call = this.#events.call(id);
    if (call === undefined) return;
    for (const { address } of present(call)) {
      if (address !== undefined) void this.#events.post(address, { ...content, from: this.#from, ephemeral: true });
    }
  }

  async #send(call: string, { id, text, card }: TextLine): Promise<void> {
    const addresses = present(this.#events.call(call)!).flatMap(({ address }) => address ?? []);
    const content = { type: "text", text, id, sent: Date.now(), ...(card !== undefined && { card }) };
    const posted = await Promise.all(addresses.map((address) => this.#events.post(address, content)));
    this.#events.step({ type: "state", call, ids: [id], state: outcome(posted) });
  }
}

function outcome(posted: readonly Posted[]): LineState {
  if (posted.some((result) => typeof result === "number" && result > 0)) return "sent";
  return posted.includes(0) ? "waiting" : "failed";
}
