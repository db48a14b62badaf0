// Where a guest types the code that somebody reads out.
import type { Catalogue } from "../core/locale/mod.ts";
import type { Failure } from "../net/api.ts";
import { attribute, h, setText } from "./dom.ts";
import { icon } from "./icons.ts";

/** Why somebody can't join; "name" if the node refuses the name. */
export type JoinFailure = Failure | "name";

export interface JoinEvents {
  /** Resolves with the failure, if there is one. */
  join(code: string, name: string): Promise<JoinFailure | undefined>;
}

export class JoinView {
  readonly element: HTMLElement;
  readonly #t: Catalogue;
  readonly #events: JoinEvents;
  readonly #code: HTMLInputElement;
  readonly #name: HTMLInputElement;
  readonly #go: HTMLButtonElement;
  readonly #message: HTMLElement;

  constructor(t: Catalogue, events: JoinEvents) {
    this.#t = t;
    this.#events = events;
    this.#code = h("input", {
      id: "code",
      name: "code",
      autocomplete: "one-time-code",
      inputmode: "numeric",
      maxlength: 12,
      required: true,
      "aria-describedby": "code-hint join-message",
    });
    this.#name = h("input", {
      id: "name",
      name: "name",
      maxlength: 64,
      required: true,
      autocomplete: "name",
      "aria-describedby": "join-message",
    });
    this.#go = h("button", { class: "primary", type: "submit" }, t.joinGo);
    this.#message = h("p", { id: "join-message", class: "message", role: "alert" });
    const submit = (event: Event) => {
      event.preventDefault();
      void this.#submit();
    };
    this.element = h(
      "main",
      { class: "sign-in" },
      h("div", { class: "mark" }, icon("phone") as unknown as Node),
      h("h1", {}, t.joinTitle),
      h("p", { class: "lead" }, t.joinLead),
      h(
        "form",
        { class: "card", on: { submit } },
        h("label", { for: "code" }, t.joinCode),
        this.#code,
        h("p", { id: "code-hint", class: "hint" }, t.joinCodeHint),
        h("label", { for: "name" }, t.joinName),
        this.#name,
        this.#go,
        this.#message,
      ),
    );
  }

  focus(): void {
    this.#code.focus();
  }

  async #submit(): Promise<void> {
    attribute(this.#go, "disabled", true);
    setText(this.#message, "");
    const failure = await this.#events.join(this.#code.value, this.#name.value.trim());
    attribute(this.#go, "disabled", false);
    if (failure === undefined) return;
    setText(this.#message, this.#words(failure));
    (failure === "name" ? this.#name : this.#code).focus();
  }

  #words(failure: JoinFailure): string {
    switch (failure) {
      case "name":
        return this.#t.joinNameRefused;
      case "full":
        return this.#t.joinFull;
      case "limited":
        return this.#t.signInLimited;
      case "unreachable":
        return this.#t.signInUnreachable;
      case "absent":
      case "refused":
      case "unauthorized":
        return this.#t.joinWrong;
    }
  }
}
