// The sessions of one call: one for each other device.
import type { Identity } from "../media/certificate.ts";
import type { Ice } from "./ice.ts";
import { Session, type SessionFacts } from "./session.ts";
import type { Transfers } from "./transfers.ts";

/** Who this device is in the call, and how it may connect. */
export interface Self {
  readonly identity: Identity;
  readonly from: string;
  readonly ice: Ice;
}

export interface SessionsEvents {
  post(address: string, content: object): Promise<unknown>;
  changed(): void;
  saveSession(facts: SessionFacts): void;
  forgetSession(id: string): void;
  /** The last session has ended: nobody is shown anything any more. */
  alone(): void;
}

const MAX = 16;

export class Sessions {
  readonly #self: Self;
  readonly #transfers: Transfers;
  readonly #events: SessionsEvents;
  readonly #all = new Map<string, Session>();

  constructor(self: Self, transfers: Transfers, events: SessionsEvents) {
    this.#self = self;
    this.#transfers = transfers;
    this.#events = events;
  }

  get all(): readonly Session[] {
    return [...this.#all.values()];
  }

  /** Whether there may be no more. */
  get full(): boolean {
    return this.#all.size >= MAX;
  }

  get(id: string): Session | undefined {
    return this.#all.get(id);
  }

  /** The one with this device of this party. */
  with(from: string, party: string | undefined): Session | undefined {
    return this.all.find((session) => session.isWith(from, party));
  }

  open(facts: SessionFacts): Session {
    const { ice, identity } = this.#self;
    const session = new Session(facts, ice, identity.certificate, {
      send: (from, content) => this.#events.post(from.facts.address, content),
      changed: () => this.#events.changed(),
      channel: (from, channel) => {
        if (channel.label !== "control") this.#transfers.take(from, channel);
      },
      connected: (from) => {
        this.keepOne(from);
        this.#transfers.connected(from);
      },
      save: (saved) => this.#events.saveSession(saved),
      impostor: (from) => this.end(from),
    });
    this.#all.set(facts.id, session);
    return session;
  }

  /** Both sides may have invited each other at once: of two sessions with a device, the one with the lower id stays. */
  keepOne(session: Session): void {
    const { from, party } = session.facts;
    const same = this.all.filter((other) => other.isWith(from, party));
    const [kept, ...rest] = same.sort((a, b) => (a.facts.id < b.facts.id ? -1 : 1));
    for (const other of rest) {
      this.#transfers.moved(other, kept!);
      this.end(other);
    }
  }

  /** Closes a session and tells the other side. */
  end(session: Session): void {
    void this.#events.post(session.facts.address, { type: "bye", session: session.facts.id });
    this.close(session);
  }

  close(session: Session): void {
    session.close();
    this.#all.delete(session.facts.id);
    this.#events.forgetSession(session.facts.id);
    this.#transfers.closed(session);
    if (this.#all.size === 0) this.#events.alone();
    this.#events.changed();
  }
}
