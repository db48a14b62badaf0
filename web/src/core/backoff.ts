// How long to wait before the next attempt: doubles from 0.5 s to 30 s, with jitter, so that clients of a node that restarts
// do not return all at once.

const FIRST = 500;
const LONGEST = 30_000;

/** Milliseconds before attempt `attempt` (from 0), with `random` from 0 to 1. */
export function backoff(attempt: number, random: number): number {
  const full = Math.min(LONGEST, FIRST * 2 ** Math.min(attempt, 16));
  return Math.round(full * (0.5 + random / 2));
}
