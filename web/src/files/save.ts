// Gives received files to the person: one as a download, many into a folder that they choose.
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

/** Saves all files, in their folders; false if the person chose none or something is missing. */
export async function saveAll(transfer: string, files: readonly Saved[]): Promise<boolean> {
  const root = await (window as FolderPicker).showDirectoryPicker?.({ mode: "readwrite" }).catch(() => undefined);
  if (root === undefined) return false;
  for (const [index, saved] of files.entries()) {
    const blob = await received(transfer, index);
    if (blob === undefined) return false;
    let folder = root;
    for (const name of saved.path.slice(0, -1)) folder = await folder.getDirectoryHandle(name, { create: true });
    const handle = await folder.getFileHandle(saved.path.at(-1) ?? "file", { create: true });
    await blob.stream().pipeTo(await handle.createWritable());
  }
  return true;
}
