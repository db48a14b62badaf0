// How fast bytes go: measured over the last seconds, so that it follows the network and does not jump.

/** Milliseconds that are looked back on. */
const SPAN = 10_000;
/** Milliseconds below which nothing is said yet. */
const MIN = 2_000;
/** Milliseconds between two samples that are kept. */
const STEP = 500;

export class Pace {
  #samples: { readonly at: number; readonly bytes: number }[] = [];

  /** Bytes per second now that so many bytes are done; nothing while it cannot be told. */
  rate(at: number, bytes: number): number | undefined {
    if (at - (this.#samples.at(-1)?.at ?? -STEP) >= STEP) this.#samples.push({ at, bytes });
    this.#samples = this.#samples.filter((sample) => at - sample.at <= SPAN);
    const first = this.#samples[0];
    if (first === undefined || at - first.at < MIN || bytes <= first.bytes) return undefined;
    return ((bytes - first.bytes) * 1000) / (at - first.at);
  }

  /** It stands still on purpose. */
  reset(): void {
    this.#samples = [];
  }
}
