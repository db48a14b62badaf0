// The service worker: the page opens without a network too, and is always the newest when there is one. Its notifications lead
// back to the page.

interface Lifecycle extends Event {
  waitUntil(work: Promise<unknown>): void;
}
interface FetchEvent extends Lifecycle {
  readonly request: Request;
  respondWith(response: Promise<Response>): void;
}
interface NotificationClick extends Lifecycle {
  readonly notification: { close(): void };
}
/** The open pages, as a worker sees them. */
interface Pages {
  matchAll(options: { readonly includeUncontrolled: true }): Promise<readonly { readonly url: string; focus(): Promise<unknown> }[]>;
  openWindow(url: string): Promise<unknown>;
}

const CACHE = "client";
const FILES = ["./", "client.js", "client.css", "manifest.webmanifest", "icon.svg", "icon-192.png", "icon-512.png"];

self.addEventListener("install", (event) => {
  const fill = async () => (await caches.open(CACHE)).addAll(FILES);
  (event as Lifecycle).waitUntil(fill());
});

self.addEventListener("fetch", (event) => {
  const fetching = event as FetchEvent;
  const { request } = fetching;
  const known = FILES.map((name) => new URL(name, self.location.href).href);
  const plain = request.url.replace(/[?#].*$/, "");
  if (request.method === "GET" && known.includes(plain)) fetching.respondWith(answer(fetching, plain));
});

self.addEventListener("notificationclick", (event) => {
  const click = event as NotificationClick;
  click.notification.close();
  click.waitUntil(toPage((self as unknown as { readonly clients: Pages }).clients));
});

async function toPage(pages: Pages): Promise<void> {
  const home = new URL("./", self.location.href).href;
  // The first page is loaded before there is a worker that could control it.
  const page = (await pages.matchAll({ includeUncontrolled: true })).find(({ url }) => url.startsWith(home));
  await (page === undefined ? pages.openWindow(home) : page.focus());
}

/** The newest, or the stored one if there is no node. */
async function answer(event: FetchEvent, plain: string): Promise<Response> {
  const fresh = await fetch(event.request).catch(() => undefined);
  if (fresh !== undefined && fresh.status < 500) {
    // A full disk costs the copy, not the page.
    if (fresh.ok) event.waitUntil(store(plain, fresh.clone()).catch(() => undefined));
    return fresh;
  }
  const stored = await caches.match(plain, { cacheName: CACHE });
  return stored ?? fresh ?? Response.error();
}

async function store(plain: string, response: Response): Promise<void> {
  await (await caches.open(CACHE)).put(plain, response);
}

export {};
