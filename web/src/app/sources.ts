// The camera, screen and microphone that this device shows in one call.
import { SOURCES, type Source } from "../core/signal.ts";
import { capture } from "../media/capture.ts";

export class Sources {
  readonly #changed: (source: Source) => void;
  readonly #tracks = new Map<Source, MediaStreamTrack>();
  /** Sources that are being opened, each with the attempt that may still be used. */
  readonly #opening = new Map<Source, object>();
  #closed = false;

  constructor(changed: (source: Source) => void) {
    this.#changed = changed;
  }

  get tracks(): ReadonlyMap<Source, MediaStreamTrack> {
    return this.#tracks;
  }

  /** Opens a source. It ends by `stop`, or when the person ends it in the browser; also if that comes before it is open. */
  async start(source: Source, device: string): Promise<boolean> {
    if (this.#closed || this.#tracks.has(source) || this.#opening.has(source)) return false;
    const attempt = {};
    const current = () => this.#opening.get(source) === attempt;
    this.#opening.set(source, attempt);
    try {
      const track = await capture(source, device);
      if (!current()) {
        track.stop();
        return false;
      }
      track.onended = () => this.stop(source);
      this.#tracks.set(source, track);
    } finally {
      if (current()) this.#opening.delete(source);
    }
    this.#changed(source);
    return true;
  }

  stop(source: Source): void {
    this.#opening.delete(source);
    const track = this.#tracks.get(source);
    if (track === undefined) return;
    track.onended = null;
    track.stop();
    this.#tracks.delete(source);
    this.#changed(source);
  }

  stopAll(): void {
    SOURCES.forEach((source) => this.stop(source));
  }

  /** The call is over: stops all, and nothing opens any more. */
  close(): void {
    this.#closed = true;
    this.stopAll();
  }
}
