// What happens beside the voice in one call, with the browser and the other devices in memory.
import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import type { Session } from "../../src/app/session.ts";
import type { Party } from "../../src/core/calls.ts";
import { commitment } from "../../src/core/verify.ts";
import { Channel, Connection, fingerprint, sdpOf, settle } from "../double/browser.ts";
import { callWith, ConversationDouble, party, PHONE, STRANGER, TABLET } from "../double/conversation.ts";

// Time stands still unless a test moves it.
mock.timers.enable({ apis: ["setTimeout", "setInterval"] });

let double: ConversationDouble;

afterEach(() => double.conversation.close());
beforeEach(() => {
  double = new ConversationDouble();
});

const state = (id: string) => double.conversation.invitations.find((invitation) => invitation.id === id)?.state;

test("another device of the same number sees the camera only if the person agrees", async () => {
  await double.show(PHONE);
  double.automatic = true;
  const id = await double.invites(TABLET, "join");
  assert.equal(state(id), "open");
  assert.deepEqual(double.sessions.map(({ facts }) => facts.from), [PHONE]);
  double.conversation.accept(id);
  await settle();
  assert.deepEqual(double.sessions.map(({ facts }) => facts.from), [TABLET]);
});

test("what a guest offers is never accepted without a click, and what others offer is", async () => {
  const guest: Party = { guest: "g1", name: "Zoë", address: "https://own.example/a/g1", capabilities: [], present: true };
  double = new ConversationDouble(callWith(party("2"), guest));
  double.automatic = true;
  assert.equal(state(await double.invites(STRANGER, "camera", {}, "g1")), "open");
  assert.notEqual(state(await double.invites(PHONE, "camera")), "open");
  assert.deepEqual(double.sessions.map(({ facts }) => [facts.from, facts.party]), [[PHONE, "2"]]);
  assert.equal(state(await double.invites(PHONE, "screen", {}, "g1")), "open", "the guest uses the name of another's device");
  double.automatic = false;
  assert.notEqual(state(await double.invites(PHONE, "screen")), "open", "they are connected already");
});

test("when somebody leaves a conference, a device that may be theirs is shown nothing any more", async () => {
  double = new ConversationDouble(callWith(party("2"), party("3")));
  double.conversation.accept(await double.invites(PHONE, "camera"));
  await settle();
  await double.conversation.sources.start("camera", "");
  assert.deepEqual(double.sessions.map(({ facts }) => facts.party), [""]);
  double.conversation.update(callWith(party("2"), party("3"), party("4")));
  assert.equal(double.sessions.length, 1);
  double.conversation.update(callWith(party("2"), party("3")));
  assert.equal(double.sessions.length, 0);
  assert.deepEqual([double.count("bye") > 0, double.devices.tracks[0]!.readyState], [true, "ended"]);
});

test("when somebody leaves a conference, the devices of the others are shown what they were", async () => {
  double = new ConversationDouble(callWith(party("2"), party("3"), party("4")));
  double.conversation.accept(await double.invites(PHONE, "camera", {}, "2"));
  double.conversation.accept(await double.invites(TABLET, "camera", {}, "3"));
  await settle();
  await double.conversation.sources.start("camera", "");
  assert.deepEqual(double.sessions.map(({ facts }) => facts.party), ["2", "3"]);
  const asked = await double.invites(STRANGER, "screen", {}, "4");
  double.conversation.update(callWith(party("2"), party("4")));
  assert.deepEqual(double.sessions.map(({ facts }) => facts.party), ["2"]);
  assert.deepEqual([state(asked), double.devices.tracks[0]!.readyState], ["open", "live"]);
  double.conversation.update(callWith(party("2")));
  assert.deepEqual([double.sessions.length, state(asked)], [1, "withdrawn"]);
});

test("a withheld number is not confused with a device that may be anybody's", async () => {
  const withheld: Party = { address: "https://own.example/a/w", capabilities: [], present: true };
  double = new ConversationDouble(callWith(party("2"), party("3"), withheld));
  double.conversation.accept(await double.invites(PHONE, "camera", {}, "?"));
  double.conversation.accept(await double.invites(TABLET, "camera"));
  await settle();
  assert.deepEqual(double.sessions.map(({ facts }) => facts.party), ["?", ""]);
  double.conversation.update(callWith(party("2"), withheld));
  assert.deepEqual(double.sessions.map(({ facts }) => facts.party), ["?"]);
  double.conversation.update(callWith(party("2")));
  assert.equal(double.sessions.length, 0);
});

