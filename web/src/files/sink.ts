// Where received files go: to the origin's private folder on disk if the browser has one, or into memory. A peer's paths are
// only labels here: on disk the files are numbered.

export interface Saved {
  readonly path: readonly string[];
  readonly size: number;
}

export interface Sink {
  open(index: number): Promise<void>;
  write(bytes: Uint8Array): Promise<void>;
  close(): Promise<void>;
  discard(): Promise<void>;
}

const FOLDER = "received";
/** Bytes that are written at once. */
const BLOCK = 1024 * 1024;

/** Files that this browser could not put on disk, by transfer. They are gone after a reload. */
const memory = new Map<string, Blob[]>();

async function folder(create: boolean): Promise<FileSystemDirectoryHandle> {
  const root = await navigator.storage.getDirectory();
  return root.getDirectoryHandle(FOLDER, { create });
}

/** A place for the files of one transfer. */
export async function openSink(transfer: string): Promise<Sink> {
  try {
    const all = await folder(true);
    const own = await all.getDirectoryHandle(transfer, { create: true });
    // Some browsers have the folder, but can write to it only from workers.
    const probe = await own.getFileHandle("0", { create: true });
    if (typeof probe.createWritable === "function") return new DiskSink(all, own, transfer);
  } catch {
    // Private windows and insecure origins have no folder.
  }
  memory.set(transfer, []);
  return new MemorySink(transfer);
}

class DiskSink implements Sink {
  readonly #all: FileSystemDirectoryHandle;
  readonly #own: FileSystemDirectoryHandle;
  readonly #transfer: string;
  readonly #block = new Uint8Array(BLOCK);
  #filled = 0;
  #file: FileSystemWritableFileStream | undefined;

  constructor(all: FileSystemDirectoryHandle, own: FileSystemDirectoryHandle, transfer: string) {
    this.#all = all;
    this.#own = own;
    this.#transfer = transfer;
  }

  async open(index: number): Promise<void> {
    const handle = await this.#own.getFileHandle(String(index), { create: true });
    this.#file = await handle.createWritable();
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#filled + bytes.length > BLOCK) await this.#flush();
    if (bytes.length > BLOCK) {
      await this.#file?.write(bytes as Uint8Array<ArrayBuffer>);
      return;
    }
    this.#block.set(bytes, this.#filled);
    this.#filled += bytes.length;
  }

  async close(): Promise<void> {
    await this.#flush();
    await this.#file?.close();
    this.#file = undefined;
  }

  async discard(): Promise<void> {
    await this.#file?.abort().catch(() => undefined);
    await this.#all.removeEntry(this.#transfer, { recursive: true }).catch(() => undefined);
  }

  async #flush(): Promise<void> {
    if (this.#filled === 0) return;
    await this.#file?.write(this.#block.slice(0, this.#filled));
    this.#filled = 0;
  }
}

class MemorySink implements Sink {
  readonly #transfer: string;
  #parts: Uint8Array<ArrayBuffer>[] = [];

  constructor(transfer: string) {
    this.#transfer = transfer;
  }

  async open(): Promise<void> {
    this.#parts = [];
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#parts.push(bytes.slice());
  }

  async close(): Promise<void> {
    memory.get(this.#transfer)?.push(new Blob(this.#parts));
    this.#parts = [];
  }

  async discard(): Promise<void> {
    memory.delete(this.#transfer);
  }
}

/** A received file, if it is still here. */
export async function received(transfer: string, index: number): Promise<Blob | undefined> {
  const blob = memory.get(transfer)?.[index];
  if (blob !== undefined) return blob;
  try {
    const own = await (await folder(false)).getDirectoryHandle(transfer);
    return await (await own.getFileHandle(String(index))).getFile();
  } catch {
    return undefined;
  }
}

/** Removes the files of all transfers but these. */
export async function keepOnly(transfers: ReadonlySet<string>): Promise<void> {
  try {
    const all = await folder(false);
    const names: string[] = [];
    for await (const name of (all as unknown as { keys(): AsyncIterable<string> }).keys()) names.push(name);
    for (const name of names) if (!transfers.has(name)) await all.removeEntry(name, { recursive: true });
  } catch {
    // There is no folder yet.
  }
}
