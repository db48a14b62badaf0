// Random identifiers.
import { hex } from "../core/sha256.ts";

/** 128 random bits in hexadecimal digits. */
export function randomHex(): string {
  return hex(crypto.getRandomValues(new Uint8Array(16)));
}
