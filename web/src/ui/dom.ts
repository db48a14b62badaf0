// Makes and updates elements. All text goes in as text, never as markup.

type Child = Node | string | undefined | false;
type Handlers = { readonly [K in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[K]) => void };

export interface Attributes {
  readonly class?: string;
  readonly on?: Handlers;
  /** Any other attribute; false and undefined are left out, true is empty. */
  readonly [name: string]: string | number | boolean | Handlers | undefined;
}

export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") {
      for (const [type, handler] of Object.entries(value as Handlers)) {
        element.addEventListener(type, handler as EventListener);
      }
    } else {
      attribute(element, name, value as string | number | boolean | undefined);
    }
  }
  element.append(...children.filter((child): child is Node | string => child !== undefined && child !== false));
  return element;
}

export function attribute(element: Element, name: string, value: string | number | boolean | undefined): void {
  if (value === undefined || value === false) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value === true ? "" : value)) {
    element.setAttribute(name, value === true ? "" : String(value));
  }
}

/** Changes an element's text only if it is another one, so that screen readers and selections are left in peace. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

export function show(element: HTMLElement, visible: boolean): void {
  if (element.hidden === visible) element.hidden = !visible;
}

/** Makes these the children, and touches only what differs. */
export function setChildren(parent: Element, children: readonly Element[]): void {
  const wanted = new Set(children);
  for (const child of [...parent.children]) if (!wanted.has(child)) child.remove();
  children.forEach((child, n) => {
    if (parent.children[n] !== child) parent.insertBefore(child, parent.children[n] ?? null);
  });
}

/** A list whose elements are kept as long as their items are in it. */
export class Keyed<T, V extends { readonly element: Element }> {
  readonly #parent: Element;
  readonly #make: (item: T) => V;
  readonly #views = new Map<string, V>();

  constructor(parent: Element, make: (item: T) => V) {
    this.#parent = parent;
    this.#make = make;
  }

  /** The views, in the order of the items. */
  update(items: readonly T[], key: (item: T) => string, change: (view: V, item: T) => void): V[] {
    const keys = new Set(items.map(key));
    for (const known of this.#views.keys()) if (!keys.has(known)) this.#views.delete(known);
    const views = items.map((item) => {
      const view = this.#views.get(key(item)) ?? this.#make(item);
      this.#views.set(key(item), view);
      change(view, item);
      return view;
    });
    setChildren(this.#parent, views.map((view) => view.element));
    return views;
  }
}
