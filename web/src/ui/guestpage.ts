// The page of a guest: asks for the code, and shows the one call that it is for.
import { Client } from "../app/client.ts";
import { type Call, current } from "../core/calls.ts";
import { catalogue, pick } from "../core/locale/mod.ts";
import { GuestAccess, loadPass, type Pass, savePass } from "../net/access.ts";
import { type Api, ApiError } from "../net/api.ts";
import { loadPreferences, type Preferences, Storage } from "../net/storage.ts";
import { callEvents, type Page, shareFiles } from "./actions.ts";
import { CallView } from "./call.ts";
import { Context } from "./context.ts";
import { attribute, h, setChildren, setText, show } from "./dom.ts";
import { takeFiles } from "./drops.ts";
import { icon } from "./icons.ts";
import { type JoinFailure, JoinView } from "./join.ts";
import { Notices } from "./notices.ts";
import { everySecond } from "./seconds.ts";
import { streamStatus } from "./status.ts";

/** Changes that come together are drawn together. */
const FRAME = 30;

export class GuestPage {
  readonly #root: HTMLElement;
  readonly #api: Api;
  /** As in the client of this browser, if somebody uses it here; a guest changes none. */
  readonly #preferences: Preferences = loadPreferences();
  readonly #context: Context;
  readonly #notices: Notices;
  readonly #status = h("p", { class: "status", role: "status" });
  readonly #leave: HTMLButtonElement;
  readonly #bar: HTMLElement;
  #client: Client | undefined;
  /** The guest has left, and nobody else is why the page is no longer in the call. */
  #hasLeft = false;
  #call: { readonly id: string; readonly view: CallView } | undefined;
  #due: ReturnType<typeof setTimeout> | undefined;
  readonly #page: Page = {
    client: () => this.#client,
    context: () => this.#context,
    preferences: () => this.#preferences,
    toast: (text) => this.#notices.toast(text),
    back: () => this.#ask(),
  };

  constructor(root: HTMLElement, api: Api) {
    const language = pick(this.#preferences.language, navigator.languages);
    this.#root = root;
    this.#api = api;
    this.#context = new Context(catalogue(language), language);
    this.#notices = new Notices(this.#context);
    const { t } = this.#context;
    const click = () => void this.#leaveCall();
    this.#leave = h("button", { class: "quiet small", type: "button", title: t.leaveHint, on: { click } }, icon("back"), t.leave);
    const brand = h("span", { class: "brand" }, icon("phone"), "sidecall");
    this.#bar = h("header", { class: "bar" }, brand, this.#status, this.#leave);
    attribute(document.documentElement, "lang", language);
    attribute(document.documentElement, "data-theme", this.#preferences.theme);
    addEventListener("online", () => this.#client?.networkChanged());
    addEventListener("offline", () => this.#changed());
    addEventListener("beforeunload", (event) => this.#busy() && event.preventDefault());
    addEventListener("pagehide", (event) => !event.persisted && this.#client?.leave());
    document.addEventListener("visibilitychange", () => {
      if (this.#client !== undefined) this.#client.watching = !document.hidden;
      if (!document.hidden) this.#client?.retry();
      this.#draw();
    });
    takeFiles((entries) => shareFiles(this.#call?.id, this.#page, entries));
    everySecond((slept) => {
      if (slept) this.#client?.networkChanged();
      this.#draw();
    });
  }

  /** Starts with the pass of this tab, or asks for the code. */
  start(): void {
    const pass = loadPass();
    if (pass === undefined) this.#ask();
    else void this.#enter(pass);
  }

  #ask(): void {
    this.#client = undefined;
    this.#call = undefined;
    this.#hasLeft = false;
    const view = new JoinView(this.#context.t, { join: (code, name) => this.#join(code, name) });
    setChildren(this.#root, [view.element]);
    view.focus();
  }

  async #join(code: string, name: string): Promise<JoinFailure | undefined> {
    try {
      const pass = await this.#api.join(code, name);
      savePass(pass);
      void this.#enter(pass);
      return undefined;
    } catch (error) {
      if (!(error instanceof ApiError)) return "refused";
      return error.field === "name" ? "name" : error.failure;
    }
  }

  async #enter(pass: Pass): Promise<void> {
    const client = new Client(new GuestAccess(this.#api, pass), new Storage(false), {
      changed: () => this.#changed(),
      revoked: () => this.#over(),
      notice: () => undefined,
      preferences: () => this.#preferences,
    });
    this.#client = client;
    try {
      await client.start();
      this.#draw();
    } catch {
      // The call is over: the pass of an earlier page is for nothing.
      this.#over();
    }
  }

  async #leaveCall(): Promise<void> {
    this.#hasLeft = true;
    try {
      await this.#api.leave(loadPass()?.token ?? "");
    } catch (error) {
      this.#hasLeft = false;
      const isGone = error instanceof ApiError && error.failure === "unauthorized";
      if (!isGone) return this.#notices.toast(this.#context.t.actionFailed);
    }
    this.#over();
  }

  /** The call has ended, or the guest has left it or was dismissed. What was written stays on the page. */
  #over(): void {
    savePass(undefined);
    this.#client?.end();
    if (this.#call === undefined) this.#ask();
  }

  #changed(): void {
    this.#due ??= setTimeout(() => this.#draw(), FRAME);
  }

  #draw(): void {
    clearTimeout(this.#due);
    this.#due = undefined;
    const client = this.#client;
    if (client === undefined) return;
    const [status, now] = [streamStatus(client.stream, navigator.onLine, this.#context.t), Date.now()];
    const over = loadPass() === undefined;
    setText(this.#status, over ? "" : status.text);
    attribute(this.#status, "data-state", over ? undefined : status.level);
    show(this.#leave, !over);
    const id = this.#call?.id ?? current(client.calls)?.id;
    const call = id === undefined ? undefined : client.calls.get(id);
    if (call === undefined) return setChildren(this.#root, [this.#bar]);
    this.#call ??= { id: call.id, view: this.#callView(call.id) };
    this.#call.view.update(call, client.conversation(call.id), now);
    setChildren(this.#root, [this.#bar, this.#call.view.element]);
    if (!document.hidden) client.texts.read(call.id);
    this.#notices.title(client.calls, current(client.calls));
  }

  #callView(id: string): CallView {
    const { t } = this.#context;
    const farewell = (call: Call) => (this.#hasLeft ? t.guestLeft : t.guestOver(this.#context.names(call)));
    return new CallView(this.#context, { ...callEvents(id, this.#page), farewell });
  }

  #busy(): boolean {
    return this.#call !== undefined && this.#client?.conversation(this.#call.id)?.transfers.active === true;
  }
}
