// The device's place at its node: bound to its number, with a stream that is kept open.
import type { NodeMessage } from "../core/envelope.ts";
import { type Api, ApiError, type Device } from "../net/api.ts";
import { Stream, type StreamState } from "../net/stream.ts";

export interface BindingEvents {
  /** Resolves when the message is safe and may be acknowledged. */
  message(message: NodeMessage): Promise<void>;
  state(state: StreamState): void;
}

export class Binding {
  readonly #device: Device;
  readonly #api: Api;
  readonly #events: BindingEvents;
  #stream: Stream | undefined;
  #stopped = false;
  /** The client's id at the node. */
  client = "";

  constructor(device: Device, api: Api, events: BindingEvents) {
    this.#device = device;
    this.#api = api;
    this.#events = events;
  }

  /** Binds and listens. Fails if the node cannot be reached or refuses the device. */
  async start(): Promise<void> {
    const client = await this.#api.bind(this.#device);
    if (!this.#stopped) this.#listen(client);
  }

  stop(): void {
    this.#stopped = true;
    this.#stream?.stop();
    this.#stream = undefined;
  }

  /** The network may be back: connects now, if there is no connection. */
  retry(): void {
    this.#stream?.retry();
  }

  /** The network is another one, or the machine has slept: connects again. */
  replace(): void {
    this.#stream?.replace();
  }

  #listen(client: string): void {
    this.client = client;
    const events = { ...this.#events, refused: () => void this.#bindAgain(stream) };
    const stream = new Stream(this.#api.node, client, this.#device.token, events);
    this.#stream = stream;
  }

  /** The node may have forgotten the client, or the device. A browser does not tell why a stream cannot be opened. */
  async #bindAgain(stream: Stream): Promise<void> {
    try {
      const client = await this.#api.bind(this.#device);
      if (this.#stream !== stream || client === this.client) return;
      stream.stop();
      this.#listen(client);
    } catch (error) {
      // The stream tries again, and then this does.
      if (this.#stream !== stream || !(error instanceof ApiError) || error.failure !== "unauthorized") return;
      this.stop();
      this.#events.state("revoked");
    }
  }
}
