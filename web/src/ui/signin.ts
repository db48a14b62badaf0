// The page before this browser belongs to a number. Each way to sign in is a card of its own: by phone, and with a code.
import { dialled } from "../core/format.ts";
import type { Catalogue } from "../core/locale/mod.ts";
import type { Failure } from "../net/api.ts";
import { attribute, h, setText, show } from "./dom.ts";
import { icon } from "./icons.ts";

export interface SignInEvents {
  /** Rejects with the failure. */
  enrol(code: string, name: string): Promise<Failure | undefined>;
}

export class SignInView {
  readonly element: HTMLElement;
  readonly #t: Catalogue;
  readonly #events: SignInEvents;
  readonly #phone: HTMLElement;
  readonly #digits: HTMLElement;
  readonly #code: HTMLInputElement;
  readonly #name: HTMLInputElement;
  readonly #go: HTMLButtonElement;
  readonly #message: HTMLElement;

  constructor(t: Catalogue, events: SignInEvents, code: string, name: string, revoked: boolean) {
    this.#t = t;
    this.#events = events;
    this.#digits = h("output", { class: "digits" });
    this.#phone = h(
      "section",
      { class: "card by-phone", "aria-labelledby": "by-phone" },
      h("h2", { id: "by-phone" }, t.signInDial),
      this.#digits,
      h("p", { class: "hint" }, t.signInDialHint),
    );
    show(this.#phone, false);
    this.#code = h("input", {
      id: "code",
      name: "code",
      autocomplete: "one-time-code",
      autocapitalize: "none",
      spellcheck: "false",
      maxlength: 64,
      required: true,
      "aria-describedby": "code-hint sign-in-message",
    });
    this.#code.value = code;
    this.#name = h("input", { id: "device", name: "device", maxlength: 64, required: true, autocomplete: "off" });
    this.#name.value = name;
    this.#go = h("button", { class: "primary", type: "submit" }, t.signInGo);
    this.#message = h("p", { id: "sign-in-message", class: "message", role: "alert" });
    const submit = (event: Event) => {
      event.preventDefault();
      void this.submit();
    };
    this.element = h(
      "main",
      { class: "sign-in" },
      h("div", { class: "mark" }, icon("phone") as unknown as Node),
      h("h1", {}, t.signInTitle),
      h("p", { class: "lead" }, t.signInLead),
      revoked && h("p", { class: "message", role: "alert" }, t.signInRevoked),
      this.#phone,
      h(
        "form",
        { class: "card", on: { submit } },
        h("label", { for: "code" }, t.signInCode),
        this.#code,
        h("p", { id: "code-hint", class: "hint" }, t.signInCodeHint),
        h("label", { for: "device" }, t.signInDevice),
        this.#name,
        this.#go,
        this.#message,
      ),
    );
  }

  /** What the person calls the device. */
  get name(): string {
    return this.#name.value.trim() || "Browser";
  }

  /** Shows what the desk phone can dial; nothing if it can't. */
  dial(digits: string | undefined): void {
    setText(this.#digits, digits === undefined ? "" : dialled(digits));
    show(this.#phone, digits !== undefined);
  }

  async submit(): Promise<void> {
    attribute(this.#go, "disabled", true);
    setText(this.#go, this.#t.signInBusy);
    setText(this.#message, "");
    const failure = await this.#events.enrol(this.#code.value, this.name);
    attribute(this.#go, "disabled", false);
    setText(this.#go, this.#t.signInGo);
    if (failure !== undefined) {
      setText(this.#message, this.#words(failure));
      this.#code.focus();
    }
  }

  #words(failure: Failure): string {
    switch (failure) {
      case "unauthorized":
      case "absent":
        return this.#t.signInWrong;
      case "limited":
        return this.#t.signInLimited;
      case "unreachable":
        return this.#t.signInUnreachable;
      case "full":
      case "refused":
        return this.#t.signInRefused;
    }
  }
}

/** How this browser is called in the list of devices, until somebody gives it another name. */
export function deviceName(agent: string): string {
  const browser = /Firefox\//.test(agent)
    ? "Firefox"
    : /Edg\//.test(agent)
      ? "Edge"
      : /Chrom(e|ium)\//.test(agent)
        ? "Chrome"
        : /Safari\//.test(agent)
          ? "Safari"
          : "Browser";
  const systems: readonly (readonly [RegExp, string])[] = [
    [/Android/, "Android"],
    [/iPhone/, "iPhone"],
    [/iPad/, "iPad"],
    [/Windows/, "Windows"],
    [/Mac OS/, "Mac"],
    [/CrOS/, "ChromeOS"],
    [/Linux/, "Linux"],
  ];
  const system = systems.find(([pattern]) => pattern.test(agent))?.[1];
  return system === undefined ? browser : `${browser}, ${system}`;
}
