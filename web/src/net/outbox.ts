// Posts to call-scoped addresses: in order for each address, kept messages again until they arrive.
import { backoff } from "../core/backoff.ts";
import { integer, object } from "../core/json.ts";

/** How many clients a message reached, or why it did not arrive. */
export type Posted = number | "gone" | "refused" | "unreachable";

/** The own node, with a slash at its end, and the token by which it knows this client. A guest has none: the address says who posts. */
export interface Home {
  readonly node: string;
  readonly token?: string;
}

const ATTEMPTS = 6;
const TIMEOUT = 10_000;
/** Bytes that a node takes. */
const BODY_MAX = 64 * 1024;

export class Outbox {
  readonly #home: Home;
  readonly #queues = new Map<string, Promise<unknown>>();

  /** The own node gets the token with each post, and tells the receiver who has sent it. */
  constructor(home: Home) {
    this.#home = home;
  }

  /** Sends a message after all earlier ones to the same address. Ephemeral ones are tried twice, in case of a rate limit. */
  post(address: string, content: object): Promise<Posted> {
    const body = JSON.stringify(content);
    if (new TextEncoder().encode(body).length > BODY_MAX) return Promise.resolve("refused");
    const attempts = "ephemeral" in content ? 2 : ATTEMPTS;
    const token = isOwn(this.#home.node, address) ? this.#home.token : undefined;
    const sent = (this.#queues.get(address) ?? Promise.resolve()).then(() => send(address, body, token, attempts));
    this.#queues.set(address, sent);
    void sent.then(() => {
      if (this.#queues.get(address) === sent) this.#queues.delete(address);
    });
    return sent;
  }
}

/** Whether an address is one of this node's. Nobody else may see the token, neither on another host nor elsewhere on this one. */
function isOwn(node: string, address: string): boolean {
  const [own, { href }] = [new URL("a/", node).href, new URL(address)];
  // What a proxy might decode could lead to something else on this host.
  return href.startsWith(own) && /^[\w-]+$/.test(href.slice(own.length));
}

async function send(address: string, body: string, token: string | undefined, attempts: number): Promise<Posted> {
  for (let attempt = 0; ; attempt += 1) {
    const posted = await once(address, body, token);
    if (posted !== "again") return posted;
    if (attempt + 1 >= attempts) return "unreachable";
    await new Promise((done) => setTimeout(done, backoff(attempt, Math.random())));
  }
}

async function once(address: string, body: string, token: string | undefined): Promise<Posted | "again"> {
  try {
    const headers: Record<string, string> = { "content-type": "application/json" };
    const signal = AbortSignal.timeout(TIMEOUT);
    const options: RequestInit = { method: "POST", headers, body, signal, credentials: "omit", referrerPolicy: "no-referrer" };
    if (token !== undefined) {
      headers["authorization"] = `Bearer ${token}`;
      // It could lead to another host.
      options.redirect = "error";
    }
    const answer = await fetch(address, options);
    if (answer.ok) return integer(object(await answer.json().catch(() => undefined))?.["clients"], 10_000) ?? 1;
    if (answer.status === 404 || answer.status === 410) return "gone";
    return answer.status === 429 || answer.status >= 500 ? "again" : "refused";
  } catch {
    return "again";
  }
}

/** A message that cannot wait, as the page is being left. */
export function postAtOnce(address: string, content: object): void {
  const headers = { "content-type": "application/json" };
  void fetch(address, { method: "POST", headers, body: JSON.stringify(content), keepalive: true }).catch(() => undefined);
}

/** Whether an address is still alive; yes, if its node cannot be asked. */
export async function isAlive(address: string): Promise<boolean> {
  const options: RequestInit = { signal: AbortSignal.timeout(TIMEOUT), credentials: "omit", cache: "no-store" };
  const answer = await fetch(address, options).catch(() => undefined);
  return answer === undefined || (answer.status !== 404 && answer.status !== 410);
}
