// How soon the other side's picture is there: from the report of the answer to the first decoded frame, accepted without asking.
import { after, before, test } from "node:test";
import type { Page } from "playwright-core";
import { ALICE, BOB, quantile, Setting } from "./setting.ts";

const CALLS = 25;

let setting: Setting;

before(async () => {
  setting = await Setting.start();
});
after(() => setting.stop());

/** Clicks the camera as soon as there is somebody to show it to. */
const show = (page: Page) =>
  page.evaluate(async () => {
    const button = () => document.querySelector<HTMLButtonElement>(".actions:not([hidden]) .action");
    while (button() === null) await new Promise((done) => setTimeout(done, 5));
    button()!.click();
  });

/** When the first frame of the other side's picture was there. */
const firstFrame = (page: Page) =>
  page.evaluate(async () => {
    const video = () => document.querySelector<HTMLVideoElement>(".tile:not([data-own]) video");
    while ((video()?.getVideoPlaybackQuality().totalVideoFrames ?? 0) === 0) await new Promise((done) => setTimeout(done, 5));
    return Date.now();
  });

test("answer to first frame", { timeout: 600_000 }, async () => {
  const [alice, bob] = await setting.people();
  const times: number[] = [];
  for (let n = 0; n < CALLS; n += 1) {
    const call = `c${n}`;
    await setting.program.dial(call, ALICE, BOB);
    const [shown, seen] = [show(alice.page), firstFrame(bob.page)];
    const answered = Date.now();
    await setting.program.answer(call);
    await shown;
    times.push((await seen) - answered);
    await setting.program.part(call);
    await bob.page.locator("video").waitFor({ state: "detached" });
    await alice.page.locator(".actions").waitFor({ state: "hidden" });
  }
  const [p50, p90] = [quantile(times, 0.5), quantile(times, 0.9)];
  console.log(`answer to first frame: p50 ${p50} ms, p90 ${p90} ms, slowest ${Math.max(...times)} ms, ${CALLS} calls`);
});
