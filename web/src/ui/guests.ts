// The guests of a call: who is there, and the code that lets another one in.
import type { Call, Party } from "../core/calls.ts";
import { present } from "../core/people.ts";
import { isLoopback } from "../core/format.ts";
import type { GuestCode } from "../net/api.ts";
import type { Context } from "./context.ts";
import { open } from "./dialogs.ts";
import { attribute, h, Keyed, setText, show } from "./dom.ts";
import { icon } from "./icons.ts";

export interface GuestEvents {
  invite(): void;
  dismiss(guest: string): void;
}

export class GuestsView {
  readonly element: HTMLElement;
  readonly #invite: HTMLButtonElement;
  readonly #list: HTMLElement;
  readonly #guests: Keyed<Party, GuestView>;

  constructor(context: Context, events: GuestEvents) {
    const click = () => events.invite();
    this.#invite = h("button", { class: "quiet small", type: "button", on: { click } }, icon("guest"), context.t.inviteGuest);
    this.#list = h("ul", { class: "guests", "aria-label": context.t.guests });
    this.#guests = new Keyed(this.#list, () => new GuestView(context, events));
    this.element = h("div", { class: "guest-side" }, this.#invite, this.#list);
  }

  update(call: Call): void {
    const invites = call.phase === "active";
    const guests = present(call).filter(({ guest }) => guest !== undefined);
    this.#guests.update(guests, ({ guest }) => guest!, (view, party) => view.update(party));
    show(this.#invite, invites);
    show(this.#list, guests.length > 0);
    show(this.element, invites || guests.length > 0);
  }
}

class GuestView {
  readonly element: HTMLElement;
  readonly #context: Context;
  readonly #name = h("span", {});
  readonly #remove: HTMLButtonElement;
  #guest = "";

  constructor(context: Context, events: GuestEvents) {
    this.#context = context;
    const click = () => events.dismiss(this.#guest);
    this.#remove = h("button", { class: "icon-button", type: "button", on: { click } }, icon("close"));
    this.element = h("li", {}, this.#name, this.#remove);
  }

  update(party: Party): void {
    const name = this.#context.name(party);
    this.#guest = party.guest ?? "";
    setText(this.#name, name);
    attribute(this.#remove, "aria-label", this.#context.t.removeGuest(name));
    attribute(this.#remove, "title", this.#context.t.removeGuest(name));
  }
}

/** The code to read out, and where to type it. */
export async function showCode({ code, link }: GuestCode, { t }: Context): Promise<void> {
  const spoken = `${code.slice(0, 3)} ${code.slice(3)}`;
  // Browsers find a page without the scheme.
  const page = link.replace(/^https:\/\//, "");
  const where = h("p", { class: "guest-link", translate: "no" }, page);
  const warning = h("p", { class: "message" }, isLoopback(new URL(link).hostname) ? t.guestLocal : "");
  const digits = h("p", { class: "guest-code", translate: "no" }, spoken);
  const copy = h("button", { class: "quiet small", type: "button" }, t.copy);
  const copied = () => navigator.clipboard.writeText(`${link}\n${spoken}`).then(() => setText(copy, t.copied), () => undefined);
  copy.addEventListener("click", () => void copied());
  // Browsers have no clipboard for pages from elsewhere without TLS.
  show(copy, "clipboard" in navigator);
  const hint = h("p", { class: "hint" }, t.guestHint);
  await open(t.guestTitle, t, [h("p", {}, t.guestPage), where, warning, h("p", {}, t.guestCode), digits, copy, hint], []);
}
