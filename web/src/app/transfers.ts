// The file transfers of one call, in both directions, and the channels that carry them.
import type { FileFailure } from "../core/calls.ts";
import type { Bundle } from "../core/signal.ts";
import { type Reason, writeFrame } from "../core/transfer/frames.ts";
import type { TransferState } from "../core/transfer/sender.ts";
import { Download } from "../files/download.ts";
import type { Entry } from "../files/entries.ts";
import type { Saved } from "../files/sink.ts";
import { Upload } from "../files/upload.ts";
import type { Session } from "./session.ts";

export const PROTOCOL = "sidecall-files";
const LABEL = "files:";
/** Milliseconds after which a sender that has a connection and opens no channel knows nothing of the transfer any more. */
const PATIENCE = 15_000;
/** Milliseconds that a channel stays open after it was refused. */
const REFUSED = 5_000;

export interface TransferView {
  readonly id: string;
  readonly incoming: boolean;
  readonly bundle: Bundle;
  /** `asking` until the other side accepts. */
  readonly state: TransferState | "asking";
  readonly paused: boolean;
  readonly progress: number;
  readonly saved: readonly Saved[];
}

interface Transfer {
  readonly bundle: Bundle;
  readonly work: Upload | Download;
  session: Session | undefined;
  reported: boolean;
  /** Of a download that waits for its channel. */
  patience?: ReturnType<typeof setTimeout>;
}

export interface TransferEvents {
  changed(): void;
  /** Complete and verified, or failed. What is received counts as failed until it is complete: the page may be loaded again. */
  outcome(id: string, transfer: TransferView, failed?: FileFailure): void;
}

export class Transfers {
  readonly #events: TransferEvents;
  readonly #all = new Map<string, Transfer>();

  constructor(events: TransferEvents) {
    this.#events = events;
  }

