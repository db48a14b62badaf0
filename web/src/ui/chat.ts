// The chat of a call: its lines, what became of the own ones, and the field to write.
import { type Card, CARD_FIELDS, cardText, vcard } from "../core/card.ts";
import type { Call, Line, LineState } from "../core/calls.ts";
import { present } from "../core/people.ts";
import { pieces, TEXT_MAX } from "../core/text.ts";
import { canSaveFolder, saveAll, saveBlob, type SavedAll, saveFile } from "../files/save.ts";
import type { Context } from "./context.ts";
import { attribute, h, Keyed, setText, show } from "./dom.ts";
import { ListEnd } from "./end.ts";
import { icon } from "./icons.ts";
import { whyFailed } from "./transfers.ts";

/** Files of a line that are listed at first. */
const LISTED = 50;

export interface ChatEvents {
  write(text: string, card?: Card): void;
  card(): Card | undefined;
  typing(): void;
  again(line: Line): void;
  paste(transfer: DataTransfer): void;
  notice(text: string): void;
}

export class ChatView {
  readonly element: HTMLElement;
  /** Where transfers are shown, between the lines and the field. */
  readonly shelf = h("div", { class: "shelf" });
  readonly #context: Context;
  readonly #events: ChatEvents;
  readonly #end: ListEnd;
  readonly #lines: Keyed<Line, LineView>;
  readonly #empty: HTMLElement;
  readonly #typing = h("p", { class: "typing", "aria-live": "polite" });
  readonly #form: HTMLFormElement;
  readonly #readers = h("p", { id: "readers", class: "readers" });
  readonly #field: HTMLTextAreaElement;
  #count = 0;

