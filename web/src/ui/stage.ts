// The stage: a tile for each camera and screen, the other side's and one's own.
import type { Conversation } from "../app/conversation.ts";
import type { Call } from "../core/calls.ts";
import type { Source } from "../core/signal.ts";
import type { Context } from "./context.ts";
import { attribute, h, Keyed, setText, show } from "./dom.ts";
import { icon } from "./icons.ts";

export interface Shown {
  readonly id: string;
  readonly source: Source;
  readonly track: MediaStreamTrack;
  readonly own: boolean;
  /** Whose it is. */
  readonly name: string;
}

/** What is to be seen and heard in a call. */
export function shown(context: Context, call: Call, { sources, sessions }: Pick<Conversation, "sources" | "sessions">): Shown[] {
  const own = Array.from(sources.tracks, ([source, track]): Shown => ({ id: `own-${source}`, source, track, own: true, name: "" }));
  const theirs = sessions.flatMap(({ facts, remote }) => {
    const name = context.partyName(call, facts.party);
    return Array.from(remote, ([source, track]): Shown => ({ id: `${facts.id}-${source}`, source, track, own: false, name }));
  });
  return [...theirs, ...own];
}

export class StageView {
  readonly element: HTMLElement;
  readonly #empty: HTMLElement;
  readonly #tiles: Keyed<Shown, TileView>;
  readonly #sounds = new Map<string, HTMLAudioElement>();

  constructor(context: Context) {
    const grid = h("div", { class: "tiles" });
    this.#empty = h("p", { class: "hint empty" }, context.t.stageEmpty);
    this.#tiles = new Keyed(grid, () => new TileView(context));
    this.element = h("section", { class: "stage" }, this.#empty, grid);
  }

  update(shown: readonly Shown[]): void {
    const pictures = shown.filter(({ source }) => source !== "microphone");
    // What the other side shows comes first, and screens before cameras.
    const rank = ({ own, source }: Shown) => (own ? 2 : 0) + (source === "screen" ? 0 : 1);
    const sorted = [...pictures].sort((a, b) => rank(a) - rank(b));
    this.#tiles.update(sorted, ({ id }) => id, (view, item) => view.update(item));
    show(this.#empty, pictures.length === 0);
    const theirs = pictures.filter(({ own }) => !own).length;
    attribute(this.element, "data-watching", theirs > 0);
    attribute(this.element, "data-tiles", theirs > 0 ? theirs : pictures.length);
    this.#play(shown.filter(({ own, source }) => source === "microphone" && !own));
  }

  #play(sounds: readonly Shown[]): void {
    const wanted = new Set(sounds.map(({ id }) => id));
    for (const [id, audio] of this.#sounds) {
      if (wanted.has(id)) continue;
      audio.srcObject = null;
      this.#sounds.delete(id);
    }
    for (const { id, track } of sounds) {
      const audio = this.#sounds.get(id) ?? new Audio();
      this.#sounds.set(id, audio);
      play(audio, track);
    }
  }
}

class TileView {
  readonly element: HTMLElement;
  readonly #context: Context;
  readonly #video = h("video", { autoplay: true, playsinline: true });
  readonly #label = h("figcaption", {});

  constructor(context: Context) {
    const { t } = context;
    this.#context = context;
    // Pictures have no sound of their own; muted ones may start by themselves.
    this.#video.muted = true;
    const picture = h("button", { type: "button", "aria-label": t.pictureInPicture, title: t.pictureInPicture }, icon("picture"));
    picture.addEventListener("click", () => void this.#pictureInPicture());
    show(picture, document.pictureInPictureEnabled);
    const expand = h("button", { type: "button", "aria-label": t.fullScreen, title: t.fullScreen }, icon("expand"));
    expand.addEventListener("click", () => void this.#expand());
    this.element = h("figure", { class: "tile" }, this.#video, this.#label, h("div", { class: "tile-actions" }, picture, expand));
  }

  update({ source, track, own, name }: Shown): void {
    const { t } = this.#context;
    const screen = source === "screen";
    setText(this.#label, own ? (screen ? t.yourScreen : t.yourCamera) : screen ? t.theirScreen(name) : t.theirCamera(name));
    attribute(this.#video, "aria-label", this.#label.textContent ?? "");
    attribute(this.element, "data-source", source);
    attribute(this.element, "data-own", own);
    play(this.#video, track);
  }

  async #pictureInPicture(): Promise<void> {
    const open = document.pictureInPictureElement === this.#video;
    await (open ? document.exitPictureInPicture() : this.#video.requestPictureInPicture()).catch(() => undefined);
  }

  async #expand(): Promise<void> {
    const open = document.fullscreenElement === this.element;
    await (open ? document.exitFullscreen() : this.element.requestFullscreen()).catch(() => undefined);
  }
}

function play(element: HTMLMediaElement, track: MediaStreamTrack): void {
  const current = element.srcObject as MediaStream | null;
  if (current?.getTracks()[0] === track) return;
  element.srcObject = new MediaStream([track]);
  void element.play().catch(() => undefined);
}
