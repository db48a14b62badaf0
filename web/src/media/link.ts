// One RTCPeerConnection: carries out what the negotiation decides, sends the local sources, and reports the remote ones.
import { negotiate, type Negotiation, negotiation, type NegotiationInput } from "../core/negotiation.ts";
import type { Candidate, Ice, Sdp, Source, Tracks } from "../core/signal.ts";

export type LinkState = "connecting" | "connected" | "interrupted";

export type LinkSignal =
  | { readonly type: "sdp"; readonly kind: "offer" | "answer"; readonly sdp: string; readonly tracks: Tracks; readonly offer?: number }
  | { readonly type: "ice"; readonly candidates: readonly Candidate[] };

/** Why there is no relay. A refusal is an error code of TURN (RFC 8656, section 19). */
export type RelayFailure = "unreachable" | { readonly refused: number };

export interface LinkEvents {
  /** Resolves with how many devices it reached, or why none. */
  send(signal: LinkSignal): Promise<unknown>;
  state(state: LinkState): void;
  /** What the other side shows now. */
  remote(tracks: ReadonlyMap<Source, MediaStreamTrack>): void;
  channel(channel: RTCDataChannel): void;
  /** Whether a relay that is needed does not help; it may yet. */
  relay(failure: RelayFailure | undefined): void;
  /** The configuration as it is now: credentials expire. */
  configuration(): Promise<RTCConfiguration>;
  /** This connection will not come back; only a new one helps. */
  stuck(): void;
}

const BUNDLE = "max-bundle";
const CANDIDATES_MAX = 32;
/** How long an interruption may last before ICE is restarted, and how long a connection may take. */
const PATIENCE = 2_000;
const CONNECT = 15_000;
/** How long a relay may take to answer. */
const RELAY = 8_000;
/** How long an offer waits for its answer, and for somebody to be there whom it can reach. */
const ANSWER = 5_000;
const ABSENT = 2_000;

const BITRATE: Record<Source, number> = { camera: 1_800_000, screen: 3_500_000, microphone: 48_000 };

