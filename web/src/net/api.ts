// The node's HTTP API, as far as this client uses it.
import { parseAddress, parseGuest, type Peer } from "../core/envelope.ts";
import { integer, type Json, list, object, oneOf, text } from "../core/json.ts";
import { cleanName } from "../core/text.ts";

/** This installation of the client, as it signs in. */
export interface Device {
  readonly id: string;
  readonly number: string;
  readonly name: string;
  readonly token: string;
}

export interface OtherDevice {
  readonly id: string;
  readonly name: string;
  readonly connected: boolean;
}

/** What a host reads out to guests. */
export interface GuestCode {
  readonly code: string;
  readonly link: string;
}

/** How to connect to others. */
export interface IceAnswer {
  readonly configuration: RTCConfiguration;
  /** When its credentials expire, in ms since 1970. */
  readonly expires: number;
}

/** What a desk phone dials to sign this page in. */
export interface DialCode {
  readonly id: string;
  readonly secret: string;
  readonly dial: string;
}

export type Failure = "unauthorized" | "absent" | "full" | "limited" | "refused" | "unreachable";

/** What went wrong, as far as the client can do something about it. */
export class ApiError extends Error {
  readonly failure: Failure;
  /** The field that the node refuses, if it says. */
  readonly field: string | undefined;
  constructor(failure: Failure, field?: string) {
    super(failure);
    this.failure = failure;
    this.field = field;
  }
}

export const CAPABILITIES = ["text", "video", "screen", "audio", "files"];
/** Seconds that a binding lasts without a connection. */
const EXPIRES = 7 * 24 * 3600;
const TIMEOUT = 15_000;
/** The node answers after 25 s if nobody has dialled. */
const DIALLING = 40_000;

export class Api {
  /** The node's address, with a slash at its end. */
  readonly node: string;

  constructor(node: string) {
    this.node = node;
  }

