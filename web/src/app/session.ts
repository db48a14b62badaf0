// A session: the connection between this device and one other, who it is verified to be, and what it carries.
import { differ } from "../core/people.ts";
import type { Role } from "../core/envelope.ts";
import { type Counters, quality, sample, type Quality } from "../core/quality.ts";
import type { Ice as Candidates, Sdp, Signal, Source } from "../core/signal.ts";
import { commitment, fourWords, isFrom, type Proof } from "../core/verify.ts";
import type { Ice } from "./ice.ts";
import { Link, type LinkSignal, type LinkState, type RelayFailure } from "../media/link.ts";

/** What a session is, apart from its connection; kept across a reload. */
export interface SessionFacts {
  readonly id: string;
  readonly call: string;
  readonly inviter: boolean;
  readonly polite: boolean;
  /** Which connection it is: 0, then the time when a new one was asked for. The later one counts. */
  readonly round: number;
  /** The key of the party that the other device belongs to (see `keyOf`); empty if it is not known. */
  readonly party: string;
  /** The other device, and where it is reached. */
  readonly from: string;
  readonly address: string;
  readonly own: Proof;
  readonly remote?: Proof;
  /** What the inviter has committed to, until it is revealed. */
  readonly commit?: string;
}

export interface SessionEvents {
  send(session: Session, content: object): Promise<unknown>;
  changed(): void;
  channel(session: Session, channel: RTCDataChannel): void;
  /** A connection is up: the first, or another after the last was lost. */
  connected(session: Session): void;
  save(facts: SessionFacts): void;
  /** Somebody else's certificate: the session must end. */
  impostor(session: Session): void;
}

const SAMPLE = 3_000;
/** Rebuilding is tried so often without success before the session waits for the network to change. */
const REBUILDS = 5;
/** More of what the other side says early is not kept. */
const EARLY_MAX = 64;

export class Session {
  #facts: SessionFacts;
  readonly #ice: Ice;
  readonly #certificate: RTCCertificate;
  readonly #events: SessionEvents;
  /** The connection, once the node has said how to connect. */
  #link: Link | undefined;
  /** What the other side has said until then. */
  #early: (Sdp | Candidates)[] = [];
  #closed = false;
  #sources: ReadonlyMap<Source, MediaStreamTrack> = new Map();
  #rebuilds = 0;
  #counters: Counters = { lost: 0, received: 0 };
  readonly #sampler: ReturnType<typeof setInterval>;
  state: LinkState = "connecting";
  quality: Quality = "good";
  relayed = false;
  #relayFailure: RelayFailure | undefined;
  remote: ReadonlyMap<Source, MediaStreamTrack> = new Map();

  /** The inviter offers. */
  constructor(facts: SessionFacts, ice: Ice, certificate: RTCCertificate, events: SessionEvents) {
    this.#facts = facts;
    this.#ice = ice;
    this.#certificate = certificate;
    this.#events = events;
    void this.#connect(facts.inviter);
    this.#sampler = setInterval(() => void this.#measure(), SAMPLE);
    events.save(facts);
  }

  get facts(): SessionFacts {
    return this.#facts;
  }

  /** Whether it is with this device. Anybody may use its name, so the parties must not differ either. */
  isWith(from: string, party: string | undefined): boolean {
    return this.#facts.from === from && !differ(this.#facts.party, party);
  }

  /** The words to compare by voice, once both sides' parts are known. */
  get words(): readonly string[] {
    const { inviter, own, remote } = this.#facts;
    if (remote === undefined) return [];
    return inviter ? fourWords(own, remote) : fourWords(remote, own);
  }

  /** The other side has given up trying to reach us by itself, or we have. */
  get lost(): boolean {
    return this.#rebuilds > REBUILDS;
  }

  /** Whether the node does not say how to connect. */
  get unanswered(): boolean {
    return this.#link === undefined && this.#ice.silent;
  }

  /** Why a relay does not help. If there are other ways, only once they have not led to the other side either. */
  get relayFailure(): RelayFailure | undefined {
    return this.#link?.relayOnly || this.#rebuilds > 0 ? this.#relayFailure : undefined;
  }

