// A node in memory: the client API, call-scoped addresses, and calls that a test makes.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";

type Json = Record<string, unknown>;

interface DeviceRecord {
  readonly id: string;
  readonly number: string;
  readonly name: string;
  readonly token: string;
  readonly client: string;
  readonly sockets: Set<WebSocket>;
  /** Kept messages that have not been acknowledged. */
  readonly pending: Map<string, Json>;
  /** Of a guest: the first message of each stream. */
  readonly greeting?: Json;
  /** Of a guest: the device that let the guest in. */
  readonly host?: DeviceRecord;
}

/** Whose guests a code lets in. */
interface Host {
  readonly call: string;
  readonly device: DeviceRecord;
}

interface Address {
  readonly call: string;
  readonly number: string;
  /** For a device's own address. */
  readonly client?: string;
  /** The guest who has it. */
  readonly guest?: string;
}

const TYPES: Record<string, string> = { html: "text/html", js: "text/javascript", css: "text/css", svg: "image/svg+xml", png: "image/png" };
const CSP = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; manifest-src 'self'; worker-src 'self'; " +
  "media-src 'self' blob:; connect-src *; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

export class NodeDouble {
  readonly #server: Server;
  readonly #sockets = new WebSocketServer({ noServer: true, handleProtocols: () => "sidecall" });
  readonly #codes = new Map<string, string>();
  readonly #devices = new Map<string, DeviceRecord>();
  readonly #addresses = new Map<string, Address>();
  readonly #claims = new Map<string, string>();
  readonly #names = new Map<string, string>();
  readonly #guestCodes = new Map<string, Host>();
  readonly #dialling = new Map<string, { readonly secret: string; readonly digits: string; readonly name: string; done?: (enrolled: Json) => void }>();
  /** A node of an earlier version: no devices' own addresses, no claims. */
  old = false;
  /** Contents that were posted, for tests that look at what went over the wire. */
  readonly posted: Json[] = [];
  url = "";

