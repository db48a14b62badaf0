// The sending side of a transfer, without files or channels: says what to read and what to send next.
//
// | state   | input              | next state                                  |
// |---------|--------------------|---------------------------------------------|
// | waiting | have               | sending, from there (the first file's header) |
// | sending | closed             | waiting                                     |
// | sending | pause / resume     | the same; nothing is read while paused      |
// | sending | ok of the last file | done                                       |
// | waiting | have of all files  | done: only the last ok was lost             |
// | any     | cancel             | failed                                      |
import { hex, Sha256 } from "../sha256.ts";
import type { FileFrame, Position, Reason } from "./frames.ts";

/** Bytes that may be on their way beyond what the receiver has written. */
export const WINDOW = 16 * 1024 * 1024;

export interface Outgoing {
  readonly path: string;
  readonly size: number;
}

export type SenderStep =
  | { readonly do: "frame"; readonly frame: FileFrame }
  | { readonly do: "read"; readonly file: number; readonly offset: number; readonly length: number }
  | { readonly do: "wait" };

export type TransferState = "waiting" | "sending" | "done" | { readonly failed: Reason };

export class Sender {
  readonly #files: readonly Outgoing[];
  /** Bytes before each file, and of all. */
  readonly #starts: readonly number[];
  #state: TransferState = "waiting";
  #at: Position = { file: 0, offset: 0 };
  #acknowledged: Position = { file: 0, offset: 0 };
  #announced = false;
  #hash = new Sha256();
  /** What `#hash` covers. A repeated part is not hashed again. */
  #hashed: Position = { file: 0, offset: 0 };
  #digests: string[] = [];
  #paused = { here: false, there: false };

  constructor(files: readonly Outgoing[]) {
    this.#files = files;
    let sum = 0;
    this.#starts = [0, ...files.map((file) => (sum += file.size))];
  }

  get state(): TransferState {
    return this.#state;
  }

  get paused(): boolean {
    return this.#paused.here || this.#paused.there;
  }

  /** Bytes that the receiver has. */
  get progress(): number {
    return this.#before(this.#acknowledged);
  }

  pause(paused: boolean): FileFrame {
    this.#paused.here = paused;
    return { type: "pause", paused };
  }

  cancel(reason: Reason): FileFrame {
    if (this.#state !== "done") this.#state = { failed: reason };
    return { type: "cancel", reason };
  }

  closed(): void {
    if (this.#state === "sending") this.#state = "waiting";
  }

  received(frame: FileFrame): void {
    if (typeof this.#state !== "string" || this.#state === "done") return;
    if (frame.type === "cancel") this.#state = { failed: frame.reason };
    if (frame.type === "pause") this.#paused.there = frame.paused;
    if (frame.type === "have") this.#have(frame.at);
    if (frame.type === "ok" && frame.file === this.#files.length - 1 && this.#at.file === this.#files.length) {
      this.#acknowledged = this.#at;
      this.#state = "done";
    }
  }

  #have(at: Position): void {
    const file = this.#files[at.file];
    const valid = at.file === this.#files.length ? at.offset === 0 : file !== undefined && at.offset <= file.size;
    const read = this.#before(this.#hashed);
    if (!valid || this.#before(at) > read) {
      this.#state = { failed: "limit" };
      return;
    }
    this.#acknowledged = at;
    if (at.file === this.#files.length) this.#state = "done";
    if (this.#state !== "waiting") return;
    this.#state = "sending";
    this.#at = at;
    this.#announced = false;
  }

  /** What to do now. Call it again after each step, and after `received`. */
  next(chunk: number): SenderStep {
    const file = this.#files[this.#at.file];
    if (this.#state !== "sending" || this.paused || file === undefined) return { do: "wait" };
    if (!this.#announced) {
      this.#announced = true;
      return { do: "frame", frame: { type: "file", file: this.#at.file, path: file.path, size: file.size } };
    }
    const { file: index, offset } = this.#at;
    if (offset < file.size) {
      const room = WINDOW - (this.#before(this.#at) - this.#before(this.#acknowledged));
      const length = Math.min(chunk, file.size - offset);
      return room < length ? { do: "wait" } : { do: "read", file: index, offset, length };
    }
    if (this.#hashed.file === index) {
      this.#digests[index] = hex(this.#hash.digest());
      this.#hash = new Sha256();
      this.#hashed = { file: index + 1, offset: 0 };
    }
    this.#at = { file: index + 1, offset: 0 };
    this.#announced = false;
    return { do: "frame", frame: { type: "end", file: index, sha256: this.#digests[index]! } };
  }

  /** These bytes were read for the last `read` step and are about to be sent. */
  read(bytes: Uint8Array): void {
    const { file, offset } = this.#at;
    if (this.#hashed.file === file && offset + bytes.length > this.#hashed.offset) {
      this.#hash.update(bytes.subarray(this.#hashed.offset - offset));
      this.#hashed = { file, offset: offset + bytes.length };
    }
    this.#at = { file, offset: offset + bytes.length };
  }

  /** Bytes before a position. */
  #before(at: Position): number {
    return (this.#starts[at.file] ?? Infinity) + at.offset;
  }
}
