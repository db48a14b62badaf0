// Files between two browsers: many, large, interrupted, and refused.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { afterEach, beforeEach, test } from "node:test";
import { bring, MB, pick, save, untilFilesCanBeSent, write } from "./bytes.ts";
import { type Someone, until } from "./people.ts";
import { scene } from "./scene.ts";

const [ALICE, BOB] = ["+12125550100", "+13105552001"];

const set = scene(ALICE, BOB);
let { node, alice, bob } = set;
let folder: string;

beforeEach(async () => {
  ({ node, alice, bob } = set);
  folder = mkdtempSync(`${tmpdir()}/sidecall-files-`);
  node.pair("c1", ALICE, BOB);
  await alice.sees("Bob Baker");
});
afterEach(() => rmSync(folder, { recursive: true }));

/** How much of the only transfer has arrived. */
const share = (someone: Someone) => someone.page.locator("progress").evaluate((element) => (element as HTMLProgressElement).value);

/** Waits until nothing arrives for two seconds: what the channel holds when a transfer is paused still arrives. */
async function standsStill(someone: Someone): Promise<number> {
  const deadline = Date.now() + 30_000;
  let last = { share: await share(someone), since: Date.now() };
  while (Date.now() < last.since + 2000) {
    assert.ok(Date.now() < deadline, `more arrives: ${last.share}`);
    await new Promise((done) => setTimeout(done, 100));
    const now = await share(someone);
    if (now !== last.share) last = { share: now, since: Date.now() };
  }
  return last.share;
}

test("50 MB arrive with equal digests, beside the picture", { timeout: 180_000 }, async () => {
  await alice.click("Camera");
  await bob.click("Accept");
  await bob.watches("Camera of Alice Archer");
  const sha256 = write(`${folder}/large.bin`, 50 * MB);
  await pick(alice, `${folder}/large.bin`);
  await bob.sees("would like to send you “large.bin” (52.4 MB)");
  await bob.click("Accept");
  await bob.page.locator(".bubble.files").waitFor({ timeout: 120_000 });
  await bob.watches("Camera of Alice Archer");
  assert.deepEqual(await save(bob), { name: "large.bin", sha256 });
  await alice.page.locator(".bubble.files").waitFor();
});

test("a transfer says how fast it goes and how long it still takes", { timeout: 120_000 }, async () => {
  write(`${folder}/large.bin`, 60 * MB);
  // The page's clock runs ahead: the machine may be too fast for the two seconds that are measured at least.
  await bob.page.evaluate(() => {
    const [now, began] = [Date.now, Date.now()];
    Date.now = () => began + (now() - began) * 10;
  });
  await pick(alice, `${folder}/large.bin`);
  await bob.click("Accept");
  await bob.page.locator(".transfers .detail", { hasText: / of 62\.9 MB · [\d.]+ [kM]?B\/s, \d+:\d\d left/ }).waitFor();
  await bob.page.locator(".bubble.files").waitFor({ timeout: 60_000 });
});

test("a folder arrives with its paths, and an empty file with it", { timeout: 120_000 }, async () => {
  mkdirSync(`${folder}/plans/old`, { recursive: true });
  write(`${folder}/plans/a.txt`, 70_000);
  write(`${folder}/plans/old/b.bin`, MB + 3);
  write(`${folder}/plans/empty`, 0);
  await pick(alice, `${folder}/plans`, "Folder");
  await bob.sees("3 files, “plans”");
  await bob.click("Accept");
  await bob.page.locator(".bubble.files summary").click({ timeout: 60_000 });
  const paths = await bob.page.locator(".bubble.files li").allTextContents();
  assert.deepEqual(paths.sort(), ["plans/a.txt", "plans/empty", "plans/old/b.bin"]);
});

test("of a folder with many files, each one can be saved", { timeout: 120_000 }, async () => {
  mkdirSync(`${folder}/plans`);
  for (let n = 0; n < 120; n += 1) write(`${folder}/plans/${n}.txt`, n + 1);
  await pick(alice, `${folder}/plans`, "Folder");
  await bob.click("Accept");
  await bob.page.locator(".bubble.files summary").click({ timeout: 60_000 });
  const rows = bob.page.locator(".bubble.files li");
  assert.equal(await rows.count(), 50);
  await bob.click("Show more");
  assert.equal(await rows.count(), 100);
  await bob.click("Show more");
  assert.equal(await rows.count(), 120);
  assert.equal(await bob.page.getByRole("button", { name: "Show more" }).count(), 0);
  const download = bob.page.waitForEvent("download");
  await rows.last().getByRole("button").click();
  assert.match((await download).suggestedFilename(), /^\d+\.txt$/);
});

