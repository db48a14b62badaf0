// A browser sends files to the terminal client. SIDECALL names the binary; without it, there is nothing to test.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import type { Browser } from "playwright-core";
import { Program } from "../double/program.ts";
import { Terminal } from "../double/terminal.ts";
import { pick } from "./bytes.ts";
import { launch, Someone, until } from "./people.ts";

const BINARY = process.env["SIDECALL"] || undefined;
const [ALICE, BOB] = ["+12125550100", "+12125550101"];

let browser: Browser;
let program: Program;
let alice: Someone;
let bob: Terminal;

before(async () => {
  if (BINARY === undefined) return;
  browser = await launch();
  program = new Program();
  await program.start(BINARY);
  alice = await Someone.enrol(browser, program, ALICE, "Alice Archer");
  bob = new Terminal(BINARY, await program.link(BOB, "Bob Baker"));
  await bob.event("connected");
});
after(async () => {
  if (BINARY === undefined) return;
  await bob.stop();
  await browser.close();
  await program.stop();
});

const digest = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

async function send(...files: readonly (readonly [string, Buffer])[]): Promise<void> {
  const payloads = files.map(([name, buffer]) => ({ name, mimeType: "application/octet-stream", buffer }));
  await pick(alice, payloads);
}

test("a terminal receives files, sees the browser's words, and survives a reload", { timeout: 120_000, skip: BINARY === undefined }, async () => {
  await program.pair("c1", ALICE, BOB);
  await alice.sees("Bob Baker");
  const [large, small] = [randomBytes(5_000_000), randomBytes(10)];
  await send(["large.bin", large], ["..\\small.txt", small]);
  const files = (await bob.event("saved"))["files"] as { path: string; bytes: number }[];
  assert.deepEqual(files.map(({ bytes }) => bytes), [large.length, small.length]);
  assert.deepEqual(files.map(({ path }) => digest(readFileSync(path))), [digest(large), digest(small)]);
  assert.ok(files.every(({ path }) => path.startsWith(`${bob.folder}/`)));

  await alice.click("Verify");
  assert.deepEqual(await alice.page.locator(".words li").allTextContents(), (await bob.event("words"))["words"]);

  // The page comes back with the same certificate, and asks the terminal for a new connection.
  await alice.page.reload();
  await alice.sees("Bob Baker");
  const again = randomBytes(3_000_000);
  await send(["large.bin", again]);
  const [saved] = (await bob.event("saved", 2))["files"] as { path: string }[];
  assert.equal(digest(readFileSync(saved!.path)), digest(again));

  await program.part("c1");
  await bob.event("ended");
  await until(() => readdirSync(bob.folder).every((name) => !name.startsWith(".")), "nothing incomplete is left");
  assert.deepEqual(alice.complaints, []);
});

test("a killed terminal leaves no half of a file, and removes the rest when it starts again", { timeout: 120_000, skip: BINARY === undefined }, async () => {
  const visible = () => readdirSync(bob.folder).filter((name) => !name.startsWith(".")).sort();
  const hidden = () => readdirSync(bob.folder).filter((name) => name.startsWith("."));
  await program.pair("c2", ALICE, BOB);
  await alice.sees("Bob Baker");
  const before = visible();
  await send(["half.bin", randomBytes(40_000_000)]);
  await until(() => hidden().length > 0, "the file begins to arrive");
  await bob.kill();
  assert.deepEqual([hidden().length, visible()], [1, before]);
  bob.again();
  await bob.event("connected", 2);
  assert.deepEqual([hidden(), visible()], [[], before]);
  await program.part("c2");
});
