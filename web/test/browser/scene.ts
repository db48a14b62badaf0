// What most tests begin with: a node in memory, and Alice and Bob with a browser each. New for each test of the file.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach } from "node:test";
import type { Browser } from "playwright-core";
import { NodeDouble } from "../double/node.ts";
import { launch, Someone } from "./people.ts";

export interface Scene {
  browser: Browser;
  node: NodeDouble;
  alice: Someone;
  bob: Someone;
}

/** Sets the scene for each test, and clears it. A test fails if a page complained. */
export function scene(alice: string, bob: string): Scene {
  const scene = {} as Scene;
  before(async () => {
    scene.browser = await launch();
  });
  after(() => scene.browser.close());
  beforeEach(async () => {
    scene.node = new NodeDouble();
    await scene.node.start();
    scene.alice = await Someone.enrol(scene.browser, scene.node, alice, "Alice Archer");
    scene.bob = await Someone.enrol(scene.browser, scene.node, bob, "Bob Baker");
  });
  afterEach(async () => {
    const complaints = [...scene.alice.complaints, ...scene.bob.complaints];
    await scene.alice.context.close();
    await scene.bob.context.close();
    scene.node.stop();
    assert.deepEqual(complaints, []);
  });
  return scene;
}