  setSources(sources: ReadonlyMap<Source, MediaStreamTrack>): void {
    for (const source of ["camera", "screen", "microphone"] as const) {
      if (this.#sources.get(source) === sources.get(source)) continue;
      void this.#link?.setSource(source, sources.get(source));
    }
    this.#sources = new Map(sources);
  }

  /** Of a session that is connected. */
  openChannel(label: string, protocol: string): RTCDataChannel {
    return this.#link!.openChannel(label, protocol);
  }

  signal(signal: Signal & { readonly session: string }): void {
    const { round } = this.#facts;
    if (signal.type === "ice" && signal.round === round) this.#take(signal);
    if (signal.type === "sdp" && signal.round === round && this.#verified(signal)) this.#take(signal);
    if (signal.type === "restart" && signal.round > round) this.#rebuild(true, signal.round);
  }

  /** Builds the connection anew and asks the other side to offer. */
  restart(): void {
    const round = Math.max(Date.now(), this.#facts.round + 1);
    this.#rebuild(false, round);
    void this.#events.send(this, { type: "restart", session: this.#facts.id, round, ephemeral: true });
  }

  networkChanged(): void {
    this.#rebuilds = 0;
    if (this.state === "connected") void this.#link?.restartIce();
    else this.restart();
  }

  close(): void {
    clearInterval(this.#sampler);
    this.#closed = true;
    this.#link?.close();
    this.remote = new Map();
  }

  #take(signal: Sdp | Candidates): void {
    if (this.#link !== undefined) this.#link.signal(signal);
    else if (this.#early.length < EARLY_MAX) this.#early.push(signal);
  }

  /** Connects as soon as the node has said how, and offers if this side begins. */
  async #connect(begins: boolean): Promise<void> {
    const { round, polite } = this.#facts;
    const said = await this.#ice.awaited(() => !this.#closed && this.#facts.round === round);
    if (said === undefined) return;
    const certificates = [this.#certificate];
    const link = new Link(polite, begins, { ...said, certificates }, {
      send: (signal) => this.#send(signal),
      state: (state) => this.#stateChanged(state),
      remote: (tracks) => {
        this.remote = tracks;
        this.#events.changed();
      },
      channel: (channel) => this.#events.channel(this, channel),
      relay: (failure) => {
        this.#relayFailure = failure;
        this.#events.changed();
      },
      configuration: async () => ({ ...(await this.#ice.current()), certificates }),
      stuck: () => this.#stuck(),
    });
    this.#link = link;
    for (const [source, track] of this.#sources) void link.setSource(source, track);
    if (begins) link.openChannel("control");
    for (const signal of this.#early.splice(0)) link.signal(signal);
    this.#events.changed();
  }

  #rebuild(begins: boolean, round: number): void {
    this.#link?.close();
    this.#link = undefined;
    this.#early = [];
    this.#facts = { ...this.#facts, round };
    this.#events.save(this.#facts);
    this.state = "connecting";
    this.remote = new Map();
    this.#counters = { lost: 0, received: 0 };
    void this.#connect(begins);
    this.#events.changed();
  }

  #stuck(): void {
    this.#rebuilds += 1;
    if (this.lost) {
      this.state = "interrupted";
      this.#events.changed();
      return;
    }
    this.restart();
  }

  #stateChanged(state: LinkState): void {
    const before = this.state;
    this.state = state;
    if (state === "connected") {
      this.#rebuilds = 0;
      if (before !== "connected") this.#events.connected(this);
    }
    this.#events.changed();
  }

  #send(signal: LinkSignal): Promise<unknown> {
    const { id, inviter, own, round } = this.#facts;
    const reveal = inviter && signal.type === "sdp" ? { nonce: own.nonce } : {};
    return this.#events.send(this, { ...signal, ...reveal, session: id, round, ephemeral: true });
  }

  /** Whether a description is from the device that the session was agreed with. */
  #verified(signal: Sdp): boolean {
    const { remote, commit } = this.#facts;
    let fingerprint = remote?.fingerprint;
    if (fingerprint === undefined && commit !== undefined && signal.nonce !== undefined) {
      const found = /^a=fingerprint:sha-256 (\S+)/im.exec(signal.sdp)?.[1]?.toUpperCase() ?? "";
      if (commitment({ nonce: signal.nonce, fingerprint: found }) === commit) {
        fingerprint = found;
        this.#facts = { ...this.#facts, remote: { nonce: signal.nonce, fingerprint } };
        this.#events.save(this.#facts);
      }
    }
    if (fingerprint !== undefined && isFrom(signal.sdp, fingerprint)) return true;
    this.#events.impostor(this);
    return false;
  }

  async #measure(): Promise<void> {
    if (this.state !== "connected") return;
    const reports = await this.#link?.connection.getStats().catch(() => undefined);
    if (reports === undefined) return;
    const all: Record<string, unknown>[] = [];
    reports.forEach((report: Record<string, unknown>) => all.push(report));
    const measured = sample(all, this.#counters);
    this.#counters = measured.counters;
    if (measured.sample === undefined) return;
    const [before, relayed] = [this.quality, this.relayed];
    this.quality = quality(measured.sample);
    this.relayed = measured.sample.relayed;
    if (this.quality !== before || this.relayed !== relayed) this.#events.changed();
  }
}

/** Who gives way when both sides offer at once. */
export function isPolite(own: Role, remote: Role, inviter: boolean): boolean {
  return own === remote ? !inviter : own === "second";
}
