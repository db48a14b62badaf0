// The files that a person picks, drops or pastes, with their paths in a folder.
import { type Bundle, FILES_MAX } from "../core/signal.ts";

export interface Entry {
  readonly path: string;
  readonly file: File;
}

/** From a picker; a folder's picker gives relative paths. */
export function fromList(files: FileList | readonly File[]): Entry[] {
  return Array.from(files, (file) => ({ path: file.webkitRelativePath || file.name, file })).slice(0, FILES_MAX);
}

/** From a drop or the clipboard, folders included. The transfer must be read before the event is over. */
export async function fromTransfer(transfer: DataTransfer): Promise<Entry[]> {
  const items = Array.from(transfer.items).filter((item) => item.kind === "file");
  const entries = items.map((item) => item.webkitGetAsEntry?.() ?? undefined);
  const plain = fromList(transfer.files);
  if (!entries.some((entry) => entry?.isDirectory)) return plain;
  const found: Entry[] = [];
  for (const entry of entries) if (entry !== undefined) await walk(entry, "", found);
  return found;
}

async function walk(entry: FileSystemEntry, folder: string, found: Entry[]): Promise<void> {
  if (found.length >= FILES_MAX) return;
  const path = folder + entry.name;
  if (entry.isFile) {
    const file = await new Promise<File>((done, failed) => (entry as FileSystemFileEntry).file(done, failed));
    found.push({ path, file });
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    const batch = await new Promise<FileSystemEntry[]>((done, failed) => reader.readEntries(done, failed));
    if (batch.length === 0) return;
    for (const child of batch) await walk(child, `${path}/`, found);
  }
}

/** What the other side is told before it accepts: the name is that of the folder or the first file. */
export function bundleOf(entries: readonly Entry[]): Bundle {
  const path = entries[0]?.path ?? "";
  const bytes = entries.reduce((sum, { file }) => sum + file.size, 0);
  return { count: entries.length, bytes, name: path.split("/")[0]! };
}
