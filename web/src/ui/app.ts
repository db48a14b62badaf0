// The page: signs in, keeps one view in front of the person, and draws it again when something changes.
import { Client } from "../app/client.ts";
import { PhoneSignIn } from "../app/phonesignin.ts";
import { type Call, current } from "../core/calls.ts";
import { phone } from "../core/format.ts";
import { catalogue, pick } from "../core/locale/mod.ts";
import { DeviceAccess } from "../net/access.ts";
import { type Api, ApiError, type Device, type Failure } from "../net/api.ts";
import { backoff } from "../core/backoff.ts";
import { loadDevice, loadPreferences, type Preferences, saveDevice, savePreferences, type Storage } from "../net/storage.ts";
import { callEvents, type Page, shareFiles } from "./actions.ts";
import { CallView } from "./call.ts";
import { Context } from "./context.ts";
import { openDevices } from "./devices.ts";
import { confirm } from "./dialogs.ts";
import { attribute, h, setChildren, setText, show } from "./dom.ts";
import { takeFiles } from "./drops.ts";
import { showCode } from "./guests.ts";
import { IdleView } from "./idle.ts";
import { icon } from "./icons.ts";
import { Notices } from "./notices.ts";
import { everySecond } from "./seconds.ts";
import { openSettings } from "./settings.ts";
import { deviceName, SignInView } from "./signin.ts";
import { streamStatus } from "./status.ts";

interface InstallPrompt extends Event {
  prompt(): Promise<unknown>;
}

/** Changes that come together are drawn together. */
const FRAME = 30;

