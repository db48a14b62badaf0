// A network that is really cut: Bob's browser is in a network namespace, and its only cable is pulled. Needs root.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { after, before, test } from "node:test";
import type { Browser } from "playwright-core";
import { NodeDouble } from "../double/node.ts";
import { pick } from "./bytes.ts";
import { launch, Someone, until } from "./people.ts";

const [ALICE, BOB] = ["+12125550100", "+13105552001"];
const SPACE = `sidecall-${process.pid}`;
const CABLE = `sc${process.pid}`;
const [HERE, THERE] = ["10.211.77.1", "10.211.77.2"];
const SIZE = 80 * 1024 * 1024;

const ip = (...words: string[]) => execFileSync("ip", words, { stdio: ["ignore", "ignore", "ignore"] });
const root = process.getuid?.() === 0;

const node = new NodeDouble();
let folder: string;
let browsers: Browser[] = [];

before(async () => {
  if (!root) return;
  folder = mkdtempSync(`${tmpdir()}/sidecall-cut-`);
  ip("netns", "add", SPACE);
  ip("link", "add", CABLE, "type", "veth", "peer", "name", "eth0", "netns", SPACE);
  ip("addr", "add", `${HERE}/24`, "dev", CABLE);
  ip("link", "set", CABLE, "up");
  for (const words of [["link", "set", "lo", "up"], ["addr", "add", `${THERE}/24`, "dev", "eth0"], ["link", "set", "eth0", "up"]]) {
    ip("-n", SPACE, ...words);
  }
  await node.start(HERE);
  const inside = `${folder}/chromium`;
  writeFileSync(inside, `#!/bin/sh\nexec ip netns exec ${SPACE} /usr/bin/chromium "$@"\n`);
  chmodSync(inside, 0o755);
  const origin = new URL(node.url).origin;
  browsers = [await launch(undefined, origin), await launch(inside, origin)];
});
after(async () => {
  if (!root) return;
  await Promise.all(browsers.map((browser) => browser.close()));
  node.stop();
  ip("netns", "del", SPACE);
  rmSync(folder, { recursive: true });
});

test("a network that is cut for ten seconds costs nothing but the time", { timeout: 240_000, skip: !root }, async () => {
  const alice = await Someone.enrol(browsers[0]!, node, ALICE, "Alice Archer");
  const bob = await Someone.enrol(browsers[1]!, node, BOB, "Bob Baker");
  node.pair("c1", ALICE, BOB);
  await alice.click("Camera");
  await bob.click("Accept");
  await bob.watches("Camera of Alice Archer");
  writeFileSync(`${folder}/large.bin`, Buffer.alloc(SIZE, "sidecall"));
  await pick(alice, `${folder}/large.bin`);
  await bob.click("Accept");
  const progress = () => bob.page.locator("progress").evaluate((element) => (element as HTMLProgressElement).value);
  await until(async () => Number(await progress()) > 0.05, "some of it");
  ip("link", "set", CABLE, "down");
  await bob.sees("The connection was interrupted", 30_000);
  await alice.write("Are you still there?");
  await new Promise((done) => setTimeout(done, 10_000));
  assert.ok(Number(await progress()) < 0.95, "it was cut in time");
  ip("link", "set", CABLE, "up");
  await bob.sees("Are you still there?", 60_000);
  await bob.sees("Connected directly", 60_000);
  await bob.watches("Camera of Alice Archer");
  // It is shown as complete only if its digest is right.
  await bob.page.locator(".bubble.files").waitFor({ timeout: 120_000 });
});
