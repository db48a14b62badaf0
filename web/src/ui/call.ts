// A call: who it is with, what can be shared, the stage, and the chat.
import type { Conversation } from "../app/conversation.ts";
import type { Card } from "../core/card.ts";
import type { Call, Line } from "../core/calls.ts";
import { people, present } from "../core/people.ts";
import { duration } from "../core/format.ts";
import type { Invitation } from "../core/invitations.ts";
import { type Source, SOURCES } from "../core/signal.ts";
import { type Entry, fromList, fromTransfer } from "../files/entries.ts";
import { canShareScreen } from "../media/capture.ts";
import { ChatView } from "./chat.ts";
import type { Context } from "./context.ts";
import { initials } from "./context.ts";
import { attribute, h, setText, show } from "./dom.ts";
import { carriesFiles } from "./drops.ts";
import { type GuestEvents, GuestsView } from "./guests.ts";
import { icon, type IconName } from "./icons.ts";
import { InvitationsView } from "./invitations.ts";
import { type Shareable, takes } from "./sharing.ts";
import { shown, StageView } from "./stage.ts";
import { mediaStatus } from "./status.ts";
import { TransfersView } from "./transfers.ts";
import { type SessionWords, showWords, wordsOf } from "./words.ts";

export interface CallEvents {
  back(): void;
  write(text: string, card?: Card): void;
  /** The own contact card, once the person has written one. */
  card(): Card | undefined;
  again(line: Line): void;
  typing(): void;
  toggle(source: Source): void;
  share(entries: readonly Entry[]): void;
  notice(text: string): void;
  /** What a guest reads once the page is no longer in the call. */
  farewell?(call: Call): string;
  /** On the page of a client. Guests have no guests of their own. */
  readonly guests?: GuestEvents;
}

export class CallView {
  readonly element: HTMLElement;
  readonly #context: Context;
  readonly #back: HTMLElement;
  readonly #avatar = h("span", { class: "avatar", "aria-hidden": "true" });
  readonly #name = h("h1", {});
  readonly #detail = h("p", { class: "detail" });
  readonly #visitors = h("p", { class: "detail", dir: "auto" });
  readonly #media = h("p", { class: "media-status", role: "status" });
  readonly #verify: HTMLButtonElement;
  readonly #buttons = new Map<Shareable, HTMLButtonElement>();
  readonly #actions: HTMLElement;
  readonly #stage: StageView;
  readonly #invitations: InvitationsView;
  readonly #transfers: TransfersView;
  readonly #chat: ChatView;
  readonly #guests: GuestsView | undefined;
  readonly #farewell: CallEvents["farewell"];
  #conversation: Conversation | undefined;
  #words: readonly SessionWords[] = [];

