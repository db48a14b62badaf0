// What tells the person something: the title, notifications while they look elsewhere, and short lines on the page.
import type { Call, Calls } from "../core/calls.ts";
import { people } from "../core/people.ts";
import type { Person } from "../core/envelope.ts";
import type { Context } from "./context.ts";
import { h } from "./dom.ts";
import { notify } from "./notification.ts";

const TOAST = 6_000;

export class Notices {
  #context: Context;
  readonly #toasts = h("div", { class: "toasts", role: "status", "aria-live": "polite" });

  constructor(context: Context) {
    this.#context = context;
    document.body.append(this.#toasts);
  }

  /** Speaks another language from now on. */
  speak(context: Context): void {
    this.#context = context;
  }

  toast(text: string): void {
    const toast = h("p", {}, text);
    this.#toasts.append(toast);
    setTimeout(() => toast.remove(), TOAST);
  }

  show(call: Call, what: "ringing" | "missed" | "text" | "invite", by?: readonly Person[], text?: string): void {
    if (!document.hidden || !("Notification" in window) || Notification.permission !== "granted") return;
    const { t } = this.#context;
    const name = by === undefined ? this.#context.name(people(call)[0]) : this.#context.all(by);
    const titles = { ringing: t.noticeRinging(name), missed: t.noticeMissed(name), invite: t.noticeInvite(name), text: name };
    void notify(titles[what], { tag: call.id, icon: "icon-192.png", ...(text && { body: text }) });
  }

  /** The tab says who calls, and how much has not been read. */
  title(calls: Calls, live: Call | undefined): void {
    const unread = [...calls.values()].reduce((sum, call) => sum + (call.phase === "active" ? call.unread : 0), 0);
    const name = live === undefined ? "sidecall" : `${this.#context.names(live)} – sidecall`;
    const title = unread > 0 ? `(${unread}) ${name}` : name;
    if (document.title !== title) document.title = title;
  }
}
