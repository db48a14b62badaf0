// How to connect, as the node says it.
import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { Ice } from "../../src/app/ice.ts";
import { Api, ApiError, type IceAnswer } from "../../src/net/api.ts";
import { settle } from "../double/browser.ts";

// Time stands still unless a test moves it.
mock.timers.enable({ apis: ["setTimeout", "Date"] });

const HOUR = 3_600_000;

/** A node whose credentials have a number and are valid for an hour. */
class Node {
  asked = 0;
  away = false;
  readonly ice = new Ice(() => this.#answer(), () => undefined);

  async #answer(): Promise<IceAnswer> {
    this.asked += 1;
    if (this.away) throw new ApiError("unreachable");
    const iceServers = [{ urls: "turn:turn.example", username: String(this.asked) }];
    return { configuration: { iceServers, iceTransportPolicy: "relay" }, expires: Date.now() + HOUR };
  }
}

const username = ({ iceServers }: RTCConfiguration) => iceServers?.[0]?.username;

test("nothing connects before the node has said how", async () => {
  const node = new Node();
  node.away = true;
  let configuration: RTCConfiguration | undefined;
  void node.ice.awaited(() => true).then((said) => (configuration = said));
  for (let n = 0; n < 5; n += 1) {
    await settle();
    mock.timers.tick(30_000);
  }
  assert.deepEqual([configuration, node.asked, node.ice.silent], [undefined, 5, true]);
  node.away = false;
  await settle();
  mock.timers.tick(30_000);
  await settle();
  assert.deepEqual([configuration?.iceTransportPolicy, node.ice.silent], ["relay", false]);
});

test("the node is not asked for a session that is over", async () => {
  const node = new Node();
  node.away = true;
  let wanted = true;
  const awaited = node.ice.awaited(() => wanted);
  await settle();
  wanted = false;
  mock.timers.tick(30_000);
  assert.deepEqual([await awaited, node.asked], [undefined, 1]);
});

test("before credentials expire, the node is asked for others", async () => {
  const node = new Node();
  assert.deepEqual((await Promise.all([node.ice.current(), node.ice.current()])).map(username), ["1", "1"]);
  mock.timers.tick(HOUR / 2);
  assert.equal(username(await node.ice.current()), "1");
  mock.timers.tick(HOUR / 2 - 60_000);
  assert.equal(username(await node.ice.current()), "2");
});

test("what the node said last holds while it does not answer", async () => {
  const node = new Node();
  await node.ice.current();
  node.away = true;
  mock.timers.tick(2 * HOUR);
  assert.equal((await node.ice.current()).iceTransportPolicy, "relay");
  node.away = false;
  assert.equal(username(await node.ice.current()), "3");
});

/** What the API makes of an answer. */
function read(body: unknown, status = 200): Promise<IceAnswer> {
  const json = async () => {
    if (body === undefined) throw new SyntaxError("no JSON");
    return body;
  };
  Object.assign(globalThis, { fetch: async () => ({ ok: status === 200, status, json }) });
  return new Api("https://own.example/").iceAt("https://own.example/a/token");
}

test("what is not an answer is not taken for one that allows everything", async () => {
  const good = { iceServers: [], iceTransportPolicy: "relay", expires: 1 };
  for (const status of [404, 405, 410, 500]) await assert.rejects(read(good, status), ApiError);
  for (const body of [undefined, {}, [], { ...good, iceServers: {} }, { ...good, iceTransportPolicy: "none" }, { ...good, expires: "1" }]) {
    await assert.rejects(read(body), { failure: "refused" }, JSON.stringify(body));
  }
  assert.equal((await read(good)).configuration.iceTransportPolicy, "relay");
  assert.equal((await read({ iceServers: [], expires: 1 })).configuration.iceTransportPolicy, "all");
});
