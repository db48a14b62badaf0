// Signing in by dialling, with a node that answers by hand.
import assert from "node:assert/strict";
import { afterEach, mock, test } from "node:test";
import { PhoneSignIn } from "../../src/app/phonesignin.ts";
import { type Api, ApiError, type Device, type DialCode } from "../../src/net/api.ts";
import { settle } from "../double/browser.ts";

mock.timers.enable({ apis: ["setTimeout"] });
const page = Object.assign(new EventTarget(), { hidden: false });
Object.assign(globalThis, { document: page });

const DEVICE: Device = { id: "d1", number: "1001", token: "token", name: "Desk" };

/** A node whose answers the test gives, and what the page shows. */
class Desk {
  readonly shown: (string | undefined)[] = [];
  readonly enrolled: Device[] = [];
  readonly asked: string[] = [];
  codes = 0;
  /** Answers the request that waits: with the device, with nothing yet, or with a failure. */
  answer: (device: Device | undefined | ApiError) => void = () => undefined;
  readonly signIn: PhoneSignIn;

  /** `refusal` is what the node says to everybody who asks for a code. */
  constructor(refusal?: ApiError) {
    const dialCode = async (name: string): Promise<DialCode> => {
      this.asked.push(name);
      if (refusal !== undefined) throw refusal;
      this.codes += 1;
      return { id: `e${this.codes}`, secret: "secret", dial: `*743300000${this.codes}` };
    };
    const dialled = (code: DialCode): Promise<Device | undefined> => {
      this.asked.push(code.id);
      return new Promise((done, fail) => {
        this.answer = (answer) => (answer instanceof ApiError ? fail(answer) : done(answer));
      });
    };
    this.signIn = new PhoneSignIn({ dialCode, dialled } as Partial<Api> as Api, () => "Desk", {
      dial: (digits) => this.shown.push(digits),
      enrolled: (device) => this.enrolled.push(device),
    });
    void this.signIn.run();
  }
}

let desk: Desk;
afterEach(() => {
  desk.signIn.stop();
  page.hidden = false;
});

test("a page asks until its code is dialled, and is signed in", async () => {
  desk = new Desk();
  await settle();
  desk.answer(undefined);
  await settle();
  assert.deepEqual([desk.shown, desk.asked], [["*7433000001"], ["Desk", "e1", "e1"]]);
  desk.answer(DEVICE);
  await settle();
  assert.deepEqual(desk.enrolled, [DEVICE]);
  assert.equal(desk.codes, 1);
});

test("a code that has expired is replaced by another", async () => {
  desk = new Desk();
  await settle();
  desk.answer(new ApiError("absent"));
  await settle();
  assert.deepEqual(desk.shown, ["*7433000001", "*7433000002"]);
});

test("a request that is lost is repeated for the same code", async () => {
  desk = new Desk();
  await settle();
  desk.answer(new ApiError("unreachable"));
  await settle();
  mock.timers.tick(1000);
  await settle();
  assert.deepEqual([desk.codes, desk.asked], [1, ["Desk", "e1", "e1"]]);
});

test("nothing is shown where nobody is enrolled by dialling, and nothing is asked again", async () => {
  desk = new Desk(new ApiError("absent"));
  await settle();
  mock.timers.tick(60_000);
  await settle();
  assert.deepEqual([desk.shown, desk.asked], [[undefined], ["Desk"]]);
});

test("a page that nobody sees takes no code until somebody does", async () => {
  page.hidden = true;
  desk = new Desk();
  await settle();
  assert.equal(desk.codes, 0);
  page.hidden = false;
  page.dispatchEvent(new Event("visibilitychange"));
  await settle();
  assert.equal(desk.codes, 1);
});

test("a page that was signed in with a code is not signed in by a phone too", async () => {
  desk = new Desk();
  await settle();
  desk.signIn.stop();
  desk.answer(DEVICE);
  await settle();
  assert.deepEqual([desk.enrolled, desk.codes], [[], 1]);
});
