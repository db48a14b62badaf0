import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Sources } from "../../src/app/sources.ts";
import { type Devices, install, settle } from "../double/browser.ts";

let devices: Devices;

beforeEach(() => {
  devices = install();
});

test("a camera that opens after the call's end is stopped at once", async () => {
  const changes: string[] = [];
  const sources = new Sources((source) => changes.push(source));
  devices.asking = true;
  const started = sources.start("camera", "");
  sources.close();
  devices.allow();
  assert.equal(await started, false);
  assert.deepEqual([devices.tracks[0]!.readyState, sources.tracks.size, changes], ["ended", 0, []]);
  assert.equal(await sources.start("camera", ""), false);
  assert.equal(devices.tracks.length, 1);
});

test("a camera that is stopped while it opens does not come back, and the next one stays", async () => {
  const sources = new Sources(() => undefined);
  devices.asking = true;
  const first = sources.start("camera", "");
  sources.stopAll();
  const second = sources.start("camera", "");
  devices.allow();
  devices.allow();
  assert.deepEqual([await first, await second], [false, true]);
  await settle();
  assert.deepEqual(devices.tracks.map(({ readyState }) => readyState), ["ended", "live"]);
  assert.equal(sources.tracks.get("camera") as unknown, devices.tracks[1]);
});
