import assert from "node:assert/strict";
import { test } from "node:test";
import { iceConfiguration } from "../../src/app/ice.ts";
import type { Access } from "../../src/net/access.ts";
import { ApiError, type Failure } from "../../src/net/api.ts";

/** A node that fails so often, and then wants all media relayed. */
function node(...failures: Failure[]): Access {
  const ice = async (): Promise<RTCConfiguration> => {
    const failure = failures.shift();
    if (failure !== undefined) throw new ApiError(failure);
    return { iceServers: [], iceTransportPolicy: "relay" };
  };
  return { ice } as unknown as Access;
}

test("nothing connects before the node has said how", async () => {
  const configuration = await iceConfiguration(node("unreachable", "limited"), () => true);
  assert.equal(configuration.iceTransportPolicy, "relay");
});

test("a node of an earlier version does not say how", async () => {
  assert.deepEqual(await iceConfiguration(node("absent"), () => true), {});
});

test("the node is not asked for a call that is over", async () => {
  let wanted = true;
  const asked = iceConfiguration(node("unreachable"), () => wanted);
  wanted = false;
  await assert.rejects(asked);
});
