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

/** Maximum number that are kept of a call. */
const VISITORS_MAX = 32;

/** The call with what a device tells of its guests, and the lines that say who has come and gone. */
export function visited(call: Call, { id, device, hosts, guests, now }: VisitorNews): { readonly call: Call; readonly lines: Line[] } {
  // The others know how a device names itself, and could speak for it.
  const isOwn = (known: KnownVisitor) => known.device === device && areSame(known.hosts, hosts);
  const all = call.visitors ?? [];
  const before = all.filter(isOwn);
  const come = guests.filter((guest) => !before.some((known) => known.id === guest.id));
  const gone = before.filter((known) => !guests.some((guest) => guest.id === known.id));
  const line = (kind: "joined" | "left") => (visitor: Visitor): Line => {
    const who = { guest: visitor.id, name: visitor.name };
    return { id: `${id}.${kind}.${visitor.id}`, at: now, own: false, kind, who, hosts };
  };
  const own = guests.map(({ id, name }) => ({ id, name, device, hosts }));
  const visitors = [...all.filter((known) => !isOwn(known)), ...own].slice(-VISITORS_MAX);
  return { call: { ...call, visitors }, lines: [...come.map(line("joined")), ...gone.map(line("left"))] };
}

/** The guests of those who are in a call. */
export function visitors(call: Call): KnownVisitor[] {
  const here = present(call);
  return (call.visitors ?? []).filter(({ hosts }) => hosts.some((host) => here.some((party) => isSame(party, host))));
}

function areSame(a: readonly Person[], b: readonly Person[]): boolean {
  return a.length === b.length && a.every((one, n) => isSame(one, b[n]!));
}
