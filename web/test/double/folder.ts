// A folder on somebody's disk, in memory.

export class Folder {
  readonly name: string;
  readonly entries = new Map<string, Folder | { text: string }>();
  /** Files that cannot be written. */
  readonly full = new Set<string>();

  constructor(name: string) {
    this.name = name;
  }

  async getDirectoryHandle(name: string, { create = false } = {}): Promise<Folder> {
    const found = this.entries.get(name) ?? (create ? new Folder(name) : undefined);
    if (found === undefined) throw new DOMException("", "NotFoundError");
    if (!(found instanceof Folder)) throw new DOMException("", "TypeMismatchError");
    this.full.forEach((file) => found.full.add(file));
    this.entries.set(name, found);
    return found;
  }

  async getFileHandle(name: string, { create = false } = {}): Promise<object> {
    const found = this.entries.get(name) ?? (create ? { text: "" } : undefined);
    if (found === undefined) throw new DOMException("", "NotFoundError");
    if (found instanceof Folder) throw new DOMException("", "TypeMismatchError");
    this.entries.set(name, found);
    const write = (chunk: Uint8Array) => {
      if (this.full.has(name)) throw new DOMException("", "QuotaExceededError");
      found.text = new TextDecoder().decode(chunk);
    };
    return { createWritable: async () => new WritableStream<Uint8Array>({ write }) };
  }

  async removeEntry(name: string): Promise<void> {
    this.entries.delete(name);
  }

  /** All files with their texts, by path. */
  get files(): Record<string, string> {
    const found = [...this.entries].flatMap(([name, entry]): [string, string][] =>
      entry instanceof Folder ? Object.entries(entry.files).map(([path, text]) => [`${name}/${path}`, text]) : [[name, entry.text]],
    );
    return Object.fromEntries(found.sort(([a], [b]) => (a < b ? -1 : 1)));
  }
}
