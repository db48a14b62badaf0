// The signed-in client, with a node and a browser in memory.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { afterEach, beforeEach, mock, test } from "node:test";
import type { Call } from "../../src/core/calls.ts";
import { keyOf, present } from "../../src/core/people.ts";
import { en } from "../../src/core/locale/en.ts";
import { type Access, GuestAccess } from "../../src/net/access.ts";
import { type Api, ApiError } from "../../src/net/api.ts";
import { mediaStatus } from "../../src/ui/status.ts";
import { Connection, settle, Socket } from "../double/browser.ts";
import { addressOf, ClientDouble } from "../double/client.ts";

// Time stands still unless a test moves it.
mock.timers.enable({ apis: ["setTimeout", "setInterval"] });

let double: ClientDouble;

afterEach(() => double.client.stop());
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

/** Time passes, in steps that leave room for what it sets off. */
async function pass(seconds: number): Promise<void> {
  for (let n = 0; n < seconds; n += 1) {
    mock.timers.tick(1000);
    await settle();
  }
}

/** Waits for work that has many steps and no timer. */
async function until(done: () => boolean): Promise<void> {
  for (let n = 0; n < 1000 && !done(); n += 1) await settle();
}

test("a client that the node has forgotten binds again and listens under its new name", async () => {
  await double.start();
  double.socket.ends();
  await pass(1);
  assert.deepEqual([Socket.all.length, double.bound], [2, 1]);
  double.bind = async () => "c2";
  double.socket.ends();
  await settle();
  assert.equal(double.bound, 2);
  assert.match(double.socket.url, /clients\/c2\/stream$/);
  double.socket.opens();
  await pass(120);
  assert.deepEqual([Socket.all.length, double.client.stream], [3, "open"]);
});

test("a device that was removed while it was away is signed out", async () => {
  await double.start();
  double.bind = async () => {
    throw new ApiError("unauthorized");
  };
  double.socket.ends();
  await pass(1);
  double.socket.ends();
  await settle();
  assert.equal(double.revoked, true);
  const count = Socket.all.length;
  await pass(120);
  assert.equal(Socket.all.length, count);
});

test("a guest whose call is over is refused", async () => {
  const pass = { token: "t", address: addressOf("guest") };
  const access = new GuestAccess({ node: "https://own.example/" } as Api, pass);
  assert.deepEqual(await access.bind(), { client: "", path: "v1/guests/stream", token: "t" });
  double.gone.add(pass.address);
  await assert.rejects(access.bind(), { failure: "unauthorized" });
});

test("a node that is away is asked again until it is back", async () => {
  await double.start();
  double.bind = async () => {
    throw new ApiError("unreachable");
  };
  double.socket.ends();
  for (let n = 0; n < 5; n += 1) {
    await pass(31);
    double.socket.ends();
  }
  assert.equal(double.revoked, false);
  await pass(31);
  double.socket.opens();
  assert.equal(double.client.stream, "open");
});

test("a client that is stopped while it binds opens no stream", async () => {
  const started = double.client.start();
  double.client.stop();
  await started;
  assert.equal(Socket.all.length, 0);
});

test("a call that ended while the stream was cut is over once it is back", async () => {
  await double.start();
  await double.meets("one", "1");
  await double.meets("two", "2");
  await double.client.conversation("one")!.sources.start("camera", "");
  double.socket.ends();
  double.gone.add(addressOf("1"));
  await pass(1);
  double.socket.opens();
  await settle();
  assert.deepEqual(["one", "two"].map((id) => double.client.calls.get(id)!.phase), ["ended", "active"]);
  assert.equal(double.devices.tracks[0]!.readyState, "ended");
});

test("of calls in which nobody has an address, the node tells which are over", async () => {
  const phones = { type: "answered", role: "second", peer: { number: "+12125550101" } };
  const phases = () => ["one", "two"].map((id) => double.client.calls.get(id)!.phase);
  await double.start();
  await double.takes("one", phones);
  await double.takes("two", phones);
  double.over.add("one");
  double.socket.ends();
  await pass(1);
  double.socket.opens();
  await settle();
  assert.deepEqual(phases(), ["ended", "active"]);
  await double.takes("two", { type: "over" });
  assert.deepEqual(phases(), ["ended", "ended"]);
});

test("a page that is loaded again goes on with a call in which nobody has an address", async () => {
  const party = { number: "1", capabilities: [], present: true, phone: true } as const;
  const call: Call = { id: "one", role: "second", phase: "active", began: 0, answered: 0, parties: [party], lines: [], unread: 0 };
  double = new ClientDouble([call]);
  await double.start();
  assert.equal(double.client.calls.get("one")!.phase, "active");
});

