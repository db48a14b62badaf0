// A guest joins a call with the code that the host reads out.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { NodeDouble } from "../double/node.ts";
import { launch, Someone } from "./people.ts";

const [BOB, CALLER, ALICE] = ["+13105552001", "+12125550100", "+12125550101"];

let browser: Browser;
let node: NodeDouble;

before(async () => {
  browser = await launch();
});
after(() => browser.close());
beforeEach(async () => {
  node = new NodeDouble();
  await node.start();
});
afterEach(() => node.stop());

/** Bob in a call from somebody without a client, and the code that he reads out. */
async function host(): Promise<[Someone, string]> {
  const bob = await Someone.enrol(browser, node, BOB, "Bob Baker");
  node.ring("c1", CALLER, BOB);
  await bob.sees("is calling your phone");
  node.answered("c1", BOB, "second", CALLER);
  await bob.click("Invite a guest");
  await bob.sees("/j");
  const code = (await bob.page.locator(".guest-code").textContent()) ?? "";
  await bob.page.locator("dialog").getByRole("button", { name: "Close" }).click();
  return [bob, code];
}

/** A browser that has never been here joins. */
async function join(code: string, name: string): Promise<Page> {
  const context = await browser.newContext({ locale: "en-GB" });
  const page = await context.newPage();
  await page.goto(`${node.url}j`);
  await page.getByLabel("Code").fill(code);
  await page.getByLabel("Your name").fill(name);
  await page.getByRole("button", { name: "Join" }).click();
  return page;
}

test("a guest joins, writes, shows a camera, and returns after a reload", { timeout: 90_000 }, async () => {
  const [bob, code] = await host();
  const guest = await join(code, "Zoë");
  await guest.getByText("Bob Baker").first().waitFor();
  await bob.sees("Zoë (guest)");
  await guest.getByLabel("Write a message").fill("Hello from outside");
  await guest.keyboard.press("Enter");
  await bob.sees("Hello from outside");
  await bob.write("Welcome");
  await guest.getByText("Welcome").waitFor();
  await bob.click("Camera");
  await guest.getByRole("button", { name: "Accept", exact: true }).click();
  await guest.locator('video[aria-label="Camera of Bob Baker"]').waitFor();
  await guest.reload();
  await guest.getByText("Bob Baker").first().waitFor();
  // Nobody sees Bob's camera any more.
  await bob.page.getByRole("button", { name: "Camera", exact: true }).waitFor();
  await guest.getByRole("button", { name: "Camera", exact: true }).click();
  await bob.sees("would like to show you a camera");
  await bob.click("Accept");
  await bob.watches("Camera of Zoë (guest)");
  await bob.page.setViewportSize({ width: 320, height: 640 });
  const invite = await bob.page.getByRole("button", { name: "Invite a guest" }).boundingBox();
  assert.ok(invite!.height < 40, "it is said in one line, beside what is connected");
  assert.deepEqual(bob.complaints, []);
  await guest.context().close();
  await bob.context.close();
});

test("a call with somebody without a client is shown until it is over", { timeout: 60_000 }, async () => {
  const bob = await Someone.enrol(browser, node, BOB, "Bob Baker");
  const button = (name: string) => bob.page.getByRole("button", { name, exact: true });
  node.ring("c1", CALLER, BOB);
  await bob.sees("is calling your phone");
  assert.equal(await button("Invite a guest").isVisible(), false, "nobody has answered yet");
  node.answered("c1", BOB, "second", CALLER);
  await bob.sees("Their side has no app for chat, video and files.");
  assert.deepEqual([await button("Camera").isVisible(), await button("Invite a guest").isVisible()], [false, true]);
  node.over("c1", BOB);
  await bob.sees("Call ended");
  assert.equal(await button("Invite a guest").isVisible(), false);
  await bob.context.close();
});

test("the code and the page are copied, with a warning if the page opens on this machine only", { timeout: 60_000 }, async () => {
  const bob = await Someone.enrol(browser, node, BOB, "Bob Baker", { permissions: ["clipboard-read", "clipboard-write"] });
  node.ring("c1", CALLER, BOB);
  node.answered("c1", BOB, "second", CALLER);
  await bob.click("Invite a guest");
  await bob.sees("Ask the guest to open this page:");
  await bob.sees("This page opens on this machine only.");
  await bob.click("Copy page and code");
  await bob.sees("Copied");
  const code = await bob.page.locator(".guest-code").textContent();
  assert.equal(await bob.page.evaluate(() => navigator.clipboard.readText()), `${node.url}j\n${code}`);
  await bob.context.close();
});

