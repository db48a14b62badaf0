// The guests of others, as their hosts tell of them.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { type Call, type Calls, step } from "../../src/core/calls.ts";
import type { NodeMessage } from "../../src/core/envelope.ts";
import { type Visitor, visitors } from "../../src/core/visitors.ts";

const [bob, carol] = [{ number: "1", name: "Bob" }, { number: "2", name: "Carol" }];
const [zoe, max] = [{ id: "g1", name: "Zoë" }, { id: "g2", name: "Max" }];
let id = 0;
let calls: Calls;

const only = (): Call => calls.get("c")!;
const node = (body: object) => {
  calls = step(calls, { type: "node", message: { id: String((id += 1)), call: "c", ...body } as NodeMessage, now: 1000 });
};
const meets = (who: typeof bob) =>
  node({ type: "peer", role: "first", peer: { ...who, address: `https://n.example/a/${who.number}`, capabilities: [] } });
const here = () => visitors(only()).map(({ name, hosts }) => `${name} of ${hosts.map((host) => host.name).join("/")}`);
/** A device tells of its guests; who is there then. */
const tells = (hosts: readonly object[], device: string, guests: readonly Visitor[], message = String((id += 1))) => {
  calls = step(calls, { type: "visitors", call: "c", id: message, device, hosts, guests, now: 0 });
  return here();
};
const lines = () =>
  only().lines.flatMap((line) => ((line.kind === "joined" || line.kind === "left") && line.hosts ? [[line.kind, line.who.name]] : []));
const many = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => ({ id: `x${from + n}`, name: `X${from + n}` }));

beforeEach(() => {
  calls = new Map();
  meets(bob);
  meets(carol);
});

test("the guests of another are there as long as their host is, and each comes and goes once", () => {
  assert.deepEqual(tells([bob], "desk", [zoe]), ["Zoë of Bob"]);
  assert.deepEqual(tells([bob], "desk", [zoe, max]), ["Zoë of Bob", "Max of Bob"]);
  assert.deepEqual(tells([bob], "phone", []), ["Zoë of Bob", "Max of Bob"], "another device has none");
  assert.deepEqual(tells([carol], "desk", []), ["Zoë of Bob", "Max of Bob"], "nobody else speaks for the device");
  assert.deepEqual(tells([bob], "desk", [max]), ["Max of Bob"]);
  assert.deepEqual(lines(), [["joined", "Zoë"], ["joined", "Max"], ["left", "Zoë"]]);
  node({ type: "ended", number: "1" });
  assert.deepEqual(here(), []);
  node({ type: "over" });
  const over = calls;
  tells([carol], "desk", [zoe]);
  assert.equal(calls, over);
});

test("a device is the same when more or fewer may have sent what it tells", () => {
  assert.deepEqual(tells([bob], "desk", [zoe]), ["Zoë of Bob"]);
  assert.deepEqual(tells([bob, carol], "desk", [zoe, max]), ["Zoë of Bob", "Max of Bob"]);
  assert.deepEqual(tells([carol, bob], "desk", []), []);
  assert.deepEqual(tells([bob, carol], "desk", [zoe]), ["Zoë of Bob/Carol"]);
  assert.deepEqual(tells([carol, bob], "desk", [zoe]), ["Zoë of Carol/Bob"]);
  assert.deepEqual(tells([bob], "desk", [zoe]), ["Zoë of Bob"]);
  assert.deepEqual(lines(), [["joined", "Zoë"], ["joined", "Max"], ["left", "Zoë"], ["left", "Max"], ["joined", "Zoë"]]);
});

test("a guest is gone when one leaves whose guest it may be", () => {
  tells([bob, carol], "desk", [zoe]);
  tells([carol], "phone", [max]);
  node({ type: "ended", number: "1" });
  assert.deepEqual(here(), ["Max of Carol"]);
  assert.deepEqual(tells([bob, carol], "desk", [zoe]), ["Max of Carol", "Zoë of Bob/Carol"], "told again");
  node({ type: "ended", number: "2" });
  assert.deepEqual(here(), []);
  meets(carol);
  assert.deepEqual(here(), [], "who is connected again tells again");
});

test("no two lines have the same id", () => {
  tells([bob], "desk", [zoe], "m");
  tells([carol], "phone", [zoe], "m");
  node({ id: "n", type: "peer", role: "first", peer: { number: "3", capabilities: [] } });
  node({ id: "n", type: "peer", role: "first", peer: { number: "4", capabilities: [] } });
  const ids = only().lines.map((line) => line.id);
  assert.deepEqual([ids.length, new Set(ids).size], [3, 3]);
});

test("guests of others do not push the chat out of a call", () => {
  for (let n = 0; n < 2000; n += 16) tells([bob], "desk", many(n, n + 16));
  assert.equal(lines().length, 64);
  assert.deepEqual(tells([bob], "desk", [zoe]), ["Zoë of Bob"], "the head is up to date");
});

test("a host cannot push out the guests of another one", () => {
  tells([carol], "phone", [zoe]);
  for (let n = 0; n < 4; n += 1) tells([bob], `desk-${n}`, many(n * 5, n * 5 + 5));
  const names = here();
  assert.equal(names[0], "Zoë of Carol");
  assert.deepEqual(names.slice(1), many(10, 20).map(({ name }) => `${name} of Bob`), "of two devices");
  assert.equal(tells([bob], "desk-3", many(100, 116)).length, 17);
});