test("a call with a phone goes on when its only guest left while the stream was cut", async () => {
  const parties = () => present(double.client.calls.get("c")!).map(keyOf);
  await double.start();
  await double.takes("c", { type: "answered", role: "second", peer: { number: "+12125550101" } });
  await double.takes("c", { type: "guest", role: "second", guest: { id: "g1", name: "Zoë", address: addressOf("g1"), capabilities: [] } });
  assert.deepEqual(parties(), ["+12125550101", "g1"]);
  double.gone.add(addressOf("g1"));
  const call = double.client.calls.get("c")!;
  // The node is away at first, and then says who is there.
  for (const [guests, left] of [[undefined, ["+12125550101", "g1"]], [[], ["+12125550101"]]] as const) {
    double.guests = guests === undefined ? undefined : [...guests];
    double.socket.ends();
    await pass(1);
    double.socket.opens();
    await settle();
    assert.deepEqual(parties(), left);
  }
  double.client.stop();
  double = new ClientDouble([call]);
  double.gone.add(addressOf("g1"));
  double.guests = [];
  await double.start();
  assert.deepEqual(parties(), ["+12125550101"], "the page was loaded again");
});

test("guests who came and went while the stream was cut are found out about once it is back", async () => {
  const guest = (id: string) => ({ id, name: `Guest ${id}`, address: addressOf(id), capabilities: [] });
  const here = () => present(double.client.calls.get("c")!).map(keyOf);
  await double.start();
  await double.meets("c", "+12125550101");
  await double.takes("c", { type: "guest", role: "first", guest: guest("g1") });
  assert.deepEqual(here(), ["+12125550101", "g1"]);
  const { id, ...fields } = guest("g2");
  double.guests = [{ guest: id, ...fields }];
  double.socket.ends();
  await pass(1);
  double.socket.opens();
  await settle();
  assert.deepEqual(here(), ["+12125550101", "g2"]);
});

test("a text that was being sent when the page was left is sent, or said not to be", async () => {
  const party = { number: "1", address: addressOf("1"), capabilities: [], present: true };
  const line = { id: "m", at: 0, own: true, kind: "text", text: "hi", state: "sending" } as const;
  const call: Call = { id: "one", role: "first", phase: "active", began: 0, answered: 0, parties: [party], lines: [line], unread: 0 };
  const ended: Call = { ...call, id: "two", phase: "ended", parties: [{ ...party, present: false }] };
  double = new ClientDouble([call, ended, { ...call, id: "three", parties: [{ ...party, address: addressOf("3") }] }]);
  double.gone.add(addressOf("3"));
  await double.start();
  const states = ["one", "two", "three"].map((id) => double.client.calls.get(id)!.lines.map(({ state }) => state));
  assert.deepEqual(states, [["sent"], ["failed"], ["failed"]]);
  assert.deepEqual(double.posted.map(({ address, content }) => [address, content["id"]]), [[addressOf("1"), "m"]]);
});

test("a text that arrives twice is shown and announced once", async () => {
  await double.start();
  await double.meets("one", "1");
  double.client.watching = false;
  for (let n = 0; n < 2; n += 1) await double.takes("one", { type: "message", content: { type: "text", text: "hi", id: "m" } });
  assert.deepEqual([double.notices, double.client.calls.get("one")!.lines.length], [["text"], 1]);
});

test("a guest's text is shown as the guest's", async () => {
  const by = () => double.client.calls.get("one")!.lines.flatMap((line) => (line.kind === "text" ? [line.by] : []));
  await double.start();
  await double.meets("one", "1");
  await double.takes("one", { type: "guest", role: "first", guest: { id: "g1", name: "Zoë", address: addressOf("g1"), capabilities: [] } });
  await double.takes("one", { type: "message", content: { type: "text", text: "hi" }, guest: "g1" });
  await double.takes("one", { type: "message", content: { type: "text", text: "hi" } });
  assert.deepEqual(by(), [[{ guest: "g1", name: "Zoë" }], [{ number: "1", name: "Name 1" }]]);
});

