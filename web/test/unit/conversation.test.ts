// What happens beside the voice in one call, with the browser and the other devices in memory.
import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { sdpOf, settle } from "../double/browser.ts";
import { callWith, ConversationDouble, party, PHONE, TABLET } from "../double/conversation.ts";

// Time stands still unless a test moves it.
mock.timers.enable({ apis: ["setTimeout", "setInterval"] });

let double: ConversationDouble;

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

test("the camera is stopped when the only one who sees it leaves, and the others stay", async () => {
  double = new ConversationDouble(callWith(party("2"), party("3")));
  await double.conversation.sources.start("camera", "");
  const toThem = double.posted.filter((content) => content["type"] === "invite");
  await double.accepts(PHONE, { invitation: toThem[0]!["invitation"], session: toThem[0]!["session"] });
  assert.deepEqual(double.sessions.map(({ facts }) => facts.party), ["2"]);
  double.conversation.update(callWith(party("3")));
  assert.deepEqual([double.sessions.length, double.devices.tracks[0]!.readyState], [0, "ended"]);
});

test("an impostor's description ends the last session, and the camera with it", async () => {
  await double.show(PHONE);
  const session = double.sessions[0]!.facts.id;
  await double.says(PHONE, { type: "sdp", session, kind: "answer", sdp: sdpOf("CC"), tracks: {} });
  assert.deepEqual([double.sessions.length, double.devices.tracks[0]!.readyState], [0, "ended"]);
});
