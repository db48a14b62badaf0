// How to connect to others: the servers that help, and whether all media has to be relayed.
import { backoff } from "../core/backoff.ts";
import type { Access } from "../net/access.ts";
import { ApiError } from "../net/api.ts";

/**
 * Asks the node until it answers: a connection that is made without its answer could show others an address that they must not
 * learn. Fails once it is no longer wanted.
 */
export async function iceConfiguration(access: Access, wanted: () => boolean): Promise<RTCConfiguration> {
  for (let attempt = 0; wanted(); attempt += 1) {
    try {
      return await access.ice();
    } catch (error) {
      // A node of an earlier version has no servers.
      if (error instanceof ApiError && error.failure === "absent") return {};
    }
    await new Promise((done) => setTimeout(done, backoff(attempt, Math.random())));
  }
  throw new Error("no longer wanted");
}
