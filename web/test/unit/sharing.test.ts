// What becomes of files that a person wants to send: they are offered, or words say why not.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Call, Party } from "../../src/core/calls.ts";
import { en } from "../../src/core/locale/en.ts";
import type { Entry } from "../../src/files/entries.ts";
import { type Page, shareFiles } from "../../src/ui/actions.ts";
import { Context } from "../../src/ui/context.ts";
import { install } from "../double/browser.ts";
import { callWith, party } from "../double/conversation.ts";

install();
const context = new Context(en, "en");
const phone: Party = { number: "3", capabilities: [], present: true, phone: true };
const able = (...capabilities: string[]): Party => ({ ...party("4"), capabilities });

/** What the page says of a file, and the files that it offers. */
function share(call: Call | undefined, ready = true): string[] {
  const became: string[] = [];
  const conversation = { share: (entries: readonly Entry[]) => became.push(...entries.map(({ path }) => path)) };
  const client = { calls: new Map<string, Call>(call === undefined ? [] : [[call.id, call]]), conversation: () => (ready ? conversation : undefined) };
  const page = { client: () => client, context: () => context, toast: (text: string) => became.push(text) };
  shareFiles(call?.id, page as unknown as Page, [{ path: "a.txt", file: new File(["a"], "a.txt") }]);
  return became;
}

test("files go to a call in which somebody takes them", () => {
  assert.deepEqual(share(callWith(party("2"))), ["a.txt"]);
  assert.deepEqual(share(callWith(able("text"), phone, able("text", "files"))), ["a.txt"]);
});

test("of files that nobody can take, the page says why, and offers none", () => {
  const call = callWith(party("2"));
  assert.deepEqual(share(undefined), [en.unsentNoCall]);
  assert.deepEqual(share({ ...call, phase: "ringing" }), [en.unsentRinging]);
  assert.deepEqual(share({ ...call, phase: "ringing" }, false), [en.unsentRinging]);
  for (const phase of ["ended", "missed"] as const) assert.deepEqual(share({ ...call, phase }, false), [en.unsentOver]);
  assert.deepEqual(share(callWith(phone), false), [en.unsentNoApp]);
  assert.deepEqual(share(callWith(able("text"))), [en.unsentNoApp]);
  assert.deepEqual(share(call, false), [en.unsentEarly]);
});
