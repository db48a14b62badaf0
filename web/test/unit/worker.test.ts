// The service worker, with a cache and a network in memory.
import assert from "node:assert/strict";
import { test } from "node:test";

type Handler = (event: object) => void;

const PAGE = "https://node.example/client/";
const handlers = new Map<string, Handler>();
const opened: string[] = [];
let windows: { focus(): Promise<void> }[] = [];

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
  assert.deepEqual([opened, closed], [["./"], 1]);
  let focused = 0;
  windows = [{ focus: async () => void (focused += 1) }];
  await send("notificationclick", { notification });
  assert.deepEqual([opened.length, focused, closed], [1, 1, 2]);
});