test("an invitation is not accepted by another party than the one whom it is for", async () => {
  double = new ConversationDouble(callWith(party("2"), party("3")));
  await double.conversation.sources.start("camera", "");
  const { invitation, session } = double.posted.find(({ type }) => type === "invite")!;
  const accept = { type: "accept", invitation, session, role: "second", nonce: "b".repeat(32), fingerprint: fingerprint("BB") };
  await double.says(STRANGER, accept, "3");
  assert.equal(double.sessions.length, 0);
  await double.says(PHONE, accept, "2");
  assert.deepEqual(double.sessions.map(({ facts }) => [facts.from, facts.party]), [[PHONE, "2"]]);
});

test("nobody is shown something unasked under the name of another's device", async () => {
  double = new ConversationDouble(callWith(party("2"), party("3")));
  double.conversation.accept(await double.invites(PHONE, "camera", {}, "2"));
  await settle();
  assert.notEqual(state(await double.invites(PHONE, "screen", {}, "2")), "open");
  assert.equal(state(await double.invites(PHONE, "screen", {}, "3")), "open");
  assert.equal(state(await double.invites(PHONE, "screen")), "open", "the token was left out");
});

test("whoever uses the name of another's device learns nothing of its session", async () => {
  double = new ConversationDouble(callWith(party("2"), party("3")));
  double.conversation.accept(await double.invites(PHONE, "camera", {}, "2"));
  await settle();
  const [{ facts }] = double.sessions as [Session];
  const theirs = "https://other.example/a/3";
  for (const by of ["3", undefined]) {
    double.conversation.accept(await double.invites(PHONE, "camera", { reply: theirs }, by));
    await settle();
  }
  const told = double.addressed.filter(([address, content]) => address === theirs && content["session"] === facts.id);
  assert.deepEqual(told, []);
  assert.equal(double.sessions.find((session) => session.facts.id === facts.id)?.facts.party, "2", "it goes on");
});

test("another party ends nothing under the name of a device", async () => {
  double = new ConversationDouble(callWith(party("2"), party("3")));
  const asked = await double.invites(PHONE, "screen", {}, "2");
  double.conversation.accept(await double.invites(PHONE, "camera", {}, "2"));
  await settle();
  const session = double.sessions[0]!.facts.id;
  await double.says(PHONE, { type: "bye", session, invitation: asked }, "3");
  assert.deepEqual([double.sessions.length, state(asked)], [1, "open"]);
  await double.says(PHONE, { type: "bye", session, invitation: asked }, "2");
  assert.deepEqual([double.sessions.length, state(asked)], [0, "withdrawn"]);
});

test("what a guest sent who has left since is accepted neither unasked nor later", async () => {
  const guest: Party = { guest: "g1", name: "Zoë", address: "https://own.example/a/g1", capabilities: [], present: true };
  double = new ConversationDouble(callWith(party("2"), guest));
  double.automatic = true;
  double.conversation.update(callWith(party("2"), { ...guest, present: false }));
  assert.equal(state(await double.invites(STRANGER, "camera", {}, "g1")), undefined);
});

test("a phone that leaves a conference has been shown nothing", async () => {
  const phone: Party = { number: "9", capabilities: [], present: true, phone: true };
  double = new ConversationDouble(callWith(party("2"), party("3"), phone));
  double.conversation.accept(await double.invites(PHONE, "camera"));
  await settle();
  assert.deepEqual(double.sessions.map(({ facts }) => facts.party), [""]);
  double.conversation.update(callWith(party("2"), party("3")));
  assert.equal(double.sessions.length, 1);
});

test("the camera is stopped when the only one who sees it leaves, and the others stay", async () => {
  double = new ConversationDouble(callWith(party("2"), party("3")));
  await double.conversation.sources.start("camera", "");
  const toThem = double.posted.filter((content) => content["type"] === "invite");
  await double.accepts(PHONE, { invitation: toThem[0]!["invitation"], session: toThem[0]!["session"] });
  assert.deepEqual(double.sessions.map(({ facts }) => facts.party), ["2"]);
  double.conversation.update(callWith(party("3")));
  assert.deepEqual([double.sessions.length, double.devices.tracks[0]!.readyState], [0, "ended"]);
});

