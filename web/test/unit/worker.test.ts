// The service worker, with a cache and a network in memory.
import assert from "node:assert/strict";
import { test } from "node:test";

type Handler = (event: object) => void;

const PAGE = "https://node.example/client/";
const handlers = new Map<string, Handler>();
const opened: string[] = [];
let windows: { url: string; focus(): Promise<void> }[] = [];

Object.assign(globalThis, {
  self: {
    location: { href: `${PAGE}worker.js` },
    addEventListener: (type: string, handler: Handler) => void handlers.set(type, handler),
    clients: {
      matchAll: async () => windows,
      openWindow: async (url: string) => void opened.push(url),
    },
  },
});
const cache = new Map<string, Response>();
let full = false;
let network: () => Promise<Response>;
Object.assign(globalThis, {
  caches: {
    open: async () => ({
      put: async (url: string, response: Response) => {
        if (full) throw new DOMException("", "QuotaExceededError");
        cache.set(url, response);
      },
    }),
    match: async (url: string) => cache.get(url)?.clone(),
  },
  fetch: () => network(),
});
await import("../../src/worker.ts");

/** Sends an event and waits for what it sets off. */
async function send(type: string, event: object): Promise<void> {
  const work: Promise<unknown>[] = [];
  handlers.get(type)!({ ...event, waitUntil: (promise: Promise<unknown>) => work.push(promise) });
  await Promise.all(work);
}

test("a click on a notification leads to the page, or opens it", async () => {
  let closed = 0;
  const notification = { close: () => (closed += 1) };
  await send("notificationclick", { notification });
  assert.deepEqual([opened, closed], [[PAGE], 1]);
  const focused: string[] = [];
  windows = ["https://node.example/status", `${PAGE}?here`].map((url) => ({ url, focus: async () => void focused.push(url) }));
  await send("notificationclick", { notification });
  assert.deepEqual([opened.length, focused, closed], [1, [`${PAGE}?here`], 2]);
});

/** What the page gets when it asks for its program. */
async function load(): Promise<string> {
  let answer: Promise<Response> | undefined;
  const request = { method: "GET", url: `${PAGE}client.js?x` };
  await send("fetch", { request, respondWith: (response: Promise<Response>) => (answer = response) });
  await answer;
  // Storing it begins with the answer.
  await new Promise((done) => setImmediate(done));
  return (await answer!).text();
}

test("the page gets the newest program even if there is no room for a copy, and the copy if there is no node", async () => {
  network = async () => new Response("one");
  assert.equal(await load(), "one");
  full = true;
  network = async () => new Response("two");
  assert.equal(await load(), "two");
  network = async () => new Response("maintenance", { status: 503 });
  assert.equal(await load(), "one");
  network = () => Promise.reject(new TypeError("no network"));
  assert.equal(await load(), "one");
  network = async () => new Response("gone", { status: 404 });
  assert.equal(await load(), "gone");
});
