// How to connect to others: the servers that help, and whether all media has to be relayed.
import { backoff } from "../core/backoff.ts";
import type { IceAnswer } from "../net/api.ts";

/** Milliseconds before credentials expire at which the node is asked for others. */
const MARGIN = 300_000;

/** Asks the node. Nothing connects without its answer: that could show others an address that they must not learn. */
export class Ice {
  readonly #ask: () => Promise<IceAnswer>;
  readonly #changed: () => void;
  #answer: IceAnswer | undefined;
  #asking: Promise<RTCConfiguration> | undefined;
  /** Whether the node was asked and did not answer. */
  silent = false;

  constructor(ask: () => Promise<IceAnswer>, changed: () => void) {
    this.#ask = ask;
    this.#changed = changed;
  }

  /** The node's answer, with valid credentials. Its last one if it does not answer now; rejects if it never has. */
  current(): Promise<RTCConfiguration> {
    if (this.#answer !== undefined && this.#answer.expires - Date.now() > MARGIN) return Promise.resolve(this.#answer.configuration);
    this.#asking ??= this.#renew().finally(() => (this.#asking = undefined));
    return this.#asking;
  }

  /** Waits for the node's answer as long as that is wanted. */
  async awaited(wanted: () => boolean): Promise<RTCConfiguration | undefined> {
    for (let attempt = 0; wanted(); attempt += 1) {
      const configuration = await this.current().catch(() => undefined);
      if (configuration !== undefined) return wanted() ? configuration : undefined;
      await new Promise((done) => setTimeout(done, backoff(attempt, Math.random())));
    }
    return undefined;
  }

  async #renew(): Promise<RTCConfiguration> {
    try {
      this.#answer = await this.#ask();
      this.#tell(false);
    } catch (error) {
      this.#tell(true);
      if (this.#answer === undefined) throw error;
    }
    return this.#answer.configuration;
  }

  #tell(silent: boolean): void {
    if (silent === this.silent) return;
    this.silent = silent;
    this.#changed();
  }
}
