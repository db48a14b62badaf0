// The calls that this client knows: who is in them and what was said. Pure: an event in, the next state out.
//
// | phase   | event          | next    |
// |---------|----------------|---------|
// | –       | ringing        | ringing |
// | –, any  | peer, answered | active  |
// | ringing | missed, ended  | missed / ended |
// | active  | ended (the last party) | ended |
// | ringing, active | over   | ended   |
//
// A guest who joins or leaves counts like a peer who does. `answered` is about somebody without a client.
import type { Card } from "./card.ts";
import type { NodeMessage, Peer, Person, Role } from "./envelope.ts";
import { authors, hasClient, isSame, present } from "./people.ts";
import type { Reason } from "./transfer/frames.ts";
import { type KnownVisitor, visited, type VisitorNews, withoutGuestsOf } from "./visitors.ts";

export type Phase = "ringing" | "active" | "ended" | "missed";
export type LineState = "sending" | "sent" | "waiting" | "delivered" | "seen" | "failed";

export interface Party extends Peer {
  readonly present: boolean;
  /** Talks on a phone alone. Nobody tells when they leave: if they are the only one, the next one takes their place. */
  readonly phone?: true;
  /** Their client has left while another one stayed, as in a conference: it still knows the address by which this one is reached. */
  readonly leftOthers?: true;
}

export type LineBody =
  | { readonly kind: "text"; readonly text: string; readonly card?: Card }
  /** `hosts`: whose guest it is, if it is one of somebody else. */
  | { readonly kind: "joined" | "left"; readonly who: Person; readonly hosts?: readonly Person[] }
  | {
      readonly kind: "files";
      readonly name: string;
      readonly count: number;
      readonly bytes: number;
      /** What was received, in order; the line has the id of the transfer. */
      readonly saved?: readonly { readonly path: readonly string[]; readonly size: number }[];
      /** Why they did not arrive. */
      readonly failed?: FileFailure;
    };

/** Why files did not arrive: `ended` if the call ended first, `reloaded` if this page went away. */
export type FileFailure = Reason | "ended" | "reloaded";

export type Line = {
  readonly id: string;
  readonly at: number;
  readonly own: boolean;
  /** For another's: who may have written it. */
  readonly by?: readonly Person[];
  /** For an own text: what became of it. */
  readonly state?: LineState;
} & LineBody;

export interface Call {
  readonly id: string;
  readonly role: Role;
  readonly phase: Phase;
  readonly began: number;
  /** When it was answered. */
  readonly answered?: number;
  readonly ended?: number;
  readonly parties: readonly Party[];
  /** Guests of others. */
  readonly visitors?: readonly KnownVisitor[];
  /** This device's own address in the call. */
  readonly reply?: string;
  readonly lines: readonly Line[];
  readonly unread: number;
  /** Until when the other side is shown as typing, and who that may be. */
  readonly typing?: { readonly until: number; readonly by: readonly Person[] };
}

export type Calls = ReadonlyMap<string, Call>;

export type CallEvent =
  | { readonly type: "node"; readonly message: NodeMessage; readonly now: number }
  | { readonly type: "line"; readonly call: string; readonly line: Line; readonly shown: boolean }
  | { readonly type: "state"; readonly call: string; readonly ids: readonly string[]; readonly state: LineState }
  | { readonly type: "typing"; readonly call: string; readonly until: number; readonly by: readonly Person[] }
  | ({ readonly type: "visitors"; readonly call: string } & VisitorNews)
  | { readonly type: "read"; readonly call: string }
  | { readonly type: "over"; readonly call: string; readonly now: number };

const LINES_MAX = 2000;
const CALLS_MAX = 50;
/** A later state of a line is never replaced by an earlier one: confirmations overtake answers. */
const ORDER: readonly LineState[] = ["sending", "failed", "waiting", "sent", "delivered", "seen"];

export function step(calls: Calls, event: CallEvent): Calls {
  if (event.type === "node") return onNode(calls, event.message, event.now);
  const call = calls.get(event.call);
  if (call === undefined) return calls;
  switch (event.type) {
    case "line": {
      const known = call.lines.find((line) => line.id === event.line.id);
      if (known !== undefined && !replaces(event.line, known)) return calls;
      const line = event.line.own ? event.line : { by: known?.by ?? authors(call, {}), ...event.line };
      const lines = [...call.lines.filter((other) => other !== known), line].slice(-LINES_MAX);
      const unread = event.shown || event.line.own ? call.unread : call.unread + 1;
      return put(calls, { ...without(call, "typing"), lines, unread });
    }
    case "state": {
      const later = (line: Line) =>
        line.state === "failed" || ORDER.indexOf(event.state) > ORDER.indexOf(line.state ?? "sending");
      const changed = (line: Line) => line.own && event.ids.includes(line.id) && later(line);
      return put(calls, {
        ...call,
        lines: call.lines.map((line) => (changed(line) ? { ...line, state: event.state } : line)),
      });
    }
    case "typing":
      return put(calls, { ...call, typing: { until: event.until, by: event.by } });
    case "visitors": {
      if (isOver(call)) return calls;
      const { call: known, lines } = visited(call, event);
      return put(calls, added(known, lines));
    }
    case "read":
      return call.unread === 0 ? calls : put(calls, { ...call, unread: 0 });
    case "over":
      return isOver(call) ? calls : put(calls, over(call, event.now));
  }
}

/** Files count as lost until they have arrived. Nothing else is ever replaced: the other side chooses the ids of what it sends. */
function replaces(line: Line, known: Line): boolean {
  return known.kind === "files" && known.failed !== undefined && line.kind === "files" && line.own === known.own;
}

