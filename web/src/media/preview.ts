// The own camera, before anybody else sees it: one track at a time, the one that was asked for last.
import { capture } from "./capture.ts";

export class CameraPreview {
  #generation = 0;
  #track: MediaStreamTrack | undefined;

  /** Opens a camera instead of the last one. Nothing if it cannot be opened, or is no longer wanted by then. */
  async open(device: string): Promise<MediaStreamTrack | undefined> {
    this.close();
    const generation = this.#generation;
    const track = await capture("camera", device).catch(() => undefined);
    if (generation !== this.#generation) {
      track?.stop();
      return undefined;
    }
    this.#track = track;
    return track;
  }

  close(): void {
    this.#generation += 1;
    this.#track?.stop();
    this.#track = undefined;
  }
}
