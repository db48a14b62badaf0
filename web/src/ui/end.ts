// Keeps a list at its end while the person is there, and says that something is new while they are not.
import { h, show } from "./dom.ts";

/** Pixels from the end that still count as the end. */
const NEAR = 60;

export class ListEnd {
  /** Leads to what is new. */
  readonly button: HTMLButtonElement;
  readonly #scroller: HTMLElement;
  #there = true;
  #height = 0;

  constructor(scroller: HTMLElement, label: string) {
    this.#scroller = scroller;
    this.button = h("button", { class: "quiet small to-end", type: "button", on: { click: () => this.go() } }, label);
    show(this.button, false);
    scroller.addEventListener("scroll", () => this.#scrolled());
    new ResizeObserver(() => this.#resized()).observe(scroller);
  }

  go(): void {
    this.#there = true;
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    show(this.button, false);
  }

  /** Something new has come. */
  added(): void {
    if (this.#there) this.go();
    else show(this.button, true);
  }

  #scrolled(): void {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    // A list that has just become lower was not scrolled away from its end.
    if (clientHeight !== this.#height) return;
    this.#there = scrollHeight - scrollTop - clientHeight < NEAR;
    if (this.#there) show(this.button, false);
  }

  #resized(): void {
    this.#height = this.#scroller.clientHeight;
    if (this.#there) this.go();
    else this.#scrolled();
  }
}
