// How fast files are, compared with a bare data channel between the same two pages: in turns, because the machine's load changes.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { after, before, test } from "node:test";
import type { Page } from "playwright-core";
import { MB, pick, write } from "../browser/bytes.ts";
import type { Someone } from "../browser/people.ts";
import { ALICE, BOB, quantile, Setting } from "./setting.ts";

const PAIRS = 7;
const SIZE = 100 * MB;

let setting: Setting;
let folder: string;

before(async () => {
  setting = await Setting.start();
  folder = mkdtempSync(`${tmpdir()}/sidecall-speed-`);
});
after(async () => {
  await setting.stop();
  rmSync(folder, { recursive: true });
});

interface Bare {
  bare: RTCPeerConnection;
  channel: RTCDataChannel;
}

/** Sets the remote description if there is one, and gives the local one if the other side needs it. */
const describe = (page: Page, remote: RTCSessionDescriptionInit | null) =>
  page.evaluate(async (remote) => {
    const { bare } = globalThis as unknown as Bare;
    if (remote === null) Object.assign(globalThis, { channel: bare.createDataChannel("bare") });
    else await bare.setRemoteDescription(remote);
    if (bare.signalingState === "stable" && remote !== null) return null;
    await bare.setLocalDescription();
    while (bare.iceGatheringState !== "complete") await new Promise((done) => setTimeout(done, 20));
    return bare.localDescription!.toJSON() as RTCSessionDescriptionInit;
  }, remote);

/** Sends bytes over a data channel of its own, as fast as the browser takes them; milliseconds. */
async function bare(from: Page, to: Page): Promise<number> {
  for (const page of [from, to]) await page.evaluate(() => void Object.assign(globalThis, { bare: new RTCPeerConnection() }));
  const received = to.evaluate(
    (size) =>
      new Promise<void>((done) => {
        (globalThis as unknown as Bare).bare.ondatachannel = ({ channel }) => {
          let sum = 0;
          channel.binaryType = "arraybuffer";
          channel.onmessage = ({ data }) => (sum += (data as ArrayBuffer).byteLength) >= size && done();
        };
      }),
    SIZE,
  );
  await describe(from, await describe(to, await describe(from, null)));
  await from.evaluate(async () => {
    const { channel } = globalThis as unknown as Bare;
    while (channel.readyState !== "open") await new Promise((done) => setTimeout(done, 5));
  });
  const begin = Date.now();
  await from.evaluate(async (size) => {
    const { channel } = globalThis as unknown as Bare;
    const message = new Uint8Array(64 * 1024);
    channel.bufferedAmountLowThreshold = 512 * 1024;
    for (let sent = 0; sent < size; sent += message.length) {
      if (channel.bufferedAmount > 2 * 1024 * 1024) await new Promise((done) => (channel.onbufferedamountlow = done));
      channel.send(message);
    }
  }, SIZE);
  await received;
  const taken = Date.now() - begin;
  for (const page of [from, to]) await page.evaluate(() => (globalThis as unknown as Bare).bare.close());
  return taken;
}

/** Sends a file, from the moment when it is picked until it is on the other side's disk and verified; milliseconds. */
async function file(from: Someone, to: Someone, name: string): Promise<number> {
  write(`${folder}/${name}`, SIZE);
  const begin = Date.now();
  await pick(from, `${folder}/${name}`);
  await to.page.locator(".theirs .bubble.files", { hasText: name }).waitFor({ timeout: 120_000 });
  return Date.now() - begin;
}

test("files, compared with a bare data channel", { timeout: 900_000 }, async () => {
  const [alice, bob] = await setting.people();
  await setting.program.pair("files", ALICE, BOB);
  await alice.sees("Bob Baker");
  await file(alice, bob, "first.bin");
  const times: { plain: number; ours: number }[] = [];
  for (let n = 0; n < PAIRS; n += 1) {
    times.push({ plain: await bare(alice.page, bob.page), ours: await file(alice, bob, `${n}.bin`) });
  }
  const speed = (ms: number) => `${Math.round(SIZE / 1000 / ms)} MB/s`;
  const [ours, plain] = [quantile(times.map(({ ours }) => ours), 0.5), quantile(times.map(({ plain }) => plain), 0.5)];
  const ratios = times.map(({ ours, plain }) => plain / ours);
  const [low, ratio, high] = [Math.min(...ratios), quantile(ratios, 0.5), Math.max(...ratios)].map((value) => value.toFixed(2));
  console.log(`files: ${speed(ours)}, bare channel: ${speed(plain)}, ratio ${ratio} (${low} to ${high}), ${PAIRS} pairs of ${SIZE / MB} MB`);
});
