import assert from "node:assert/strict";
import { test } from "node:test";
import { type Call, type Calls, current, step } from "../../src/core/calls.ts";
import { authors, keyOf, people, present, senderKey, senderOf } from "../../src/core/people.ts";
import type { NodeMessage } from "../../src/core/envelope.ts";

let id = 0;
const node = (calls: Calls, body: object, now = 1000) =>
  step(calls, { type: "node", message: { id: String((id += 1)), call: "c", ...body } as NodeMessage, now });
const peer = (number: string | undefined, extra: object = {}) => ({
  type: "peer", role: "first", peer: { ...(number && { number }), address: `https://n.example/a/${number}`, capabilities: [], ...extra },
});
/** They talk with somebody without a client. */
const answered = (number: string) => ({ type: "answered", role: "second", peer: { number, name: `Name ${number}` } });
const only = (calls: Calls): Call => calls.get("c")!;
const EMPTY: Calls = new Map();

test("a call rings, is answered, and ends", () => {
  let calls = node(EMPTY, { type: "ringing", role: "second", peer: { number: "1", name: "A" } });
  assert.equal(only(calls).phase, "ringing");
  assert.equal(people(only(calls))[0]!.name, "A");
  calls = node(calls, peer("1"), 2000);
  assert.deepEqual([only(calls).phase, only(calls).answered, present(only(calls)).length], ["active", 2000, 1]);
  calls = node(calls, { type: "ended", number: "1" }, 9000);
  assert.deepEqual([only(calls).phase, only(calls).ended], ["ended", 9000]);
  assert.equal(current(calls), undefined);
});

test("a call without ringing, and one that nobody answers", () => {
  assert.equal(only(node(EMPTY, peer("1"))).phase, "active");
  const ringing = node(EMPTY, { type: "ringing", role: "second", peer: { number: "1" } });
  assert.equal(only(node(ringing, { type: "missed", role: "second", peer: { number: "1" } })).phase, "missed");
  assert.equal(only(node(ringing, { type: "ended", number: "1" })).phase, "ended");
  const voiceMail = node(ringing, { type: "over" });
  assert.deepEqual(["ended", "missed"], [voiceMail, node(voiceMail, { type: "missed", role: "second", peer: { number: "1" } })].map((calls) => only(calls).phase));
  const missed = only(node(EMPTY, { type: "missed", role: "second", peer: { number: "1" }, at: 400 }, 9000));
  assert.deepEqual([missed.phase, missed.began, missed.ended], ["missed", 400, 400]);
});

test("a call with somebody without a client is active until it is over", () => {
  let calls = node(EMPTY, { type: "ringing", role: "second", peer: { number: "1", name: "Name 1" } });
  calls = node(calls, answered("1"), 2000);
  assert.deepEqual([only(calls).phase, only(calls).answered, people(only(calls)).map(({ name }) => name)], ["active", 2000, ["Name 1"]]);
  calls = node(calls, answered("1"), 2500);
  assert.deepEqual([only(calls).answered, only(calls).lines.length], [2000, 0], "a repeat is no news");
  calls = node(calls, answered("2"), 3000);
  assert.deepEqual([only(calls).answered, present(only(calls)).map(keyOf)], [2000, ["2"]], "it was transferred");
  calls = node(calls, { type: "over" }, 9000);
  assert.deepEqual([only(calls).phase, only(calls).ended, present(only(calls)).length], ["ended", 9000, 0]);
  assert.equal(only(node(calls, { type: "over" }, 9999)).ended, 9000);
  assert.equal(node(EMPTY, { type: "over" }).size, 0);
});

test("a client takes the place of the phone, and the voice goes on without it", () => {
  let calls = node(node(EMPTY, answered("1")), peer("1"));
  const addresses = () => present(only(calls)).map(({ address }) => address);
  assert.deepEqual([addresses(), only(calls).lines.length], [["https://n.example/a/1"], 0]);
  calls = node(calls, answered("1"));
  assert.deepEqual(addresses(), ["https://n.example/a/1"], "it was late");
  calls = node(node(calls, { type: "ended", number: "1" }), answered("1"));
  assert.deepEqual([only(calls).phase, addresses()], ["active", [undefined]]);
  calls = node(calls, peer("2"));
  assert.deepEqual(present(only(calls)).map(keyOf), ["2"], "it was transferred");
});