export class Link {
  readonly connection: RTCPeerConnection;
  /** Whether nothing but a relay may be used. */
  readonly relayOnly: boolean;
  readonly #events: LinkEvents;
  readonly #senders = new Map<Source, RTCRtpSender>();
  #negotiation: Negotiation;
  #remoteTracks: Tracks = {};
  #early: Candidate[] = [];
  #gathered: Candidate[] = [];
  #trickling = false;
  /** What the relays have said since they were asked: that they help, or that they refuse to. */
  #relays: { help: boolean; refused?: number } = { help: false };
  #timers = new Map<string, ReturnType<typeof setTimeout>>();
  #steps: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(polite: boolean, begins: boolean, configuration: RTCConfiguration, events: LinkEvents) {
    this.#events = events;
    this.#negotiation = negotiation(polite, begins);
    this.relayOnly = configuration.iceTransportPolicy === "relay";
    const connection = new RTCPeerConnection({ bundlePolicy: BUNDLE, ...configuration });
    this.connection = connection;
    connection.onnegotiationneeded = () => this.#input({ type: "needed" });
    connection.onicecandidate = ({ candidate }) => candidate && this.#gather(candidate);
    connection.onicecandidateerror = ({ url, errorCode }) => {
      if (isRefusal(url, errorCode)) this.#relays.refused ??= errorCode;
    };
    connection.onicegatheringstatechange = () => connection.iceGatheringState === "complete" && this.#judgeRelays();
    connection.onconnectionstatechange = () => this.#watch();
    connection.ondatachannel = ({ channel }) => this.#events.channel(channel);
    connection.onsignalingstatechange = () => this.#report();
    this.#allow();
  }

  /** Sends a source from now on, another track of it, or no longer. */
  async setSource(source: Source, track: MediaStreamTrack | undefined): Promise<void> {
    const sender = this.#senders.get(source);
    if (track === undefined) {
      if (sender !== undefined) this.connection.removeTrack(sender);
      this.#senders.delete(source);
    } else if (sender !== undefined) {
      await sender.replaceTrack(track);
    } else {
      const added = this.connection.addTrack(track);
      this.#senders.set(source, added);
      await tune(added, source);
    }
  }

  openChannel(label: string, protocol = ""): RTCDataChannel {
    return this.connection.createDataChannel(label, { protocol });
  }

  /** Takes a description whose sender has been verified, or candidates. */
  signal(signal: Sdp | Ice): void {
    if (signal.type === "ice") {
      this.#queue(() => this.#candidates(signal.candidates));
    } else {
      this.#input({ type: signal.kind, offer: signal.offer }, signal);
    }
  }

  /** The network has changed: looks for other ways, with credentials that are valid. */
  async restartIce(): Promise<void> {
    if (this.#closed) return;
    this.#allow();
    const configuration = await this.#events.configuration();
    // Firefox before 119 cannot: it gets a new connection.
    this.#queue(async () => {
      this.connection.setConfiguration({ bundlePolicy: BUNDLE, ...configuration });
      this.connection.restartIce();
    });
  }

  /** How long the connection may take. */
  #allow(): void {
    this.#relays = { help: false };
    this.#timer("connect", CONNECT, () => this.connection.connectionState === "connected" || this.#events.stuck());
    this.#timer("relay", RELAY, () => this.#judgeRelays());
  }

  close(): void {
    this.#closed = true;
    this.#timers.forEach((timer) => clearTimeout(timer));
    this.connection.close();
  }

  #input(input: NegotiationInput, signal?: Sdp): void {
    this.#queue(async () => {
      const [next, actions] = negotiate(this.#negotiation, input);
      this.#negotiation = next;
      for (const action of actions) {
        if (action === "apply" && signal !== undefined) await this.#apply(signal);
        if (action === "offer" || action === "answer") await this.connection.setLocalDescription();
        if (action === "offer" || action === "answer" || action === "repeat") this.#sendDescription(this.connection.localDescription);
        if (action === "answer again") this.#answerAgain();
        if (action === "give up") this.#events.stuck();
      }
    });
  }

  /** Steps run one after the other, each to its end. */
  #queue(step: () => Promise<void>): void {
    this.#steps = this.#steps.then(async () => {
      if (this.#closed) return;
      await step().catch(() => this.#closed || this.#events.stuck());
    });
  }

  async #apply(signal: Sdp): Promise<void> {
    this.#remoteTracks = signal.tracks;
    await this.connection.setRemoteDescription({ type: signal.kind, sdp: signal.sdp });
    const early = this.#early;
    this.#early = [];
    await this.#candidates(early);
    this.#report();
  }

  /** Unless an own offer has been answered since: then the answer has arrived. */
  #answerAgain(): void {
    const answer = this.connection.currentLocalDescription;
    if (answer?.type === "answer") this.#sendDescription(answer);
  }

  /** Sends an answer, or an offer until it is answered. */
  #sendDescription(description: RTCSessionDescription | null): void {
    if (description === null || (description.type !== "offer" && description.type !== "answer")) return;
    const { type: kind, sdp } = description;
    const { offer: own, remoteOffer } = this.#negotiation;
    const offer = kind === "offer" ? own : remoteOffer;
    const sent = this.#events.send({ type: "sdp", kind, sdp, tracks: this.#localTracks(), ...(offer !== undefined && { offer }) });
    if (kind === "offer") void sent.then((reached) => this.#expectAnswer(reached === 0 || reached === "unreachable"));
  }

  #expectAnswer(absent: boolean): void {
    if (this.#closed || !this.#negotiation.offering) return;
    const type = absent ? "undelivered" : "unanswered";
    this.#timer("answer", absent ? ABSENT : ANSWER, () => this.#input({ type }));
  }

  #localTracks(): Tracks {
    const tracks: Record<string, Source> = {};
    for (const [source, sender] of this.#senders) {
      const mid = this.connection.getTransceivers().find((transceiver) => transceiver.sender === sender)?.mid;
      if (mid != null) tracks[mid] = source;
    }
    return tracks;
  }

  async #candidates(candidates: readonly Candidate[]): Promise<void> {
    if (this.connection.remoteDescription === null) {
      this.#early = [...this.#early, ...candidates].slice(0, CANDIDATES_MAX * 2);
      return;
    }
    for (const candidate of candidates) {
      // One that belongs to an ignored offer, or that this browser cannot use: the others are enough.
      await this.connection.addIceCandidate(candidate).catch(() => undefined);
    }
  }

  #gather(candidate: RTCIceCandidate): void {
    const { candidate: line, sdpMid, sdpMLineIndex } = candidate;
    if (candidate.type === "relay") {
      this.#relays.help = true;
      this.#judgeRelays();
    }
    this.#gathered.push({ candidate: line, sdpMid, sdpMLineIndex });
    if (!this.#trickling) void this.#trickle();
  }

  /** Those that are found while others are being sent go together. No timer: in a hidden page, it would be late. */
  async #trickle(): Promise<void> {
    this.#trickling = true;
    while (this.#gathered.length > 0 && !this.#closed) {
      await this.#events.send({ type: "ice", candidates: this.#gathered.splice(0, CANDIDATES_MAX) });
    }
    this.#trickling = false;
  }

  #judgeRelays(): void {
    // The relays are not asked before there is a description.
    if (this.connection.iceGatheringState === "new") return;
    const { help, refused } = this.#relays;
    const missing = refused !== undefined ? { refused } : this.relayOnly ? "unreachable" : undefined;
    this.#events.relay(help ? undefined : missing);
  }

  #watch(): void {
    switch (this.connection.connectionState) {
      case "connected":
        this.#stopTimer("patience");
        this.#stopTimer("connect");
        this.#stopTimer("relay");
        this.#events.state("connected");
        this.#report();
        break;
      case "disconnected":
        this.#events.state("interrupted");
        this.#timer("patience", PATIENCE, () => void this.restartIce());
        break;
      case "failed":
        this.#events.state("interrupted");
        void this.restartIce();
        break;
    }
  }

  #report(): void {
    if (this.#closed || this.connection.signalingState !== "stable") return;
    const tracks = new Map<Source, MediaStreamTrack>();
    for (const transceiver of this.connection.getTransceivers()) {
      const source = transceiver.mid === null ? undefined : this.#remoteTracks[transceiver.mid];
      const receives = transceiver.currentDirection === "recvonly" || transceiver.currentDirection === "sendrecv";
      if (source !== undefined && receives) tracks.set(source, transceiver.receiver.track);
    }
    this.#events.remote(tracks);
  }

  #timer(name: string, after: number, run: () => unknown): void {
    this.#stopTimer(name);
    this.#timers.set(
      name,
      setTimeout(() => {
        this.#timers.delete(name);
        run();
      }, after),
    );
  }

  #stopTimer(name: string): void {
    clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
  }
}

/** Whether a TURN server has answered that it does not help. From 700, the browser has found no server. */
function isRefusal(url: string, code: number): boolean {
  return /^turns?:/.test(url) && code < 700;
}

/** A screen stays sharp and a camera stays fluid when there is too little bandwidth. */
async function tune(sender: RTCRtpSender, source: Source): Promise<void> {
  const parameters: RTCRtpSendParameters & { degradationPreference?: string } = sender.getParameters();
  for (const encoding of parameters.encodings) encoding.maxBitrate = BITRATE[source];
  if (source === "screen") parameters.degradationPreference = "maintain-resolution";
  await sender.setParameters(parameters).catch(() => undefined);
}