test("a guest is answered at the address that the node told, and never learns another one of this device", async () => {
  const says = (content: object, guest: string) => double.takes("one", { type: "message", content: { ...content, from: "phone-phone-phone" }, guest });
  await double.start();
  await double.meets("one", "1");
  await double.takes("one", { type: "guest", role: "first", guest: { id: "g1", name: "Zoë", address: addressOf("g1"), capabilities: [] } });
  const accept = { type: "accept", invitation: "i", session: "s", role: "second", nonce: "b".repeat(32), fingerprint: Array(32).fill("BB").join(":") };
  for (const reply of [`${addressOf("g1")}?x`, addressOf("1"), undefined]) await says({ ...accept, reply }, "g1");
  const answers = () => double.posted.filter(({ content }) => content["type"] === "bye");
  await until(() => answers().length === 3);
  assert.deepEqual(answers().map(({ address, content }) => [address, content["reply"]]), Array(3).fill([addressOf("g1"), undefined]));
  await says({ ...accept, reply: addressOf("g1") }, "g2");
  await settle();
  assert.equal(answers().length, 3, "the guest is not known");
});

test("of a guest's folder with more than a thousand files, every one is remembered, and whose it is", async () => {
  const count = 1_001;
  await double.start();
  await double.meets("one", "1");
  await double.takes("one", { type: "guest", role: "first", guest: { id: "g1", name: "Zoë", address: addressOf("g1"), capabilities: [] } });
  const invite = { type: "invite", invitation: "f", session: "s", kind: "files", role: "second", commit: "0".repeat(64), from: "phone-phone-phone" };
  await double.takes("one", { type: "message", content: { ...invite, files: { count, bytes: 0, name: "plans" } }, guest: "g1" });
  const conversation = double.client.conversation("one")!;
  conversation.accept("f");
  await settle();
  const channel = { label: "files:f", protocol: "sidecall-files", readyState: "open", send: () => undefined, close: () => undefined } as unknown as RTCDataChannel;
  conversation.transfers.take(conversation.sessions[0]!, channel);
  const sha256 = createHash("sha256").digest("hex");
  for (let file = 0; file < count; file += 1) {
    for (const frame of [{ file, path: `plans/${file}.txt`, size: 0 }, { end: file, sha256 }]) {
      channel.onmessage!({ data: JSON.stringify(frame) } as MessageEvent);
    }
  }
  const line = () => double.client.calls.get("one")!.lines.find(({ kind }) => kind === "files");
  const saved = () => {
    const found = line();
    return found?.kind === "files" && found.saved !== undefined;
  };
  await until(saved);
  const received = line()!;
  assert.equal(received.kind === "files" && received.saved!.length, count);
  assert.deepEqual(received.by, [{ guest: "g1", name: "Zoë" }]);
});

/** Somebody offers files, and the person accepts them; own ones are offered as well. */
async function exchange(): Promise<void> {
  const invite = { type: "invite", invitation: "f", session: "s", kind: "files", role: "second", commit: "0".repeat(64), from: "phone-phone-phone" };
  await double.takes("one", { type: "message", content: { ...invite, files: { count: 1, bytes: 4, name: "theirs.txt" } } });
  const conversation = double.client.conversation("one")!;
  conversation.accept("f");
  await settle();
  conversation.share([{ path: "own.txt", file: new File(["text"], "own.txt") }]);
  await settle();
}

/** The files of the call that did not arrive: whose they are, their name, and why. */
const lost = () =>
  double.client.calls.get("one")!.lines.flatMap((line) => (line.kind === "files" ? [[line.own, line.name, line.failed]] : []));

test("files that are on their way when the call ends are remembered as lost", async () => {
  await double.start();
  await double.meets("one", "1");
  await exchange();
  await double.takes("one", { type: "ended", number: "1" });
  assert.deepEqual(lost(), [[false, "theirs.txt", "ended"], [true, "own.txt", "ended"]]);
  assert.equal(double.client.calls.get("one")!.phase, "ended");
});

test("a client that has stopped stores nothing any more, whatever is still under way", async () => {
  await double.start();
  await double.meets("one", "1");
  await exchange();
  const stored = double.stored.length;
  double.client.stop();
  await settle();
  assert.deepEqual(double.client.conversation("one")!.transfers.view().map(({ state }) => state), [{ failed: "gone" }, { failed: "gone" }]);
  assert.ok(stored > 0);
  assert.equal(double.stored.length, stored);
});

