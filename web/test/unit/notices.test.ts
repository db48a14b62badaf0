// Notifications, in browsers that show them in different ways.
import assert from "node:assert/strict";
import { test } from "node:test";
import { notify } from "../../src/ui/notification.ts";

/** A browser with these. */
function browser(registration: object | undefined, Notification: unknown): void {
  const serviceWorker = { getRegistration: async () => registration };
  Object.defineProperty(globalThis, "navigator", { value: { serviceWorker }, configurable: true });
  Object.assign(globalThis, { Notification });
}

class Forbidden {
  constructor() {
    throw new TypeError("Illegal constructor");
  }
}

test("where a page may show none, the service worker shows it", async () => {
  const shown: string[] = [];
  browser({ showNotification: async (title: string) => void shown.push(title) }, Forbidden);
  await notify("Alice is calling", {});
  assert.deepEqual(shown, ["Alice is calling"]);
});

test("without a service worker that is ready, the page shows it", async () => {
  const shown: string[] = [];
  class Plain {
    constructor(title: string) {
      shown.push(title);
    }
  }
  browser(undefined, Plain);
  await notify("one", {});
  browser({ showNotification: () => Promise.reject(new TypeError("no active worker")) }, Plain);
  await notify("two", {});
  assert.deepEqual(shown, ["one", "two"]);
});

test("where there is no way to show it, nothing happens", async () => {
  browser(undefined, Forbidden);
  await notify("one", {});
});