test("the phones of a conference stay when others come, and the only phone is replaced", () => {
  const here = (calls: Calls) => present(only(calls)).map(keyOf);
  const calls = node(node(node(EMPTY, peer("1")), answered("2")), answered("3"));
  assert.deepEqual(here(calls), ["1", "2", "3"]);
  assert.deepEqual(here(node(calls, peer("4"))), ["1", "2", "3", "4"]);
  assert.deepEqual(here(node(node(EMPTY, answered("1")), answered("2"))), ["2"]);
});

test("a call that somebody else answered is none that nobody answered", () => {
  const missed = { type: "missed", role: "first", peer: { number: "1" }, at: 400 };
  const calls = node(node(EMPTY, { type: "ringing", role: "first", peer: { number: "1" } }), peer("2"));
  assert.equal(only(node(calls, missed)).phase, "active");
  const over = node(calls, { type: "ended", number: "2" });
  assert.equal(only(node(over, missed)).phase, "ended");
  assert.equal(only(node(node(EMPTY, missed), peer("2"))).phase, "active");
});

test("a transfer changes the person and keeps the call, in either order", () => {
  for (const order of ["ended first", "peer first"]) {
    let calls = node(EMPTY, peer("1", { name: "Bob" }));
    const ended = () => (calls = node(calls, { type: "ended", number: "1" }));
    const joined = () => (calls = node(calls, peer("2", { name: "Carol" })));
    for (const act of order === "ended first" ? [ended, joined] : [joined, ended]) act();
    assert.equal(only(calls).phase, "active", order);
    assert.deepEqual(present(only(calls)).map(({ number }) => number), ["2"]);
    assert.equal(only(calls).ended, undefined);
    assert.ok(only(calls).lines.some((line) => line.kind === "joined" && line.who.name === "Carol"));
  }
});

test("after a transfer, what was written before is still the first person's", () => {
  const line = { id: "m", at: 0, own: false, kind: "text", text: "hi" } as const;
  let calls = step(node(EMPTY, peer("1", { name: "Bob" })), { type: "line", call: "c", line, shown: true });
  calls = node(node(calls, { type: "ended", number: "1" }), peer("2", { name: "Carol" }));
  calls = step(calls, { type: "line", call: "c", line: { ...line, id: "n" }, shown: true });
  const texts = only(calls).lines.filter(({ kind }) => kind === "text");
  assert.deepEqual(texts.map(({ by }) => by), [[{ number: "1", name: "Bob" }], [{ number: "2", name: "Carol" }]]);
});

test("a withheld number is one person", () => {
  let calls = node(EMPTY, peer(undefined));
  calls = node(calls, peer(undefined));
  assert.equal(present(only(calls)).length, 1);
  calls = node(calls, { type: "ended" });
  assert.equal(only(calls).phase, "ended");
});

test("a guest joins the person who rings without a client, and leaves", () => {
  const guest = (guest: string) => ({ type: "guest", role: "second", peer: { guest, name: "Zoë", address: `https://n.example/a/${guest}`, capabilities: [] } });
  let calls = node(EMPTY, { type: "ringing", role: "second", peer: { number: "1" } });
  calls = node(calls, guest("g1"));
  assert.deepEqual([only(calls).phase, people(only(calls)).map(keyOf)], ["active", ["g1"]]);
  calls = node(node(calls, guest("g2")), peer(undefined));
  assert.deepEqual(present(only(calls)).map(keyOf), ["g1", "g2", "?"], "a withheld number is nobody's guest");
  calls = node(node(calls, { type: "guest-left", guest: "g1" }), { type: "ended" });
  assert.deepEqual(present(only(calls)).map(keyOf), ["g2"]);
  assert.equal(only(node(calls, { type: "guest-left", guest: "g2" })).phase, "ended");
});

test("a guest who leaves does not end the talk", () => {
  const guest = { type: "guest", role: "second", peer: { guest: "g1", name: "Zoë", address: "https://n.example/a/g1", capabilities: [] } };
  let calls = node(node(EMPTY, answered("1")), guest);
  assert.deepEqual(present(only(calls)).map(keyOf), ["1", "g1"]);
  calls = node(calls, { type: "guest-left", guest: "g1" });
  assert.deepEqual([only(calls).phase, present(only(calls)).map(keyOf)], ["active", ["1"]]);
});

