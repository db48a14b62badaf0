// The chat of a call: where it stands, and who reads it.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { type Someone, until } from "./people.ts";
import { scene } from "./scene.ts";

const [ALICE, BOB] = ["+12125550100", "+13105552001"];

const set = scene(ALICE, BOB);
let { browser, node, alice, bob } = set;
beforeEach(() => ({ browser, node, alice, bob } = set));

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

test("who writes while a guest is there sees who reads it", { timeout: 60_000 }, async () => {
  node.pair("c1", ALICE, BOB);
  await alice.sees("Bob Baker");
  assert.equal(await alice.page.locator(".readers").isVisible(), false);
  await alice.click("Invite a guest");
  const code = (await alice.page.locator(".guest-code").textContent()) ?? "";
  await alice.click("Close");
  const context = await browser.newContext({ locale: "en-GB" });
  const guest = await context.newPage();
  await guest.goto(`${node.url}j`);
  await guest.getByLabel("Code").fill(code);
  await guest.getByLabel("Your name").fill("Gina");
  await guest.getByRole("button", { name: "Join" }).click();
  await alice.sees("To Bob Baker and Gina (guest)");
  await context.close();
});
