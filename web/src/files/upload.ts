// Sends files over data channels: reads what the sender machine asks for and keeps the channel's buffer short.
import { type FileFrame, readFrame, type Reason, writeFrame } from "../core/transfer/frames.ts";
import { Sender, type TransferState } from "../core/transfer/sender.ts";
import type { Entry } from "./entries.ts";

/** Bytes read from disk at once. */
const BLOCK = 512 * 1024;
/** Bytes of one message; every browser takes as many. */
const MESSAGE = 64 * 1024;
/** Bytes in the channel's buffer at which reading stops and goes on. */
const HIGH = 2 * 1024 * 1024;
const LOW = 512 * 1024;

export class Upload {
  readonly entries: readonly Entry[];
  readonly #sender: Sender;
  readonly #changed: () => void;
  #channel: RTCDataChannel | undefined;
  #pumping = false;

  constructor(entries: readonly Entry[], changed: () => void) {
    this.entries = entries;
    this.#sender = new Sender(entries.map(({ path, file }) => ({ path, size: file.size })));
    this.#changed = changed;
  }

  get state(): TransferState {
    return this.#sender.state;
  }

  get paused(): boolean {
    return this.#sender.paused;
  }

  get progress(): number {
    return this.#sender.progress;
  }

  /** Goes on over this channel. */
  attach(channel: RTCDataChannel): void {
    this.#channel?.close();
    this.#sender.closed();
    this.#channel = channel;
    channel.bufferedAmountLowThreshold = LOW;
    channel.onbufferedamountlow = () => void this.#pump();
    // The receiver may speak before this side knows that the channel is open.
    channel.onopen = () => void this.#pump();
    channel.onmessage = ({ data }: MessageEvent<unknown>) => this.#channel === channel && this.#take(data);
    channel.onclose = () => {
      if (this.#channel !== channel) return;
      this.#channel = undefined;
      this.#sender.closed();
      this.#changed();
    };
    this.#changed();
  }

  get attached(): boolean {
    return this.#channel !== undefined;
  }

  pause(paused: boolean): void {
    this.#send(this.#sender.pause(paused));
    void this.#pump();
    this.#changed();
  }

  cancel(reason: Reason): void {
    this.#send(this.#sender.cancel(reason));
    this.#changed();
  }

  #take(data: unknown): void {
    const frame = typeof data === "string" ? readFrame(data) : undefined;
    if (frame === undefined) return;
    this.#sender.received(frame);
    this.#changed();
    void this.#pump();
  }

  #send(frame: FileFrame): void {
    if (this.#channel?.readyState === "open") this.#channel.send(writeFrame(frame));
  }

  async #pump(): Promise<void> {
    if (this.#pumping) return;
    this.#pumping = true;
    try {
      while (await this.#step());
    } finally {
      this.#pumping = false;
    }
  }

  /** Whether there is more to do at once. */
  async #step(): Promise<boolean> {
    const channel = this.#channel;
    if (channel?.readyState !== "open" || channel.bufferedAmount > HIGH) return false;
    const step = this.#sender.next(BLOCK);
    if (step.do === "wait") return false;
    if (step.do === "frame") {
      channel.send(writeFrame(step.frame));
      return true;
    }
    const { file } = this.entries[step.file]!;
    const bytes = await file
      .slice(step.offset, step.offset + step.length)
      .arrayBuffer()
      .catch(() => undefined);
    if (bytes === undefined || bytes.byteLength !== step.length) {
      this.cancel("changed");
      return false;
    }
    // Meanwhile the channel may have been replaced, and the place to continue with it.
    if (this.#channel !== channel || channel.readyState !== "open" || this.#sender.state !== "sending") return true;
    const block = new Uint8Array(bytes);
    this.#sender.read(block);
    for (let at = 0; at < block.length; at += MESSAGE) channel.send(block.subarray(at, at + MESSAGE));
    return true;
  }
}
