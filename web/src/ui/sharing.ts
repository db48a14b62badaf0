// What the others in a call can take, and the words for files that nobody can.
import type { Call } from "../core/calls.ts";
import { present } from "../core/people.ts";
import type { Catalogue } from "../core/locale/mod.ts";
import type { InvitationKind } from "../core/signal.ts";

export type Shareable = Exclude<InvitationKind, "join">;

/** What a peer's app must have declared for each kind. An app that declares nothing is tried. */
const NEEDS: Record<Shareable, string> = { camera: "video", screen: "screen", microphone: "audio", files: "files" };

/** Whether somebody in the call has an app that takes this. */
export function takes(call: Call, kind: Shareable): boolean {
  const parties = present(call).filter(({ address }) => address !== undefined);
  return parties.some(({ capabilities }) => capabilities.length === 0 || capabilities.includes(NEEDS[kind]));
}

/** Why files are not sent, and what to do; nothing if they can be. `ready`: the call has its conversation. */
export function whyUnsent(call: Call | undefined, ready: boolean, t: Catalogue): string | undefined {
  if (call === undefined) return t.unsentNoCall;
  if (call.phase === "ringing") return t.unsentRinging;
  if (call.phase !== "active") return t.unsentOver;
  if (!takes(call, "files")) return t.unsentNoApp;
  return ready ? undefined : t.unsentEarly;
}
