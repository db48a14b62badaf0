// Two browsers and the real node. SIDECALL names the binary; without it, there is nothing to test.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Browser } from "playwright-core";
import { Program } from "../double/program.ts";
import { pick } from "./bytes.ts";
import { launch, Someone, takeOver, until } from "./people.ts";

const BINARY = process.env["SIDECALL"] || undefined;
const [ALICE, BOB] = ["+12125550100", "1001;phone-context=pbx.b.example"];

let browser: Browser;
let program: Program;
let alice: Someone;
let bob: Someone;

before(async () => {
  if (BINARY === undefined) return;
  browser = await launch();
  program = new Program();
  await program.start(BINARY);
  alice = await Someone.enrol(browser, program, ALICE, "Alice Archer");
  bob = await Someone.enrol(browser, program, BOB, "Bob Baker");
});
after(async () => {
  if (BINARY === undefined) return;
  await browser.close();
  await program.stop();
});

test("a call with the real node, from enrolment to the end", { timeout: 120_000, skip: BINARY === undefined }, async () => {
  await program.pair("c1", ALICE, BOB);
  await alice.page.getByRole("heading", { name: "Bob Baker" }).waitFor();
  await bob.page.getByRole("heading", { name: "Alice Archer" }).waitFor();
  await alice.write("Hello");
  await bob.sees("Hello");
  await alice.sees("Seen");
  await alice.click("Camera");
  await bob.click("Accept");
  await bob.watches("Camera of Alice Archer");
  await bob.click("Screen");
  await alice.watches("Screen of Bob Baker", 1);
  await pick(alice, [
    { name: "a.bin", mimeType: "application/octet-stream", buffer: Buffer.alloc(5_000_000, 7) },
  ]);
  await bob.click("Accept");
  await bob.page.locator(".bubble.files").waitFor();
  await bob.page.reload();
  await bob.sees("Hello");
  await bob.watches("Camera of Alice Archer");
  const second = await Someone.enrol(browser, program, BOB, "Bob Baker");
  await second.page.getByRole("heading", { name: "Alice Archer" }).waitFor();
  await second.context.close();
  await program.part("c1");
  await alice.sees("Call ended");
  await bob.sees("Call ended");
  await until(async () => (await bob.page.locator("video").count()) === 0, "no picture is left");
  assert.deepEqual([...alice.complaints, ...bob.complaints], []);
});

test("of two devices at the real node, the first to accept gets it, and the other can take over", { timeout: 90_000, skip: BINARY === undefined }, async () => {
  const second = await Someone.enrol(browser, program, BOB, "Bob Baker");
  await program.pair("c2", ALICE, BOB);
  await takeOver(alice, bob, second);
  await second.context.close();
  assert.deepEqual([...alice.complaints, ...bob.complaints], []);
});
