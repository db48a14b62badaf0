// Four words by which two people make sure, by voice, that nobody is between their devices.
import { digestOf, hex } from "./sha256.ts";
import { WORDS } from "./wordlist.ts";

/** One side's part: its random number and its certificate. */
export interface Proof {
  readonly nonce: string;
  readonly fingerprint: string;
}

/** What the inviter says before it learns the other side's part, so that it cannot choose its own afterwards. */
export function commitment(inviter: Proof): string {
  return hex(digestOf(`${inviter.nonce}|${inviter.fingerprint}`));
}

/** The words, the same on both sides: 44 bits. */
export function fourWords(inviter: Proof, accepter: Proof): string[] {
  const parts = [inviter.nonce, inviter.fingerprint, accepter.nonce, accepter.fingerprint];
  const digest = digestOf(`sidecall-words|${parts.join("|")}`);
  let bits = 0n;
  for (const byte of digest.subarray(0, 6)) bits = (bits << 8n) | BigInt(byte);
  return [37n, 26n, 15n, 4n].map((shift) => WORDS[Number((bits >> shift) & 2047n)]!);
}

/** The certificates that a session description names. All media of a session have the same one. */
export function fingerprintsIn(sdp: string): string[] {
  const lines = sdp.matchAll(/^a=fingerprint:sha-256 ((?:[0-9a-f]{2}:){31}[0-9a-f]{2})\r?$/gim);
  return [...new Set(Array.from(lines, (line) => line[1]!.toUpperCase()))];
}

/** Whether a description is from the holder of this certificate alone. */
export function isFrom(sdp: string, fingerprint: string): boolean {
  const all = sdp.match(/^a=fingerprint:/gim)?.length ?? 0;
  const known = sdp.match(/^a=fingerprint:sha-256 /gim)?.length ?? 0;
  const found = fingerprintsIn(sdp);
  return all === known && found.length === 1 && found[0] === fingerprint;
}