test("a guest who is removed is told, and keeps what was written", { timeout: 90_000 }, async () => {
  const [bob, code] = await host();
  const guest = await join(code, "Zoë");
  await bob.sees("Zoë (guest)");
  await bob.write("Goodbye");
  await guest.getByText("Goodbye").waitFor();
  await bob.click("Remove Zoë (guest)");
  await guest.getByText("You are no longer connected with Bob Baker here").waitFor();
  assert.equal(await guest.getByText("Call ended").count(), 0, "the guest's phone call may go on");
  assert.equal(await guest.getByText("Goodbye").count(), 1);
  await guest.getByRole("button", { name: "Back" }).click();
  await guest.getByText("Six digits that the other person reads out.").waitFor();
  await guest.context().close();
  await bob.context.close();
});

test("a guest who leaves keeps what was written, and may return", { timeout: 90_000 }, async () => {
  const [bob, code] = await host();
  const guest = await join(code, "Zoë");
  await bob.sees("Zoë (guest)");
  await bob.write("See you");
  await guest.getByText("See you").waitFor();
  const leave = guest.getByRole("button", { name: "Leave" });
  await leave.click();
  await guest.getByText("Your phone call goes on.").waitFor();
  const dot = await guest.locator(".status").evaluate((status) => getComputedStyle(status, "::before").display);
  assert.equal(dot, "none", "nothing is said, so nothing has a colour");
  await bob.page.getByRole("button", { name: "Remove Zoë (guest)" }).waitFor({ state: "detached" });
  assert.deepEqual([await guest.getByText("See you").count(), await leave.isVisible()], [1, false]);
  await guest.getByRole("button", { name: "Back" }).click();
  await guest.getByLabel("Code").fill(code);
  await guest.getByLabel("Your name").fill("Zoë");
  await guest.getByRole("button", { name: "Join" }).click();
  await leave.waitFor();
  await bob.page.getByRole("button", { name: "Remove Zoë (guest)" }).waitFor();
  await guest.context().close();
  await bob.context.close();
});

test("whoever talks with the host sees that a guest is there, and that nobody has checked the name", { timeout: 90_000 }, async () => {
  const bob = await Someone.enrol(browser, node, BOB, "Bob Baker");
  const alice = await Someone.enrol(browser, node, ALICE, "Alice Archer");
  node.pair("c1", ALICE, BOB);
  await bob.click("Invite a guest");
  const code = (await bob.page.locator(".guest-code").textContent()) ?? "";
  await bob.page.locator("dialog").getByRole("button", { name: "Close" }).click();
  const guest = await join(code, "Zoë");
  await alice.sees("“Zoë” joined as a guest of Bob Baker. Nobody has checked this name.");
  const there = alice.page.getByText("Also there: “Zoë” (guest of Bob Baker, not verified)");
  await there.waitFor();
  await alice.page.reload();
  await there.waitFor();
  await guest.getByRole("button", { name: "Leave" }).click();
  await alice.sees("“Zoë”, a guest of Bob Baker, left");
  await there.waitFor({ state: "hidden" });
  assert.deepEqual([...bob.complaints, ...alice.complaints], []);
  for (const context of [guest.context(), bob.context, alice.context]) await context.close();
});

test("a guest's text that was not sent cannot be sent again once the page is no longer in the call", { timeout: 60_000 }, async () => {
  const [bob, code] = await host();
  const guest = await join(code, "Zoë");
  await bob.sees("Zoë (guest)");
  await guest.route("**/a/*", (route) => (route.request().method() === "POST" ? route.fulfill({ status: 404 }) : route.continue()));
  await guest.getByLabel("Write a message").fill("Lost");
  await guest.keyboard.press("Enter");
  const again = guest.getByRole("button", { name: "Try again" });
  await again.waitFor();
  await bob.click("Remove Zoë (guest)");
  await guest.getByText("You are no longer connected with Bob Baker here").waitFor();
  assert.equal(await again.isVisible(), false);
  await guest.context().close();
  await bob.context.close();
});

test("a name that cannot be shown is refused as a name", { timeout: 60_000 }, async () => {
  const [bob, code] = await host();
  const guest = await join(code, "Zoë\u202e");
  await guest.getByText("This name cannot be used.").waitFor();
  const name = guest.getByLabel("Your name");
  assert.equal(await name.evaluate((field) => field === document.activeElement), true);
  await name.fill("Zoë");
  await guest.getByRole("button", { name: "Join" }).click();
  await bob.sees("Zoë (guest)");
  await guest.context().close();
  await bob.context.close();
});

test("a wrong code is refused in words", { timeout: 60_000 }, async () => {
  const guest = await join("123 456", "Eve");
  await guest.getByText("This code is wrong or expired.").waitFor();
  await guest.context().close();
});
