// What a person does in the view of a call, on the page of a client or of a guest.
import type { Client } from "../app/client.ts";
import type { Source } from "../core/signal.ts";
import type { Entry } from "../files/entries.ts";
import { CaptureError } from "../media/capture.ts";
import type { Preferences } from "../net/storage.ts";
import type { CallEvents } from "./call.ts";
import type { Context } from "./context.ts";
import { confirm } from "./dialogs.ts";
import { whyUnsent } from "./sharing.ts";

/** The page that shows the call. */
export interface Page {
  client(): Client | undefined;
  context(): Context;
  preferences(): Preferences;
  toast(text: string): void;
  back(): void;
}

export function callEvents(id: string, page: Page): CallEvents {
  return {
    back: () => page.back(),
    write: (text, card) => page.client()?.texts.write(id, text, card),
    card: () => page.preferences().card,
    again: (line) => page.client()?.texts.again(id, line),
    typing: () => page.client()?.texts.typing(id),
    toggle: (source) => void toggle(id, page, source),
    share: (entries) => shareFiles(id, page, entries),
    notice: (text) => page.toast(text),
  };
}

/** Offers files to everybody in the call that the page shows, or says why they are not sent. */
export function shareFiles(id: string | undefined, page: Page, entries: readonly Entry[]): void {
  if (entries.length === 0) return;
  const [call, conversation] = [page.client()?.calls.get(id ?? ""), page.client()?.conversation(id ?? "")];
  const why = whyUnsent(call, conversation !== undefined, page.context().t);
  if (why !== undefined) page.toast(why);
  else conversation?.share(entries);
}

async function toggle(call: string, page: Page, source: Source): Promise<void> {
  const { t } = page.context();
  const { camera, microphone } = page.preferences();
  const open = page.client()?.conversation(call)?.sources;
  if (open?.tracks.has(source) === true) return open.stop(source);
  if (source === "microphone" && !(await confirm(t.echoTitle, t.echoText, t.echoGo, t))) return;
  // The call may have changed while the person was asked.
  const sources = page.client()?.conversation(call)?.sources;
  const device = source === "camera" ? camera : source === "microphone" ? microphone : "";
  try {
    await sources?.start(source, device);
  } catch (error) {
    const failure = error instanceof CaptureError ? error.failure : "absent";
    const words = { denied: t.sourceDenied, absent: t.sourceAbsent, busy: t.sourceBusy };
    // Somebody who closes the browser's choice of screens knows why.
    if (source !== "screen" || failure !== "denied") page.toast(words[failure]);
  }
}
