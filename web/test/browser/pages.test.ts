// How the pages look and read: accessibility, the keyboard, languages, and widths. With SHOTS=FOLDER it takes pictures.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, afterEach, before, beforeEach, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { NodeDouble } from "../double/node.ts";
import { pick } from "./bytes.ts";
import { launch, Someone } from "./people.ts";

const [ALICE, BOB] = ["+12125550100", "+13105552001"];
const WIDTHS = [[320, 640], [800, 700], [1400, 860]] as const;
const AXE = readFileSync("node_modules/axe-core/axe.min.js", "utf8");

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

interface Finding {
  readonly id: string;
  readonly impact: string;
  readonly nodes: readonly { readonly html: string }[];
}

/** Checks a page at each width, in both themes: no serious finding, and nothing wider than the window. */
async function inspect(page: Page, name: string): Promise<void> {
  for (const [width, height] of WIDTHS) {
    await page.setViewportSize({ width, height });
    for (const scheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
      await page.waitForTimeout(150);
      const folder = process.env["SHOTS"];
      if (folder !== undefined) await page.screenshot({ path: `${folder}/${name}-${width}-${scheme}.png` });
      const findings = await page.evaluate(async (axe) => {
        if (!("axe" in globalThis)) (0, eval)(axe);
        const run = (globalThis as unknown as { axe: { run(): Promise<{ violations: Finding[] }> } }).axe.run();
        return (await run).violations;
      }, AXE);
      const serious = findings.filter(({ impact }) => impact === "serious" || impact === "critical");
      const where = serious.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(" | ")}`);
      assert.deepEqual(where, [], `${name} at ${width} in ${scheme}`);
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.ok(overflow <= 0, `${name} at ${width} is ${overflow} px too wide`);
    }
  }
}

test("the page to sign in", { timeout: 90_000 }, async () => {
  const context = await browser.newContext({ bypassCSP: true, locale: "en-GB" });
  const page = await context.newPage();
  await page.goto(`${node.url}client/`);
  await page.getByLabel("Code").fill("wrong");
  await page.keyboard.press("Enter");
  await page.getByText("This code is wrong").waitFor();
  await inspect(page, "sign-in");
  await context.close();
});

test("a page is signed in by the phone that dials its digits", { timeout: 60_000 }, async () => {
  const context = await browser.newContext({ locale: "en-GB" });
  const page = await context.newPage();
  await page.goto(`${node.url}client/`);
  await page.getByText("Dial this on your desk phone").waitFor();
  const digits = await page.locator("output.digits").innerText();
  assert.match(digits, /^\*7433 \d{3} \d{3}$/);
  await page.getByText("A fast busy tone: ask your administrator to enter your number.").waitFor();
  await page.setViewportSize({ width: 320, height: 640 });
  const lines = await page.locator("output.digits").evaluate((element) => element.scrollHeight / parseFloat(getComputedStyle(element).fontSize));
  assert.ok(lines < 2, "the digits stand in one line");
  assert.equal(node.dial(ALICE, "Alice Archer", "*7433999999"), false);
  // The page may not have asked for the answer yet.
  while (!node.dial(ALICE, "Alice Archer", digits.replaceAll(" ", ""))) await page.waitForTimeout(50);
  await page.getByText("When you are on the phone").waitFor();
  await context.close();
});

test("the pages of a call", { timeout: 240_000 }, async () => {
  const alice = await Someone.enrol(browser, node, ALICE, "Alice Archer", { bypassCSP: true });
  const bob = await Someone.enrol(browser, node, BOB, "Bob Baker");
  await inspect(alice.page, "idle-empty");
  node.ring("c0", BOB, ALICE);
  node.missed("c0", BOB, ALICE);
  node.ring("c1", ALICE, BOB);
  await inspect(alice.page, "ringing");
  node.pair("c1", ALICE, BOB);
  await alice.sees("0:0");
  await inspect(alice.page, "call-quiet");
  await bob.write("Morning! The drawings are at https://files.example.org/plans/2026 – I will send the folder, too.");
  await alice.write("Thanks. Let me show you what I mean.");
  await alice.sees("Seen");
  await bob.click("Camera");
  await alice.sees("would like to show you a camera");
  await inspect(alice.page, "call-invited");
  await alice.click("Accept");
  await alice.watches("Camera of Bob Baker");
  await alice.click("Camera");
  await pick(bob, [
    { name: "Ground floor.pdf", mimeType: "application/pdf", buffer: Buffer.alloc(1_200_000, 1) },
    { name: "First floor.pdf", mimeType: "application/pdf", buffer: Buffer.alloc(900_000, 2) },
  ]);
  await alice.click("Accept");
  await alice.page.locator(".bubble.files").waitFor();
  await pick(bob, [
    { name: "Site video.mp4", mimeType: "video/mp4", buffer: Buffer.alloc(40_000_000, 1) },
  ]);
  await alice.click("Accept");
  await alice.page.locator("progress").waitFor();
  await alice.click("Pause");
  await alice.page.getByRole("button", { name: "Stop camera" }).hover();
  await inspect(alice.page, "call");
  await alice.click("Verify");
  await inspect(alice.page, "words");
  await alice.click("Close");
  await alice.click("Settings");
  await alice.click("Show preview");
  await inspect(alice.page, "settings");
  await alice.click("Close");
  await alice.click("Settings");
  await alice.click("Devices");
  await alice.click("Add a device");
  await inspect(alice.page, "devices");
  await alice.click("Close");
  await alice.click("Microphone");
  await inspect(alice.page, "microphone");
  await alice.page.locator("dialog").getByRole("button", { name: "Cancel" }).click();
  node.part("c1", ALICE, BOB);
  await alice.sees("Call ended");
  await inspect(alice.page, "ended");
  await alice.click("Back");
  await alice.sees("Recent calls");
  await inspect(alice.page, "idle");
  await alice.context.close();
  await bob.context.close();
});

test("the pages of a guest and of the host", { timeout: 120_000 }, async () => {
  const bob = await Someone.enrol(browser, node, BOB, "Bob Baker", { bypassCSP: true });
  node.ring("c1", ALICE, BOB);
  node.answered("c1", BOB, "second", ALICE);
  await bob.click("Invite a guest");
  await inspect(bob.page, "guest-code");
  const code = (await bob.page.locator(".guest-code").textContent()) ?? "";
  await bob.click("Close");
  const context = await browser.newContext({ bypassCSP: true, locale: "en-GB" });
  const page = await context.newPage();
  await page.goto(`${node.url}j`);
  await page.getByLabel("Code").fill("wrong");
  await page.getByLabel("Your name").fill("Zoë Zimmermann of the planning office");
  await page.keyboard.press("Enter");
  await page.getByText("This code is wrong").waitFor();
  await inspect(page, "join");
  await page.getByLabel("Code").fill(code);
  await page.keyboard.press("Enter");
  await page.getByText("Bob Baker").first().waitFor();
  await inspect(page, "guest");
  await bob.sees("(guest)");
  await inspect(bob.page, "host");
  await context.close();
  await bob.context.close();
});

test("a call is handled with the keyboard alone", { timeout: 90_000 }, async () => {
  const alice = await Someone.enrol(browser, node, ALICE, "Alice Archer");
  const bob = await Someone.enrol(browser, node, BOB, "Bob Baker");
  node.pair("c1", ALICE, BOB);
  await alice.sees("Bob Baker");
  const reach = async (someone: Someone, name: string) => {
    for (let n = 0; n < 30; n += 1) {
      await someone.page.keyboard.press("Tab");
      const active = await someone.page.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent ?? "");
      if (active.trim() === name) return;
    }
    assert.fail(`${name} is not reached`);
  };
  await reach(alice, "Camera");
  await alice.page.keyboard.press("Space");
  await bob.sees("would like to show you a camera");
  await reach(bob, "Accept");
  await bob.page.keyboard.press("Enter");
  await bob.watches("Camera of Alice Archer");
  await reach(bob, "Write a message");
  await bob.page.keyboard.type("Nice");
  await bob.page.keyboard.press("Enter");
  await alice.sees("Nice");
  await alice.context.close();
  await bob.context.close();
});

test("a German browser gets German, and another language can be chosen", { timeout: 90_000 }, async () => {
  const alice = await Someone.enrol(browser, node, ALICE, "Alice Archer", { locale: "de-DE" });
  await alice.sees("Wenn Sie telefonieren, erscheint Ihr Gegenüber hier.");
  assert.equal(await alice.page.locator("html").getAttribute("lang"), "de");
  await alice.click("Einstellungen");
  await alice.page.getByLabel("Sprache").selectOption("en");
  await alice.sees("When you are on the phone");
  await alice.context.close();
});

test("the page opens without a network once it has been there", { timeout: 90_000 }, async () => {
  const alice = await Someone.enrol(browser, node, ALICE, "Alice Archer");
  await alice.page.evaluate(async () => void (await navigator.serviceWorker.ready));
  await alice.page.reload();
  await alice.sees("When you are on the phone");
  node.stop();
  await alice.page.reload();
  await alice.sees("No connection. Trying again…");
  await alice.context.close();
});