test("a transfer goes on after its connection has broken, and its digest is right", { timeout: 180_000 }, async () => {
  const sha256 = write(`${folder}/large.bin`, 60 * MB);
  await pick(alice, `${folder}/large.bin`);
  await bob.click("Accept");
  await until(async () => (await share(bob)) > 0.1, "some of it");
  const before = await share(bob);
  assert.ok(before < 0.9, `broken in time, not at ${before}`);
  await alice.breakConnections();
  await bob.page.locator(".bubble.files").waitFor({ timeout: 120_000 });
  assert.equal((await save(bob)).sha256, sha256);
});

test("a paused transfer stands still until it is resumed", { timeout: 120_000 }, async () => {
  const sha256 = write(`${folder}/large.bin`, 60 * MB);
  await pick(alice, `${folder}/large.bin`);
  await bob.click("Accept");
  await bob.click("Pause");
  await alice.sees("Paused");
  const still = await standsStill(bob);
  assert.ok(still < 0.5, `paused in time, not at ${still}`);
  await bob.click("Resume");
  await bob.page.locator(".bubble.files").waitFor({ timeout: 60_000 });
  assert.equal((await save(bob)).sha256, sha256);
});

for (const reloads of ["receiver", "sender"]) {
  test(`a transfer whose ${reloads} loads the page again is over, and the files can be sent again`, { timeout: 120_000 }, async () => {
    const sha256 = write(`${folder}/large.bin`, 60 * MB);
    await pick(alice, `${folder}/large.bin`);
    await bob.click("Accept");
    await bob.click("Pause");
    await alice.sees("Paused");
    const [reloaded, other] = reloads === "receiver" ? [bob, alice] : [alice, bob];
    await reloaded.page.reload();
    await other.sees("Stopped: the other side left, or loaded its page again.", 45_000);
    if (reloads === "receiver") await bob.sees("Not received. Stopped: this page was closed, or loaded again.");
    if (reloads === "receiver") await alice.click("Send again");
    else await pick(alice, `${folder}/large.bin`);
    await bob.click("Accept");
    await bob.page.getByRole("button", { name: "Save", exact: true }).waitFor({ timeout: 60_000 });
    assert.equal((await save(bob)).sha256, sha256);
  });
}

test("files that are on their way when somebody hangs up are named as lost, in the chat and in the recent calls", { timeout: 60_000 }, async () => {
  write(`${folder}/large.bin`, 60 * MB);
  await pick(alice, `${folder}/large.bin`);
  await bob.click("Accept");
  await bob.click("Pause");
  await alice.sees("Paused");
  node.part("c1", ALICE, BOB);
  await alice.page.locator(".bubble.files", { hasText: "Not sent. Stopped" }).waitFor();
  await bob.page.locator(".bubble.files", { hasText: "Not received. Stopped" }).waitFor();
  for (const someone of [alice, bob]) {
    await someone.click("Back");
    await someone.sees("1 file did not arrive");
  }
});

test("received files are still there after a reload", { timeout: 120_000 }, async () => {
  const sha256 = write(`${folder}/a.bin`, 300_000);
  await pick(alice, `${folder}/a.bin`);
  await bob.click("Accept");
  await bob.page.locator(".bubble.files").waitFor({ timeout: 60_000 });
  await bob.page.reload();
  assert.equal((await save(bob)).sha256, sha256);
});

test("files that are not wanted are not sent, and the sender may change its mind", { timeout: 60_000 }, async () => {
  write(`${folder}/a.bin`, 300_000);
  await pick(alice, `${folder}/a.bin`);
  await bob.click("Not now");
  await alice.sees("Stopped");
  await pick(alice, `${folder}/a.bin`);
  await bob.sees("would like to send you");
  await alice.page.locator(".transfers button[aria-label=Cancel]").click();
  await bob.page.locator(".invitation").waitFor({ state: "detached" });
});

test("files can be dropped and pasted", { timeout: 60_000 }, async () => {
  const places = [["drop", "main.call"], ["paste", "textarea"], ["drop", "header.bar"], ["paste", "body"]] as const;
  await untilFilesCanBeSent(alice);
  for (const [n, [how, place]] of places.entries()) {
    assert.ok(await bring(alice, how, `${n}.txt`, place));
    await bob.sees(`“${n}.txt”`);
    await bob.click("Accept");
    await bob.page.locator(".bubble.files", { hasText: `${n}.txt` }).waitFor();
  }
});
