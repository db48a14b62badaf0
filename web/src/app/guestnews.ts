// Tells the others in a call who is there as a guest of this device.
import type { Call } from "../core/calls.ts";
import { present } from "../core/people.ts";

export class GuestNews {
  readonly #post: (address: string, content: object) => Promise<unknown>;
  /** What was told last, by address. */
  readonly #told = new Map<string, string>();

  constructor(post: (address: string, content: object) => Promise<unknown>) {
    this.#post = post;
  }

  /** Tells those who do not know it yet. Guests are told nothing of each other. */
  tell(call: Call): void {
    // What an earlier page of this device told is not known here: whoever had guests says when the last one has gone.
    if (!call.parties.some(({ guest }) => guest !== undefined)) return;
    const here = present(call);
    const guests = here.flatMap(({ guest, name }) => (guest === undefined ? [] : [{ id: guest, name }]));
    const text = `Guests: ${guests.map(({ name }) => name).join(", ") || "–"}`;
    const news = { type: "guests", guests, text };
    for (const { address, guest } of here) {
      const told = JSON.stringify(guests);
      if (address === undefined || guest !== undefined || this.#told.get(address) === told) continue;
      this.#told.set(address, told);
      void this.#post(address, news);
    }
  }
}
