// Who is in a call, and who of them may have said something. Pure.
import type { Call, Party } from "./calls.ts";
import type { Person, SentBy } from "./envelope.ts";

export function present(call: Call): Party[] {
  return call.parties.filter((party) => party.present);
}

/** Who the call is with: those present; or the last who was, a guest only if there was nobody else. */
export function people(call: Call): readonly Party[] {
  const here = present(call);
  if (here.length > 0) return here;
  const last = call.parties.findLast((party) => party.guest === undefined) ?? call.parties.at(-1);
  return last === undefined ? [] : [last];
}

/** The party that has sent a message, if the node says which one. It may have left since. */
export function senderOf(call: Call, { guest, sender }: SentBy): Party | undefined {
  if (guest !== undefined) return call.parties.find((party) => party.guest === guest);
  return sender === undefined ? undefined : call.parties.find((party) => party.guest === undefined && party.address === sender);
}

/** The key of that party: empty if the node names one who is not known by that address, undefined if it names none. */
export function senderKey(call: Call, by: SentBy): string | undefined {
  if (by.guest !== undefined) return by.guest;
  const sender = senderOf(call, by);
  return sender === undefined ? by.sender && "" : keyOf(sender);
}

/** Who may send what the node names nobody for: those with a client, but for guests, and those who have left while others stayed. */
export function writers(call: Call): Party[] {
  return call.parties.filter((party) => party.leftOthers === true || (party.present && hasClient(party)));
}

/** Whether somebody is known to have a client of their own. */
export function hasClient(party: Party): boolean {
  return party.guest === undefined && party.phone !== true;
}

/** Who may have sent a message: the one who has, if the node says who; or else those who may. */
export function authors(call: Call, by: SentBy): Person[] {
  const known = senderOf(call, by) ?? (by.guest === undefined ? undefined : { guest: by.guest });
  if (known !== undefined) return [personOf(known)];
  // None of those whose address is known; perhaps one who has had another one.
  if (by.sender !== undefined) return call.parties.filter((party) => party.guest === undefined).map(personOf);
  const here = writers(call);
  const may = here.length > 0 ? here : call.parties.filter(hasClient).slice(-1);
  return (may.length > 0 ? may : people(call)).map(personOf);
}

export function personOf({ guest, number, name }: Person): Person {
  return { ...(guest !== undefined && { guest }), ...(number !== undefined && { number }), ...(name !== undefined && { name }) };
}

/** Whether both are the same number, or the same guest. */
export function isSame(a: Person, b: Person): boolean {
  return a.number === b.number && a.guest === b.guest;
}

/** The key of a withheld number. No number and no guest is written like this. */
const WITHHELD = "?";

/** What tells a party from the others: the guest, or the number. */
export function keyOf({ guest, number }: Person): string {
  return guest ?? number ?? WITHHELD;
}

/** Whether two keys are of different parties, as far as they are known: an empty one may be anybody's. */
export function differ(a = "", b = ""): boolean {
  return a !== "" && b !== "" && a !== b;
}