  constructor() {
    this.#server = createServer((request, answer) => void this.#http(request, answer));
    this.#server.on("upgrade", (request, socket, head) => {
      const token = /bearer\.([^,\s]+)/.exec(request.headers["sec-websocket-protocol"] ?? "")?.[1];
      const device = [...this.#devices.values()].find((known) => known.token === token);
      if (device === undefined) return socket.end("HTTP/1.1 401 Unauthorized\r\n\r\n");
      this.#sockets.handleUpgrade(request, socket, head, (opened) => this.#attach(device, opened));
    });
  }

  async start(host = "127.0.0.1"): Promise<void> {
    await new Promise<void>((done) => this.#server.listen(0, host, done));
    this.url = `http://${host}:${(this.#server.address() as AddressInfo).port}/`;
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  /** A link that enrols a device of a number. */
  link(number: string, name: string): string {
    this.#names.set(number, name);
    return `${this.url}client/#enrol=${this.#code(number)}`;
  }

  /** The phone of a number dials the digits that a page shows: whether it hears that it worked. */
  dial(number: string, name: string, dialled: string): boolean {
    this.#names.set(number, name);
    const [id, page] = [...this.#dialling].find(([, { digits }]) => digits === dialled) ?? [];
    if (id === undefined || page?.done === undefined) return false;
    this.#dialling.delete(id);
    page.done({ state: "enrolled", ...this.#newDevice(number, page.name) });
    return true;
  }

  connected(number: string): number {
    return this.#of(number).filter(({ sockets }) => sockets.size > 0).length;
  }

  ring(call: string, first: string, second: string): void {
    this.#send(first, { call, type: "ringing", role: "first", peer: this.#person(second) });
    this.#send(second, { call, type: "ringing", role: "second", peer: this.#person(first) });
  }

  /** A number talks with somebody without a client. */
  answered(call: string, number: string, role: string, other: string): void {
    this.#send(number, { call, type: "answered", role, peer: this.#person(other) }, true);
  }

  /** The call is over for a number. */
  over(call: string, number: string): void {
    this.#send(number, { call, type: "over" }, true);
  }

  missed(call: string, first: string, second: string): void {
    const at = Date.now();
    this.#send(first, { call, type: "missed", role: "first", peer: this.#person(second), at });
    this.#send(second, { call, type: "missed", role: "second", peer: this.#person(first), at });
  }

  /** Two numbers talk. */
  pair(call: string, first: string, second: string): void {
    this.#tell(call, "first", first, second);
    this.#tell(call, "second", second, first);
  }

  /** They no longer do. */
  part(call: string, a: string, b: string): void {
    this.#send(a, { call, type: "ended", number: b });
    this.#send(b, { call, type: "ended", number: a });
  }

  /** The call's addresses are no longer there. */
  forget(call: string): void {
    for (const [token, address] of this.#addresses) if (address.call === call) this.#addresses.delete(token);
  }

  /** Cuts the streams of a number; its clients come back. */
  cut(number: string): void {
    for (const { sockets } of this.#of(number)) sockets.forEach((socket) => socket.terminate());
  }

  revoke(number: string): void {
    this.#of(number).forEach((device) => this.#remove(device));
  }

  /** A message that a stranger's client posts. */
  post(call: string, number: string, content: Json): void {
    this.#send(number, { call, type: "message", content }, content["ephemeral"] === true);
  }

  #code(number: string): string {
    const code = randomBytes(8).toString("hex");
    this.#codes.set(code, number);
    return code;
  }

  #remove(device: DeviceRecord): void {
    this.#devices.delete(device.id);
    device.sockets.forEach((socket) => socket.close(1008));
  }

  #view({ id, number, name, sockets }: DeviceRecord): Json {
    return { id, number, name, enrolled: 0, connected: sockets.size > 0 };
  }

  #of(number: string): DeviceRecord[] {
    return [...this.#devices.values()].filter((device) => device.number === number);
  }

  #person(number: string): Json {
    return { number, name: this.#names.get(number) };
  }

  #address(call: string, number: string, client?: string, guest?: string): string {
    const same = (a: Address) => a.call === call && a.number === number && a.client === client && a.guest === guest;
    const known = [...this.#addresses].find(([, address]) => same(address));
    const token = known?.[0] ?? randomBytes(16).toString("hex");
    this.#addresses.set(token, { call, number, ...(client !== undefined && { client }), ...(guest !== undefined && { guest }) });
    return `${this.url}a/${token}`;
  }

  #tell(call: string, role: string, to: string, about: string): void {
    const peer = { ...this.#person(about), address: this.#address(call, about), capabilities: ["text", "video", "screen", "audio", "files"] };
    for (const device of this.#of(to)) {
      this.#deliver(device, { call, type: "peer", role, peer, ...(!this.old && { reply: this.#address(call, to, device.client) }) });
    }
  }

  #send(number: string, message: Json, ephemeral = false): number {
    const reached = this.#of(number).map((device) => this.#deliver(device, message, ephemeral));
    return reached.filter(Boolean).length;
  }

  #deliver(device: DeviceRecord, body: Json, ephemeral = false): boolean {
    const message = { id: randomBytes(8).toString("hex"), ...body };
    if (!ephemeral) device.pending.set(message.id, message);
    device.sockets.forEach((socket) => socket.send(JSON.stringify(message)));
    return device.sockets.size > 0;
  }

  #attach(device: DeviceRecord, socket: WebSocket): void {
    device.sockets.add(socket);
    socket.on("close", () => device.sockets.delete(socket));
    if (device.greeting !== undefined) socket.send(JSON.stringify(device.greeting));
    socket.on("message", (data) => device.pending.delete(String((JSON.parse(String(data)) as Json)["ack"])));
    device.pending.forEach((message) => socket.send(JSON.stringify(message)));
  }

  async #http(request: IncomingMessage, answer: ServerResponse): Promise<void> {
    const path = new URL(request.url ?? "/", this.url).pathname;
    answer.setHeader("access-control-allow-origin", "*");
    answer.setHeader("access-control-allow-headers", "content-type");
    if (request.method === "OPTIONS") return void answer.writeHead(204).end();
    if (path === "/j") return this.#file("guest.html", answer);
    if (path.startsWith("/client/")) return this.#file(path.slice("/client/".length) || "index.html", answer);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = chunks.length === 0 ? {} : (JSON.parse(Buffer.concat(chunks).toString()) as Json);
    const dialling = this.#dialling.get(/^\/v1\/dialled-enrolments\/(\w+)$/.exec(path)?.[1] ?? "");
    if (dialling !== undefined && request.headers.authorization === `Bearer ${dialling.secret}`) {
      const enrolled = await new Promise<Json>((done) => (dialling.done = done));
      return void answer.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(enrolled));
    }
    const [status, json] = this.#answer(`${request.method} ${path}`, body, request.headers.authorization ?? "");
    answer.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(json));
  }

  #file(name: string, answer: ServerResponse): void {
    const path = `${process.cwd()}/dist/${name}`;
    if (!/^[\w.-]+$/.test(name) || !existsSync(path)) return void answer.writeHead(404).end();
    const type = TYPES[name.split(".").at(-1) ?? ""] ?? "application/manifest+json";
    answer.writeHead(200, { "content-type": type, "content-security-policy": CSP }).end(readFileSync(path));
  }

  #answer(route: string, body: Json, authorization: string): [number, Json] {
    const device = [...this.#devices.values()].find(({ token }) => authorization === `Bearer ${token}`);
    const address = this.#addresses.get(/^\w+ \/a\/(\w+)$/.exec(route)?.[1] ?? "");
    if (/ \/a\/\w+\/ice$/.test(route)) return [200, { iceServers: [], expires: Date.now() + 43_200_000 }];
    if (/ \/a\//.test(route)) return address === undefined ? [404, {}] : this.#inbox(route, address, body, device);
    if (route === "POST /v1/devices") return this.#enrol(body);
    if (route === "POST /v1/guests") return this.#join(body);
    if (route === "POST /v1/dialled-enrolments" && !this.old) return [201, this.#showCode(String(body["name"]))];
    if (route === "POST /v1/dialled-enrolments") return [404, {}];
    if (device === undefined) return [401, {}];
    const host = /^POST \/v1\/calls\/([^/]+)\/guests$/.exec(route)?.[1];
    if (host !== undefined) return this.#inviteGuests({ call: host, device });
    const visited = /^GET \/v1\/calls\/([^/]+)\/guests$/.exec(route)?.[1];
    if (visited !== undefined) return [200, { role: "second", guests: this.#guestsOf(visited) }];
    const guest = /^DELETE \/v1\/guests\/([\w-]+)$/.exec(route)?.[1];
    if (guest !== undefined) return this.#removeGuest(this.#devices.get(guest));
    if (route === "DELETE /v1/guests") return this.#removeGuest(device);
    const call = /^POST \/v1\/calls\/([^/]+)\/claims$/.exec(route)?.[1];
    if (call !== undefined && !this.old) return this.#claim(device, call, body);
    if (route === "POST /v1/clients") return [201, { id: device.client, number: device.number }];
    if (route === "GET /v1/ice") return [200, { iceServers: [], expires: Date.now() + 43_200_000 }];
    if (route === "GET /v1/devices") return [200, { devices: this.#of(device.number).map((other) => this.#view(other)) }];
    if (route === `POST /v1/numbers/${encodeURIComponent(device.number)}/enrolments`) return [201, { code: this.#code(device.number) }];
    const removed = this.#devices.get(/^DELETE \/v1\/devices\/(\w+)$/.exec(route)?.[1] ?? "");
    if (removed?.number !== device.number) return [404, {}];
    this.#remove(removed);
    return [200, {}];
  }

  #enrol({ code, name }: Json): [number, Json] {
    const number = this.#codes.get(String(code));
    if (number === undefined) return [404, {}];
    this.#codes.delete(String(code));
    return [201, this.#newDevice(number, String(name))];
  }

  #showCode(name: string): Json {
    const [id, secret] = [randomBytes(8).toString("hex"), randomBytes(16).toString("hex")];
    const digits = `*7433${String(this.#dialling.size + 123_456)}`;
    this.#dialling.set(id, { secret, digits, name });
    return { id, secret, dial: digits, expires: Date.now() + 120_000 };
  }

  #newDevice(number: string, name: string): Json {
    const id = randomBytes(8).toString("hex");
    const token = randomBytes(16).toString("hex");
    this.#devices.set(id, { id, number, name, token, client: `c-${id}`, sockets: new Set(), pending: new Map() });
    return { device: { id, number, name, enrolled: Date.now(), connected: false }, token };
  }

  #inviteGuests(host: Host): [number, Json] {
    const code = String(100_000 + this.#guestCodes.size);
    this.#guestCodes.set(code, host);
    return [201, { code, link: `${this.url}j`, expires: Date.now() + 600_000 }];
  }

  /** A guest is a device whose number nobody else has. */
  #join({ code, name, capabilities }: Json): [number, Json] {
    if (!/^[^\p{C}]{1,64}$/u.test(String(name)) || String(name).trim() === "") return [422, { field: "name" }];
    const host = this.#guestCodes.get(String(code).replace(/\D/g, ""));
    if (host === undefined) return [404, {}];
    const { call, device } = host;
    const [id, token] = [`g-${randomBytes(8).toString("hex")}`, randomBytes(16).toString("hex")];
    const [own, theirs] = [this.#address(call, id), this.#address(call, device.number, device.client, id)];
    const peer = { name: this.#names.get(device.number), address: theirs, capabilities: ["text", "video", "screen", "audio", "files"] };
    const greeting = { id: `${id}-peer`, call, type: "peer", role: "first", peer, reply: own };
    this.#devices.set(id, { id, number: id, name: String(name), token, client: id, sockets: new Set(), pending: new Map(), greeting, host: device });
    const guest = { id, name, address: own, capabilities };
    this.#deliver(device, { call, type: "guest", role: "second", guest, reply: this.#address(call, device.number, device.client) }, true);
    return [201, { call, role: "first", token, address: own, peer }];
  }

  #guestsOf(call: string): Json[] {
    const guests = [...this.#devices.values()].filter(({ greeting }) => greeting?.["call"] === call);
    return guests.map(({ id, name }) => ({ id, name, address: this.#address(call, id), capabilities: [] }));
  }

  #removeGuest(guest: DeviceRecord | undefined): [number, Json] {
    if (guest?.host === undefined) return [404, {}];
    const { id, host, greeting } = guest;
    this.#remove(guest);
    for (const [token, address] of this.#addresses) if (address.number === id || address.guest === id) this.#addresses.delete(token);
    this.#deliver(host, { call: greeting?.["call"], type: "guest-left", guest: id }, true);
    return [200, {}];
  }

  #inbox(route: string, address: Address, body: Json, from: DeviceRecord | undefined): [number, Json] {
    if (!route.startsWith("POST")) return [200, {}];
    this.posted.push(body);
    const ephemeral = body["ephemeral"] === true;
    const { call, guest } = address;
    const devices = this.#of(address.number).filter(({ client }) => address.client === undefined || client === address.client);
    // A guest writes with the host alone.
    const several = !this.old && devices.every(({ host }) => host === undefined);
    const named = several && guest === undefined && from !== undefined && from.number !== address.number;
    const by = guest === undefined ? named && { sender: this.#address(call, from.number) } : { guest };
    const message = { call, type: "message", content: body, ...by };
    const reached = devices.filter((device) => this.#deliver(device, message, ephemeral));
    return [202, { clients: ephemeral ? reached.length : devices.length }];
  }

  #claim(device: DeviceRecord, call: string, { invitation }: Json): [number, Json] {
    const key = `${call} ${device.number} ${String(invitation)}`;
    const winner = this.#claims.get(key) ?? device.client;
    if (!this.#claims.has(key)) {
      this.#claims.set(key, winner);
      this.#send(device.number, { call, type: "taken", invitation, client: winner }, true);
    }
    return [200, { client: winner, won: winner === device.client }];
  }
}
