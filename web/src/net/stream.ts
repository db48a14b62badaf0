// The node's stream of messages: one WebSocket that is opened again whenever it ends.
import { backoff } from "../core/backoff.ts";
import { type NodeMessage, parseFrame } from "../core/envelope.ts";

export type StreamState = "connecting" | "open" | "waiting" | "revoked";

export interface StreamEvents {
  /** Resolves when the message is safe and may be acknowledged. */
  message(message: NodeMessage): Promise<void>;
  state(state: StreamState): void;
  /** A connection could not be opened. It is tried again. */
  refused(): void;
}

/** The close code of a node that has removed the device, or whose guest is no longer in the call. */
const REVOKED = 1008;
/** Ids that are remembered, to ignore repeats. */
const REMEMBERED = 1000;

export class Stream {
  readonly #url: string;
  readonly #token: string;
  readonly #events: StreamEvents;
  readonly #known = new Set<string>();
  #socket: WebSocket | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #attempt = 0;
  #stopped = false;

  /** `path` is where the stream is, below the node's address. */
  constructor(node: string, path: string, token: string, events: StreamEvents) {
    const url = new URL(path, node);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    this.#url = url.href;
    this.#token = token;
    this.#events = events;
    this.#connect();
  }

  /** The network may be back, or another one: connects now. */
  retry(): void {
    if (this.#stopped || this.#timer === undefined) return;
    this.#attempt = 0;
    this.#connect();
  }

  /** Leaves a connection that may be dead without saying so, and makes another. */
  replace(): void {
    if (this.#stopped) return;
    this.#attempt = 0;
    this.#connect();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#leave();
  }

  #connect(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#leave();
    this.#events.state("connecting");
    const socket = new WebSocket(this.#url, ["sidecall", `bearer.${this.#token}`]);
    this.#socket = socket;
    let opened = false;
    socket.onopen = () => {
      opened = true;
      this.#attempt = 0;
      this.#events.state("open");
    };
    socket.onmessage = (event: MessageEvent<unknown>) => {
      if (typeof event.data === "string") void this.#take(socket, event.data);
    };
    socket.onclose = (event) => {
      this.#socket = undefined;
      if (event.code === REVOKED) {
        this.#stopped = true;
        this.#events.state("revoked");
        return;
      }
      this.#events.state("waiting");
      this.#timer = setTimeout(() => this.#connect(), backoff(this.#attempt, Math.random()));
      this.#attempt += 1;
      if (!opened) this.#events.refused();
    };
  }

  #leave(): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
    this.#socket = undefined;
  }

  async #take(socket: WebSocket, frame: string): Promise<void> {
    const message = parseFrame(frame);
    if (message === undefined) return;
    if (!this.#known.has(message.id)) {
      this.#remember(message.id);
      if ("type" in message) await this.#events.message(message);
    }
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ ack: message.id }));
  }

  #remember(id: string): void {
    this.#known.add(id);
    if (this.#known.size > REMEMBERED) this.#known.delete(this.#known.values().next().value!);
  }
}
