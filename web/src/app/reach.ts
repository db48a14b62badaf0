// How those in a call are reached, and whether they still are.
import type { Call } from "../core/calls.ts";
import { present, senderOf } from "../core/people.ts";
import { type NodeMessage, parseAddress, type Peer, type SentBy } from "../core/envelope.ts";
import { isAlive } from "../net/outbox.ts";

export function addresses(call: Call): string[] {
  return present(call).flatMap(({ address }) => address ?? []);
}

/** Whether anybody in the call still has an address. */
async function isReachable(call: Call): Promise<boolean> {
  return (await Promise.all(addresses(call).map(isAlive))).includes(true);
}

/**
 * Where an answer goes. To a guest: to the address that the node told, whatever the guest asks for. What came to another one
 * would not be known as the guest's. To anybody else: to the device's own address if it is on the sender's node, or that of
 * somebody in the call if the sender is not known; or else to the sender, or somebody who is no guest. To those who have left: nowhere.
 */
export function replyTo(call: Call, reply: string | undefined, by: SentBy): string | undefined {
  const sender = senderOf(call, by);
  if (by.guest !== undefined || sender?.present === false) return sender?.present === true ? sender.address : undefined;
  const known = by.sender === undefined ? addresses(call) : [by.sender];
  const address = parseAddress(reply);
  const nodes = known.map((one) => new URL(one).origin);
  if (address !== undefined && nodes.includes(new URL(address).origin)) return address;
  const other = present(call).find((party) => party.guest === undefined && party.address !== undefined);
  return by.sender ?? other?.address ?? known[0];
}

/** Whether a call is over, and who its guests are. */
export interface Standing {
  readonly over: boolean;
  readonly guests?: readonly Peer[];
}

/**
 * What is known of a call by what the node says. If it does not say, the call is over when nobody can be reached any more; but the
 * voice goes on, for all that this page knows, with somebody who has no address.
 */
export async function standing(call: Call, asked: Promise<readonly Peer[] | "over" | undefined>): Promise<Standing> {
  const [guests, reachable] = await Promise.all([asked, isReachable(call)]);
  if (guests === "over") return { over: true };
  if (guests !== undefined) return { over: false, guests };
  const here = present(call);
  return { over: here.length > 0 && !reachable && here.every(({ address }) => address !== undefined) };
}

/** What the node could not say of the guests of a call, of whom `guests` are there now. */
export function missed(call: Call, guests: readonly Peer[]): NodeMessage[] {
  const known = present(call).flatMap(({ guest }) => guest ?? []);
  const come = guests.filter(({ guest }) => guest !== undefined && !known.includes(guest));
  const gone = known.filter((id) => !guests.some(({ guest }) => guest === id));
  return [
    ...come.map((peer) => ({ id: `${peer.guest}.found`, call: call.id, type: "guest", role: call.role, peer }) as const),
    ...gone.map((guest) => ({ id: `${guest}.lost`, call: call.id, type: "guest-left", guest }) as const),
  ];
}
