// The client's place at its node: made known to it, with a stream that is kept open.
import type { NodeMessage } from "../core/envelope.ts";
import type { Access, Bound } from "../net/access.ts";
import { ApiError } from "../net/api.ts";
import { Stream, type StreamState } from "../net/stream.ts";

export interface BindingEvents {
  /** Resolves when the message is safe and may be acknowledged. */
  message(message: NodeMessage): Promise<void>;
  state(state: StreamState): void;
}

export class Binding {
  readonly #access: Access;
  readonly #events: BindingEvents;
  #stream: Stream | undefined;
  #stopped = false;
  /** The client's id at the node. */
  client = "";

  constructor(access: Access, events: BindingEvents) {
    this.#access = access;
    this.#events = events;
  }

  /** Binds and listens. Fails if the node cannot be reached or refuses the client. */
  async start(): Promise<void> {
    const bound = await this.#access.bind();
    if (!this.#stopped) this.#listen(bound);
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

  #listen({ client, path, token }: Bound): void {
    this.client = client;
    const events = { ...this.#events, refused: () => void this.#bindAgain(stream) };
    const stream = new Stream(this.#access.node, path, token, events);
    this.#stream = stream;
  }

  /** The node may have forgotten the client, or refuse it from now on. A browser does not tell why a stream cannot be opened. */
  async #bindAgain(stream: Stream): Promise<void> {
    try {
      const bound = await this.#access.bind();
      if (this.#stream !== stream || bound.client === this.client) return;
      stream.stop();
      this.#listen(bound);
    } catch (error) {
      // The stream tries again, and then this does.
      if (this.#stream !== stream || !(error instanceof ApiError) || error.failure !== "unauthorized") return;
      this.stop();
      this.#events.state("revoked");
    }
  }
}
