// Receives files over data channels: carries out what the receiver machine says, in order, on disk.
import { readFrame, type Reason, writeFrame } from "../core/transfer/frames.ts";
import { Receiver, type ReceiverAction } from "../core/transfer/receiver.ts";
import type { TransferState } from "../core/transfer/sender.ts";
import type { Bundle } from "../core/signal.ts";
import { openSink, type Saved, type Sink } from "./sink.ts";

export class Download {
  readonly #receiver: Receiver;
  readonly #changed: () => void;
  readonly #sink: Promise<Sink>;
  readonly #last: number;
  readonly saved: Saved[] = [];
  #opening: Saved | undefined;
  #channel: RTCDataChannel | undefined;
  #work: Promise<void> = Promise.resolve();
  #settled: TransferState = "waiting";

  constructor(transfer: string, bundle: Bundle, changed: () => void) {
    this.#receiver = new Receiver(bundle);
    this.#changed = changed;
    this.#last = bundle.count - 1;
    this.#sink = openSink(transfer);
  }

  /** `done` only once everything is on disk. */
  get state(): TransferState {
    return this.#receiver.state === "done" ? this.#settled : this.#receiver.state;
  }

  /** All is here and verified, though the disk may not have all of it yet. */
  get complete(): boolean {
    return this.#receiver.state === "done";
  }

  get paused(): boolean {
    return this.#receiver.paused;
  }

  get progress(): number {
    return this.#receiver.progress;
  }

  attach(channel: RTCDataChannel): void {
    this.#channel?.close();
    this.#receiver.closed();
    this.#channel = channel;
    channel.binaryType = "arraybuffer";
    channel.onmessage = ({ data }: MessageEvent<unknown>) => this.#channel === channel && this.#take(data);
    channel.onclose = () => {
      if (this.#channel !== channel) return;
      this.#channel = undefined;
      this.#receiver.closed();
      this.#changed();
    };
    const begin = () => this.#do(this.#receiver.opened());
    if (channel.readyState === "open") begin();
    else channel.onopen = begin;
  }

  pause(paused: boolean): void {
    this.#do(this.#receiver.pause(paused));
  }

  cancel(reason: Reason): void {
    this.#do(this.#receiver.cancel(reason));
  }

  #take(data: unknown): void {
    if (data instanceof ArrayBuffer) {
      this.#do(this.#receiver.bytes(new Uint8Array(data)));
    } else {
      const frame = typeof data === "string" ? readFrame(data) : undefined;
      this.#do(frame === undefined ? this.#receiver.cancel("limit") : this.#receiver.received(frame));
    }
  }

  /** The disk may be slow: by the time of a frame, another channel may be there, on which the frame would say something else. */
  #do(actions: readonly ReceiverAction[]): void {
    if (actions.length === 0) return;
    const channel = this.#channel;
    this.#work = this.#work.then(() => this.#carryOutAll(actions, channel)).catch(() => this.#failed());
  }

  async #carryOutAll(actions: readonly ReceiverAction[], channel: RTCDataChannel | undefined): Promise<void> {
    const sink = await this.#sink;
    for (const action of actions) await this.#carryOut(sink, action, channel);
    this.#changed();
  }

  async #carryOut(sink: Sink, action: ReceiverAction, channel: RTCDataChannel | undefined): Promise<void> {
    switch (action.do) {
      case "open":
        this.#opening = { path: action.path, size: action.size };
        return sink.open(this.saved.length);
      case "write":
        return sink.write(action.bytes);
      case "close":
        await sink.close();
        this.saved.push(this.#opening!);
        return;
      case "frame":
        if (action.frame.type === "ok" && action.frame.file === this.#last) this.#settled = "done";
        if (channel?.readyState === "open") channel.send(writeFrame(action.frame));
        return;
      case "discard":
        return sink.discard();
    }
  }

  /** The disk is full, or was taken away. */
  #failed(): void {
    const actions = this.#receiver.cancel("disk");
    if (actions.length > 0) this.#do(actions);
  }
}
