// Guests of the others in a call, as their hosts tell of them. Pure.
import type { Call, Line } from "./calls.ts";
import type { Person } from "./envelope.ts";
import { isSame, present } from "./people.ts";

/** A guest of somebody else. Nobody has checked the name. */
export interface Visitor {
  readonly id: string;
  readonly name: string;
}

/** One that a device has told of. */
export interface KnownVisitor extends Visitor {
  /** The device, as it names itself. */
  readonly device: string;
  /** Whose guest it is: who has said so, or may have. */
  readonly hosts: readonly Person[];
}

/** A device tells of its guests: these, and no others. */
export interface VisitorNews {
  readonly id: string;
  readonly device: string;
  readonly hosts: readonly Person[];
  readonly guests: readonly Visitor[];
  readonly now: number;
}

/** Maximum number that are kept of the same hosts. A node lets in half as many. */
const VISITORS_MAX = 16;
/** Maximum number of the hosts' devices. */
const DEVICES_MAX = 2;
/** Maximum number of lines about them in a call: no host can push the chat out of it. */
const LINES_MAX = 64;

/**
 * The call with what a device tells of its guests, and the lines that say who has come and gone. Where the node does not name the
 * sender, those who may have sent it change as people come and go: a device whose possible hosts are among the others' is the same.
 */
export function visited(call: Call, { id, device, hosts, guests, now }: VisitorNews): { readonly call: Call; readonly lines: Line[] } {
  // The others know how a device names itself, and could speak for it.
  const isOwn = (known: KnownVisitor) => known.device === device && (areAmong(known.hosts, hosts) || areAmong(hosts, known.hosts));
  const all = call.visitors ?? [];
  const before = all.filter(isOwn);
  const narrow = before.reduce((least, known) => (known.hosts.length < least.length ? known.hosts : least), hosts);
  const come = guests.filter((guest) => !before.some((known) => known.id === guest.id));
  const gone = before.filter((known) => !guests.some((guest) => guest.id === known.id));
  const line = (kind: "joined" | "left") => (visitor: Visitor): Line => {
    const who = { guest: visitor.id, name: visitor.name };
    return { id: `${id}.${kind}.${visitor.id}`, at: now, own: false, kind, who, hosts: narrow };
  };
  const own = guests.map(({ id, name }) => ({ id, name, device, hosts: narrow }));
  const visitors = limited([...all.filter((known) => !isOwn(known)), ...own], narrow);
  const told = call.lines.filter((known) => (known.kind === "joined" || known.kind === "left") && known.hosts !== undefined);
  const lines = [...come.map(line("joined")), ...gone.map(line("left"))];
  return { call: { ...call, visitors }, lines: lines.slice(0, Math.max(0, LINES_MAX - told.length)) };
}

/** Without the earliest guests of these hosts, where there are too many. Those of others stay. */
function limited(all: readonly KnownVisitor[], hosts: readonly Person[]): KnownVisitor[] {
  const theirs = all.filter((known) => areSame(known.hosts, hosts));
  const devices = [...new Set(theirs.map(({ device }) => device))].slice(-DEVICES_MAX);
  const kept = theirs.filter(({ device }) => devices.includes(device)).slice(-VISITORS_MAX);
  return all.filter((known) => kept.includes(known) || !theirs.includes(known));
}

/** The call without the guests whose host this one is or may be. */
export function withoutGuestsOf(call: Call, gone: Person): Call {
  const { visitors } = call;
  return visitors === undefined ? call : { ...call, visitors: visitors.filter(({ hosts }) => !areAmong([gone], hosts)) };
}

/** The guests of those who are in a call. */
export function visitors(call: Call): KnownVisitor[] {
  const here = present(call);
  return (call.visitors ?? []).filter(({ hosts }) => hosts.some((host) => here.some((party) => isSame(party, host))));
}

function areAmong(some: readonly Person[], others: readonly Person[]): boolean {
  return some.every((one) => others.some((other) => isSame(one, other)));
}

function areSame(a: readonly Person[], b: readonly Person[]): boolean {
  return a.length === b.length && areAmong(a, b);
}
