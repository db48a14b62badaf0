// What outlives a reload: the device and the preferences in local storage, calls and identities in IndexedDB.
import type { Call } from "../core/calls.ts";
import { type Card, parseCard } from "../core/card.ts";
import { object, oneOf, parse, text } from "../core/json.ts";
import type { Proof } from "../core/verify.ts";
import type { Device } from "./api.ts";

const DEVICE = "sidecall.device";
const PREFERENCES = "sidecall.preferences";

export interface Preferences {
  /** Accept cameras, screens and microphones without asking. */
  readonly autoMedia: boolean;
  readonly autoFiles: boolean;
  readonly language: "auto" | "en" | "de";
  readonly theme: "auto" | "light" | "dark";
  /** What the own contact card says. */
  readonly card: Card | undefined;
  readonly camera: string;
  readonly microphone: string;
}

export function loadDevice(): Device | undefined {
  const fields = parse(localStorage.getItem(DEVICE) ?? "");
  const [id, number] = [text(fields?.["id"], 128), text(fields?.["number"], 129)];
  const [name, token] = [text(fields?.["name"], 200), text(fields?.["token"], 512)];
  return id && number && name && token ? { id, number, name, token } : undefined;
}

export function saveDevice(device: Device): void {
  localStorage.setItem(DEVICE, JSON.stringify(device));
}

export function loadPreferences(): Preferences {
  const fields = parse(localStorage.getItem(PREFERENCES) ?? "") ?? {};
  return {
    autoMedia: fields["autoMedia"] === true,
    autoFiles: fields["autoFiles"] === true,
    language: oneOf(fields["language"], ["auto", "en", "de"] as const) ?? "auto",
    theme: oneOf(fields["theme"], ["auto", "light", "dark"] as const) ?? "auto",
    card: parseCard(fields["card"]),
    camera: text(fields["camera"], 256) ?? "",
    microphone: text(fields["microphone"], 256) ?? "",
  };
}

export function savePreferences(preferences: Preferences): void {
  localStorage.setItem(PREFERENCES, JSON.stringify(preferences));
}

/** Who this device is in one call. */
export interface StoredIdentity {
  readonly certificate: RTCCertificate;
  readonly from: string;
}

/** A session of this device, kept so that a reloaded page can take it up again. */
export interface SavedSession {
  readonly id: string;
  readonly call: string;
  readonly inviter: boolean;
  readonly polite: boolean;
  readonly round: number;
  readonly party: string;
  readonly from: string;
  readonly address: string;
  readonly own: Proof;
  readonly remote?: Proof;
  readonly commit?: string;
}

const DATABASE = "sidecall";
type Table = "calls" | "identities" | "sessions";

/** The database of this origin, or nothing that outlives the page. */
export class Storage {
  readonly #database: Promise<IDBDatabase>;

  constructor(keeps = true) {
    this.#database = new Promise((resolve, reject) => {
      if (!keeps) return reject(new Error("no database"));
      const request = indexedDB.open(DATABASE, 1);
      request.onupgradeneeded = () => {
        request.result.createObjectStore("calls", { keyPath: "id" });
        request.result.createObjectStore("sessions", { keyPath: "id" });
        request.result.createObjectStore("identities");
      };
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error ?? new Error("no database"));
    });
    this.#database.catch(() => undefined);
  }

  calls(): Promise<Call[]> {
    return this.#all<Call>("calls");
  }

  /** Resolves when the call is on disk; also if this browser keeps nothing. */
  saveCall(call: Call): Promise<void> {
    return this.#write("calls", (table) => table.put(call));
  }

  forgetCall(id: string): Promise<void> {
    return this.#write("calls", (table) => table.delete(id));
  }

  sessions(): Promise<SavedSession[]> {
    return this.#all<SavedSession>("sessions");
  }

  saveSession(session: SavedSession): Promise<void> {
    return this.#write("sessions", (table) => table.put(session));
  }

  forgetSession(id: string): Promise<void> {
    return this.#write("sessions", (table) => table.delete(id));
  }

  async identity(call: string): Promise<StoredIdentity | undefined> {
    const found = object(await this.#run("identities", "readonly", (table) => table.get(call) as IDBRequest<unknown>));
    const [certificate, from] = [found?.["certificate"], text(found?.["from"], 43)];
    return certificate instanceof RTCCertificate && from !== undefined ? { certificate, from } : undefined;
  }

  saveIdentity(call: string, identity: StoredIdentity): Promise<void> {
    return this.#write("identities", (table) => table.put(identity, call));
  }

  forgetIdentity(call: string): Promise<void> {
    return this.#write("identities", (table) => table.delete(call));
  }

  /** Everything that this client has stored. */
  async clear(): Promise<void> {
    localStorage.removeItem(DEVICE);
    for (const table of ["calls", "sessions", "identities"] as const) await this.#write(table, (all) => all.clear());
  }

  async #all<T>(table: Table): Promise<T[]> {
    const rows = await this.#run(table, "readonly", (all) => all.getAll() as IDBRequest<unknown[]>);
    return (rows ?? []).filter((row) => object(row) !== undefined) as T[];
  }

  async #write(table: Table, change: (table: IDBObjectStore) => IDBRequest): Promise<void> {
    await this.#run(table, "readwrite", change);
  }

  /** A browser without a database (some private windows) keeps nothing, and the client works without. */
  async #run<T>(table: Table, mode: IDBTransactionMode, ask: (table: IDBObjectStore) => IDBRequest<T>): Promise<T | undefined> {
    const database = await this.#database.catch(() => undefined);
    if (database === undefined) return undefined;
    return new Promise((resolve) => {
      const transaction = database.transaction(table, mode);
      const request = ask(transaction.objectStore(table));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onerror = transaction.onabort = () => resolve(undefined);
    });
  }
}
