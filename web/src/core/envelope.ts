// What the node sends over the stream, parsed.
import { integer, type Json, list, object, oneOf, parse, text } from "./json.ts";
import { cleanName } from "./text.ts";

export type Role = "first" | "second";
const ROLES: readonly Role[] = ["first", "second"];

/** Somebody in a call, and how their client is reached. */
export interface Person {
  readonly number?: string;
  readonly name?: string;
  /** The client of a guest, who has joined with a code. Nobody has checked the name. */
  readonly guest?: string;
}

export interface Peer extends Person {
  /** Where to post. Absent if they have no address that a browser can post to. */
  readonly address?: string;
  readonly capabilities: readonly string[];
}

export type NodeBody =
  /** `answered`: this number talks with somebody whose client is not known. */
  | { readonly type: "ringing" | "answered"; readonly role: Role; readonly peer: Person }
  /** The call is over for this number. */
  | { readonly type: "over" }
  /** `at`: when the call began. */
  | { readonly type: "missed"; readonly role: Role; readonly peer: Person; readonly at?: number }
  | { readonly type: "peer"; readonly role: Role; readonly peer: Peer; readonly own?: Json; readonly reply?: string }
  | { readonly type: "ended"; readonly number?: string }
  | { readonly type: "guest"; readonly role: Role; readonly peer: Peer; readonly reply?: string }
  | { readonly type: "guest-left"; readonly guest: string }
  | { readonly type: "taken"; readonly invitation: string; readonly client: string }
  | ({ readonly type: "message"; readonly content: Json } & SentBy);

/** Who has sent a message, as the node tells. Neither, if the node does not know: then it may be anybody who has the address. */
export interface SentBy {
  /** The guest who has. */
  readonly guest?: string;
  /** The address of the party who has, as the node told of that party. */
  readonly sender?: string;
}

export type NodeMessage = { readonly id: string; readonly call: string } & NodeBody;

export const ID = /^[A-Za-z0-9._-]{1,64}$/;
/** A number as a tel URI has it, without `tel:`. */
const NUMBER = /^\+?[0-9A-Za-z*#.=;-]{1,128}$/;
const ADDRESS_MAX = 1024;
/** The greatest time that a `Date` holds, in ms. */
const TIME_MAX = 8.64e15;

/** A frame of the stream. `id` alone is returned for a message of an unknown type, so that it can be acknowledged. */
export function parseFrame(frame: string): NodeMessage | { readonly id: string } | undefined {
  const message = parse(frame);
  const id = message && text(message["id"], 128, /^[\x21-\x7e]+$/);
  if (message === undefined || id === undefined) return undefined;
  const call = text(message["call"], 128, /^[A-Za-z0-9._-]+$/);
  const body = call === undefined ? undefined : parseBody(message);
  return body === undefined || call === undefined ? { id } : { id, call, ...body };
}

function parseBody(message: Json): NodeBody | undefined {
  const role = oneOf(message["role"], ROLES) ?? "first";
  switch (message["type"]) {
    case "ringing":
    case "answered":
      return { type: message["type"], role, peer: person(object(message["peer"]) ?? {}) };
    case "over":
      return { type: "over" };
    case "missed": {
      const at = integer(message["at"], TIME_MAX);
      return { type: "missed", role, peer: person(object(message["peer"]) ?? {}), ...(at !== undefined && { at }) };
    }
    case "peer":
      return peer(message, role);
    case "ended": {
      const number = parseNumber(message["number"]);
      return { type: "ended", ...(number !== undefined && { number }) };
    }
    case "guest":
      return guest(message, role);
    case "guest-left": {
      const left = text(message["guest"], 128);
      return left === undefined ? undefined : { type: "guest-left", guest: left };
    }
    case "taken": {
      const invitation = text(message["invitation"], 64, ID);
      const client = text(message["client"], 128);
      return invitation && client ? { type: "taken", invitation, client } : undefined;
    }
    case "message": {
      const content = object(message["content"]);
      const [guest, sender] = [text(message["guest"], 128), parseAddress(message["sender"])];
      return content && { type: "message", content, ...(guest !== undefined && { guest }), ...(sender !== undefined && { sender }) };
    }
    default:
      return undefined;
  }
}

function peer(message: Json, role: Role): NodeBody | undefined {
  const fields = object(message["peer"]);
  if (fields === undefined) return undefined;
  const own = object(message["own"]);
  const reply = parseAddress(message["reply"]);
  return {
    type: "peer",
    role,
    peer: { ...person(fields), ...reached(fields) },
    ...(own !== undefined && { own }),
    ...(reply !== undefined && { reply }),
  };
}

function guest(message: Json, role: Role): NodeBody | undefined {
  const peer = parseGuest(object(message["guest"]) ?? {});
  const reply = parseAddress(message["reply"]);
  return peer && { type: "guest", role, peer, ...(reply !== undefined && { reply }) };
}

/** A guest, as the node describes one. */
export function parseGuest(fields: Json): Peer | undefined {
  const guest = text(fields["id"], 128);
  const { name } = person(fields);
  return guest === undefined ? undefined : { guest, ...(name !== undefined && { name }), ...reached(fields) };
}

/** How a client is reached, and what it can do. */
function reached(fields: Json): Pick<Peer, "address" | "capabilities"> {
  const address = parseAddress(fields["address"]);
  const capabilities = list(fields["capabilities"], 64, (word) => text(word, 32, /^[a-z0-9-]+$/)) ?? [];
  return { ...(address !== undefined && { address }), capabilities };
}

function person(fields: Json): Person {
  const number = parseNumber(fields["number"]);
  const raw = text(fields["name"], 400);
  const name = raw === undefined ? undefined : cleanName(raw);
  return { ...(number !== undefined && { number }), ...(name !== undefined && { name }) };
}

function parseNumber(value: unknown): string | undefined {
  return text(value, 129, NUMBER);
}

/** An address that a browser can post to: http or https, without credentials. */
export function parseAddress(value: unknown): string | undefined {
  const address = text(value, ADDRESS_MAX);
  if (address === undefined || !URL.canParse(address)) return undefined;
  const url = new URL(address);
  const web = url.protocol === "https:" || url.protocol === "http:";
  return web && url.username === "" && url.password === "" && url.hash === "" ? url.href : undefined;
}
