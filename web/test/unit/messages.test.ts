import assert from "node:assert/strict";
import { test } from "node:test";
import { parseFrame } from "../../src/core/envelope.ts";
import { parseSignal } from "../../src/core/signal.ts";

const FROM = "0123456789abcdef";
const HEX = "0".repeat(64);

test("the node's messages are read", () => {
  const peer = { number: "+12125550100", name: "Bob\u202e", address: "https://node.example/a/x", capabilities: ["text", "B?"] };
  const frame = JSON.stringify({ id: "1", call: "c", type: "peer", role: "second", peer, reply: "https://own.example/a/y", own: { a: 1 } });
  assert.deepEqual(parseFrame(frame), {
    id: "1",
    call: "c",
    type: "peer",
    role: "second",
    peer: { number: "+12125550100", name: "Bob", address: "https://node.example/a/x", capabilities: ["text"] },
    own: { a: 1 },
    reply: "https://own.example/a/y",
  });
  assert.deepEqual(parseFrame('{"id":"2","call":"c","type":"ended"}'), { id: "2", call: "c", type: "ended" });
  assert.deepEqual(parseFrame('{"id":"3","call":"c","type":"ringing","role":"first","peer":{"name":"B"}}'), {
    id: "3", call: "c", type: "ringing", role: "first", peer: { name: "B" },
  });
  assert.deepEqual(parseFrame('{"id":"3","call":"c","type":"answered","role":"second","peer":{"number":"+1","address":"https://x.example/"}}'), {
    id: "3", call: "c", type: "answered", role: "second", peer: { number: "+1" },
  });
  assert.deepEqual(parseFrame('{"id":"3","call":"c","type":"over"}'), { id: "3", call: "c", type: "over" });
  const missed = '{"id":"4","call":"c","type":"missed","role":"second","peer":{"number":"+1"},"at":1795345005000}';
  assert.deepEqual(parseFrame(missed), {
    id: "4", call: "c", type: "missed", role: "second", peer: { number: "+1" }, at: 1795345005000,
  });
  assert.deepEqual(parseFrame('{"id":"5","call":"c","type":"missed","role":"second","peer":{},"at":-1}'), {
    id: "5", call: "c", type: "missed", role: "second", peer: {},
  });
});

test("a guest is read like a peer, without a number", () => {
  const guest = { id: "0199-1", name: "Zoë\u202e", number: "+12125550100", address: "https://node.example/a/x", capabilities: ["text", "B?"] };
  const frame = (guest: object) => JSON.stringify({ id: "1", call: "c", type: "guest", role: "second", guest, reply: "https://node.example/a/y" });
  assert.deepEqual(parseFrame(frame(guest)), {
    id: "1",
    call: "c",
    type: "guest",
    role: "second",
    peer: { guest: "0199-1", name: "Zoë", address: "https://node.example/a/x", capabilities: ["text"] },
    reply: "https://node.example/a/y",
  });
  assert.deepEqual(parseFrame(frame({ name: "Zoë" })), { id: "1" });
  assert.deepEqual(parseFrame('{"id":"2","call":"c","type":"guest-left","guest":"0199-1"}'), { id: "2", call: "c", type: "guest-left", guest: "0199-1" });
});

test("a message says which guest sent it, outside of its content", () => {
  const content = { type: "typing", guest: "0199-2" };
  const message = { id: "1", call: "c", type: "message", content };
  assert.deepEqual(parseFrame(JSON.stringify(message)), message);
  assert.deepEqual(parseFrame(JSON.stringify({ ...message, guest: "0199-1" })), { ...message, guest: "0199-1" });
});

test("a message says which party sent it, outside of its content, by the address as that of a peer is read", () => {
  const message = { id: "1", call: "c", type: "message", content: { type: "typing", sender: "https://n.example/a/y" } };
  assert.deepEqual(parseFrame(JSON.stringify(message)), message);
  const read = (sender: unknown) => parseFrame(JSON.stringify({ ...message, sender }));
  assert.deepEqual(read("HTTPS://N.example:443/a/x"), { ...message, sender: "https://n.example/a/x" });
  for (const sender of ["sip:a@b.example", "https://u:p@n.example/a/x", 7, null]) assert.deepEqual(read(sender), message);
});

test("an unknown type can still be acknowledged, and nonsense is nothing", () => {
  assert.deepEqual(parseFrame('{"id":"4","call":"c","type":"later"}'), { id: "4" });
  assert.deepEqual(parseFrame('{"id":"4","call":"<script>","type":"ended"}'), { id: "4" });
  for (const frame of ["", "[]", "null", "{", '{"id":7}', '{"id":""}', '{"call":"c"}']) assert.equal(parseFrame(frame), undefined, frame);
});

