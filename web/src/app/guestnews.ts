// Tells the others in a call who is there as a guest of this device.
import type { Call } from "../core/calls.ts";
import { keyOf, present } from "../core/people.ts";

export class GuestNews {
  readonly #post: (address: string, content: object) => Promise<unknown>;
  /** What was told last, by address. */
  readonly #told = new Map<string, string>();

  constructor(post: (address: string, content: object) => Promise<unknown>) {
    this.#post = post;
  }

  /**
   * Tells those who do not know it yet; and everybody again when another one comes or leaves, for whom a guest of somebody who has
   * left is gone, if they are not told whose it is. Guests are told nothing of each other.
   */
  tell(call: Call): void {
    // What an earlier page of this device told is not known here: whoever had guests says when the last one has gone.
    if (!call.parties.some(({ guest }) => guest !== undefined)) return;
    const here = present(call);
    const guests = here.flatMap(({ guest, name }) => (guest === undefined ? [] : [{ id: guest, name }]));
    const text = `Guests: ${guests.map(({ name }) => name).join(", ") || "–"}`;
    const others = here.filter(({ guest }) => guest === undefined);
    const told = JSON.stringify([guests, guests.length === 0 ? [] : others.map(keyOf)]);
    for (const { address } of others) {
      if (address === undefined || this.#told.get(address) === told) continue;
      this.#told.set(address, told);
      void this.#send(address, { type: "guests", guests, text }, told);
    }
  }

  /** What did not arrive is told again at the next change. */
  async #send(address: string, news: object, told: string): Promise<void> {
    const posted = await this.#post(address, news).catch(() => "unreachable");
    if (typeof posted !== "number" && this.#told.get(address) === told) this.#told.delete(address);
  }
}
