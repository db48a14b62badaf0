// How soon a picture is there after the answer, and how fast files go, compared with a bare data channel.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { after, before, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { NodeDouble } from "../double/node.ts";
import { launch, Someone } from "../browser/people.ts";

const [ALICE, BOB] = ["+12125550100", "+13105552001"];
const CALLS = 15;
const SIZE = 200 * 1024 * 1024;

let browser: Browser;
let alice: Someone;
let bob: Someone;
const node = new NodeDouble();

before(async () => {
  browser = await launch();
  await node.start();
  alice = await Someone.enrol(browser, node, ALICE, "Alice Archer");
  bob = await Someone.enrol(browser, node, BOB, "Bob Baker");
  await bob.click("Settings");
  await bob.page.getByLabel("Accept video, screens").check();
  await bob.page.getByLabel("Accept files without asking").check();
  await bob.click("Close");
});
after(async () => {
  await browser.close();
  node.stop();
});

const say = (text: string) => console.log(`# ${text}`);
const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

/** Milliseconds until the page has what `find` looks for. */
const clock = (page: Page) =>
  page.evaluate(
    () =>
      new Promise<number>((done) => {
        const look = () => {
          const video = document.querySelector<HTMLVideoElement>(".tile:not([data-own]) video");
          if (video !== null && video.getVideoPlaybackQuality().totalVideoFrames > 0) done(Date.now());
          else setTimeout(look, 5);
        };
        look();
      }),
  );

test("answer to first frame, accepted without asking", { timeout: 300_000 }, async () => {
  const times: number[] = [];
  for (let n = 0; n < CALLS; n += 1) {
    const call = `c${n}`;
    const clicked = alice.page.evaluate(
      () =>
        new Promise<void>((done) => {
          const look = () => {
            const button = document.querySelector<HTMLButtonElement>(".actions:not([hidden]) .action");
            if (button === null) return void setTimeout(look, 5);
            button.click();
            done();
          };
          look();
        }),
    );
    const shown = clock(bob.page);
    const answered = Date.now();
    node.pair(call, ALICE, BOB);
    await clicked;
    times.push((await shown) - answered);
    node.part(call, ALICE, BOB);
    await bob.page.locator("video").waitFor({ state: "detached" });
    await alice.page.locator(".actions").waitFor({ state: "hidden" });
  }
  say(`answer to first frame: p50 ${median(times)} ms, slowest ${times.at(-1)} ms, ${CALLS} calls`);
});

/** Sends bytes over a data channel of its own, as fast as the browser takes them; milliseconds. */
async function bare(): Promise<number> {
  for (const { page } of [alice, bob]) {
    await page.evaluate(() => {
      const connection = new RTCPeerConnection();
      Object.assign(globalThis, { bare: connection });
    });
  }
  type Bare = { bare: RTCPeerConnection };
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
  const received = bob.page.evaluate(
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
  const offer = await describe(alice.page, null);
  await describe(alice.page, await describe(bob.page, offer));
  const begin = Date.now();
  await alice.page.evaluate(async (size) => {
    const { channel } = globalThis as unknown as { channel: RTCDataChannel };
    while (channel.readyState !== "open") await new Promise((done) => setTimeout(done, 5));
    const message = new Uint8Array(64 * 1024);
    channel.bufferedAmountLowThreshold = 512 * 1024;
    for (let sent = 0; sent < size; sent += message.length) {
      if (channel.bufferedAmount > 2 * 1024 * 1024) await new Promise((done) => (channel.onbufferedamountlow = done));
      channel.send(message);
    }
  }, SIZE);
  await received;
  return Date.now() - begin;
}

test("files, compared with a bare data channel", { timeout: 300_000 }, async () => {
  const folder = mkdtempSync(`${tmpdir()}/sidecall-speed-`);
  node.pair("files", ALICE, BOB);
  await alice.sees("Bob Baker");
  const [plain, ours]: [number[], number[]] = [[], []];
  for (let n = 0; n < 3; n += 1) {
    plain.push(await bare());
    writeFileSync(`${folder}/${n}.bin`, Buffer.alloc(SIZE, "sidecall"));
    const begin = Date.now();
    await alice.page.locator("input[type=file][aria-label=Files]").setInputFiles(`${folder}/${n}.bin`);
    await bob.page.locator(".bubble.files", { hasText: `${n}.bin` }).waitFor({ timeout: 120_000 });
    ours.push(Date.now() - begin);
  }
  rmSync(folder, { recursive: true });
  const speed = (ms: number) => `${Math.round(SIZE / 1000 / ms)} MB/s`;
  say(`files: ${speed(median(ours))}, bare channel: ${speed(median(plain))}, ratio ${(median(plain) / median(ours)).toFixed(2)}`);
});