  constructor(context: Context, events: CallEvents) {
    const { t } = context;
    this.#context = context;
    this.#farewell = events.farewell;
    const back = { class: "icon-button", type: "button", "aria-label": t.back, title: t.back, on: { click: () => events.back() } };
    this.#back = h("button", back, icon("back"));
    this.#verify = h("button", { class: "quiet small", type: "button" }, icon("shield"), t.verify);
    this.#verify.addEventListener("click", () => void showWords(context, this.#words));
    this.#stage = new StageView(context);
    this.#invitations = new InvitationsView(context, {
      accept: (id) => this.#conversation?.accept(id),
      decline: (id) => this.#conversation?.decline(id),
      withdraw: (id) => this.#conversation?.withdraw(id),
      join: (id) => this.#conversation?.join(id),
    });
    this.#transfers = new TransfersView(context, {
      pause: (id, paused) => this.#conversation?.transfers.pause(id, paused),
      cancel: (id) => this.#conversation?.cancelTransfer(id),
      dismiss: (id) => this.#conversation?.transfers.dismiss(id),
      canRepeat: (id) => this.#conversation?.canRepeat(id) === true,
      repeat: (id) => this.#conversation?.repeat(id),
    });
    this.#chat = new ChatView(context, {
      ...events,
      paste: (transfer) => void fromTransfer(transfer).then(events.share),
    });
    this.#chat.shelf.append(this.#transfers.element);
    this.#actions = h("div", { class: "actions", role: "toolbar" }, ...this.#makeActions(events));
    const who = h("div", { class: "who" }, this.#name, this.#detail, this.#visitors);
    this.#guests = events.guests && new GuestsView(context, events.guests);
    const side = h("div", { class: "side" }, this.#media, this.#verify, this.#guests?.element);
    const head = h("header", { class: "call-head" }, this.#back, this.#avatar, who, side);
    const left = h("div", { class: "left" }, head, this.#actions, this.#invitations.element, this.#stage.element);
    this.element = h("main", { class: "call" }, left, this.#chat.element);
    this.#showDrags();
  }

  update(call: Call, conversation: Conversation | undefined, now: number): void {
    const { t } = this.#context;
    const name = this.#context.names(call);
    this.#conversation = conversation;
    setText(this.#name, name);
    if (initials(name) === "") this.#avatar.replaceChildren(icon("phone"));
    else setText(this.#avatar, initials(name));
    setText(this.#detail, [this.#context.numbers(call), this.#phase(call, now)].filter((part) => part !== "").join(" · "));
    show(this.#back, call.phase !== "active" && call.phase !== "ringing");
    attribute(this.element, "data-phase", call.phase);
    const reachable = present(call).filter((party) => party.address !== undefined).length;
    const live = conversation !== undefined && reachable > 0;
    attribute(this.element, "data-live", live);
    attribute(this.element, "data-drop", live && takes(call, "files") ? t.dropHere : undefined);
    show(this.#chat.element, live || call.lines.length > 0);
    show(this.#actions, live);
    show(this.#stage.element, live);
    const sessions = conversation?.sessions ?? [];
    const status = mediaStatus(sessions, t);
    const visitors = this.#context.visitors(call);
    setText(this.#visitors, visitors);
    show(this.#visitors, visitors !== "");
    setText(this.#media, status?.text ?? this.#without(call, live));
    attribute(this.#media, "data-state", status?.level);
    this.#words = wordsOf(this.#context, call, sessions);
    show(this.#verify, this.#words.length > 0);
    this.#updateActions(call, conversation);
    this.#stage.update(conversation === undefined ? [] : shown(this.#context, call, conversation));
    const from = ({ party = "" }: Invitation) => this.#context.partyName(call, party);
    this.#invitations.update(conversation?.invitations ?? [], from, reachable > 1);
    const transfers = (conversation?.transfers.view() ?? []).filter(({ state }) => state !== "done");
    this.#transfers.update(transfers);
    this.#chat.update(call, new Set(transfers.map(({ id }) => id)), now);
    this.#guests?.update(call);
  }

  #phase(call: Call, now: number): string {
    const { t } = this.#context;
    switch (call.phase) {
      case "ringing":
        return call.role === "first" ? t.ringingOut : t.ringingIn;
      case "missed":
        return call.role === "first" ? t.noAnswer : t.missed;
      case "active":
        return duration(now - (call.answered ?? now));
      case "ended":
        if (this.#farewell !== undefined) return "";
        return call.answered === undefined ? t.ended : `${t.ended} · ${duration((call.ended ?? now) - call.answered)}`;
    }
  }

  /** What is said where nothing is connected. */
  #without(call: Call, live: boolean): string {
    if (call.phase === "ended") return this.#farewell?.(call) ?? "";
    const isReachable = live || people(call).some((party) => party.address !== undefined);
    return call.phase === "active" && !isReachable ? this.#context.t.noClient : "";
  }

  #makeActions(events: CallEvents): HTMLElement[] {
    const { t } = this.#context;
    const make = (kind: Shareable, click: () => void) => {
      const label = h("span", { class: "label" }, t[kind]);
      const button = h("button", { class: "action", type: "button", on: { click } }, icon(kind as IconName), label);
      this.#buttons.set(kind, button);
      return button;
    };
    const input = (folder: boolean) => {
      const field = h("input", { type: "file", multiple: true, webkitdirectory: folder, class: "visually-hidden", tabindex: -1 });
      attribute(field, "aria-label", folder ? t.folder : t.files);
      field.addEventListener("change", () => {
        events.share(fromList(field.files ?? []));
        field.value = "";
      });
      return field;
    };
    const [files, folder] = [input(false), input(true)];
    const folderButton = h("button", { class: "action folder", type: "button", on: { click: () => folder.click() } });
    folderButton.append(icon("folder"), h("span", { class: "label" }, t.folder));
    return [
      make("camera", () => events.toggle("camera")),
      make("screen", () => events.toggle("screen")),
      make("files", () => files.click()),
      folderButton,
      make("microphone", () => events.toggle("microphone")),
      files,
      folder,
    ];
  }

  #updateActions(call: Call, conversation: Conversation | undefined): void {
    const { t } = this.#context;
    const stops: Record<Source, string> = { camera: t.stopCamera, screen: t.stopScreen, microphone: t.stopMicrophone };
    for (const [kind, button] of this.#buttons) {
      const able = takes(call, kind);
      attribute(button, "disabled", !able);
      attribute(button, "title", able ? undefined : t.notOffered);
      const source = SOURCES.find((known) => known === kind);
      if (source === undefined) continue;
      const on = conversation?.sources.tracks.has(source) ?? false;
      attribute(button, "aria-pressed", on ? "true" : "false");
      setText(button.querySelector(".label")!, on ? stops[source] : t[source]);
    }
    show(this.#buttons.get("screen")!, canShareScreen());
  }

  /** Says that files may be dropped while some are dragged over the view. The page takes them. */
  #showDrags(): void {
    let depth = 0;
    const inside = (change: number) => {
      depth = change === 0 ? 0 : Math.max(0, depth + change);
      attribute(this.element, "data-dropping", depth > 0);
    };
    this.element.addEventListener("dragenter", (event) => carriesFiles(event.dataTransfer) && inside(1));
    this.element.addEventListener("dragleave", (event) => carriesFiles(event.dataTransfer) && inside(-1));
    this.element.addEventListener("drop", (event) => carriesFiles(event.dataTransfer) && inside(0));
  }
}
