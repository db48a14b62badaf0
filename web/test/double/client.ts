// A signed-in client for unit tests: the node, the storage and the other side are the test's.
import { Client } from "../../src/app/client.ts";
import type { Call } from "../../src/core/calls.ts";
import type { Peer } from "../../src/core/envelope.ts";
import { DeviceAccess } from "../../src/net/access.ts";
import { type Api, ApiError, type Device, type IceAnswer } from "../../src/net/api.ts";
import type { SavedSession, Storage } from "../../src/net/storage.ts";
import { type Devices, install, settle, Socket } from "./browser.ts";

type Json = Record<string, unknown>;

const DEVICE: Device = { id: "d", number: "+12125550100", name: "Browser", token: "t" };

export class ClientDouble {
  readonly devices: Devices = install();
  /** What the client has posted to addresses; `shown` is the token with each post, and what is done about a redirect. */
  readonly posted: { readonly address: string; readonly content: Json; readonly shown: readonly (string | undefined)[] }[] = [];
  /** Addresses that are no longer there. */
  readonly gone = new Set<string>();
  readonly notices: string[] = [];
  /** Calls that were stored, each time. */
  readonly stored: string[] = [];
  /** How often the device was bound, and what the node says to it. */
  bound = 0;
  bind: () => Promise<string> = async () => "c1";
  revoked = false;
  /** How to connect, as the node says it. */
  ice: () => Promise<IceAnswer> = async () => ({ configuration: {}, expires: Infinity });
  /** The identity of a call, as it is stored. */
  identity: () => Promise<undefined> = async () => undefined;
  /** The guests of each call, as the node lists them. */
  guests: Peer[] | undefined;
  /** Calls in which the number takes no part any more, as the node says. */
  readonly over = new Set<string>();
  readonly client: Client;
  #ids = 0;

  constructor(calls: Call[] = [], sessions: SavedSession[] = []) {
    Object.assign(globalThis, { fetch: (address: string, options: RequestInit) => this.#fetch(address, options) });
    const nothing = async () => undefined;
    const storage = {
      calls: async () => calls,
      sessions: async () => sessions,
      identity: () => this.identity(),
      saveCall: async (call: Call) => void this.stored.push(call.id),
      saveSession: nothing,
      saveIdentity: nothing,
      forgetCall: nothing,
      forgetSession: nothing,
      forgetIdentity: nothing,
    };
    const api = {
      node: "https://own.example/",
      ice: () => this.ice(),
      claim: async () => true,
      guests: async (_: Device, call: string) => {
        if (this.over.has(call)) throw new ApiError("absent");
        return this.guests;
      },
      bind: () => {
        this.bound += 1;
        return this.bind();
      },
    };
    this.client = new Client(new DeviceAccess(api as unknown as Api, DEVICE), storage as unknown as Storage, {
      changed: () => undefined,
      revoked: () => (this.revoked = true),
      notice: (_, what) => void this.notices.push(what),
      preferences: () => ({ autoMedia: false, autoFiles: false, language: "en", theme: "auto", card: undefined, camera: "", microphone: "" }),
    });
  }

  get socket(): Socket {
    return Socket.all.at(-1)!;
  }

  /** Signs in and opens the stream. */
  async start(): Promise<void> {
    await this.client.start();
    this.socket.opens();
    await settle();
  }

  async takes(call: string, body: object): Promise<void> {
    this.socket.takes({ id: `n${(this.#ids += 1)}`, call, ...body });
    await settle();
  }

  /** The node introduces somebody. */
  async meets(call: string, number: string): Promise<void> {
    const peer = { number, name: `Name ${number}`, address: addressOf(number), capabilities: [] };
    await this.takes(call, { type: "peer", role: "first", peer, reply: "https://own.example/a/reply" });
  }

  async #fetch(address: string, { method, body, headers, redirect }: RequestInit): Promise<object> {
    const status = this.gone.has(address) ? 404 : 200;
    const shown = [(headers as Record<string, string> | undefined)?.["authorization"], redirect];
    if (method === "POST") this.posted.push({ address, content: JSON.parse(String(body)) as Json, shown });
    return { ok: status === 200, status, json: async () => ({ clients: 1 }) };
  }
}

export const addressOf = (number: string): string => `https://other.example/a/${encodeURIComponent(number)}`;
