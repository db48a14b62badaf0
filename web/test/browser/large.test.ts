// Several transfers at once, in both directions, beside the pictures of two cameras, with the real node. SIDECALL names its binary,
// TRANSFER_MB how much is sent in all: 100 without it. Every digest is compared, and the pictures must not stand still.
import assert from "node:assert/strict";
import { readFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { after, before, test } from "node:test";
import type { Browser } from "playwright-core";
import { Program } from "../double/program.ts";
import { MB, pick, save, write } from "./bytes.ts";
import { launch, Someone } from "./people.ts";

const BINARY = process.env["SIDECALL"] || undefined;
const skip = BINARY === undefined;
const [ALICE, BOB] = ["+12125550100", "+13105552001"];
const TOTAL = Number(process.env["TRANSFER_MB"] ?? 100) * MB;
/** Milliseconds that everything may take: a minute, and one more for every 2,000 bytes. */
const PATIENCE = 60_000 + TOTAL / 2_000;
/** Milliseconds that a picture may stand still, or the part of the time that the files take if that is longer: machines are slow. */
const STILL = { time: 3_000, part: 1 / 4 };

let browser: Browser;
let program: Program;
let folder: string;

before(async () => {
  if (skip) return;
  folder = mkdtempSync(`${tmpdir()}/sidecall-large-`);
  browser = await launch();
  program = new Program();
  await program.start(BINARY);
});
after(async () => {
  if (skip) return;
  await browser?.close();
  await program?.stop();
  rmSync(folder, { recursive: true });
});

interface Sent {
  readonly from: Someone;
  readonly to: Someone;
  /** The digest of each file, by its name. */
  readonly digests: ReadonlyMap<string, string>;
}

/** Two files of one transfer. */
function prepare(from: Someone, to: Someone, name: string, size: number): Sent {
  const names = [`${name}-1.bin`, `${name}-2.bin`];
  return { from, to, digests: new Map(names.map((name) => [name, write(`${folder}/${name}`, size)])) };
}

/** Watches the picture that somebody is shown. The answer stops it: frames, and the longest time without one in milliseconds. */
async function observe(someone: Someone): Promise<() => Promise<{ frames: number; still: number }>> {
  await someone.page.evaluate(() => {
    const count = () => document.querySelector<HTMLVideoElement>(".tile:not([data-own]) video")!.getVideoPlaybackQuality().totalVideoFrames;
    const seen = { first: count(), frames: count(), since: Date.now(), still: 0 };
    const look = () => {
      const frames = count();
      seen.still = Math.max(seen.still, Date.now() - seen.since);
      if (frames !== seen.frames) Object.assign(seen, { frames, since: Date.now() });
    };
    const looking = setInterval(look, 100);
    const stop = () => {
      clearInterval(looking);
      return { frames: seen.frames - seen.first, still: seen.still };
    };
    Object.assign(globalThis, { stop });
  });
  return () => someone.page.evaluate(() => (globalThis as unknown as { stop: () => { frames: number; still: number } }).stop());
}

/** The most memory that a process has had, in MB. */
const peak = (pid: number) => Math.round(Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024);

/** The same of every page. */
async function peaks(): Promise<number[]> {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  return processInfo.filter(({ type }) => type === "renderer").map(({ id }) => peak(id));
}

test("files arrive with equal digests in both directions, and the pictures go on", { timeout: PATIENCE * 2, skip }, async () => {
  const alice = await Someone.enrol(browser, program, ALICE, "Alice Archer");
  const bob = await Someone.enrol(browser, program, BOB, "Bob Baker");
  await alice.acceptsEverything();
  await bob.acceptsEverything();
  await program.pair("c1", ALICE, BOB);
  await alice.click("Camera");
  await bob.watches("Camera of Alice Archer");
  await bob.click("Camera");
  await alice.watches("Camera of Bob Baker");
  const size = Math.floor(TOTAL / 6);
  const sent = [prepare(alice, bob, "plans", size), prepare(alice, bob, "photos", size), prepare(bob, alice, "answers", size)];
  const pictures = [await observe(alice), await observe(bob)];
  const begin = Date.now();
  for (const { from, digests } of sent) await pick(from, [...digests.keys()].map((name) => `${folder}/${name}`));
  const arrived = (someone: Someone, n: number) => someone.page.locator(".theirs .bubble.files").nth(n - 1).waitFor({ timeout: PATIENCE });
  await Promise.all([arrived(bob, 2), arrived(alice, 1)]);
  const seconds = (Date.now() - begin) / 1000;
  for (const picture of pictures) {
    const { frames, still } = await picture();
    console.log(`${frames} frames in ${seconds.toFixed(1)} s, at most ${still} ms apart`);
    assert.ok(still < Math.max(STILL.time, seconds * 1000 * STILL.part), `a picture stood still for ${still} ms`);
  }
  const pages = await peaks();
  console.log(`${TOTAL / MB} MB in ${seconds.toFixed(1)} s; memory at most: pages ${pages.join(" and ")} MB, node ${peak(program.pid)} MB`);
  for (const { to, digests } of sent) {
    for (const [name, sha256] of digests) {
      const bubble = to.page.locator(".theirs .bubble.files", { hasText: name });
      if (!(await bubble.locator("ul").isVisible())) await bubble.locator("summary").click();
      assert.deepEqual(await save(to, bubble.getByRole("button", { name })), { name, sha256 });
    }
  }
});
