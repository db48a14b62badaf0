// The terminal client of the real program, which receives files as a script reads it.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { networkInterfaces, tmpdir } from "node:os";
import { createInterface } from "node:readline";
import { until } from "../browser/people.ts";

type Event = Record<string, unknown> & { readonly event: string };

export class Terminal {
  readonly #home = mkdtempSync(`${tmpdir()}/sidecall-terminal-`);
  readonly #binary: string;
  #process: ChildProcess;
  /** Where the files go. */
  readonly folder = `${this.#home}/received`;
  readonly events: Event[] = [];

  /** Enrols with the code in a link. */
  constructor(binary: string, link: string) {
    const { origin, hash } = new URL(link);
    mkdirSync(this.folder);
    this.#binary = binary;
    this.#process = this.#start("--node", origin, "--enrol", hash.replace("#enrol=", ""));
  }

  #start(...args: readonly string[]): ChildProcess {
    const receive = ["--receive", this.folder, "--accept-files", "--media-address", ownAddress()];
    const started = spawn(this.#binary, ["client", "--json", ...args, ...receive], {
      stdio: ["pipe", "pipe", "inherit"],
      env: { ...process.env, HOME: this.#home, XDG_CONFIG_HOME: this.#home },
    });
    createInterface({ input: started.stdout! }).on("line", (line) => this.events.push(JSON.parse(line) as Event));
    return started;
  }

  /** The `n`-th event of a kind. */
  async event(kind: string, n = 1): Promise<Event> {
    const all = () => this.events.filter(({ event }) => event === kind);
    await until(() => all().length >= n, `${n} of ${kind} in ${this.events.map(({ event }) => event).join(" ")}`);
    return all()[n - 1]!;
  }

  async stop(): Promise<void> {
    await this.#end("SIGINT");
    rmSync(this.#home, { recursive: true });
  }

  /** Ends at once, in the middle of everything. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Starts again as the same device. */
  again(): void {
    this.#process = this.#start();
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const ended = new Promise((done) => this.#process.once("exit", done));
    this.#process.kill(signal);
    await ended;
  }
}

/** An address that browsers on this machine use, too: they leave the loopback interface out if there is another. */
function ownAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return all.find(({ family, internal }) => family === "IPv4" && !internal)?.address ?? "127.0.0.1";
}
