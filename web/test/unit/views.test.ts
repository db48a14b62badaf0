// What views say, as far as no page is needed.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { SessionFacts } from "../../src/app/session.ts";
import { en } from "../../src/core/locale/en.ts";
import { Context } from "../../src/ui/context.ts";
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