test("a guest does not learn the device's own address", async () => {
  const OWN = "https://own.example/a/me";
  const guest: Party = { guest: "g1", name: "Zoë", address: "https://own.example/a/g1", capabilities: [], present: true };
  double = new ConversationDouble(callWith(party("2"), guest));
  await double.conversation.sources.start("camera", "");
  assert.deepEqual(double.posted.map(({ type, reply }) => [type, reply]), [["guests", OWN], ["invite", OWN], ["invite", undefined]]);
});

test("a guest who leaves is shown nothing any more, and another one is", async () => {
  const guest = (id: string): Party => ({ guest: id, name: "Zoë", address: `https://own.example/a/${id}`, capabilities: [], present: true });
  double = new ConversationDouble(callWith(guest("g1"), guest("g2")));
  await double.conversation.sources.start("camera", "");
  const invites = double.posted.filter((content) => content["type"] === "invite");
  for (const [n, from] of [PHONE, TABLET].entries()) {
    await double.accepts(from!, { invitation: invites[n]!["invitation"], session: invites[n]!["session"] });
  }
  assert.deepEqual(double.sessions.map(({ facts }) => facts.party), ["g1", "g2"]);
  double.conversation.update(callWith(guest("g2")));
  assert.deepEqual(double.sessions.map(({ facts }) => facts.party), ["g2"]);
  assert.equal(double.devices.tracks[0]!.readyState, "live");
  double.conversation.accept(await double.invites(STRANGER, "screen", {}, "g2"));
  await settle();
  assert.deepEqual(double.sessions.map(({ facts }) => facts.party), ["g2", "g2"]);
});

test("an impostor's description ends the last session, and the camera with it", async () => {
  await double.show(PHONE);
  const session = double.sessions[0]!.facts.id;
  await double.says(PHONE, { type: "sdp", session, kind: "answer", sdp: sdpOf("CC"), tracks: {} });
  assert.deepEqual([double.sessions.length, double.devices.tracks[0]!.readyState], [0, "ended"]);
});

const files = () => [{ path: "a.txt", file: new File(["text"], "a.txt") }];

test("an invitation into a session opens no other one after that has ended: its nonce is known", async () => {
  await double.show(PHONE);
  await double.answers(PHONE);
  const [first, session] = [double.last("invite"), double.sessions[0]!.facts.id];
  assert.equal(typeof double.last("sdp")["nonce"], "string");
  double.conversation.share(files());
  const second = double.last("invite");
  assert.deepEqual([second["session"], second["commit"]], [session, first["commit"]]);
  // Somebody in between ends the session in the device's name, and answers in its place with a part that fits the words.
  await double.says(PHONE, { type: "bye", session });
  const before = Connection.all.length;
  await double.accepts(STRANGER, { fingerprint: fingerprint("CC") });
  assert.deepEqual([double.sessions.length, Connection.all.length], [0, before]);
  assert.deepEqual([double.last("bye")["session"], double.last("bye")["invitation"]], [session, second["invitation"]]);
  const third = double.last("invite");
  assert.notEqual(third["session"], session);
  assert.notEqual(third["commit"], first["commit"]);
  assert.deepEqual(third["files"], { count: 1, bytes: 4, name: "a.txt" });
  assert.deepEqual(double.conversation.transfers.view().map(({ id, state }) => [id, state]), [[third["invitation"], "asking"]]);
  await double.accepts(PHONE);
  assert.equal(double.sessions.length, 1);
});

/** Time passes, in steps that leave room for what it sets off. */
async function pass(seconds: number): Promise<void> {
  for (let n = 0; n < seconds; n += 1) {
    mock.timers.tick(1000);
    await settle();
  }
}