test("an address that a browser cannot post to is absent", () => {
  for (const address of ["sip:a@b.example", "javascript:0", "https://u:p@a.example/", "https://a.example/#x", "//a", 7]) {
    const frame = JSON.stringify({ id: "1", call: "c", type: "peer", role: "first", peer: { address } });
    const message = parseFrame(frame) as { peer: { address?: string } };
    assert.equal(message.peer.address, undefined, String(address));
  }
});

const GOOD: Record<string, Record<string, unknown>> = {
  invite: { invitation: "i", session: "s", kind: "camera", role: "first", commit: HEX },
  accept: { invitation: "i", session: "s", role: "first", nonce: "0".repeat(32), fingerprint: Array(32).fill("AB").join(":") },
  decline: { invitation: "i" },
  sdp: { session: "s", kind: "offer", sdp: "v=0", tracks: { 0: "camera" } },
  ice: { session: "s", candidates: [{ candidate: "candidate:1", sdpMid: "0", sdpMLineIndex: 0 }] },
  restart: { session: "s" },
  bye: { session: "s" },
  typing: {},
  guests: { guests: [{ id: "g1", name: "Zoë" }] },
  seen: { ids: ["a"] },
};

test("what clients say is read", () => {
  for (const [type, fields] of Object.entries(GOOD)) {
    assert.equal(parseSignal({ type, from: FROM, ...fields })?.type, type, type);
  }
  assert.deepEqual(parseSignal({ type: "text", text: "hi" }), { type: "text", text: "hi" });
});

test("what does not keep to the limits is ignored", () => {
  const bad: Record<string, unknown>[] = [
    { type: "invite", ...GOOD["invite"], session: "../x" },
    { type: "invite", ...GOOD["invite"], kind: "keyboard" },
    { type: "invite", ...GOOD["invite"], commit: HEX.slice(1) },
    { type: "invite", ...GOOD["invite"], kind: "files" },
    { type: "invite", ...GOOD["invite"], kind: "files", files: { count: 10_001, bytes: 1, name: "a" } },
    { type: "invite", ...GOOD["invite"], kind: "files", files: { count: 1, bytes: -1, name: "a" } },
    { type: "invite", ...GOOD["invite"], kind: "files", files: { count: 1, bytes: 2 ** 60, name: "a" } },
    { type: "accept", ...GOOD["accept"], fingerprint: "AB" },
    { type: "accept", ...GOOD["accept"], nonce: "x".repeat(32) },
    { type: "sdp", ...GOOD["sdp"], sdp: "v".repeat(1_000_000) },
    { type: "sdp", ...GOOD["sdp"], kind: "rollback" },
    { type: "ice", ...GOOD["ice"], candidates: Array(33).fill({ candidate: "" }) },
    { type: "bye" },
    { type: "guests", guests: { id: "g1", name: "Zoë" } },
    { type: "guests", guests: Array(17).fill({ id: "g1", name: "Zoë" }) },
    { type: "seen", ids: Array(51).fill("a") },
    { type: "keyboard" },
    { type: "text", text: "" },
  ];
  for (const content of bad) assert.equal(parseSignal({ from: FROM, ...content }), undefined, JSON.stringify(content).slice(0, 90));
  for (const from of [undefined, "short", "x".repeat(44), "0123456789abcde/", 7]) {
    assert.equal(parseSignal({ type: "typing", from }), undefined);
  }
});

test("a guest of another has a name that can be shown, and is one", () => {
  const guests = [{ id: "g1", name: "Zoë\u202e\nEve" }, { id: "../g2", name: "Max" }, { id: "g3", name: "\u200b" }, { id: "g4" }, "g5", { id: "g1", name: "Eve" }];
  const signal = parseSignal({ type: "guests", from: FROM, guests });
  assert.deepEqual(signal?.type === "guests" && signal.guests, [{ id: "g1", name: "Zoë Eve" }]);
});

test("a candidate cannot smuggle lines, and tracks are of known kinds", () => {
  const ice = parseSignal({ type: "ice", from: FROM, session: "s", candidates: [{ candidate: "a\r\nb" }, { candidate: "ok" }] });
  assert.deepEqual(ice?.type === "ice" && ice.candidates.map(({ candidate }) => candidate), ["ok"]);
  const tracks = JSON.parse('{"0":"camera","1":"root","__proto__":"screen"}') as object;
  const sdp = parseSignal({ type: "sdp", from: FROM, ...GOOD["sdp"], tracks });
  assert.equal(sdp?.type === "sdp" && sdp.tracks["0"], "camera");
  assert.equal(sdp?.type === "sdp" && sdp.tracks["1"], undefined);
  assert.equal(({} as Record<string, unknown>)["screen"], undefined);
});
