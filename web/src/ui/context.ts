// What every view uses: the texts, the locale, and how people are named.
import type { Call, Line, Party } from "../core/calls.ts";
import { authors, keyOf, people } from "../core/people.ts";
import type { Person } from "../core/envelope.ts";
import { phone, size } from "../core/format.ts";
import type { Catalogue, Language } from "../core/locale/mod.ts";
import type { Bundle } from "../core/signal.ts";
import { visitors } from "../core/visitors.ts";

/** Guests of others that are named at the head of a call. */
const VISITORS_SHOWN = 3;

/** A line about a guest of others. */
export interface VisitorLine {
  readonly kind: "joined" | "left";
  readonly who: Person;
  readonly hosts: readonly Person[];
}

export class Context {
  readonly t: Catalogue;
  readonly language: Language;
  /** For dates and numbers: the browser's, if it is of the page's language. */
  readonly locale: string;

  constructor(t: Catalogue, language: Language) {
    this.t = t;
    this.language = language;
    this.locale = navigator.languages.find((tag) => tag.toLowerCase().startsWith(language)) ?? language;
  }

  /** A person's name, or their number. */
  name(person: Person | undefined): string {
    if (person?.guest !== undefined) return this.t.guestName(person.name ?? "");
    return person?.name ?? (person?.number === undefined ? this.t.withheld : phone(person.number));
  }

  /** The names of several people. */
  all(persons: readonly Person[]): string {
    return this.t.and(persons.map((person) => this.name(person)));
  }

  names(call: Call): string {
    return this.all(people(call));
  }

  /** Whom a session is with, or an invitation is from; all who may be, if it is not known which of them. */
  partyName(call: Call, party: string): string {
    const found = call.parties.find((known) => keyOf(known) === party);
    return found === undefined ? this.all(authors(call, {})) : this.name(found);
  }

  /** Who has written a line of another's. Lines of earlier versions do not say. */
  author(call: Call, { by }: Line): string {
    return by === undefined ? this.names(call) : this.all(by);
  }

  /** The guests of others in a call, the first ones with their hosts; empty if there are none. */
  visitors(call: Call): string {
    const all = visitors(call);
    const named = all.slice(0, VISITORS_SHOWN).map(({ name, hosts }) => this.t.visitor(quotable(name), this.all(hosts)));
    const more = all.length > VISITORS_SHOWN ? [this.t.moreVisitors(all.length - VISITORS_SHOWN)] : [];
    return all.length === 0 ? "" : this.t.visitors(this.t.and([...named, ...more]));
  }

  /** What is said of a guest of others who has come or gone. */
  visitorLine({ kind, who, hosts }: VisitorLine): string {
    const say = kind === "joined" ? this.t.visitorJoined : this.t.visitorLeft;
    return say(quotable(who.name ?? ""), this.all(hosts));
  }

  /** The numbers of those who are shown by name. */
  numbers(call: Call): string {
    const named = (party: Party) => party.name !== undefined && party.number !== undefined;
    return people(call).filter(named).map((party) => phone(party.number!)).join(", ");
  }

  bundle({ count, bytes, name }: Bundle): string {
    const total = size(bytes, this.locale);
    return count === 1 ? this.t.oneFile(name, total) : this.t.manyFiles(count, name, total);
  }

  time(at: number): string {
    return new Date(at).toLocaleTimeString(this.locale, { hour: "2-digit", minute: "2-digit" });
  }

  /** The time of today, or the day before it. */
  moment(at: number, now: number): string {
    const [day, today] = [new Date(at).toDateString(), new Date(now).toDateString()];
    if (day === today) return this.time(at);
    return new Date(at).toLocaleDateString(this.locale, { day: "numeric", month: "short" });
  }
}

/** Up to two letters for the circle beside a name. */
export function initials(name: string): string {
  const words = name.split(/\s+/).filter((word) => /^\p{L}/u.test(word));
  const letters = [words[0], words.length > 1 ? words.at(-1) : undefined].map((word) => Array.from(word ?? "")[0] ?? "");
  return letters.join("").toUpperCase();
}

/** A name as it stands in quotation marks: it cannot end them, and pass for a part of the sentence. */
function quotable(name: string): string {
  return name.replace(/["“”„‟«»‹›]/g, "'");
}
