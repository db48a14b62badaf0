// The signed-in client, with a node and a browser in memory.
import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { ClientDouble } from "../double/client.ts";

// Time stands still unless a test moves it.
mock.timers.enable({ apis: ["setTimeout", "setInterval"] });

let double: ClientDouble;

beforeEach(() => {
  double = new ClientDouble();
});

test("a camera is stopped when its call is no longer the one in front", async () => {
  await double.start();
  await double.meets("one", "1");
  await double.meets("two", "2");
  const [one, two] = [double.client.conversation("one")!, double.client.conversation("two")!];
  await one.sources.start("camera", "");
  double.client.front("one");
  assert.equal(double.devices.tracks[0]!.readyState, "live");
  double.client.front("two");
  assert.equal(double.devices.tracks[0]!.readyState, "ended");
  assert.equal(one.sources.tracks.size, 0);
  await two.sources.start("camera", "");
  double.client.front("two");
  assert.equal(double.devices.tracks[1]!.readyState, "live");
});