export class App {
  readonly #root: HTMLElement;
  readonly #api: Api;
  readonly #storage: Storage;
  #preferences: Preferences = loadPreferences();
  #context = contextOf(this.#preferences);
  #notices = new Notices(this.#context);
  #client: Client | undefined;
  #device: Device | undefined;
  #phone: PhoneSignIn | undefined;
  /** A past call that the person looks at. */
  #opened: string | undefined;
  #idle: IdleView | undefined;
  #call: { readonly id: string; readonly view: CallView } | undefined;
  #bar: { readonly element: HTMLElement; readonly status: HTMLElement; readonly retry: HTMLElement } | undefined;
  #due: ReturnType<typeof setTimeout> | undefined;
  #attempt = 0;
  /** What the browser offers where the client can be installed as an app. */
  #install: InstallPrompt | undefined;
  readonly #page: Page = {
    client: () => this.#client,
    context: () => this.#context,
    preferences: () => this.#preferences,
    toast: (text) => this.#notices.toast(text),
    back: () => this.#open(undefined),
  };

  constructor(root: HTMLElement, api: Api, storage: Storage) {
    this.#root = root;
    this.#api = api;
    this.#storage = storage;
    this.#appearance();
    addEventListener("online", () => this.#client?.networkChanged());
    addEventListener("offline", () => this.#changed());
    document.addEventListener("visibilitychange", () => this.#visible());
    addEventListener("beforeunload", (event) => this.#busy() && event.preventDefault());
    addEventListener("beforeinstallprompt", (event) => {
      event.preventDefault();
      this.#install = event as InstallPrompt;
      this.#changed();
    });
    takeFiles((entries) => shareFiles(this.#call?.id, this.#page, entries));
    everySecond((slept) => this.#second(slept));
  }

  /** Starts with the stored device, or a code from a link, or the page to sign in. */
  start(code: string): void {
    const device = loadDevice();
    if (device === undefined) return this.#askToSignIn(code, false);
    void this.#enter(device);
    if (code !== "") void this.#askToReplace(device, code);
  }

  stop(): void {
    this.#client?.stop();
    this.#client = undefined;
    this.#phone?.stop();
  }

  /** A link is for another device: this one goes only if the person wants that. */
  async #askToReplace({ number }: Device, code: string): Promise<void> {
    const { t } = this.#context;
    if (!(await confirm(t.replaceTitle, t.replaceText(phone(number)), t.replaceGo, t))) return;
    this.stop();
    this.#askToSignIn(code, false);
  }

  #askToSignIn(code: string, revoked: boolean): void {
    const enrol = (typed: string, name: string) => this.#enrol(typed, name);
    const view = new SignInView(this.#context.t, { enrol }, code, deviceName(navigator.userAgent), revoked);
    setChildren(this.#root, [view.element]);
    if (code !== "") return void view.submit();
    view.element.querySelector("input")?.focus();
    const enrolled = (device: Device) => void this.#signIn(device);
    this.#phone = new PhoneSignIn(this.#api, () => view.name, { dial: (digits) => view.dial(digits), enrolled });
    void this.#phone.run();
  }

  async #enrol(code: string, name: string): Promise<Failure | undefined> {
    try {
      await this.#signIn(await this.#api.enrol(code.trim(), name));
      return undefined;
    } catch (error) {
      return error instanceof ApiError ? error.failure : "refused";
    }
  }

  async #signIn(device: Device): Promise<void> {
    this.#phone?.stop();
    await this.#storage.clear();
    saveDevice(device);
    void this.#enter(device);
  }

  async #enter(device: Device): Promise<void> {
    this.#device = device;
    const client = new Client(new DeviceAccess(this.#api, device), this.#storage, {
      changed: () => this.#changed(),
      revoked: () => void this.#leave(true),
      notice: (call, what, by, text) => this.#notices.show(call, what, by, text),
      preferences: () => this.#preferences,
    });
    this.#client = client;
    this.#build();
    while (this.#client === client) {
      try {
        await client.start();
        this.#attempt = 0;
        return;
      } catch (error) {
        if (error instanceof ApiError && error.failure === "unauthorized") return this.#leave(true);
        client.stream = "waiting";
        this.#changed();
        await new Promise((done) => setTimeout(done, backoff(this.#attempt, Math.random())));
        this.#attempt += 1;
      }
    }
  }

  async #leave(revoked: boolean): Promise<void> {
    this.stop();
    await this.#storage.clear();
    this.#askToSignIn("", revoked);
  }

  #build(): void {
    const { t } = this.#context;
    const settings = { class: "icon-button", type: "button", "aria-label": t.settings, title: t.settings };
    const status = h("p", { class: "status", role: "status" });
    const retry = h("button", { class: "link", type: "button", on: { click: () => this.#client?.retry() } }, t.tryNow);
    const open = h("button", { ...settings, on: { click: () => this.#settings() } }, icon("settings"));
    const element = h("header", { class: "bar" }, h("span", { class: "brand" }, icon("phone"), "sidecall"), status, retry, open);
    this.#bar = { element, status, retry };
    this.#idle = new IdleView(this.#context, {
      open: (call) => this.#open(call),
      notify: () => void Notification.requestPermission().then(() => this.#draw()),
      install: () => {
        void this.#install?.prompt();
        this.#install = undefined;
      },
    });
    this.#call = undefined;
    this.#draw();
  }

  #open(call: string | undefined): void {
    this.#opened = call;
    this.#draw();
    this.#root.querySelector<HTMLElement>("main h1")?.setAttribute("tabindex", "-1");
    this.#root.querySelector<HTMLElement>("main h1")?.focus();
  }

  #second(slept: boolean): void {
    if (slept) this.#client?.networkChanged();
    this.#draw();
  }

  #changed(): void {
    this.#due ??= setTimeout(() => this.#draw(), FRAME);
  }

  #draw(): void {
    clearTimeout(this.#due);
    this.#due = undefined;
    const [client, bar] = [this.#client, this.#bar];
    if (client === undefined || bar === undefined) return;
    const now = Date.now();
    const status = streamStatus(client.stream, navigator.onLine, this.#context.t);
    setText(bar.status, status.text);
    attribute(bar.status, "data-state", status.level);
    show(bar.retry, client.stream === "waiting");
    const live = current(client.calls);
    const chosen = live?.id ?? this.#opened;
    const call = chosen === undefined ? undefined : client.calls.get(chosen);
    client.front(call?.id);
    if (call === undefined) this.#drawIdle(client, bar.element, now);
    else this.#drawCall(client, call, bar.element, now);
    this.#notices.title(client.calls, live);
  }

  #drawIdle(client: Client, bar: HTMLElement, now: number): void {
    this.#call = undefined;
    const idle = this.#idle!;
    idle.update(this.#device?.number ?? "", client.calls, client.stream, this.#install !== undefined, now);
    setChildren(this.#root, [bar, idle.element]);
  }

  #drawCall(client: Client, call: Call, bar: HTMLElement, now: number): void {
    if (this.#call?.id !== call.id) this.#call = { id: call.id, view: this.#callView(call.id) };
    // A live call stays in front when it ends, until the person leaves it or another one begins.
    if (call.phase === "active" || call.phase === "ringing") this.#opened = call.id;
    this.#call.view.update(call, client.conversation(call.id), now);
    setChildren(this.#root, [bar, this.#call.view.element]);
    if (!document.hidden) client.texts.read(call.id);
  }

  #callView(id: string): CallView {
    const events = callEvents(id, this.#page);
    const guests = { invite: () => void this.#inviteGuest(id), dismiss: (guest: string) => void this.#dismissGuest(guest) };
    return new CallView(this.#context, { ...events, guests });
  }

  async #inviteGuest(call: string): Promise<void> {
    if (this.#client === undefined || this.#device === undefined) return;
    try {
      await showCode(await this.#api.guestCode(this.#device, this.#client.id, call), this.#context);
    } catch (error) {
      const over = error instanceof ApiError && error.failure === "absent";
      this.#notices.toast(over ? this.#context.t.ended : this.#context.t.actionFailed);
    }
  }

  async #dismissGuest(guest: string): Promise<void> {
    if (this.#device === undefined) return;
    await this.#api.dismissGuest(this.#device, guest).catch((error: unknown) => {
      const gone = error instanceof ApiError && error.failure === "absent";
      if (!gone) this.#notices.toast(this.#context.t.actionFailed);
    });
  }

  #settings(): void {
    const device = this.#device;
    if (this.#client === undefined || device === undefined) return;
    const changed = (preferences: Preferences) => {
      const { language } = this.#context;
      this.#preferences = preferences;
      savePreferences(preferences);
      this.#appearance();
      if (this.#context.language === language) return;
      this.#build();
    };
    const signOut = () => {
      void this.#api.forget(device).catch(() => undefined);
      void this.#leave(false);
    };
    const devices = () => void openDevices(this.#context.t, this.#api, device);
    void openSettings(this.#context.t, device, this.#preferences, { changed, signOut, devices });
  }

  #appearance(): void {
    const root = document.documentElement;
    attribute(root, "data-theme", this.#preferences.theme);
    this.#context = contextOf(this.#preferences);
    this.#notices.speak(this.#context);
    attribute(root, "lang", this.#context.language);
  }

  #visible(): void {
    if (this.#client !== undefined) this.#client.watching = !document.hidden;
    if (!document.hidden) this.#client?.retry();
    this.#draw();
  }

  /** Whether files would be lost if the page were left. */
  #busy(): boolean {
    const calls = [...(this.#client?.calls.keys() ?? [])];
    return calls.some((id) => this.#client?.conversation(id)?.transfers.active === true);
  }
}

function contextOf({ language }: Preferences): Context {
  const chosen = pick(language, navigator.languages);
  return new Context(catalogue(chosen), chosen);
}
