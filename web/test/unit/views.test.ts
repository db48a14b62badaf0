// What views say, as far as no page is needed.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Conversation } from "../../src/app/conversation.ts";
import type { SessionFacts } from "../../src/app/session.ts";
import type { Line } from "../../src/core/calls.ts";
import { de } from "../../src/core/locale/de.ts";
import { en } from "../../src/core/locale/en.ts";
import { Context } from "../../src/ui/context.ts";
import { shown } from "../../src/ui/stage.ts";
import { wordsOf } from "../../src/ui/words.ts";
import { install } from "../double/browser.ts";
import { callWith, party } from "../double/conversation.ts";

install();
const context = new Context(en, "en");
const named = (number: string, name: string) => ({ ...party(number), name });
const session = (of: string, words: readonly string[]) => ({ facts: { party: of } as SessionFacts, words });

test("in a conference, the words of each session are read to the person whom it is with", () => {
  const call = callWith(named("2", "Bob"), named("3", "Carol"));
  assert.deepEqual(wordsOf(context, call, [session("2", ["a"]), session("3", ["b"]), session("", ["c"]), session("2", [])]), [
    { name: "Bob", words: ["a"] },
    { name: "Carol", words: ["b"] },
    { name: "Bob and Carol", words: ["c"] },
  ]);
});

test("in a conference, a picture has the name of the one whose it is", () => {
  const call = callWith(named("2", "Bob"), named("3", "Carol"));
  const [bob, carol] = ["2", "3"].map((of) => ({ ...session(of, []), remote: new Map([["camera", {}]]) }));
  const conversation = { sources: { tracks: new Map([["screen", {}]]) }, sessions: [bob, carol] } as unknown as Conversation;
  assert.deepEqual(shown(context, call, conversation).map(({ name, own }) => [name, own]), [["Bob", false], ["Carol", false], ["", true]]);
});

test("an invitation has the name of the one who invites, if that is known", () => {
  const withheld = { address: "https://other.example/a/w", capabilities: [], present: true };
  const call = callWith(named("2", "Bob"), withheld);
  const [bob, nobody, all] = ["2", "?", ""].map((of) => context.partyName(call, of));
  assert.deepEqual([bob, nobody, all], ["Bob", en.withheld, `Bob and ${en.withheld}`]);
  const left = callWith({ ...named("2", "Bob"), present: false, leftOthers: true }, named("3", "Carol"));
  assert.equal(context.partyName(left, ""), "Bob and Carol", "who has left can still invite");
});

test("a line keeps the name of the one who was there when it came", () => {
  const call = callWith(named("3", "Carol"));
  const line: Line = { id: "m", at: 0, own: false, kind: "text", text: "hi" };
  assert.equal(context.author(call, { ...line, by: [{ number: "2", name: "Bob" }] }), "Bob");
  assert.equal(context.author(call, line), "Carol");
});

test("the first guests of others are named, and no name passes for a part of the sentence", () => {
  const [bob] = [{ number: "2", name: "Bob" }];
  const visitor = (name: string) => ({ id: name, name, device: "d", hosts: [bob] });
  const callOf = (...names: string[]) => ({ ...callWith(named("2", "Bob")), visitors: names.map(visitor) });
  assert.equal(context.visitors(callOf()), "");
  assert.equal(context.visitors(callOf("A", "B")), "Also there: “A” (guest of Bob, not verified) and “B” (guest of Bob, not verified)");
  assert.match(context.visitors(callOf("A", "B", "C", "D", "E")), /“C” \(guest of Bob, not verified\),? and 2 more$/);
  assert.match(new Context(de, "de").visitors(callOf("A", "B", "C", "D")), /„C“ \(Gast von Bob, nicht geprüft\) und 1 weitere$/);
  const line = { kind: "joined", who: { guest: "g", name: "Eve” and „Max" }, hosts: [bob] } as const;
  assert.equal(context.visitorLine(line), "“Eve' and 'Max” joined as a guest of Bob. Nobody has checked this name.");
});
