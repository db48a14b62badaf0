// The receiving side of a transfer, without disk or channels: says what to write and what to answer. The sender is not trusted:
// more files or bytes than it announced, or another order, end the transfer.
import { hex, Sha256 } from "../sha256.ts";
import type { Bundle } from "../signal.ts";
import { cleanPath } from "../text.ts";
import type { FileFrame, Reason } from "./frames.ts";
import type { TransferState } from "./sender.ts";

/** Bytes after which the receiver says how far it is. */
const REPORT = 1024 * 1024;

export type ReceiverAction =
  | { readonly do: "open"; readonly path: readonly string[]; readonly size: number }
  | { readonly do: "write"; readonly bytes: Uint8Array }
  /** The file is complete and its digest matches. */
  | { readonly do: "close" }
  /** To be sent after all actions before it. */
  | { readonly do: "frame"; readonly frame: FileFrame }
  /** Nothing that was written may be kept. */
  | { readonly do: "discard" };

export class Receiver {
  readonly #bundle: Bundle;
  #state: TransferState = "waiting";
  #file = 0;
  #open: { readonly size: number } | undefined;
  #offset = 0;
  #total = 0;
  #announced = 0;
  #reported = 0;
  #hash = new Sha256();
  #paused = { here: false, there: false };

  constructor(bundle: Bundle) {
    this.#bundle = bundle;
  }

  get state(): TransferState {
    return this.#state;
  }

  get paused(): boolean {
    return this.#paused.here || this.#paused.there;
  }

  get progress(): number {
    return this.#total;
  }

  /** A channel is open: the first one, or another one after the last was closed. */
  opened(): ReceiverAction[] {
    if (this.#state === "done") return [this.#have()];
    if (this.#over()) return [];
    this.#state = "sending";
    // The sender may not have heard of it.
    return this.#paused.here ? [{ do: "frame", frame: { type: "pause", paused: true } }, this.#have()] : [this.#have()];
  }

  closed(): void {
    if (this.#state === "sending") this.#state = "waiting";
  }

  pause(paused: boolean): ReceiverAction[] {
    this.#paused.here = paused;
    return [{ do: "frame", frame: { type: "pause", paused } }];
  }

  cancel(reason: Reason): ReceiverAction[] {
    if (this.#over()) return [];
    this.#state = { failed: reason };
    return [{ do: "frame", frame: { type: "cancel", reason } }, { do: "discard" }];
  }

  received(frame: FileFrame): ReceiverAction[] {
    if (this.#over()) return [];
    switch (frame.type) {
      case "file":
        return this.#begin(frame.file, frame.path, frame.size);
      case "end":
        return this.#end(frame.file, frame.sha256);
      case "pause":
        this.#paused.there = frame.paused;
        return [];
      case "cancel":
        this.#state = { failed: frame.reason };
        return [{ do: "discard" }];
      default:
        return this.cancel("limit");
    }
  }

  bytes(bytes: Uint8Array): ReceiverAction[] {
    if (this.#over()) return [];
    if (this.#open === undefined || this.#offset + bytes.length > this.#open.size) return this.cancel("limit");
    this.#hash.update(bytes);
    this.#offset += bytes.length;
    this.#total += bytes.length;
    const actions: ReceiverAction[] = [{ do: "write", bytes }];
    if (this.#total - this.#reported >= REPORT) actions.push(this.#have());
    return actions;
  }

  #begin(file: number, path: string, size: number): ReceiverAction[] {
    if (this.#open !== undefined && file === this.#file && size === this.#open.size) return [];
    const fits = this.#announced + size <= this.#bundle.bytes && file < this.#bundle.count;
    if (this.#open !== undefined || file !== this.#file || !fits) return this.cancel("limit");
    this.#open = { size };
    this.#announced += size;
    return [{ do: "open", path: cleanPath(path), size }];
  }

  #end(file: number, sha256: string): ReceiverAction[] {
    if (this.#open === undefined || file !== this.#file || this.#offset !== this.#open.size) return this.cancel("limit");
    if (hex(this.#hash.digest()) !== sha256) return this.cancel("digest");
    this.#hash = new Sha256();
    this.#open = undefined;
    this.#file += 1;
    this.#offset = 0;
    const actions: ReceiverAction[] = [{ do: "close" }, this.#have(), { do: "frame", frame: { type: "ok", file } }];
    if (this.#file === this.#bundle.count) this.#state = "done";
    return actions;
  }

  #have(): ReceiverAction {
    this.#reported = this.#total;
    return { do: "frame", frame: { type: "have", at: { file: this.#file, offset: this.#offset } } };
  }

  #over(): boolean {
    return this.#state === "done" || typeof this.#state !== "string";
  }
}