  /** Exchanges a one-time code for a device. */
  async enrol(code: string, name: string): Promise<Device> {
    return enrolled(await this.#ask("POST", "v1/devices", undefined, { code, name }), name);
  }

  /** A code that the desk phone dials. */
  async dialCode(name: string): Promise<DialCode> {
    const answer = await this.#ask("POST", "v1/dialled-enrolments", undefined, { name });
    const [id, secret] = [text(answer["id"], 128), text(answer["secret"], 512)];
    const dial = text(answer["dial"], 32, /^[0-9*#]{7,}$/);
    if (!id || !secret || !dial) throw new ApiError("refused");
    return { id, secret, dial };
  }

  /** Waits until a phone has dialled the code; nothing if that takes longer. Fails once the code is of no use any more. */
  async dialled(code: DialCode): Promise<Device | undefined> {
    const path = `v1/dialled-enrolments/${encodeURIComponent(code.id)}`;
    const answer = await this.#ask("GET", path, code.secret, undefined, DIALLING);
    return answer["state"] === "enrolled" ? enrolled(answer, "Browser") : undefined;
  }

  /** Binds the device's client to its number; the client's id. */
  async bind(device: Device): Promise<string> {
    const body = { capabilities: CAPABILITIES, expires: EXPIRES };
    const id = text((await this.#ask("POST", "v1/clients", device.token, body))["id"], 128);
    if (id === undefined) throw new ApiError("refused");
    return id;
  }

  async ice(device: Device): Promise<IceAnswer> {
    return iceAnswer(await this.#ask("GET", "v1/ice", device.token));
  }

  /** For whoever has this address on the node. */
  async iceAt(address: string): Promise<IceAnswer> {
    return iceAnswer(await ask(`${address}/ice`, { method: "GET" }, TIMEOUT));
  }

  /** The code that lets guests into a call. */
  async guestCode(device: Device, client: string, call: string): Promise<GuestCode> {
    const answer = await this.#ask("POST", `v1/calls/${encodeURIComponent(call)}/guests`, device.token, { client });
    const [code, link] = [text(answer["code"], 6, /^[0-9]{6}$/), parseAddress(answer["link"])];
    if (code === undefined || link === undefined) throw new ApiError("refused");
    return { code, link };
  }

  /** The guests that this number has in a call. */
  async guests(device: Device, call: string): Promise<Peer[] | undefined> {
    const answer = await this.#ask("GET", `v1/calls/${encodeURIComponent(call)}/guests`, device.token);
    return list(answer["guests"], 8, (guest) => parseGuest(object(guest) ?? {}));
  }

  async dismissGuest(device: Device, guest: string): Promise<void> {
    await this.#ask("DELETE", `v1/guests/${encodeURIComponent(guest)}`, device.token);
  }

  /** Joins a call as a guest. */
  async join(code: string, name: string): Promise<{ readonly token: string; readonly address: string }> {
    const answer = await this.#ask("POST", "v1/guests", undefined, { code, name, capabilities: CAPABILITIES });
    const [token, address] = [text(answer["token"], 512), parseAddress(answer["address"])];
    if (token === undefined || address === undefined) throw new ApiError("refused");
    return { token, address };
  }

  /** A guest leaves the call. */
  async leave(token: string): Promise<void> {
    await this.#ask("DELETE", "v1/guests", token);
  }

  /** Whether this client, of all of its number's, may accept an invitation. */
  async claim(device: Device, client: string, call: string, invitation: string): Promise<boolean> {
    try {
      const path = `v1/calls/${encodeURIComponent(call)}/claims`;
      return (await this.#ask("POST", path, device.token, { client, invitation }))["won"] !== false;
    } catch (error) {
      // A node without claims: its clients decide among themselves.
      if (error instanceof ApiError && error.failure === "absent") return true;
      throw error;
    }
  }

  /** The devices of the same number. */
  async devices(device: Device): Promise<OtherDevice[]> {
    const answer = await this.#ask("GET", `v1/devices?number=${encodeURIComponent(device.number)}`, device.token);
    return list(answer["devices"], 64, otherDevice) ?? [];
  }

  /** A one-time code for another device of the same person. */
  async invite(device: Device): Promise<string> {
    const path = `v1/numbers/${encodeURIComponent(device.number)}/enrolments`;
    const code = text((await this.#ask("POST", path, device.token, {}))["code"], 64, /^[0-9A-Za-z-]+$/);
    if (code === undefined) throw new ApiError("refused");
    return code;
  }

  /** Removes a device: this one, or another of the same number. */
  async forget(device: Device, id = device.id): Promise<void> {
    await this.#ask("DELETE", `v1/devices/${encodeURIComponent(id)}`, device.token);
  }

  async #ask(method: string, path: string, token: string | undefined, body?: object, timeout = TIMEOUT): Promise<Json> {
    const headers: Record<string, string> = {};
    if (token !== undefined) headers["authorization"] = `Bearer ${token}`;
    if (body !== undefined) headers["content-type"] = "application/json";
    const request: RequestInit = { method, headers };
    if (body !== undefined) request.body = JSON.stringify(body);
    return ask(this.node + path, request, timeout);
  }
}

async function ask(url: string, request: RequestInit, timeout: number): Promise<Json> {
  const answer = await fetch(url, { ...request, signal: AbortSignal.timeout(timeout), cache: "no-store" }).catch(() => {
    throw new ApiError("unreachable");
  });
  const fields = object(await answer.json().catch(() => undefined)) ?? {};
  if (!answer.ok) throw new ApiError(failure(answer.status), text(fields["field"], 64));
  return fields;
}

function failure(status: number): Failure {
  if (status === 401 || status === 403) return "unauthorized";
  if (status === 404 || status === 405 || status === 410) return "absent";
  if (status === 409) return "full";
  if (status === 429) return "limited";
  return status >= 500 ? "unreachable" : "refused";
}

/** The device of an answer that has its token. */
function enrolled(answer: Json, name: string): Device {
  const [device, token] = [object(answer["device"]), text(answer["token"], 512)];
  const [id, number] = [text(device?.["id"], 128), text(device?.["number"], 129)];
  if (!id || !number || !token) throw new ApiError("refused");
  return { id, number, token, name: cleanName(text(device?.["name"], 400) ?? name) ?? name };
}

function otherDevice(value: unknown): OtherDevice | undefined {
  const fields = object(value);
  const id = text(fields?.["id"], 128);
  if (id === undefined) return undefined;
  return { id, name: cleanName(text(fields?.["name"], 400) ?? id) ?? id, connected: fields?.["connected"] === true };
}

/** Something else than an answer says nothing of the policy: it is no answer without one. */
function iceAnswer(answer: Json): IceAnswer {
  const iceServers = list(answer["iceServers"], 16, iceServer);
  const expires = integer(answer["expires"], Number.MAX_SAFE_INTEGER);
  const iceTransportPolicy = oneOf(answer["iceTransportPolicy"] ?? "all", ["all", "relay"] as const);
  if (iceServers === undefined || expires === undefined || iceTransportPolicy === undefined) throw new ApiError("refused");
  return { configuration: { iceServers, iceTransportPolicy }, expires };
}

function iceServer(value: unknown): RTCIceServer | undefined {
  const fields = object(value);
  const urls = list(fields?.["urls"], 16, (url) => text(url, 512, /^(stuns?|turns?):/));
  if (urls === undefined || urls.length === 0) return undefined;
  const [username, credential] = [text(fields?.["username"], 512), text(fields?.["credential"], 512)];
  return { urls, ...(username && { username }), ...(credential && { credential }) };
}