test("an offer whose answer does not come is sent again, and then the connection is built anew", async () => {
  await double.show(PHONE);
  const connection = Connection.all.at(-1)!;
  connection.becomes("connected");
  const offer = double.last("sdp");
  assert.deepEqual([double.count("sdp"), offer["kind"], offer["offer"]], [1, "offer", 1]);
  await pass(6);
  assert.deepEqual([double.count("sdp"), double.last("sdp")], [2, offer]);
  await pass(10);
  assert.deepEqual([double.count("sdp"), double.count("restart")], [4, 0]);
  await pass(5);
  assert.deepEqual([double.count("restart"), connection.connectionState], [1, "closed"]);
});

test("an offer that reaches nobody is sent again until somebody is there, over the same connection", async () => {
  await double.show(PHONE);
  await double.answers(PHONE);
  const connection = Connection.all.at(-1)!;
  connection.becomes("connected");
  double.reach = 0;
  await double.conversation.sources.start("screen", "");
  await pass(60);
  assert.ok(double.count("sdp") > 20);
  assert.deepEqual([double.count("restart"), connection.signalingState], [0, "have-local-offer"]);
  double.reach = 1;
  await pass(2);
  await double.answers(PHONE);
  const count = double.count("sdp");
  await pass(60);
  assert.deepEqual([connection.signalingState, double.count("sdp"), double.count("restart")], ["stable", count, 0]);
});

test("an offer that comes again gets the same answer again, and is applied once", async () => {
  const proof = { nonce: "b".repeat(32), fingerprint: fingerprint("BB") };
  const id = await double.invites(PHONE, "camera", { commit: commitment(proof) });
  double.conversation.accept(id);
  await settle();
  const offer = { type: "sdp", session: id, kind: "offer", sdp: sdpOf("BB"), tracks: {}, nonce: proof.nonce, offer: 7 };
  await double.says(PHONE, offer);
  const [connection, answer] = [Connection.all.at(-1)!, double.last("sdp")];
  assert.deepEqual([answer["kind"], answer["offer"]], ["answer", 7]);
  const applied = connection.remoteDescription;
  await double.says(PHONE, offer);
  assert.deepEqual([double.count("sdp"), double.last("sdp")], [2, answer]);
  assert.equal(connection.remoteDescription, applied);
  await double.conversation.sources.start("camera", "");
  await settle();
  await double.answers(PHONE);
  assert.equal(connection.signalingState, "stable");
  const count = double.count("sdp");
  await double.says(PHONE, offer);
  assert.equal(double.count("sdp"), count);
});

test("an acceptance that is delivered twice leaves its session alone", async () => {
  await double.show(PHONE);
  await double.accepts(PHONE);
  assert.deepEqual([double.sessions.length, double.count("bye"), double.devices.tracks[0]!.readyState], [1, 0, "live"]);
});

test("an acceptance of files that are no longer offered costs the files alone, not the session", async () => {
  await double.show(PHONE);
  double.conversation.share(files());
  double.conversation.withdraw(String(double.last("invite")["invitation"]));
  await double.accepts(PHONE);
  assert.equal(double.sessions.length, 1);
  assert.deepEqual([double.last("bye")["session"], double.last("bye")["invitation"]], [undefined, double.last("invite")["invitation"]]);
});

test("files that the sender no longer offers are not waited for", async () => {
  double.conversation.accept(await double.invites(PHONE, "files", { files: { count: 1, bytes: 4, name: "a.txt" } }));
  await settle();
  const [transfer] = double.conversation.transfers.view();
  assert.equal(transfer?.state, "waiting");
  await double.says(PHONE, { type: "bye", invitation: transfer!.id });
  assert.deepEqual(double.conversation.transfers.view()[0]!.state, { failed: "gone" });
});

test("a device that declines stops neither what another one receives nor what is offered to that one", async () => {
  double.conversation.share(files());
  const first = String(double.last("invite")["invitation"]);
  await double.accepts(PHONE);
  await double.says(TABLET, { type: "decline", invitation: first });
  double.conversation.share(files());
  const second = String(double.last("invite")["invitation"]);
  await double.says(TABLET, { type: "decline", invitation: second });
  assert.deepEqual(double.conversation.transfers.view().map(({ state }) => state), ["waiting", "asking"]);
  await double.says(PHONE, { type: "decline", invitation: second });
  assert.deepEqual(double.conversation.transfers.view()[1]!.state, { failed: "gone" });
});

