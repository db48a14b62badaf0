// The real program: `sidecall node` with a database of its own, and calls as an agent would report them.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { until } from "../browser/people.ts";
import { freePort } from "./ports.ts";

type Json = Record<string, unknown>;

const ADMIN = "admin-token-of-the-tests-0123456789";
const AGENT = "agent-token-of-the-tests-0123456789";

export class Program {
  readonly #folder = mkdtempSync(`${tmpdir()}/sidecall-node-`);
  readonly #calls = new Map<string, { readonly id: string; seq: number }>();
  #process: ChildProcess | undefined;
  url = "";

  /** Starts the binary. `ice` is what its configuration has in `[node.ice]`. */
  async start(binary: string, ice = ""): Promise<void> {
    const port = await freePort();
    this.url = `http://127.0.0.1:${port}/`;
    writeFileSync(`${this.#folder}/admin.token`, ADMIN, { mode: 0o600 });
    writeFileSync(`${this.#folder}/agent.token`, AGENT, { mode: 0o600 });
    writeFileSync(
      `${this.#folder}/sidecall.toml`,
      `[node]
listen = "127.0.0.1:${port}"
database = "${this.#folder}/sidecall.db"
admin_token_file = "${this.#folder}/admin.token"
agent_token_file = "${this.#folder}/agent.token"
[node.ice]
${ice}
`,
    );
    this.#process = spawn(binary, ["--config", `${this.#folder}/sidecall.toml`, "node"], { stdio: ["ignore", "inherit", "inherit"] });
    const ready = async () => (await fetch(`${this.url}readyz`).catch(() => undefined))?.ok === true;
    await until(ready, "the node is ready");
  }

  get pid(): number {
    return this.#process!.pid!;
  }

  async stop(): Promise<void> {
    const ended = new Promise((done) => this.#process?.once("exit", done));
    this.#process?.kill();
    await ended;
    rmSync(this.#folder, { recursive: true });
  }

  /** A link that enrols a device of a number. */
  async link(number: string, name: string): Promise<string> {
    const path = `v1/numbers/${encodeURIComponent(number)}`;
    await this.#ask("PUT", path, ADMIN, { name });
    const { code } = await this.#ask("POST", `${path}/enrolments`, ADMIN, {});
    return `${this.url}client/#enrol=${String(code)}`;
  }

  async connected(number: string): Promise<number> {
    const answer = await this.#ask("GET", `v1/devices?number=${encodeURIComponent(number)}`, ADMIN);
    return (answer["devices"] as Json[]).filter((device) => device["connected"] === true).length;
  }

  /** A call between two phones of one PBX, which is answered. */
  async pair(call: string, first: string, second: string): Promise<void> {
    await this.dial(call, first, second);
    await this.answer(call);
  }

  /** A phone of a PBX dials the number of another one. */
  async dial(call: string, first: string, second: string): Promise<void> {
    const request = { pbx: "pbx-a", leg: `${call}-1`, calling: first, called: second, side: "originating" };
    const { call: id } = await this.#ask("POST", "v1/calls", AGENT, request);
    this.#calls.set(call, { id: String(id), seq: 0 });
  }

  /** The other phone answers. */
  async answer(call: string): Promise<void> {
    await this.#report(call, { event: "dialled", leg: `${call}-2` }, { event: "answered", leg: `${call}-2` }, this.#bridge(call, "bridged"));
  }

  /** They hang up. */
  async part(call: string): Promise<void> {
    const over = [1, 2].map((leg) => ({ event: "ended", leg: `${call}-${leg}`, cause: "NORMAL_CLEARING" }));
    await this.#report(call, this.#bridge(call, "unbridged"), ...over);
  }

  #bridge(call: string, event: string): Json {
    return { event, legs: [`${call}-1`, `${call}-2`] };
  }

  async #report(call: string, ...events: Json[]): Promise<void> {
    const known = this.#calls.get(call)!;
    const reports = events.map((event) => ({ seq: (known.seq += 1), at: Date.now(), ...event }));
    await this.#ask("POST", `v1/calls/${known.id}/events`, AGENT, { events: reports });
  }

  async #ask(method: string, path: string, token: string, body?: Json): Promise<Json> {
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const answer = await fetch(this.url + path, { method, headers, ...(body && { body: JSON.stringify(body) }) });
    const json = (await answer.json().catch(() => ({}))) as Json;
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(json)}`);
    return json;
  }
}
