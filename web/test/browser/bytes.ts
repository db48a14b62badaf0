// Files for the tests, of any size: they are never in memory as a whole.
import { createHash, randomBytes } from "node:crypto";
import { closeSync, createReadStream, openSync, writeSync } from "node:fs";
import type { Locator } from "playwright-core";
import type { Someone } from "./people.ts";

export const MB = 1024 * 1024;

/** A file of bytes that do not repeat; its digest. */
export function write(path: string, size: number): string {
  const hash = createHash("sha256");
  const file = openSync(path, "w");
  for (let left = size; left > 0; left -= MB) {
    const block = randomBytes(Math.min(MB, left));
    writeSync(file, block);
    hash.update(block);
  }
  closeSync(file);
  return hash.digest("hex");
}

async function digest(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest("hex");
}

type Files = Parameters<Locator["setInputFiles"]>[0];

/** Picks files, or a folder, to be sent. */
export async function pick(someone: Someone, files: Files, label: "Files" | "Folder" = "Files"): Promise<void> {
  await untilFilesCanBeSent(someone);
  await someone.page.locator(`input[type=file][aria-label=${label}]`).setInputFiles(files);
}

/** The call is shown before that, pickers included: its conversation is made meanwhile. */
export const untilFilesCanBeSent = (someone: Someone) => someone.page.locator("main.call[data-drop]").waitFor();

/** Drops a small file on an element, or pastes it there. Whether the page takes it: else the browser does what it does with files. */
export function bring(someone: Someone, how: "drop" | "paste", name: string, selector: string): Promise<boolean> {
  return someone.page.evaluate(
    ([how, name, selector]) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File(["a file"], name));
      const init = { bubbles: true, cancelable: true };
      const event =
        how === "drop"
          ? new DragEvent(how, { ...init, dataTransfer: transfer })
          : new ClipboardEvent(how, { ...init, clipboardData: transfer });
      return !document.querySelector(selector)!.dispatchEvent(event);
    },
    [how, name, selector] as const,
  );
}

/** Saves a received file: the last one, or that of a button. */
export async function save(someone: Someone, button?: Locator): Promise<{ name: string; sha256: string }> {
  const download = someone.page.waitForEvent("download");
  await (button ?? someone.page.getByRole("button", { name: "Save", exact: true }).last()).click();
  const file = await download;
  return { name: file.suggestedFilename(), sha256: await digest((await file.path())!) };
}
