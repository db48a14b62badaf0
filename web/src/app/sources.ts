// The camera, screen and microphone that this device shows in one call.
import { SOURCES, type Source } from "../core/signal.ts";
import { capture } from "../media/capture.ts";

export class Sources {
  readonly #changed: (source: Source) => void;
  readonly #tracks = new Map<Source, MediaStreamTrack>();
  readonly #opening = new Set<Source>();

  constructor(changed: (source: Source) => void) {
    this.#changed = changed;
  }

  get tracks(): ReadonlyMap<Source, MediaStreamTrack> {
    return this.#tracks;
  }

  /** Opens a source. It ends by `stop`, or when the person ends it in the browser. */
  async start(source: Source, device: string): Promise<boolean> {
    if (this.#tracks.has(source) || this.#opening.has(source)) return false;
    this.#opening.add(source);
    try {
      const track = await capture(source, device);
      track.onended = () => this.stop(source);
      this.#tracks.set(source, track);
    } finally {
      this.#opening.delete(source);
    }
    this.#changed(source);
    return true;
  }

  stop(source: Source): void {
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
}
