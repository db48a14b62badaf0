// Invitations: those to answer, and those that wait for an answer.
import type { Invitation } from "../core/invitations.ts";
import type { InvitationKind } from "../core/signal.ts";
import type { Context } from "./context.ts";
import { h, Keyed, setText, show } from "./dom.ts";

export interface InvitationEvents {
  accept(id: string): void;
  decline(id: string): void;
  withdraw(id: string): void;
  join(id: string): void;
}

export class InvitationsView {
  readonly element: HTMLElement;
  readonly #cards: Keyed<Invitation, CardView>;

  constructor(context: Context, events: InvitationEvents) {
    this.element = h("div", { class: "invitations", "aria-live": "assertive" });
    this.#cards = new Keyed(this.element, (invitation) => new CardView(context, invitation, events));
  }

  /** `name` says whom an invitation is from; `several`: there are others to show something to. */
  update(invitations: readonly Invitation[], name: (invitation: Invitation) => string, several: boolean): void {
    const last = invitations.at(-1);
    const worthSaying = (invitation: Invitation) =>
      invitation === last && (invitation.incoming ? invitation.state === "taken" : invitation.state === "declined");
    const shown = invitations.filter(({ state }) => state === "open" || state === "claiming");
    if (last !== undefined && worthSaying(last)) shown.push(last);
    // Files that wait for an answer are shown with the transfers.
    const cards = shown.filter(({ incoming, kind, state }) => incoming || kind !== "files" || state === "declined");
    this.#cards.update(cards, ({ id }) => id, (view, invitation) => view.update(invitation, name(invitation), several));
  }
}

class CardView {
  readonly element: HTMLElement;
  readonly #context: Context;
  readonly #text = h("p", {});
  readonly #answers: HTMLElement;
  readonly #withdraw: HTMLElement;
  readonly #join: HTMLElement;

  constructor(context: Context, { id }: Invitation, events: InvitationEvents) {
    const { t } = context;
    this.#context = context;
    const button = (label: string, kind: string, click: () => void) =>
      h("button", { class: kind, type: "button", on: { click } }, label);
    this.#answers = h(
      "div",
      { class: "answers" },
      button(t.decline, "quiet", () => events.decline(id)),
      button(t.accept, "primary", () => events.accept(id)),
    );
    this.#withdraw = h("div", { class: "answers" }, button(t.cancel, "quiet", () => events.withdraw(id)));
    this.#join = h("div", { class: "answers" }, button(t.join, "quiet", () => events.join(id)));
    this.element = h("div", { class: "invitation" }, this.#text, this.#answers, this.#withdraw, this.#join);
  }

  update(invitation: Invitation, name: string, several: boolean): void {
    const { incoming, kind, state } = invitation;
    setText(this.#text, this.#words(invitation, name));
    show(this.#answers, incoming && state === "open");
    // What is shown to nobody else is stopped by its own button.
    show(this.#withdraw, !incoming && state === "open" && (several || kind === "join"));
    show(this.#join, state === "taken" && kind !== "files");
  }

  #words({ incoming, kind, state, files }: Invitation, name: string): string {
    const { t } = this.#context;
    const what: Record<InvitationKind, string> = t;
    if (state === "taken") return t.taken;
    if (!incoming) return state === "declined" ? t.declined(what[kind]) : t.waitingFor(what[kind]);
    switch (kind) {
      case "camera":
        return t.invitesCamera(name);
      case "screen":
        return t.invitesScreen(name);
      case "microphone":
        return t.invitesMicrophone(name);
      case "join":
        return t.invitesJoin(name);
      case "files":
        return t.invitesFiles(name, files === undefined ? t.files : this.#context.bundle(files));
    }
  }
}
