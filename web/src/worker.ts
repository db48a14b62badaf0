// The service worker: the page opens without a network too, and is always the newest when there is one. Its notifications lead
// back to the page.

interface FetchEvent extends Event {
  readonly request: Request;
  respondWith(response: Promise<Response>): void;
}
interface Lifecycle extends Event {
  waitUntil(work: Promise<unknown>): void;
}
interface NotificationClick extends Lifecycle {
  readonly notification: { close(): void };
}
/** The open pages, as a worker sees them. */
interface Pages {
  matchAll(options: { readonly type: "window" }): Promise<readonly { focus(): Promise<unknown> }[]>;
  openWindow(url: string): Promise<unknown>;
}

const CACHE = "client";
const FILES = ["./", "client.js", "client.css", "manifest.webmanifest", "icon.svg", "icon-192.png", "icon-512.png"];

self.addEventListener("install", (event) => {
  const fill = async () => (await caches.open(CACHE)).addAll(FILES);
  (event as Lifecycle).waitUntil(fill());
});

self.addEventListener("fetch", (event) => {
  const { request } = event as FetchEvent;
  const known = FILES.map((name) => new URL(name, self.location.href).href);
  const plain = request.url.replace(/[?#].*$/, "");
  if (request.method === "GET" && known.includes(plain)) (event as FetchEvent).respondWith(answer(request, plain));
});

self.addEventListener("notificationclick", (event) => {
  const click = event as NotificationClick;
  click.notification.close();
  click.waitUntil(toPage((self as unknown as { readonly clients: Pages }).clients));
});

async function toPage(pages: Pages): Promise<void> {
  const [page] = await pages.matchAll({ type: "window" });
  await (page === undefined ? pages.openWindow("./") : page.focus());
}

async function answer(request: Request, plain: string): Promise<Response> {
  const cache = await caches.open(CACHE);
  try {
    const fresh = await fetch(request);
    if (fresh.ok) await cache.put(plain, fresh.clone());
    return fresh;
  } catch (error) {
    const stored = await cache.match(plain);
    if (stored === undefined) throw error;
    return stored;
  }
}

export {};
