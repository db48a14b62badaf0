// What a client asks of its node: as a device of a number, or as a guest in one call.
import type { Peer } from "../core/envelope.ts";
import { parse, text } from "../core/json.ts";
import { type Api, ApiError, type Device, type IceAnswer } from "./api.ts";
import { type Home, isAlive } from "./outbox.ts";

/** Where a client listens. */
export interface Bound {
  /** The client's id. */
  readonly client: string;
  /** The path of its stream. */
  readonly path: string;
  readonly token: string;
}

export interface Access extends Home {
  /** Makes the client known. Rejects if the node cannot be reached, or refuses. */
  bind(): Promise<Bound>;
  /** The servers that help to connect, and whether all media has to be relayed. Rejects if the node does not say. */
  ice(): Promise<IceAnswer>;
  /** The guests of a call that are there now; "over" if it is over for this number; undefined if the node does not say. */
  guests(call: string): Promise<readonly Peer[] | "over" | undefined>;
  /** Whether this client, of all of its number's, may accept an invitation. */
  claim(client: string, call: string, invitation: string): Promise<boolean>;
}

export class DeviceAccess implements Access {
  readonly node: string;
  readonly token: string;
  readonly #api: Api;
  readonly #device: Device;

  constructor(api: Api, device: Device) {
    this.node = api.node;
    this.token = device.token;
    this.#api = api;
    this.#device = device;
  }

  async bind(): Promise<Bound> {
    const client = await this.#api.bind(this.#device);
    return { client, path: `v1/clients/${encodeURIComponent(client)}/stream`, token: this.token };
  }

  ice(): Promise<IceAnswer> {
    return this.#api.ice(this.#device);
  }

  guests(call: string): Promise<readonly Peer[] | "over" | undefined> {
    const refused = (error: unknown) => (error instanceof ApiError && error.failure === "absent" ? ("over" as const) : undefined);
    return this.#api.guests(this.#device, call).catch(refused);
  }

  claim(client: string, call: string, invitation: string): Promise<boolean> {
    return this.#api.claim(this.#device, client, call, invitation);
  }
}

/** What a guest got for the code. */
export interface Pass {
  readonly token: string;
  /** The guest's own address. */
  readonly address: string;
}

export class GuestAccess implements Access {
  readonly node: string;
  readonly #api: Api;
  readonly #pass: Pass;

  constructor(api: Api, pass: Pass) {
    this.node = api.node;
    this.#api = api;
    this.#pass = pass;
  }

  /** A guest is known by its pass until it is no longer in the call. */
  async bind(): Promise<Bound> {
    if (!(await isAlive(this.#pass.address))) throw new ApiError("unauthorized");
    return { client: "", path: "v1/guests/stream", token: this.#pass.token };
  }

  ice(): Promise<IceAnswer> {
    return this.#api.iceAt(this.#pass.address);
  }

  /** A guest has no guests. */
  guests(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  /** A guest has one client. */
  claim(): Promise<boolean> {
    return Promise.resolve(true);
  }
}

const PASS = "sidecall.guest";

/** The pass of this tab, so that a page that is loaded again is in the call again. */
export function loadPass(): Pass | undefined {
  const fields = parse(sessionStorage.getItem(PASS) ?? "");
  const [token, address] = [text(fields?.["token"], 512), text(fields?.["address"], 1024)];
  return token && address ? { token, address } : undefined;
}

export function savePass(pass: Pass | undefined): void {
  if (pass === undefined) sessionStorage.removeItem(PASS);
  else sessionStorage.setItem(PASS, JSON.stringify(pass));
}
