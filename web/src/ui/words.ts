// The words by which two people make sure that nobody is between their devices: those of each session.
import type { Session } from "../app/session.ts";
import type { Call } from "../core/calls.ts";
import type { Context } from "./context.ts";
import { open } from "./dialogs.ts";
import { h } from "./dom.ts";

export interface SessionWords {
  /** Whom to read them to. */
  readonly name: string;
  readonly words: readonly string[];
}

/** The words of the sessions that have some. */
export function wordsOf(context: Context, call: Call, sessions: readonly Pick<Session, "facts" | "words">[]): SessionWords[] {
  const known = sessions.filter(({ words }) => words.length > 0);
  return known.map(({ facts, words }) => ({ name: context.partyName(call, facts.party), words }));
}

export async function showWords({ t }: Context, all: readonly SessionWords[]): Promise<void> {
  const lists = all.flatMap(({ name, words }) => {
    const list = h("ol", { class: "words", translate: "no", lang: "en" }, ...words.map((word) => h("li", {}, word)));
    return all.length > 1 ? [h("h3", {}, name), list] : [list];
  });
  await open(t.verifyTitle, t, [h("p", {}, t.verifyText), ...lists], []);
}
