import assert from "node:assert/strict";
import { test } from "node:test";
import { CameraPreview } from "../../src/media/preview.ts";
import { install } from "../double/browser.ts";

test("a preview that is closed while its camera opens leaves no camera on", async () => {
  const devices = install();
  const preview = new CameraPreview();
  devices.asking = true;
  const opened = preview.open("");
  preview.close();
  devices.allow();
  assert.equal(await opened, undefined);
  assert.deepEqual(devices.tracks.map(({ readyState }) => readyState), ["ended"]);
});

test("of two cameras that are chosen in quick succession, the last one is shown", async () => {
  const devices = install();
  const preview = new CameraPreview();
  devices.asking = true;
  const both = [preview.open("a"), preview.open("b")];
  devices.allow();
  devices.allow();
  const [first, second] = await Promise.all(both);
  assert.equal(first, undefined);
  assert.equal(second as unknown, devices.tracks[1]);
  assert.deepEqual(devices.tracks.map(({ readyState }) => readyState), ["ended", "live"]);
  preview.close();
  assert.equal(devices.tracks[1]!.readyState, "ended");
});
