// The state of a connection in words: what it is, or what is wrong and what to try.
import type { Session } from "../app/session.ts";
import type { Catalogue } from "../core/locale/mod.ts";
import type { RelayFailure } from "../media/link.ts";
import type { StreamState } from "../net/stream.ts";

export interface Status {
  readonly text: string;
  readonly level: "good" | "busy" | "bad";
}

/** Of the connection to the node. */
export function streamStatus(state: StreamState, online: boolean, t: Catalogue): Status {
  if (state === "open") return { text: t.online, level: "good" };
  if (!online) return { text: t.offline, level: "bad" };
  return state === "connecting" ? { text: t.connecting, level: "busy" } : { text: t.reconnecting, level: "bad" };
}

/** Of the connection to the other device; that of the worst one if there are several. */
export function mediaStatus(sessions: readonly Session[], t: Catalogue): Status | undefined {
  const all = sessions.map((session) => one(session, t));
  const worst = (level: Status["level"]) => all.find((status) => status.level === level);
  return worst("bad") ?? worst("busy") ?? all[0];
}

function one(session: Session, t: Catalogue): Status {
  const { relayFailure } = session;
  if (session.unanswered) return { text: t.mediaUnanswered, level: "bad" };
  if (session.state !== "connected" && relayFailure !== undefined) return { text: relay(relayFailure, t), level: "bad" };
  if (session.lost) return { text: t.mediaLost, level: "bad" };
  if (session.state === "interrupted") return { text: t.mediaInterrupted, level: "bad" };
  if (session.state === "connecting") return { text: t.mediaConnecting, level: "busy" };
  if (session.quality === "lossy") return { text: t.mediaLossy, level: "bad" };
  if (session.quality === "slow") return { text: t.mediaSlow, level: "bad" };
  return { text: session.relayed ? t.mediaRelayed : t.mediaDirect, level: "good" };
}

function relay(failure: RelayFailure, t: Catalogue): string {
  if (failure === "unreachable") return t.relayUnreachable;
  // A wrong credential (RFC 8489, section 14.8): it is made with the secret.
  return failure.refused === 401 ? t.relaySecret : t.relayRefused(failure.refused);
}