test("files that are here when the call ends arrive, though the disk is slow", async () => {
  await double.start();
  await double.meets("one", "1");
  await exchange();
  const conversation = double.client.conversation("one")!;
  const channel = { label: "files:f", protocol: "sidecall-files", readyState: "open", send: () => undefined, close: () => undefined } as unknown as RTCDataChannel;
  conversation.transfers.take(conversation.sessions[0]!, channel);
  channel.onmessage!({ data: JSON.stringify({ file: 0, path: "theirs.txt", size: 4 }) } as MessageEvent);
  channel.onmessage!({ data: new TextEncoder().encode("text").buffer } as MessageEvent);
  channel.onmessage!({ data: JSON.stringify({ end: 0, sha256: createHash("sha256").update("text").digest("hex") }) } as MessageEvent);
  await double.takes("one", { type: "ended", number: "1" });
  await until(() => lost().every(([own, , failed]) => own === true || failed === undefined));
  assert.deepEqual(lost(), [[true, "own.txt", "ended"], [false, "theirs.txt", undefined]]);
});

test("files that were accepted and have not arrived when the page is loaded again are remembered as lost", async () => {
  await double.start();
  await double.meets("one", "1");
  await exchange();
  assert.deepEqual(lost(), [[false, "theirs.txt", "reloaded"]], "as it is stored while they are on their way");
  double.client.conversation("one")!.cancelTransfer("f");
  await settle();
  assert.deepEqual(lost(), [[false, "theirs.txt", "user"]]);
});

test("files that are on their way when the call is transferred are remembered as lost", async () => {
  await double.start();
  await double.meets("one", "1");
  await exchange();
  await double.meets("one", "2");
  await double.takes("one", { type: "ended", number: "1" });
  const { transfers } = double.client.conversation("one")!;
  assert.deepEqual(transfers.view().map(({ state }) => state), [{ failed: "gone" }, { failed: "gone" }], "they are still shown");
  await double.takes("one", { type: "ended", number: "2" });
  assert.deepEqual(lost(), [[false, "theirs.txt", "gone"], [true, "own.txt", "gone"]]);
});

const INVITE = { type: "invite", invitation: "i", session: "s", kind: "camera", role: "second", commit: "0".repeat(64), from: "phone-phone-phone" };

test("people can write while the node does not say how to connect, and nothing connects until it does", async () => {
  double.ice = async () => {
    throw new ApiError("absent");
  };
  await double.start();
  await double.meets("one", "1");
  const conversation = double.client.conversation("one");
  assert.ok(conversation !== undefined);
  await double.takes("one", { type: "message", content: INVITE });
  conversation.accept("i");
  await pass(30);
  const words = mediaStatus(conversation.sessions, en)?.text;
  // The one connection is for the certificate's fingerprint, and never leaves this page.
  assert.deepEqual([words, Connection.all.length, Connection.all[0]!.localDescription], [en.mediaUnanswered, 1, null]);
  double.ice = async () => ({ configuration: { iceServers: [], iceTransportPolicy: "relay" }, expires: Infinity });
  await pass(31);
  const policies = Connection.all.slice(1).map(({ configuration }) => configuration.iceTransportPolicy);
  assert.deepEqual([...new Set(policies)], ["relay"]);
  assert.equal(mediaStatus(conversation.sessions, en)?.text, en.mediaConnecting);
});

test("a call that ends while its conversation is made, and goes on, has one conversation", async () => {
  const waiting: (() => void)[] = [];
  double.identity = () => new Promise((done) => waiting.push(() => done(undefined)));
  const guest = { id: "g", name: "Zoë", address: addressOf("g"), capabilities: [] };
  await double.start();
  await double.takes("one", { type: "guest", role: "first", guest });
  await double.takes("one", { type: "guest-left", guest: "g" });
  await double.takes("one", { type: "guest", role: "first", guest: { ...guest, id: "g2" } });
  assert.equal(waiting.length, 2);
  waiting[1]!();
  await settle();
  const conversation = double.client.conversation("one");
  waiting[0]!();
  await settle();
  assert.ok(conversation !== undefined && double.client.conversation("one") === conversation);
});

test("the token is shown to the own node, with its own addresses, and to nobody else", async () => {
  const own = "https://own.example/a/x";
  const others = [
    "https://other.example/a/x", "https://own.example.other.example/a/x", "https://own.example:8443/a/x", "http://own.example/a/x",
    "https://own.example/b/x", "https://own.example/a/../x", "https://own.example/a/..%2fx", "https://own.example/a/x?y",
  ];
  await double.start();
  for (const [n, address] of [own, ...others].entries()) {
    await double.takes("one", { type: "peer", role: "first", peer: { number: String(n), address, capabilities: [] } });
  }
  double.client.texts.write("one", "hi");
  await until(() => double.posted.length === 9);
  const shown = double.posted.map(({ address, shown }) => [address, ...shown]);
  assert.deepEqual(shown[0], [own, "Bearer t", "error"]);
  assert.deepEqual(shown.slice(1).map(([, ...shown]) => shown), Array(8).fill([undefined, undefined]));
  const guest: Access = new GuestAccess({ node: "https://own.example/" } as Api, { token: "secret", address: own });
  assert.equal(guest.token, undefined, "a guest's address says who posts");
});

