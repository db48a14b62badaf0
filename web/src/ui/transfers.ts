// Files on their way: progress, pause, cancel.
import type { TransferView } from "../app/transfers.ts";
import type { FileFailure } from "../core/calls.ts";
import { duration, size } from "../core/format.ts";
import { Pace } from "../core/pace.ts";
import type { Context } from "./context.ts";
import { attribute, h, Keyed, setChildren, setText, show } from "./dom.ts";
import { icon } from "./icons.ts";

export interface TransferActions {
  pause(id: string, paused: boolean): void;
  cancel(id: string): void;
  dismiss(id: string): void;
  canRepeat(id: string): boolean;
  repeat(id: string): void;
}

export class TransfersView {
  readonly element: HTMLElement;
  readonly #rows: Keyed<TransferView, RowView>;

  constructor(context: Context, actions: TransferActions) {
    this.element = h("ul", { class: "transfers", "aria-label": context.t.transfers });
    this.#rows = new Keyed(this.element, () => new RowView(context, actions));
  }

  update(transfers: readonly TransferView[]): void {
    this.#rows.update(transfers, ({ id }) => id, (view, transfer) => view.update(transfer));
    show(this.element, transfers.length > 0);
  }
}

class RowView {
  readonly element: HTMLElement;
  readonly #context: Context;
  readonly #title = h("p", { class: "title" });
  readonly #detail = h("p", { class: "detail" });
  readonly #bar = h("progress", { max: 1 });
  readonly #pause: HTMLButtonElement;
  readonly #end: HTMLButtonElement;
  readonly #repeat: HTMLButtonElement;
  readonly #actions: TransferActions;
  readonly #pace = new Pace();
  #transfer: TransferView | undefined;

  constructor(context: Context, actions: TransferActions) {
    const { t } = context;
    this.#context = context;
    this.#actions = actions;
    const pause = () => this.#transfer && actions.pause(this.#transfer.id, !this.#transfer.paused);
    const end = () => {
      if (this.#transfer === undefined) return;
      if (typeof this.#transfer.state === "string") actions.cancel(this.#transfer.id);
      else actions.dismiss(this.#transfer.id);
    };
    this.#pause = h("button", { class: "icon-button", type: "button", on: { click: pause } });
    this.#end = h("button", { class: "icon-button", type: "button", "aria-label": t.cancel, on: { click: end } }, icon("close"));
    const repeat = () => this.#transfer && actions.repeat(this.#transfer.id);
    this.#repeat = h("button", { class: "link", type: "button", on: { click: repeat } }, t.sendAgain);
    const texts = h("div", { class: "texts" }, this.#title, this.#bar, this.#detail, this.#repeat);
    this.element = h("li", {}, texts, this.#pause, this.#end);
  }

  update(transfer: TransferView): void {
    const { t, locale } = this.#context;
    const { incoming, bundle, state, paused, progress } = transfer;
    this.#transfer = transfer;
    const what = this.#context.bundle(bundle);
    setText(this.#title, incoming ? t.receivingFiles(what) : t.sendingFiles(what));
    this.#bar.value = bundle.bytes === 0 ? 1 : progress / bundle.bytes;
    attribute(this.#bar, "aria-label", this.#title.textContent ?? "");
    const done = t.progress(size(progress, locale), size(bundle.bytes, locale));
    setText(this.#detail, this.#words(state, paused, done + this.#left(transfer)));
    const failed = typeof state !== "string";
    show(this.#bar, !failed);
    show(this.#pause, state === "sending");
    show(this.#repeat, this.#actions.canRepeat(transfer.id));
    attribute(this.element, "data-failed", failed);
    if (this.#pause.getAttribute("aria-label") !== (paused ? t.resume : t.pause)) {
      attribute(this.#pause, "aria-label", paused ? t.resume : t.pause);
      setChildren(this.#pause, [icon(paused ? "play" : "pause")]);
    }
    attribute(this.#end, "aria-label", failed ? t.dismiss : t.cancel);
  }

  /** How fast it goes, and how long it still takes, as far as that is known. */
  #left({ state, paused, progress, bundle }: TransferView): string {
    const { t, locale } = this.#context;
    if (state !== "sending" || paused) this.#pace.reset();
    const rate = state === "sending" && !paused ? this.#pace.rate(Date.now(), progress) : undefined;
    if (rate === undefined) return "";
    return ` · ${t.pace(size(rate, locale), duration(((bundle.bytes - progress) * 1000) / rate))}`;
  }

  #words(state: TransferView["state"], paused: boolean, done: string): string {
    const { t } = this.#context;
    if (typeof state !== "string") return whyFailed(this.#context, state.failed);
    if (state === "asking") return t.waitingFor(t.files);
    if (state === "waiting") return t.waitingConnection;
    return paused ? `${t.paused} · ${done}` : done;
  }
}

/** Why files did not arrive, in words. */
export function whyFailed({ t }: Context, failure: FileFailure): string {
  const words: Record<FileFailure, string> = {
    ended: t.failedEnded,
    reloaded: t.failedReloaded,
    user: t.cancelled,
    digest: t.failedDigest,
    limit: t.failedLimit,
    disk: t.failedDisk,
    gone: t.failedGone,
    changed: t.failedChanged,
  };
  return words[failure];
}
