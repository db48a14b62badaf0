// The chat of a call: where it stands, and who reads it.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { type Someone, until } from "./people.ts";
import { scene } from "./scene.ts";

const [ALICE, BOB] = ["+12125550100", "+13105552001"];

const set = scene(ALICE, BOB);
let { node, alice, bob } = set;
beforeEach(() => ({ node, alice, bob } = set));

/** How far the chat is from its end, in pixels. */
const hidden = (someone: Someone) =>
  someone.page.locator(".scroller").evaluate(({ scrollHeight, scrollTop, clientHeight }) => Math.round(scrollHeight - scrollTop - clientHeight));

test("the chat stays at its end when the page gets lower, and says what is new to those who read further up", { timeout: 60_000 }, async () => {
  await bob.page.setViewportSize({ width: 390, height: 800 });
  node.pair("c1", ALICE, BOB);
  await alice.sees("Bob Baker");
  for (let n = 1; n <= 12; n += 1) await alice.write(`line ${n}`);
  await bob.sees("line 12");
  await until(async () => (await hidden(bob)) === 0, "the end");
  await bob.page.setViewportSize({ width: 390, height: 420 });
  await until(async () => (await hidden(bob)) === 0, "the end of the lower page");
  await alice.write("line 13");
  await bob.sees("line 13");
  assert.equal(await hidden(bob), 0);
  await bob.page.locator(".scroller").evaluate((list) => list.scrollTo(0, 0));
  const newer = bob.page.getByRole("button", { name: "New messages" });
  assert.equal(await newer.isVisible(), false);
  await alice.write("line 14");
  await newer.click();
  assert.equal(await hidden(bob), 0);
  await newer.waitFor({ state: "hidden" });
});
