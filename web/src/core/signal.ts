// What clients say to each other (PROTOCOL.md), parsed with limits.
import { type Card, parseCard } from "./card.ts";
import { ID, parseAddress, type Role } from "./envelope.ts";
import { integer, type Json, list, object, oneOf, text } from "./json.ts";
import { cleanFileName, cleanName, cleanText, TEXT_MAX } from "./text.ts";
import type { Visitor } from "./visitors.ts";

export type Source = "camera" | "screen" | "microphone";
/** `join`: another device of the same number goes on with what one has accepted. */
export type InvitationKind = Source | "files" | "join";
export const SOURCES: readonly Source[] = ["camera", "screen", "microphone"];
const KINDS: readonly InvitationKind[] = [...SOURCES, "files", "join"];
const ROLES: readonly Role[] = ["first", "second"];

export interface Bundle {
  readonly count: number;
  readonly bytes: number;
  readonly name: string;
}

/** The device that said it, and where its answer goes. */
interface Sender {
  readonly from: string;
  readonly reply?: string;
}

export interface Candidate {
  readonly candidate: string;
  readonly sdpMid: string | null;
  readonly sdpMLineIndex: number | null;
}

export type Tracks = { readonly [mid: string]: Source };

export interface Invite extends Sender {
  readonly type: "invite";
  readonly invitation: string;
  readonly session: string;
  readonly kind: InvitationKind;
  readonly role: Role;
  readonly commit: string;
  readonly files?: Bundle;
}

export interface Accept extends Sender {
  readonly type: "accept";
  readonly invitation: string;
  readonly session: string;
  readonly role: Role;
  readonly nonce: string;
  readonly fingerprint: string;
}

export interface Sdp extends Sender {
  readonly type: "sdp";
  readonly session: string;
  readonly kind: "offer" | "answer";
  readonly sdp: string;
  readonly tracks: Tracks;
  readonly nonce?: string;
  /** The number of the offer, or of the one that is answered. */
  readonly offer?: number;
  /** Which connection of the session it belongs to. */
  readonly round: number;
}

export interface Ice extends Sender {
  readonly type: "ice";
  readonly session: string;
  readonly candidates: readonly Candidate[];
  readonly round: number;
}

export type Signal =
  | { readonly type: "text"; readonly text: string; readonly id?: string; readonly card?: Card }
  | ({ readonly type: "delivered" | "seen"; readonly ids: readonly string[] } & Sender)
  | ({ readonly type: "typing" } & Sender)
  /** All guests of the device, whose names nobody has checked. */
  | ({ readonly type: "guests"; readonly guests: readonly Visitor[] } & Sender)
  | Invite
  | Accept
  | ({ readonly type: "decline"; readonly invitation: string } & Sender)
  | Sdp
  | Ice
  | ({ readonly type: "restart"; readonly session: string; readonly round: number } & Sender)
  | ({ readonly type: "bye"; readonly session?: string; readonly invitation?: string } & Sender);

export const FILES_MAX = 10_000;
export const BYTES_MAX = 2 ** 44;
const SDP_MAX = 60_000;
const CANDIDATES_MAX = 32;
/** Twice as many as a node lets in. */
const GUESTS_MAX = 16;
const FROM = /^[A-Za-z0-9_-]{16,43}$/;
const HEX32 = /^[0-9a-f]{32}$/;
const HEX64 = /^[0-9a-f]{64}$/;
export const FINGERPRINT = /^([0-9A-F]{2}:){31}[0-9A-F]{2}$/;

