// Files that are dropped or pasted anywhere on a page. Left to the browser, a dropped file would replace the page.
import { type Entry, fromTransfer } from "../files/entries.ts";

/** Hands over every file that is dropped, or pasted, on the page. */
export function takeFiles(take: (entries: readonly Entry[]) => void): void {
  const onFiles = (event: Event, transfer: DataTransfer | null) => {
    if (event.defaultPrevented || !carriesFiles(transfer)) return;
    event.preventDefault();
    void fromTransfer(transfer).then(take);
  };
  document.addEventListener("dragover", (event) => carriesFiles(event.dataTransfer) && event.preventDefault());
  document.addEventListener("drop", (event) => onFiles(event, event.dataTransfer));
  document.addEventListener("paste", (event) => !isTyped(event) && onFiles(event, event.clipboardData));
}

export function carriesFiles(transfer: DataTransfer | null): transfer is DataTransfer {
  return transfer?.types.includes("Files") === true;
}

/** Whether a field takes it as text: what office programs copy is text and a picture of it. */
function isTyped({ target, clipboardData }: ClipboardEvent): boolean {
  const field = target instanceof Element && target.closest("input, textarea") !== null;
  return field && clipboardData?.types.includes("text/plain") === true;
}
