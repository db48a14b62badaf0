// Settings: devices with a preview, what is accepted without asking, language and appearance, and leaving.
import { type Card, CARD_FIELDS, parseCard } from "../core/card.ts";
import type { Catalogue } from "../core/locale/mod.ts";
import { phone } from "../core/format.ts";
import { devices, type MediaDevice } from "../media/capture.ts";
import { CameraPreview } from "../media/preview.ts";
import type { Device } from "../net/api.ts";
import type { Preferences } from "../net/storage.ts";
import { h, setChildren, show } from "./dom.ts";
import { confirm, open } from "./dialogs.ts";

export interface SettingsEvents {
  devices(): void;
  changed(preferences: Preferences): void;
  signOut(): void;
}

export async function openSettings(t: Catalogue, device: Device, now: Preferences, events: SettingsEvents): Promise<void> {
  let preferences = now;
  const change = (part: Partial<Preferences>) => {
    preferences = { ...preferences, ...part };
    events.changed(preferences);
  };
  const preview = new Preview(t);
  const camera = picker(t.camera, (id) => {
    change({ camera: id });
    void preview.restart(id);
  });
  const microphone = picker(t.microphone, (id) => change({ microphone: id }));
  const fill = async () => {
    camera.fill(t.defaultDevice, await devices("videoinput"), preferences.camera);
    microphone.fill(t.defaultDevice, await devices("audioinput"), preferences.microphone);
  };
  preview.button.addEventListener("click", () => void preview.restart(preferences.camera).then(fill));
  const signOut = async () => {
    if (await confirm(t.signOut, t.signOutConfirm, t.signOut, t)) events.signOut();
  };
  const others = h("button", { class: "quiet", type: "button" }, t.devices);
  others.addEventListener("click", () => others.closest("dialog")?.close("devices"));
  const leave = h("button", { class: "danger", type: "button", value: "leave" }, t.signOut);
  const body = [
    h("div", { class: "settings" },
      camera.element,
      preview.element,
      microphone.element,
      toggle(t.autoMedia, preferences.autoMedia, (autoMedia) => change({ autoMedia })),
      toggle(t.autoFiles, preferences.autoFiles, (autoFiles) => change({ autoFiles })),
      cardFields(t, preferences.card, (card) => change({ card })),
      choice(t.language, { auto: t.automatic, en: "English", de: "Deutsch" }, preferences.language, (language) => change({ language })),
      choice(t.theme, { auto: t.automatic, light: t.light, dark: t.dark }, preferences.theme, (theme) => change({ theme })),
      h("p", { class: "hint" }, `${t.thisDevice}: ${device.name} · ${phone(device.number)}`),
      h("div", { class: "answers" }, others, leave),
    ),
  ];
  leave.addEventListener("click", () => leave.closest("dialog")?.close("leave"));
  void fill();
  const closed = await open(t.settings, t, body, []);
  preview.stop();
  if (closed === "leave") await signOut();
  if (closed === "devices") events.devices();
}

function picker(label: string, changed: (id: string) => void) {
  const select = h("select", {});
  select.addEventListener("change", () => changed(select.value));
  const fill = (standard: string, found: readonly MediaDevice[], chosen: string) => {
    const options = found.filter((device) => device.label !== "").map((device) => h("option", { value: device.id }, device.label));
    setChildren(select, [h("option", { value: "" }, standard), ...options]);
    select.value = found.some((device) => device.id === chosen) ? chosen : "";
  };
  return { element: h("label", { class: "row" }, h("span", {}, label), select), fill };
}

function toggle(label: string, on: boolean, changed: (on: boolean) => void): HTMLElement {
  const box = h("input", { type: "checkbox", role: "switch" });
  box.checked = on;
  box.addEventListener("change", () => changed(box.checked));
  return h("label", { class: "row toggle" }, h("span", {}, label), box);
}

function choice<T extends string>(label: string, options: Record<T, string>, chosen: T, changed: (value: T) => void): HTMLElement {
  const values = Object.keys(options) as T[];
  const select = h("select", {}, ...values.map((value) => h("option", { value }, options[value])));
  select.value = chosen;
  select.addEventListener("change", () => changed(select.value as T));
  return h("label", { class: "row" }, h("span", {}, label), select);
}

function cardFields(t: Catalogue, card: Card | undefined, changed: (card: Card | undefined) => void): HTMLElement {
  const labels = { name: t.cardName, company: t.cardCompany, phone: t.cardPhone, email: t.cardEmail };
  const fields = CARD_FIELDS.map((key) => ({ key, input: h("input", { maxlength: 100, autocomplete: "off" }) }));
  const read = () => changed(parseCard(Object.fromEntries(fields.map(({ key, input }) => [key, input.value]))));
  const rows = fields.map(({ key, input }) => {
    input.value = card?.[key] ?? "";
    input.addEventListener("change", read);
    return h("label", { class: "row" }, h("span", {}, labels[key]), input);
  });
  return h("details", {}, h("summary", {}, t.card), ...rows);
}

/** Shows the own camera. */
class Preview {
  readonly button: HTMLButtonElement;
  readonly element: HTMLElement;
  readonly #video = h("video", { autoplay: true, playsinline: true });
  readonly #camera = new CameraPreview();

  constructor(t: Catalogue) {
    this.#video.muted = true;
    this.button = h("button", { class: "quiet", type: "button" }, t.showPreview);
    this.#video.setAttribute("aria-label", t.preview);
    show(this.#video, false);
    this.element = h("div", { class: "preview" }, this.#video, this.button);
  }

  async restart(camera: string): Promise<void> {
    this.#video.srcObject = null;
    const track = await this.#camera.open(camera);
    if (track === undefined) return;
    this.#video.srcObject = new MediaStream([track]);
    show(this.#video, true);
    show(this.button, false);
  }

  stop(): void {
    this.#camera.close();
    this.#video.srcObject = null;
  }
}