/** What a peer sent, or nothing if it is unknown or does not keep to the limits. */
export function parseSignal(content: Json): Signal | undefined {
  if (content["type"] === "text") return parseText(content);
  const from = text(content["from"], 43, FROM);
  if (from === undefined) return undefined;
  const reply = parseAddress(content["reply"]);
  const sender: Sender = { from, ...(reply !== undefined && { reply }) };
  const id = (key: string) => text(content[key], 64, ID);
  switch (content["type"]) {
    case "typing":
      return { type: "typing", ...sender };
    case "delivered":
    case "seen": {
      const ids = list(content["ids"], 50, (value) => text(value, 64, ID));
      return ids && { type: content["type"], ids, ...sender };
    }
    case "guests": {
      const guests = list(content["guests"], GUESTS_MAX, parseVisitor);
      if (guests === undefined) return undefined;
      const isFirst = ({ id }: Visitor, n: number) => guests.findIndex((guest) => guest.id === id) === n;
      return { type: "guests", guests: guests.filter(isFirst), ...sender };
    }
    case "invite":
      return parseInvite(content, sender);
    case "accept": {
      const [invitation, session] = [id("invitation"), id("session")];
      const [nonce, fingerprint] = [text(content["nonce"], 32, HEX32), text(content["fingerprint"], 95, FINGERPRINT)];
      const role = oneOf(content["role"], ROLES);
      if (!invitation || !session || !role || !nonce || !fingerprint) return undefined;
      return { type: "accept", invitation, session, role, nonce, fingerprint, ...sender };
    }
    case "decline": {
      const invitation = id("invitation");
      return invitation === undefined ? undefined : { type: "decline", invitation, ...sender };
    }
    case "sdp":
      return parseSdp(content, sender);
    case "ice": {
      const session = id("session");
      const candidates = list(content["candidates"], CANDIDATES_MAX, parseCandidate);
      return session === undefined || candidates === undefined ? undefined : { type: "ice", session, candidates, round: round(content), ...sender };
    }
    case "restart": {
      const session = id("session");
      return session === undefined ? undefined : { type: "restart", session, round: round(content), ...sender };
    }
    case "bye": {
      const [session, invitation] = [id("session"), id("invitation")];
      if (session === undefined && invitation === undefined) return undefined;
      return { type: "bye", ...sender, ...(session && { session }), ...(invitation && { invitation }) };
    }
    default:
      return undefined;
  }
}

function round(content: Json): number {
  return integer(content["round"], Number.MAX_SAFE_INTEGER) ?? 0;
}

function parseText(content: Json): Signal | undefined {
  const raw = text(content["text"], TEXT_MAX * 4);
  const clean = raw === undefined ? undefined : cleanText(raw);
  const id = text(content["id"], 64, ID);
  const card = parseCard(content["card"]);
  if (clean === undefined) return undefined;
  return { type: "text", text: clean, ...(id !== undefined && { id }), ...(card !== undefined && { card }) };
}

function parseVisitor(value: unknown): Visitor | undefined {
  const fields = object(value);
  const id = text(fields?.["id"], 64, ID);
  const name = cleanName(text(fields?.["name"], 400) ?? "");
  return id === undefined || name === undefined ? undefined : { id, name };
}

function parseInvite(content: Json, sender: Sender): Invite | undefined {
  const [invitation, session] = [text(content["invitation"], 64, ID), text(content["session"], 64, ID)];
  const [kind, role] = [oneOf(content["kind"], KINDS), oneOf(content["role"], ROLES)];
  const commit = text(content["commit"], 64, HEX64);
  if (!invitation || !session || !kind || !role || !commit) return undefined;
  const invite: Invite = { type: "invite", invitation, session, kind, role, commit, ...sender };
  if (kind !== "files") return invite;
  const files = parseBundle(object(content["files"]));
  return files && { ...invite, files };
}

function parseBundle(files: Json | undefined): Bundle | undefined {
  const count = integer(files?.["count"], FILES_MAX);
  const bytes = integer(files?.["bytes"], BYTES_MAX);
  const name = text(files?.["name"], 4096);
  if (count === undefined || count === 0 || bytes === undefined || name === undefined) return undefined;
  return { count, bytes, name: cleanFileName(name) };
}

function parseSdp(content: Json, sender: Sender): Sdp | undefined {
  const session = text(content["session"], 64, ID);
  const kind = oneOf(content["kind"], ["offer", "answer"] as const);
  const sdp = text(content["sdp"], SDP_MAX);
  const nonce = text(content["nonce"], 32, HEX32);
  const offer = integer(content["offer"], Number.MAX_SAFE_INTEGER);
  if (!session || !kind || !sdp) return undefined;
  const entries = Object.entries(object(content["tracks"]) ?? {}).slice(0, 16);
  const tracks: Record<string, Source> = Object.create(null) as Record<string, Source>;
  for (const [mid, word] of entries) {
    const source = oneOf(word, SOURCES);
    if (source !== undefined && mid.length <= 16) tracks[mid] = source;
  }
  const optional = { ...(nonce !== undefined && { nonce }), ...(offer !== undefined && { offer }) };
  return { type: "sdp", session, kind, sdp, tracks, round: round(content), ...optional, ...sender };
}

function parseCandidate(value: unknown): Candidate | undefined {
  const fields = object(value);
  const candidate = fields?.["candidate"];
  if (typeof candidate !== "string" || candidate.length > 1024 || /[\r\n]/.test(candidate)) return undefined;
  return {
    candidate,
    sdpMid: text(fields?.["sdpMid"], 16) ?? null,
    sdpMLineIndex: integer(fields?.["sdpMLineIndex"], 64) ?? null,
  };
}
