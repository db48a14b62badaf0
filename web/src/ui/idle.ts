// The page between calls: whose it is, whether calls will appear, and the recent ones.
import type { Call, Calls } from "../core/calls.ts";
import { duration, phone } from "../core/format.ts";
import type { StreamState } from "../net/stream.ts";
import type { Context } from "./context.ts";
import { initials } from "./context.ts";
import { attribute, h, Keyed, setChildren, setText, show } from "./dom.ts";
import { icon } from "./icons.ts";

export interface IdleEvents {
  open(call: string): void;
  notify(): void;
  install(): void;
}

const SHOWN = 20;

export class IdleView {
  readonly element: HTMLElement;
  readonly #context: Context;
  readonly #number: HTMLElement;
  readonly #ready: HTMLElement;
  readonly #lead: HTMLElement;
  readonly #notify: HTMLButtonElement;
  readonly #install: HTMLButtonElement;
  readonly #empty: HTMLElement;
  readonly #recent: Keyed<Call, RecentView>;

  constructor(context: Context, events: IdleEvents) {
    const { t } = context;
    this.#context = context;
    this.#number = h("h1", { class: "own-number" });
    this.#ready = h("p", { class: "ready", role: "status" });
    this.#lead = h("p", { class: "lead" }, t.idleLead);
    this.#notify = h("button", { class: "quiet", type: "button", on: { click: () => events.notify() } }, t.notify);
    this.#install = h("button", { class: "quiet", type: "button", on: { click: () => events.install() } }, t.install);
    this.#empty = h("p", { class: "hint" }, t.noRecent);
    const list = h("ul", { class: "recent" });
    this.#recent = new Keyed(list, () => new RecentView(context, events));
    this.element = h(
      "main",
      { class: "idle" },
      h("section", { class: "hero" }, this.#ready, this.#number, this.#lead, this.#notify, this.#install),
      h("section", { class: "history", "aria-label": t.recent }, h("h2", {}, t.recent), this.#empty, list),
    );
  }

  update(number: string, calls: Calls, stream: StreamState, installable: boolean, now: number): void {
    const { t } = this.#context;
    setText(this.#number, phone(number));
    setText(this.#ready, stream === "open" ? t.idleReady : stream === "connecting" ? t.connecting : t.idleNotReady);
    attribute(this.#ready, "data-state", stream === "open" ? "good" : "bad");
    show(this.#notify, "Notification" in window && Notification.permission === "default");
    show(this.#install, installable);
    const past = [...calls.values()].sort((a, b) => b.began - a.began).slice(0, SHOWN);
    show(this.#empty, past.length === 0);
    this.#recent.update(past, (call) => call.id, (view, call) => view.update(call, now));
  }
}

class RecentView {
  readonly element: HTMLElement;
  readonly #context: Context;
  readonly #button: HTMLButtonElement;
  readonly #avatar = h("span", { class: "avatar", "aria-hidden": "true" });
  readonly #name = h("span", { class: "name" });
  readonly #detail = h("span", { class: "detail" });
  readonly #when = h("span", { class: "when" });
  #id = "";

  constructor(context: Context, events: IdleEvents) {
    this.#context = context;
    const texts = h("span", { class: "texts" }, this.#name, this.#detail);
    const click = () => events.open(this.#id);
    this.#button = h("button", { type: "button", on: { click } }, this.#avatar, texts, this.#when);
    this.element = h("li", {}, this.#button);
  }

  update(call: Call, now: number): void {
    const { t } = this.#context;
    const name = this.#context.names(call);
    this.#id = call.id;
    setText(this.#name, name);
    setText(this.#when, this.#context.moment(call.began, now));
    const letters = initials(name);
    if (letters === "") setChildren(this.#avatar, [icon("phone")]);
    else setText(this.#avatar, letters);
    const texts = call.lines.filter((line) => line.kind === "text").length;
    const sums = { files: 0, lost: 0 };
    for (const line of call.lines) if (line.kind === "files") sums[line.failed === undefined ? "files" : "lost"] += line.count;
    const unanswered = call.phase === "missed";
    const missed = unanswered && call.role === "second";
    const kind = call.role === "first" ? (unanswered ? t.noAnswer : t.outgoing) : missed ? t.missed : t.incoming;
    const length = call.answered === undefined ? "" : duration((call.ended ?? now) - call.answered);
    setText(this.#detail, [kind, length, t.shared(texts, sums.files), sums.lost > 0 ? t.lost(sums.lost) : ""].filter((part) => part !== "").join(" · "));
    attribute(this.element, "data-missed", missed);
  }
}