  /** Files to be sent once the invitation `id` is accepted. */
  offer(id: string, entries: readonly Entry[], bundle: Bundle): void {
    const work = new Upload(entries, () => this.#changed(id));
    this.#all.set(id, { bundle, work, session: undefined, reported: false });
    this.#events.changed();
  }

  /** The files of one invitation are offered by another one. */
  renew(id: string, next: string): void {
    const transfer = this.#all.get(id);
    if (!(transfer?.work instanceof Upload)) return;
    this.#all.delete(id);
    this.offer(next, transfer.work.entries, transfer.bundle);
  }

  /** Files that were accepted: the sender will open a channel. */
  expect(id: string, bundle: Bundle, session: Session): void {
    const work = new Download(id, bundle, () => this.#changed(id));
    const transfer = { bundle, work, session, reported: false };
    this.#all.set(id, transfer);
    this.#events.outcome(id, this.#view(id, transfer), "reloaded");
    this.#events.changed();
  }

  /** The invitation was accepted: the files go over this session. */
  start(id: string, session: Session): void {
    const transfer = this.#all.get(id);
    if (transfer === undefined) return;
    transfer.session = session;
    if (session.state === "connected") this.#open(id, transfer);
  }

  /** A session has a connection: what waits for one goes on. */
  connected(session: Session): void {
    for (const [id, transfer] of this.#all) {
      if (transfer.session !== session) continue;
      this.#open(id, transfer);
      clearTimeout(transfer.patience);
      if (transfer.work instanceof Download) transfer.patience = setTimeout(() => this.#giveUp(id, transfer), PATIENCE);
    }
  }

  /** A session has taken the place of another one. */
  moved(from: Session, to: Session): void {
    for (const [id, transfer] of this.#all) {
      if (transfer.session !== from) continue;
      transfer.session = to;
      if (to.state === "connected") this.#open(id, transfer);
    }
  }

  /** Takes a channel that the other side has opened. Whoever sends what is over, or not known, is told. Others are closed. */
  take(session: Session, channel: RTCDataChannel): void {
    const id = channel.label.startsWith(LABEL) && channel.protocol === PROTOCOL ? channel.label.slice(LABEL.length) : undefined;
    const transfer = this.#all.get(id ?? "");
    const expected = transfer?.work instanceof Download && transfer.session === session ? transfer.work : undefined;
    if (id !== undefined && transfer === undefined) refuse(channel, "gone");
    else if (typeof expected?.state === "object") refuse(channel, expected.state.failed);
    else if (expected !== undefined) expected.attach(channel);
    else channel.close();
  }

  pause(id: string, paused: boolean): void {
    this.#all.get(id)?.work.pause(paused);
  }

  cancel(id: string): void {
    this.#all.get(id)?.work.cancel("user");
  }

  /** The other side did not want it, or has left. */
  drop(id: string): void {
    const transfer = this.#all.get(id);
    if (transfer === undefined || transfer.work.state === "done") return;
    transfer.work.cancel("gone");
  }

  closed(session: Session): void {
    for (const [id, transfer] of this.#all) if (transfer.session === session) this.drop(id);
  }

  dropAll(): void {
    for (const id of this.#all.keys()) this.drop(id);
  }

  /** The call is over: stops what is not done, and reports all that has failed. What only the disk lacks is reported later. */
  end(): void {
    const complete = (id: string) => {
      const work = this.#all.get(id)?.work;
      return work?.state === "done" || (work instanceof Download && work.complete);
    };
    const unfinished = this.view().filter(({ id }) => !complete(id));
    this.dropAll();
    for (const { id } of unfinished) this.#all.delete(id);
    for (const transfer of unfinished) {
      this.#events.outcome(transfer.id, transfer, typeof transfer.state === "string" ? "ended" : transfer.state.failed);
    }
  }

  /** Whether files could not be sent that this page still has. */
  hasFailed(id: string): boolean {
    const work = this.#all.get(id)?.work;
    return work instanceof Upload && typeof work.state !== "string" && work.state.failed !== "changed";
  }

  /** Removes a transfer that is over from the list. */
  dismiss(id: string): void {
    if (this.#all.get(id)?.work.state !== "sending") this.#all.delete(id);
    this.#events.changed();
  }

  view(): TransferView[] {
    return Array.from(this.#all, ([id, transfer]) => this.#view(id, transfer));
  }

  get active(): boolean {
    return this.view().some(({ state }) => state === "sending" || state === "waiting");
  }

  #view(id: string, { bundle, work, session }: Transfer): TransferView {
    const incoming = work instanceof Download;
    return {
      id,
      incoming,
      bundle,
      state: !incoming && session === undefined && work.state === "waiting" ? "asking" : work.state,
      paused: work.paused,
      progress: work.progress,
      saved: incoming ? work.saved : [],
    };
  }

  #open(id: string, { work, session }: Transfer): void {
    if (!(work instanceof Upload) || session === undefined || work.state === "done" || typeof work.state !== "string") return;
    work.attach(session.openChannel(LABEL + id, PROTOCOL));
  }

  /** The sender's page has been loaded again, and has the files no more. If it only slept, it is told once it opens a channel. */
  #giveUp(id: string, { work, session }: Transfer): void {
    if (work.state === "waiting" && session?.state === "connected") this.drop(id);
  }

  #changed(id: string): void {
    const transfer = this.#all.get(id);
    const state = transfer?.work.state;
    const failed = typeof state === "object" && transfer?.work instanceof Download ? state.failed : undefined;
    if (transfer !== undefined && !transfer.reported && (state === "done" || failed !== undefined)) {
      transfer.reported = true;
      this.#events.outcome(id, this.#view(id, transfer), failed);
    }
    this.#events.changed();
  }
}

/** Says why a transfer does not go on: it is over here, or this page does not know of it because it has been loaded again. */
function refuse(channel: RTCDataChannel, reason: Reason): void {
  const say = () => {
    if (channel.onopen === null) return;
    channel.onopen = null;
    channel.send(writeFrame({ type: "cancel", reason }));
    // A channel that is closed before the other side knows that it is open may lose what was sent on it.
    setTimeout(() => channel.close(), REFUSED);
  };
  channel.onopen = say;
  if (channel.readyState === "open") say();
}