  constructor(context: Context, events: ChatEvents) {
    const { t } = context;
    this.#context = context;
    this.#events = events;
    const list = h("ol", { class: "lines" });
    this.#lines = new Keyed(list, (line) => new LineView(context, line, events));
    this.#empty = h("p", { class: "hint empty" }, t.chatEmpty);
    const scroller = h("div", { class: "scroller", tabindex: "0", role: "log", "aria-live": "polite", "aria-label": t.chat }, this.#empty, list);
    this.#end = new ListEnd(scroller, t.newMessages);
    this.#field = h("textarea", {
      rows: 1,
      maxlength: TEXT_MAX,
      placeholder: t.write,
      "aria-label": t.write,
      "aria-describedby": "readers",
      on: {
        input: () => this.#typed(),
        keydown: (event) => this.#key(event),
        paste: (event) => this.#paste(event),
      },
    });
    const submit = (event: Event) => {
      event.preventDefault();
      this.#send();
    };
    const send = h("button", { class: "icon-button primary", type: "submit", "aria-label": t.send, title: t.send }, icon("send"));
    const card = { class: "icon-button", type: "button", "aria-label": t.sendCard, title: t.sendCard };
    const sendCard = h("button", { ...card, on: { click: () => this.#sendCard() } }, icon("card"));
    this.#form = h("form", { class: "composer", on: { submit } }, this.#readers, sendCard, this.#field, send);
    this.element = h("section", { class: "chat", "aria-label": t.chat }, scroller, this.#end.button, this.#typing, this.shelf, this.#form);
  }

  /** `moving` are transfers that are shown for themselves. */
  update(call: Call, moving: ReadonlySet<string>, now: number): void {
    const { t } = this.#context;
    const lines = call.lines.filter(({ id }) => !moving.has(id));
    const several = call.parties.filter((party) => party.phone !== true).length > 1;
    const readers = present(call).filter((party) => party.address !== undefined);
    const circle = { several, reached: readers.length > 0 };
    this.#lines.update(lines, (line) => line.id, (view, line) => view.update(line, this.#context.author(call, line), circle));
    show(this.#empty, lines.length === 0 && call.phase === "active");
    const { typing } = call;
    setText(this.#typing, typing !== undefined && typing.until > now ? t.typing(this.#context.all(typing.by)) : "");
    show(this.#form, circle.reached);
    show(this.#readers, present(call).length > 1);
    setText(this.#readers, t.readers(this.#context.all(readers)));
    if (lines.length !== this.#count) {
      if (lines.at(-1)?.own === true) this.#end.go();
      else this.#end.added();
    }
    this.#count = lines.length;
  }

  #typed(): void {
    this.#events.typing();
    this.#fit();
  }

  #fit(): void {
    this.#field.style.height = "auto";
    this.#field.style.height = `${Math.min(this.#field.scrollHeight + 2, 160)}px`;
  }

  #key(event: KeyboardEvent): void {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.#send();
  }

  #paste(event: ClipboardEvent): void {
    const transfer = event.clipboardData;
    if (transfer === null || transfer.files.length === 0) return;
    event.preventDefault();
    this.#events.paste(transfer);
  }

  #sendCard(): void {
    const card = this.#events.card();
    if (card === undefined) this.#events.notice(this.#context.t.noCard);
    else this.#events.write(cardText(card), card);
  }

  #send(): void {
    if (this.#field.value.trim() === "") return;
    this.#events.write(this.#field.value);
    this.#field.value = "";
    this.#fit();
    this.#field.focus();
  }
}

class LineView {
  readonly element: HTMLElement;
  readonly #context: Context;
  readonly #state = h("span", { class: "state" });
  readonly #meta = h("span", { class: "meta" });
  readonly #again: HTMLButtonElement;
  readonly #author = h("span", { class: "visually-hidden" });
  /** The same for those who see it, where there is more than one other. */
  readonly #name = h("span", { class: "author", "aria-hidden": "true", dir: "auto" });
  #line: Line;

  constructor(context: Context, line: Line, events: ChatEvents) {
    const { t } = context;
    this.#context = context;
    this.#line = line;
    this.#again = h("button", { class: "link", type: "button", on: { click: () => events.again(this.#line) } }, t.retry);
    this.#meta.append(h("time", {}, context.time(line.at)), this.#state, this.#again);
    const kind = line.kind === "joined" || line.kind === "left" ? "note" : line.own ? "own" : "theirs";
    this.element = h("li", { class: `line ${kind}` }, this.#author, this.#name, body(context, line, events));
    if (kind !== "note") this.element.append(this.#meta);
  }

  /** `name` is the author's; `several`: there are others who may have written it; `reached`: somebody can be written to. */
  update(line: Line, name: string, { several, reached }: { readonly several: boolean; readonly reached: boolean }): void {
    const { t } = this.#context;
    this.#line = line;
    const note = line.kind === "joined" || line.kind === "left";
    setText(this.#name, name);
    show(this.#name, several && !note && !line.own);
    setText(this.#author, note ? "" : t.lineBy(line.own ? t.you : name, this.#context.time(line.at)));
    const words: Record<LineState, string> = t;
    setText(this.#state, line.state === undefined ? "" : words[line.state]);
    attribute(this.element, "data-state", line.state);
    show(this.#again, line.state === "failed" && reached);
  }
}

function body(context: Context, line: Line, events: ChatEvents): HTMLElement {
  const { t } = context;
  switch (line.kind) {
    case "text": {
      if (line.card !== undefined) return contact(context, line.card);
      const parts = pieces(line.text).map(({ text, href }) =>
        href === undefined ? text : h("a", { href, target: "_blank", rel: "noopener noreferrer nofollow" }, text),
      );
      return h("p", { class: "bubble", dir: "auto" }, ...parts);
    }
    case "joined":
    case "left": {
      const { kind, who, hosts } = line;
      if (hosts === undefined) return h("p", {}, (kind === "joined" ? t.joined : t.left)(context.name(who)));
      return h("p", { dir: "auto" }, context.visitorLine({ kind, who, hosts }));
    }
    case "files":
      return files(context, line, events);
  }
}

function contact({ t }: Context, card: Card): HTMLElement {
  const rows = CARD_FIELDS.flatMap((field) => (card[field] === undefined ? [] : h("p", { class: field }, card[field])));
  const file = () => saveBlob(new Blob([vcard(card)], { type: "text/vcard" }), "contact.vcf");
  const save = h("button", { class: "link", type: "button", on: { click: file } }, icon("save"), t.saveCard);
  return h("div", { class: "bubble files card-bubble", dir: "auto" }, ...rows, save);
}

function files(context: Context, line: Line & { readonly kind: "files" }, events: ChatEvents): HTMLElement {
  const { t } = context;
  const title = h("p", { class: "files-title" }, icon("files"), context.bundle(line));
  const box = h("div", { class: "bubble files" }, title);
  if (line.failed !== undefined) {
    const lost = line.own ? t.failed : t.notReceived;
    box.append(h("p", { class: "lost" }, `${lost}. ${whyFailed(context, line.failed)}`));
  }
  const saved = line.saved ?? [];
  const missing = (there: boolean) => there || events.notice(t.notHere);
  const item = (index: number, label: string) => {
    const click = () => void saveFile(line.id, index, saved[index]!).then(missing);
    return h("button", { class: "link", type: "button", on: { click } }, icon("save"), label);
  };
  if (saved.length === 1) box.append(item(0, t.save));
  if (saved.length > 1) {
    const report = (result: SavedAll | undefined) => {
      if (result !== undefined) events.notice(result.failed > 0 ? t.notSaved(result.failed, saved.length) : t.savedIn(result.folder));
    };
    const all = () => void saveAll(line.id, saved, t.files).then(report);
    if (canSaveFolder()) box.append(h("button", { class: "link", type: "button", on: { click: all } }, icon("save"), t.saveAll));
    const row = (index: number) => h("li", {}, item(index, saved[index]!.path.join("/")));
    box.append(h("details", {}, h("summary", {}, t.files), ...growing(saved.length, row, t.more)));
  }
  return box;
}

/** A list that begins with some of its rows and shows twice as many whenever more are wanted. */
function growing(count: number, row: (index: number) => HTMLElement, label: string): HTMLElement[] {
  const list = h("ul", {});
  const more = h("button", { class: "link", type: "button" }, label);
  const grow = () => {
    const from = list.children.length;
    const to = Math.min(count, Math.max(LISTED, from * 2));
    list.append(...Array.from({ length: to - from }, (_, n) => row(from + n)));
    show(more, to < count);
  };
  more.addEventListener("click", grow);
  grow();
  return [list, more];
}