test("a call that is over is filed under the person called, not under their guest", () => {
  const guest = { type: "guest", role: "second", peer: { guest: "g1", name: "Zoë", address: "https://n.example/a/g1", capabilities: [] } };
  let calls = node(node(EMPTY, peer("1", { name: "Bob" })), guest);
  calls = node(node(calls, { type: "ended", number: "1" }), { type: "guest-left", guest: "g1" });
  assert.deepEqual(people(only(calls)).map(keyOf), ["1"]);
  const alone = node(node(node(EMPTY, { type: "ringing", role: "second", peer: { number: "1" } }), guest), { type: "over" });
  assert.deepEqual(people(only(alone)).map(keyOf), ["g1"], "nobody else is known");
});

test("what a guest has written is the guest's, and what others have is not", () => {
  const guest = { type: "guest", role: "second", peer: { guest: "g1", name: "Zoë", address: "https://n.example/a/g1", capabilities: [] } };
  const bob = { number: "1", name: "Bob" };
  let calls = node(node(EMPTY, peer("1", { name: "Bob" })), guest);
  assert.deepEqual(authors(only(calls), { guest: "g1" }), [{ guest: "g1", name: "Zoë" }]);
  assert.deepEqual(authors(only(calls), {}), [bob]);
  assert.deepEqual(authors(only(calls), { guest: "g2" }), [{ guest: "g2" }], "of whom the node has not told yet");
  assert.deepEqual(["g1", "g2"].map((guest) => senderKey(only(calls), { guest })), ["g1", "g2"]);
  calls = node(calls, { type: "guest-left", guest: "g1" });
  assert.deepEqual(authors(only(calls), { guest: "g1" }), [{ guest: "g1", name: "Zoë" }]);
  calls = node(node(calls, { type: "ended", number: "1" }), answered("2"));
  assert.deepEqual(authors(only(calls), {}), [bob], "a phone writes nothing");
});

test("in a conference, the node says who has written, or it may be any of them", () => {
  const [bob, carol] = [{ number: "1", name: "Bob" }, { number: "2", name: "Carol" }];
  let calls = node(node(node(EMPTY, peer("1", { name: "Bob" })), peer("2", { name: "Carol" })), peer(undefined));
  const by = (number: string | undefined) => authors(only(calls), { sender: `https://n.example/a/${number}` });
  assert.deepEqual([by("1"), by("2"), by(undefined)], [[bob], [carol], [{}]], "who withholds the number has an address too");
  assert.deepEqual(authors(only(calls), {}), [bob, carol, {}]);
  assert.deepEqual(by("3"), [bob, carol, {}]);
  calls = node(calls, { type: "ended", number: "1" });
  assert.deepEqual([by("1"), by("2"), authors(only(calls), {})], [[bob], [carol], [bob, carol, {}]], "who has left can still write");
  assert.equal(senderOf(only(calls), { sender: "https://n.example/a/1" })?.present, false);
});

test("somebody whom the node names and this page does not know is not taken for the only other one", () => {
  const calls = node(node(node(node(EMPTY, peer("1")), peer("2", { name: "Carol" })), { type: "ended", number: "1" }), answered("1"));
  const by = { sender: "https://n.example/a/1" };
  assert.deepEqual(authors(only(calls), by), [{ number: "2", name: "Carol" }, { number: "1", name: "Name 1" }], "the voice goes on without their client");
  assert.deepEqual(authors(only(calls), {}), authors(only(calls), by), "that client can still write");
  const keys = [by, { sender: "https://n.example/a/2" }, {}].map((by) => senderKey(only(calls), by));
  assert.deepEqual(keys, ["", "2", undefined]);
});

test("who has left a conference does not pass for the one who stays", () => {
  const [bob, carol] = [{ number: "1", name: "Bob" }, { number: "2", name: "Carol" }];
  let calls = node(node(EMPTY, peer("1", { name: "Bob" })), peer("2", { name: "Carol" }));
  calls = node(calls, { type: "ended", number: "1" });
  const line = { id: "m", at: 0, own: false, kind: "files", name: "a.txt", count: 1, bytes: 4 } as const;
  calls = step(calls, { type: "line", call: "c", line, shown: true });
  assert.deepEqual([authors(only(calls), {}), only(calls).lines.at(-1)!.by], [[bob, carol], [bob, carol]]);
  assert.deepEqual(authors(only(node(calls, peer("1", { name: "Bob" }))), {}), [carol, bob], "is back");
  const transferred = node(node(node(EMPTY, peer("1", { name: "Bob" })), { type: "ended", number: "1" }), peer("2", { name: "Carol" }));
  assert.deepEqual(authors(only(transferred), {}), [carol], "a transfer is no conference");
});

