// What happens beside the voice in one call, with the browser and the other devices in memory.
import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { settle } from "../double/browser.ts";
import { ConversationDouble, PHONE, TABLET } from "../double/conversation.ts";

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
