// Ticks once a second, and says so when the machine has slept.

/** Milliseconds without a tick after which the machine must have slept. Tabs in the background tick once a minute. */
const ASLEEP = 90_000;

export function everySecond(tick: (slept: boolean) => void): void {
  let before = Date.now();
  setInterval(() => {
    const now = Date.now();
    const slept = now - before > ASLEEP;
    before = now;
    tick(slept);
  }, 1000);
}