function onNode(calls: Calls, message: NodeMessage, now: number): Calls {
  const call = calls.get(message.call);
  switch (message.type) {
    case "ringing": {
      if (call !== undefined) return calls;
      const party: Party = { ...message.peer, capabilities: [], present: false };
      return put(calls, { ...fresh(message.call, message.role, now), parties: [party] });
    }
    case "missed": {
      // Somebody else has answered it.
      if (call?.answered !== undefined) return calls;
      const began = Math.min(message.at ?? now, now);
      const known = call ?? { ...fresh(message.call, message.role, began), parties: [missing(message.peer)] };
      return put(calls, { ...known, phase: "missed", ended: call === undefined ? began : now });
    }
    case "peer": {
      const known = call ?? fresh(message.call, message.role, now);
      return put(calls, joined(withoutPhone(known, message.peer), message, now));
    }
    case "guest":
      return put(calls, joined(call ?? fresh(message.call, message.role, now), message, now));
    case "answered": {
      const known = call ?? fresh(message.call, message.role, now);
      const isLate = known.parties.some((party) => party.present && hasClient(party) && isSame(party, message.peer));
      const peer = { ...message.peer, capabilities: [], phone: true } as const;
      return isLate ? calls : put(calls, joined(withoutPhone(known, peer), { ...message, peer }, now));
    }
    case "over":
      return call === undefined || isOver(call) ? calls : put(calls, over(call, now));
    case "ended":
      return call === undefined ? calls : put(calls, left(call, message, message.id, now));
    case "guest-left":
      return call === undefined ? calls : put(calls, left(call, { guest: message.guest }, message.id, now));
    default:
      return calls;
  }
}

function fresh(id: string, role: Role, now: number): Call {
  return { id, role, phase: "ringing", began: now, parties: [], lines: [], unread: 0 };
}

function missing(person: Person): Party {
  return { ...person, capabilities: [], present: false };
}

/** Somebody who comes, as the node tells of them. */
interface Coming {
  readonly id: string;
  readonly role: Role;
  readonly peer: Omit<Party, "present">;
  readonly reply?: string;
}

function joined(call: Call, message: Coming, now: number): Call {
  const before = call.parties.find((party) => isSame(party, message.peer));
  const stillWrites = message.peer.phone === true && before?.leftOthers === true;
  const party: Party = { ...message.peer, present: true, ...(stillWrites && { leftOthers: true }) };
  const others = call.phase === "ringing" ? [] : call.parties.filter((other) => !isSame(other, message.peer));
  // The first one needs no line: the page shows who it is.
  const introduce = call.answered !== undefined && before?.present !== true;
  const line: Line = { id: `${message.id}.joined`, at: now, own: false, kind: "joined", who: message.peer };
  return {
    ...without(added(call, introduce ? [line] : []), "ended"),
    role: message.role,
    phase: "active",
    answered: call.answered ?? now,
    parties: [...others, party],
    ...(message.reply !== undefined && { reply: message.reply }),
  };
}

function left(call: Call, person: Person, id: string, now: number): Call {
  const gone = call.parties.find((party) => party.present && isSame(party, person));
  if (gone === undefined) return call.phase === "ringing" ? { ...call, phase: "ended", ended: now } : call;
  const leftOthers = hasClient(gone) && present(call).some((party) => party !== gone && hasClient(party));
  const away: Party = { ...gone, present: false, ...(leftOthers && { leftOthers }) };
  const parties = call.parties.map((party) => (party === gone ? away : party));
  if (!parties.some((party) => party.present)) return over({ ...call, parties }, now);
  const line: Line = { id: `${id}.left`, at: now, own: false, kind: "left", who: gone };
  return { ...added(withoutGuestsOf(call, gone), [line]), parties };
}

/** The call with more lines. No two have the same id: the page tells them apart by it. */
function added(call: Call, lines: readonly Line[]): Call {
  const known = new Set(call.lines.map(({ id }) => id));
  const others = lines.filter(({ id }) => !known.has(id));
  return others.length === 0 ? call : { ...call, lines: [...call.lines, ...others].slice(-LINES_MAX) };
}

/** The call without the phone whose place this person takes: the only party but for guests. In a conference, all may stay. */
function withoutPhone(call: Call, person: Person): Call {
  const others = present(call).filter((party) => party.guest === undefined && !isSame(party, person));
  const isReplaced = (party: Party) => others.length === 1 && party === others[0] && party.phone === true;
  return { ...call, parties: call.parties.filter((party) => !isReplaced(party)) };
}

function isOver({ phase }: Call): boolean {
  return phase === "ended" || phase === "missed";
}

function over(call: Call, now: number): Call {
  const parties = call.parties.map((party) => ({ ...party, present: false }));
  return { ...without(without(call, "typing"), "visitors"), phase: "ended", ended: now, parties };
}

/** Adds or replaces a call. The oldest of those that are over is forgotten. */
function put(calls: Calls, call: Call): Calls {
  const next = new Map(calls).set(call.id, call);
  if (next.size > CALLS_MAX) {
    const finished = [...next.values()].filter(isOver);
    const oldest = finished.sort((a, b) => a.began - b.began)[0];
    if (oldest !== undefined) next.delete(oldest.id);
  }
  return next;
}

function without<K extends "ended" | "typing" | "visitors">(call: Call, key: K): Call {
  const { [key]: _, ...rest } = call;
  return rest as Call;
}

/** The call to show: an active one before one that rings, the newest first. */
export function current(calls: Calls): Call | undefined {
  const rank = (call: Call) => (call.phase === "active" ? 2 : call.phase === "ringing" ? 1 : 0);
  const live = [...calls.values()].filter((call) => rank(call) > 0);
  return live.sort((a, b) => rank(b) - rank(a) || (b.answered ?? b.began) - (a.answered ?? a.began))[0];
}