test("a conference has everybody until the last one leaves", () => {
  let calls = node(node(EMPTY, peer("1")), peer("2"));
  assert.equal(present(only(calls)).length, 2);
  calls = node(calls, { type: "ended", number: "1" });
  assert.equal(only(calls).phase, "active");
  calls = node(calls, { type: "ended", number: "2" });
  assert.equal(only(calls).phase, "ended");
});

test("a text's state never goes back, except to be sent again", () => {
  const line = { id: "m", at: 0, own: true, kind: "text", text: "hi", state: "sending" } as const;
  let calls = step(node(EMPTY, peer("1")), { type: "line", call: "c", line, shown: true });
  const to = (state: "sending" | "sent" | "seen" | "delivered" | "failed") => {
    calls = step(calls, { type: "state", call: "c", ids: ["m"], state });
    return only(calls).lines[0]!.state;
  };
  assert.deepEqual([to("failed"), to("sending"), to("delivered"), to("sent"), to("seen"), to("failed")], [
    "failed", "sending", "delivered", "delivered", "seen", "seen",
  ]);
});

test("others' texts are counted until they are read, and repeats are not shown", () => {
  const line = { id: "m", at: 0, own: false, kind: "text", text: "hi" } as const;
  let calls = node(EMPTY, peer("1"));
  for (let n = 0; n < 2; n += 1) calls = step(calls, { type: "line", call: "c", line, shown: false });
  assert.deepEqual([only(calls).unread, only(calls).lines.length], [1, 1]);
  assert.equal(only(step(calls, { type: "read", call: "c" })).unread, 0);
});

test("files count as lost until they have arrived, and stay where they have arrived", () => {
  const line = { id: "f", at: 0, own: false, kind: "files", name: "a.txt", count: 1, bytes: 4 } as const;
  const text = { id: "m", at: 1, own: false, kind: "text", text: "hi" } as const;
  const saved = [{ path: ["a.txt"], size: 4 }];
  let calls = node(EMPTY, peer("1"));
  for (const next of [{ ...line, failed: "gone" as const }, text, { ...line, saved }, { ...line, failed: "ended" as const }]) {
    calls = step(calls, { type: "line", call: "c", line: next, shown: true });
  }
  assert.deepEqual(only(calls).lines.map((found) => [found.id, found.kind === "files" && found.saved]), [["m", false], ["f", saved]]);
});

test("files that are lost keep their author, and nothing but their arrival replaces them", () => {
  const line = { id: "f", at: 0, own: false, kind: "files", name: "a.txt", count: 1, bytes: 4, failed: "reloaded" } as const;
  const by = [{ number: "2", name: "Carol" }];
  let calls = node(EMPTY, peer("1"));
  const text = { id: "f", at: 1, own: false, kind: "text", text: "hi" } as const;
  for (const next of [{ ...line, by }, text, { ...line, own: true }, { ...line, failed: "ended" as const }]) {
    calls = step(calls, { type: "line", call: "c", line: next, shown: true });
  }
  assert.deepEqual(only(calls).lines, [{ ...line, failed: "ended", by }]);
});

test("a peer cannot mark what it has sent itself, and a flood does not fill the memory", () => {
  let calls = node(EMPTY, peer("1"));
  for (let n = 0; n < 2100; n += 1) {
    calls = step(calls, { type: "line", call: "c", line: { id: `m${n}`, at: n, own: false, kind: "text", text: "x" }, shown: true });
  }
  assert.equal(only(calls).lines.length, 2000);
  calls = step(calls, { type: "state", call: "c", ids: ["m2050"], state: "seen" });
  assert.equal(only(calls).lines.find((line) => line.id === "m2050")!.state, undefined);
});

test("the oldest call that is over is forgotten, never a live one", () => {
  let calls: Calls = step(EMPTY, { type: "node", message: { id: "live", call: "live", ...peer("1") } as NodeMessage, now: 0 });
  for (let n = 1; n < 100; n += 1) {
    const message = { id: `x${n}`, call: `c${n}`, type: "missed", role: "second", peer: {} } as NodeMessage;
    calls = step(calls, { type: "node", message, now: n });
  }
  assert.equal(calls.size, 50);
  assert.ok(calls.has("live") && calls.has("c99"));
  assert.equal(current(calls)!.id, "live");
});
