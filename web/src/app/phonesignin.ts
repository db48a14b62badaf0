// Signing in by dialling: keeps a code on the page until the desk phone has dialled it.
import { backoff } from "../core/backoff.ts";
import { type Api, ApiError, type Device, type DialCode } from "../net/api.ts";

export interface PhoneSignInEvents {
  /** What to dial now; nothing if the page can't be signed in so. */
  dial(digits: string | undefined): void;
  enrolled(device: Device): void;
}

export class PhoneSignIn {
  readonly #api: Api;
  readonly #name: () => string;
  readonly #events: PhoneSignInEvents;
  #over = false;

  /** `name` is what the person calls the device. */
  constructor(api: Api, name: () => string, events: PhoneSignInEvents) {
    this.#api = api;
    this.#name = name;
    this.#events = events;
  }

  stop(): void {
    this.#over = true;
  }

  async run(): Promise<void> {
    for (let failures = 0; !this.#over; ) {
      // A page that nobody sees takes no code.
      await visible();
      try {
        const code = await this.#api.dialCode(this.#name());
        failures = 0;
        if (this.#over) return;
        this.#events.dial(code.dial);
        const device = await this.#answer(code);
        if (this.#over) return;
        if (device !== undefined) return this.#events.enrolled(device);
      } catch (error) {
        this.#events.dial(undefined);
        // A node that enrols nobody by dialling.
        if (error instanceof ApiError && error.failure === "absent") return;
        await pause(backoff(failures, Math.random()));
        failures += 1;
      }
    }
  }

  /** The device, or nothing once the code is of no use any more. */
  async #answer(code: DialCode): Promise<Device | undefined> {
    for (let failures = 0; !this.#over; ) {
      try {
        const device = await this.#api.dialled(code);
        failures = 0;
        if (device !== undefined) return device;
      } catch (error) {
        if (error instanceof ApiError && error.failure !== "unreachable") return undefined;
        await pause(backoff(failures, Math.random()));
        failures += 1;
      }
    }
    return undefined;
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms));
}

function visible(): Promise<void> {
  if (!document.hidden) return Promise.resolve();
  return new Promise((done) => document.addEventListener("visibilitychange", () => done(), { once: true }));
}
