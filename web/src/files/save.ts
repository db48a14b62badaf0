// Gives received files to the person: one as a download, many into a new folder where they choose.
import { commonFolder, distinct } from "../core/paths.ts";
import { received, type Saved } from "./sink.ts";

interface FolderPicker {
  showDirectoryPicker?(options: object): Promise<FileSystemDirectoryHandle>;
}

/** Whether a folder can be chosen in this browser. */
export function canSaveFolder(): boolean {
  return typeof (window as FolderPicker).showDirectoryPicker === "function";
}

/** Saves one file; false if it is no longer here. */
export async function saveFile(transfer: string, index: number, saved: Saved): Promise<boolean> {
  const blob = await received(transfer, index);
  if (blob === undefined) return false;
  // A type that no browser opens, whatever the sender called the file.
  saveBlob(blob.slice(0, blob.size, "application/octet-stream"), saved.path.at(-1) ?? "file");
  return true;
}

/** Downloads bytes under a name. */
export function saveBlob(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

export interface SavedAll {
  /** The folder that was made for them. */
  readonly folder: string;
  /** How many could not be saved. */
  readonly failed: number;
}

/**
 * Saves all files into a new folder of the one that the person chooses, and touches nothing that is there. The new one is
 * called like the folder that was sent, or `name`. Nothing if the person chose none.
 */
export async function saveAll(transfer: string, files: readonly Saved[], name: string): Promise<SavedAll | undefined> {
  const root = await (window as FolderPicker).showDirectoryPicker?.({ mode: "readwrite" }).catch(() => undefined);
  if (root === undefined) return undefined;
  const sent = commonFolder(files.map(({ path }) => path));
  const paths = distinct(files.map(({ path }) => (sent === undefined ? path : path.slice(1))));
  const folder = await newFolder(root, sent ?? name).catch(() => undefined);
  if (folder === undefined) return { folder: root.name, failed: files.length };
  let failed = 0;
  for (const [index, path] of paths.entries()) {
    await saveInto(folder, path, await received(transfer, index)).catch(() => (failed += 1));
  }
  return { folder: folder.name, failed };
}

async function saveInto(root: FileSystemDirectoryHandle, path: readonly string[], blob: Blob | undefined): Promise<void> {
  if (blob === undefined) throw new Error("no longer here");
  let folder = root;
  for (const name of path.slice(0, -1)) folder = await folder.getDirectoryHandle(name, { create: true });
  const name = path.at(-1) ?? "file";
  const handle = await folder.getFileHandle(name, { create: true });
  try {
    await blob.stream().pipeTo(await handle.createWritable());
  } catch (error) {
    await folder.removeEntry(name).catch(() => undefined);
    throw error;
  }
}

/** A folder that was not there, numbered if the name is taken. */
async function newFolder(root: FileSystemDirectoryHandle, name: string): Promise<FileSystemDirectoryHandle> {
  for (let n = 1; ; n += 1) {
    const candidate = n === 1 ? name : `${name} (${n})`;
    if (!(await isTaken(root, candidate))) return root.getDirectoryHandle(candidate, { create: true });
  }
}

async function isTaken(root: FileSystemDirectoryHandle, name: string): Promise<boolean> {
  try {
    await root.getDirectoryHandle(name);
    return true;
  } catch (error) {
    const reason = error instanceof DOMException ? error.name : "";
    if (reason === "NotFoundError") return false;
    // A file has the name.
    if (reason === "TypeMismatchError") return true;
    throw error;
  }
}
