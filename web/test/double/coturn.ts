// A real TURN server: coturn on loopback, with a configuration of its own.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { until } from "../browser/people.ts";
import { freePort } from "./ports.ts";

const BINARY = "turnserver";

/** Whether this machine has coturn. */
export function hasCoturn(): boolean {
  return spawnSync(BINARY, ["--version"]).error === undefined;
}

export class Coturn {
  readonly #folder = mkdtempSync(`${tmpdir()}/sidecall-coturn-`);
  #process: ChildProcess | undefined;
  #port = 0;

  /** Takes credentials that are made with this secret. */
  async start(secret: string): Promise<void> {
    this.#port = await freePort();
    writeFileSync(
      `${this.#folder}/turnserver.conf`,
      `use-auth-secret
static-auth-secret=${secret}
realm=turn.test
listening-ip=127.0.0.1
relay-ip=127.0.0.1
listening-port=${this.#port}
allow-loopback-peers
no-cli
no-tls
no-dtls
userdb=${this.#folder}/turndb
pidfile=${this.#folder}/pid
log-file=${this.#folder}/log
simple-log
`,
    );
    this.#process = spawn(BINARY, ["-c", `${this.#folder}/turnserver.conf`], { stdio: "ignore" });
    await until(() => listens(this.#port), "coturn listens");
  }

  /** Where it is, as a TURN URI. */
  get uri(): string {
    return `turn:127.0.0.1:${this.#port}?transport=udp`;
  }

  async stop(): Promise<void> {
    const ended = new Promise((done) => this.#process?.once("exit", done));
    this.#process?.kill();
    await ended;
    rmSync(this.#folder, { recursive: true });
  }
}

function listens(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(port, "127.0.0.1", () => done(socket.destroy() !== undefined));
    socket.on("error", () => done(false));
  });
}