test("files that were not sent can be offered again while the other side is there", async () => {
  double.conversation.share(files());
  const first = String(double.last("invite")["invitation"]);
  assert.equal(double.conversation.canRepeat(first), false, "they wait for an answer");
  await double.says(PHONE, { type: "decline", invitation: first });
  assert.equal(double.conversation.canRepeat(first), true);
  double.conversation.repeat(first);
  const again = double.last("invite");
  assert.notEqual(again["invitation"], first);
  assert.deepEqual(double.conversation.transfers.view().map(({ id, state }) => [id, state]), [[again["invitation"], "asking"]]);
  assert.deepEqual(again["files"], { count: 1, bytes: 4, name: "a.txt" });
  await double.says(PHONE, { type: "decline", invitation: String(again["invitation"]) });
  double.conversation.update(callWith({ ...party("3"), number: "3" }));
  assert.equal(double.conversation.canRepeat(String(again["invitation"])), false, "somebody else is there");
});

test("nobody declines what they have offered themselves", async () => {
  const id = await double.invites(PHONE, "camera");
  await double.says(PHONE, { type: "decline", invitation: id });
  assert.equal(state(id), "open");
});

test("an invitation of somebody who has left opens nothing, and is not taken for that of the one who stays", async () => {
  double = new ConversationDouble(callWith(party("2"), party("3")));
  const id = await double.invites(PHONE, "camera");
  double.conversation.update(callWith(party("2")));
  assert.equal(state(id), "withdrawn");
  double.conversation.accept(id);
  await settle();
  assert.equal(double.sessions.length, 0);
});

test("somebody who accepts after they have left sees nothing", async () => {
  await double.conversation.sources.start("camera", "");
  double.conversation.update(callWith(party("2"), party("3")));
  double.conversation.update(callWith(party("3")));
  await double.accepts(PHONE);
  assert.equal(double.sessions.length, 0);
});

test("what another device says before the node has said how to connect is answered then", async () => {
  let say = () => {};
  const said = new Promise<void>((done) => (say = done));
  double.ice = () => said.then(() => ({ configuration: { iceTransportPolicy: "relay" }, expires: Infinity }));
  const proof = { nonce: "b".repeat(32), fingerprint: fingerprint("BB") };
  const id = await double.invites(PHONE, "camera", { commit: commitment(proof) });
  double.conversation.accept(id);
  await settle();
  await double.says(PHONE, { type: "sdp", session: id, kind: "offer", sdp: sdpOf("BB"), tracks: {}, nonce: proof.nonce, offer: 7 });
  assert.deepEqual([Connection.all.length, double.count("sdp")], [0, 0]);
  say();
  await settle();
  assert.deepEqual([double.last("sdp")["kind"], double.last("sdp")["offer"]], ["answer", 7]);
  assert.equal(Connection.all[0]!.configuration.iceTransportPolicy, "relay");
});

test("other ways are looked for, and connections are built, with credentials that are valid then", async () => {
  let asked = 0;
  double.ice = async () => ({ configuration: { iceServers: [{ urls: "turn:x", username: String((asked += 1)) }] }, expires: Date.now() });
  const used = () => Connection.all.at(-1)!.configuration;
  await double.show(PHONE);
  await double.answers(PHONE);
  const first = used();
  Connection.all[0]!.becomes("connected");
  double.conversation.networkChanged();
  await settle();
  assert.deepEqual([Connection.all.length, used()], [1, { ...first, iceServers: [{ urls: "turn:x", username: "2" }] }]);
  Connection.all[0]!.becomes("failed");
  await settle();
  assert.equal(used().iceServers?.[0]?.username, "3");
  double.sessions[0]!.restart();
  await settle();
  assert.deepEqual([Connection.all.length, used().iceServers?.[0]?.username], [2, "4"]);
});

test("where there are other ways than a relay, it is blamed once they have failed too", async () => {
  await double.show(PHONE);
  Connection.all[0]!.gathers(486);
  assert.equal(double.sessions[0]!.relayFailure, undefined);
  await pass(16);
  assert.deepEqual(double.sessions[0]!.relayFailure, { refused: 486 });
});