test("in a conference, the one whom the node names has written, and invites", async () => {
  const call = () => double.client.calls.get("one")!;
  const texts = () => call().lines.flatMap((line) => (line.kind === "text" ? [line.by!.map(({ number }) => number)] : []));
  await double.start();
  await double.meets("one", "1");
  await double.meets("one", "2");
  for (const sender of [addressOf("1"), addressOf("2"), undefined]) {
    await double.takes("one", { type: "message", content: { type: "text", text: "hi" }, sender });
  }
  assert.deepEqual(texts(), [["1"], ["2"], ["1", "2"]]);
  await double.takes("one", { type: "message", content: { type: "typing", from: "phone-phone-phone" }, sender: addressOf("2") });
  assert.deepEqual(call().typing?.by, [{ number: "2", name: "Name 2" }]);
  await double.takes("one", { type: "message", content: INVITE, sender: addressOf("2") });
  const conversation = double.client.conversation("one")!;
  assert.deepEqual(conversation.invitations.map(({ party, state }) => [party, state]), [["2", "open"]]);
  await double.takes("one", { type: "ended", number: "1" });
  assert.deepEqual(conversation.invitations.map(({ state }) => state), ["open"], "another one has left");
  const accept = { type: "accept", invitation: "x", session: "y", role: "second", nonce: "b".repeat(32), fingerprint: Array(32).fill("BB").join(":") };
  const replies = [addressOf("device"), "https://elsewhere.example/a/x", undefined];
  for (const reply of replies) {
    await double.takes("one", { type: "message", content: { ...accept, from: "phone-phone-phone", reply }, sender: addressOf("2") });
  }
  const answers = () => double.posted.filter(({ content }) => content["type"] === "bye");
  await until(() => answers().length === 3);
  assert.deepEqual(answers().map(({ address }) => address), [addressOf("device"), addressOf("2"), addressOf("2")]);
});

test("what names nobody is not taken for the one who stays in a conference", async () => {
  await double.start();
  await double.meets("one", "1");
  await double.meets("one", "2");
  await double.takes("one", { type: "ended", number: "2" });
  for (const content of [{ type: "text", text: "hi" }, INVITE]) await double.takes("one", { type: "message", content });
  const names = double.client.calls.get("one")!.lines.at(-1)!.by!.map(({ number }) => number);
  const { invitations } = double.client.conversation("one")!;
  assert.deepEqual([names, invitations.map(({ party, state }) => [party, state])], [["1", "2"], [[undefined, "open"]]]);
});

test("somebody who has left is still named, and invites to nothing", async () => {
  await double.start();
  await double.meets("one", "1");
  await double.meets("one", "2");
  await double.takes("one", { type: "ended", number: "2" });
  for (const content of [{ type: "text", text: "bye" }, INVITE]) {
    await double.takes("one", { type: "message", content, sender: addressOf("2") });
  }
  const line = double.client.calls.get("one")!.lines.at(-1)!;
  assert.deepEqual(line.by, [{ number: "2", name: "Name 2" }]);
  assert.deepEqual([double.client.conversation("one")!.invitations, double.notices], [[], []]);
});

test("a host tells of guests, and neither a guest nor who has left does", async () => {
  const call = () => double.client.calls.get("one")!;
  const news = (name: string) => ({ type: "guests", guests: [{ id: name, name }], from: "phone-phone-phone" });
  await double.start();
  await double.meets("one", "1");
  await double.meets("one", "2");
  await double.takes("one", { type: "guest", role: "first", guest: { id: "g1", name: "Zoë", address: addressOf("g1"), capabilities: [] } });
  await double.takes("one", { type: "ended", number: "2" });
  await double.takes("one", { type: "message", content: news("Max"), sender: addressOf("1") });
  await double.takes("one", { type: "message", content: news("Eve"), sender: addressOf("2") });
  await double.takes("one", { type: "message", content: news("Eve"), guest: "g1" });
  const { from } = double.client.conversation("one")!;
  await double.takes("one", { type: "message", content: { ...news("Eve"), from }, sender: addressOf("1") });
  assert.deepEqual(call().visitors?.map(({ name, hosts }) => [name, hosts]), [["Max", [{ number: "1", name: "Name 1" }]]]);
});
