// What a unit test has instead of a browser: cameras, peer connections and sockets that it moves by hand.

/** A camera, screen or microphone that was opened. */
export class Track {
  readyState = "live";
  contentHint = "";
  onended: (() => void) | null = null;

  stop(): void {
    this.readyState = "ended";
  }
}

/** The machine's cameras and the like. */
export class Devices {
  readonly tracks: Track[] = [];
  /** Whether the person is still being asked. */
  asking = false;
  readonly #waiting: (() => void)[] = [];

  getUserMedia = (): Promise<object> => this.#open();
  getDisplayMedia = (): Promise<object> => this.#open();

  /** The person allows what was asked for first. */
  allow(): void {
    this.#waiting.shift()?.();
  }

  async #open(): Promise<object> {
    if (this.asking) await new Promise<void>((done) => this.#waiting.push(done));
    const track = new Track();
    this.tracks.push(track);
    return { getTracks: () => [track] };
  }
}

interface Description {
  readonly type: "offer" | "answer";
  readonly sdp: string;
}

export const fingerprint = (byte: string): string => Array(32).fill(byte).join(":");
export const sdpOf = (byte: string): string => `v=0\r\na=fingerprint:sha-256 ${fingerprint(byte)}\r\n`;

/** A peer connection that never leaves the test. */
export class Connection {
  static all: Connection[] = [];
  static generateCertificate = async (): Promise<object> => ({});

  connectionState = "new";
  signalingState = "stable";
  iceGatheringState = "new";
  localDescription: Description | null = null;
  currentLocalDescription: Description | null = null;
  remoteDescription: Description | null = null;
  onnegotiationneeded: (() => void) | null = null;
  onconnectionstatechange: (() => void) | null = null;
  onsignalingstatechange: (() => void) | null = null;
  onicegatheringstatechange: (() => void) | null = null;
  onicecandidateerror: ((error: { url: string; errorCode: number }) => void) | null = null;
  readonly senders: { track: Track | null }[] = [];
  configuration: RTCConfiguration;
  #needed = false;

  constructor(configuration: RTCConfiguration = {}) {
    this.configuration = configuration;
    Connection.all.push(this);
  }

  setConfiguration(configuration: RTCConfiguration): void {
    this.configuration = configuration;
  }

  createDataChannel(label: string, { protocol = "" } = {}): object {
    this.#need();
    return { label, protocol, readyState: "connecting", close: () => undefined, send: () => undefined };
  }

  addTrack(track: Track): object {
    const parameters = () => ({ encodings: [] });
    const sender = { track: track as Track | null, getParameters: parameters, setParameters: async () => undefined };
    this.senders.push(sender);
    this.#need();
    return sender;
  }

  removeTrack(sender: { track: Track | null }): void {
    sender.track = null;
    this.#need();
  }

  getTransceivers(): object[] {
    return this.senders.map((sender, n) => ({ sender, mid: String(n), currentDirection: "sendonly" }));
  }

  async createOffer(): Promise<Description> {
    return { type: "offer", sdp: sdpOf("AA") };
  }

  async setLocalDescription(): Promise<void> {
    const answers = this.signalingState === "have-remote-offer";
    this.#needed = false;
    this.localDescription = { type: answers ? "answer" : "offer", sdp: sdpOf("AA") };
    this.signalingState = answers ? "stable" : "have-local-offer";
    if (answers) this.currentLocalDescription = this.localDescription;
  }

  async setRemoteDescription(description: Description): Promise<void> {
    if (description.type === "answer" && this.signalingState !== "have-local-offer") throw new Error("no offer");
    this.remoteDescription = description;
    if (description.type === "answer") this.currentLocalDescription = this.localDescription;
    this.signalingState = description.type === "offer" ? "have-remote-offer" : "stable";
  }

  async addIceCandidate(): Promise<void> {}

  async getStats(): Promise<Map<string, object>> {
    return new Map();
  }

  restartIce(): void {
    this.#need();
  }

  close(): void {
    this.signalingState = this.connectionState = "closed";
  }

  /** The connection gets another state. */
  becomes(state: string): void {
    this.connectionState = state;
    this.onconnectionstatechange?.();
  }

  /** Every server has been asked; the relay answered with this error. */
  gathers(errorCode?: number): void {
    if (errorCode !== undefined) this.onicecandidateerror?.({ url: "turn:turn.example", errorCode });
    this.iceGatheringState = "complete";
    this.onicegatheringstatechange?.();
  }

  #need(): void {
    if (this.#needed) return;
    this.#needed = true;
    queueMicrotask(() => this.onnegotiationneeded?.());
  }
}

/** One end of a data channel that is open; the test is the other end. */
export class Channel {
  readonly label: string;
  readonly protocol = "sidecall-files";
  readyState = "open";
  readonly sent: unknown[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: (() => void) | null = null;

  constructor(label = "") {
    this.label = label;
  }

  send(frame: string): void {
    this.sent.push(JSON.parse(frame));
  }

  close(): void {
    this.readyState = "closed";
  }
}

/** A WebSocket whose other end is the test. */
export class Socket {
  static readonly OPEN = 1;
  static all: Socket[] = [];

  readonly url: string;
  readonly sent: string[] = [];
  readyState = 0;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;

  constructor(url: string) {
    this.url = url;
    Socket.all.push(this);
  }

  send(text: string): void {
    this.sent.push(text);
  }

  close(): void {
    this.readyState = 3;
  }

  opens(): void {
    this.readyState = Socket.OPEN;
    this.onopen?.();
  }

  takes(message: object): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }

  ends(code = 1006): void {
    this.readyState = 3;
    this.onclose?.({ code });
  }
}

/** Puts these in the place of the browser's, and gives the cameras. */
export function install(): Devices {
  const mediaDevices = new Devices();
  Connection.all = [];
  Socket.all = [];
  const value = { mediaDevices, languages: ["en"] };
  Object.defineProperty(globalThis, "navigator", { value, configurable: true });
  Object.assign(globalThis, { RTCPeerConnection: Connection, WebSocket: Socket });
  return mediaDevices;
}

/** Lets everything run that does not wait for a timer. */
export async function settle(): Promise<void> {
  for (let n = 0; n < 20; n += 1) await new Promise((done) => setImmediate(done));
}