test("where only a relay may be used, it is blamed at once, and again asked when the network changes", async () => {
  double.ice = async () => ({ configuration: { iceTransportPolicy: "relay" }, expires: Infinity });
  await double.show(PHONE);
  await double.answers(PHONE);
  const connection = Connection.all[0]!;
  connection.gathers(486);
  assert.deepEqual(double.sessions[0]!.relayFailure, { refused: 486 });
  connection.becomes("connected");
  double.conversation.networkChanged();
  await settle();
  connection.gathers();
  assert.equal(double.sessions[0]!.relayFailure, "unreachable");
});

/** A transfer from another device is accepted; its id, and its session has a connection. */
async function receive(): Promise<string> {
  const id = await double.invites(PHONE, "files", { files: { count: 1, bytes: 4, name: "a.txt" } });
  double.conversation.accept(id);
  await settle();
  Connection.all.at(-1)!.becomes("connected");
  return id;
}

/** The sender opens a channel for a transfer. */
function opens(id: string): Channel {
  const channel = new Channel(`files:${id}`);
  double.conversation.transfers.take(double.sessions[0]!, channel as unknown as RTCDataChannel);
  return channel;
}

test("a sender who did not hear that its files were refused is told when it goes on", async () => {
  const id = await receive();
  double.conversation.cancelTransfer(id);
  const channel = opens(id);
  assert.deepEqual([channel.sent, channel.readyState], [[{ cancel: "user" }], "open"], "the reason must arrive first");
  await pass(6);
  assert.equal(channel.readyState, "closed");
});

test("a sender who slept until its files were given up is told when it wakes", async () => {
  const id = await receive();
  await pass(16);
  assert.deepEqual(double.conversation.transfers.view()[0]!.state, { failed: "gone" });
  const channel = opens(id);
  assert.deepEqual([channel.sent, channel.readyState], [[{ cancel: "gone" }], "open"], "the reason must arrive first");
  await pass(6);
  assert.equal(channel.readyState, "closed");
});

test("the others are told who is there as a guest, and the guests are not", () => {
  const guest = (id: string, name: string): Party => ({ guest: id, name, address: `https://own.example/a/${id}`, capabilities: [], present: true });
  const [zoe, max] = [guest("g1", "Zoë"), guest("g2", "Max")];
  double = new ConversationDouble(callWith(party("2")));
  const told = () => double.addressed.splice(0).map(([address, { type, guests, text, ephemeral }]) => [address.at(-1), type, guests, text, ephemeral]);
  assert.deepEqual(told(), [], "nobody has a guest");
  double.conversation.update(callWith(party("2"), zoe));
  double.conversation.update(callWith(party("2"), zoe));
  const one = [{ id: "g1", name: "Zoë" }];
  assert.deepEqual(told(), [["2", "guests", one, "Guests: Zoë", undefined]]);
  double.conversation.update(callWith(party("2"), zoe, max, party("3")));
  const both = [...one, { id: "g2", name: "Max" }];
  assert.deepEqual(told(), ["2", "3"].map((to) => [to, "guests", both, "Guests: Zoë, Max", undefined]));
  const gone = [zoe, max].map((known) => ({ ...known, present: false }));
  double.conversation.update(callWith(party("2"), ...gone, { ...party("3"), present: false }));
  assert.deepEqual(told(), [["2", "guests", [], "Guests: –", undefined]]);
});

test("the others are told of guests again when that has not arrived, or another one has come or left", async () => {
  const zoe: Party = { guest: "g1", name: "Zoë", address: "https://own.example/a/g1", capabilities: [], present: true };
  double = new ConversationDouble();
  const told = () => double.addressed.splice(0).map(([address, { type }]) => [address.at(-1), type]);
  for (const [reach, again] of [["unreachable", 1], ["refused", 1], ["gone", 1], [1, 1], [1, 0]] as const) {
    double.reach = reach;
    double.conversation.update(callWith(party("2"), zoe));
    await settle();
    assert.equal(told().length, again, String(reach));
  }
  double.conversation.update(callWith(party("2"), party("3"), zoe));
  assert.deepEqual(told(), [["2", "guests"], ["3", "guests"]]);
  double.conversation.update(callWith(party("2"), { ...party("3"), present: false }, zoe));
  assert.deepEqual(told(), [["2", "guests"]]);
});
