// People with the client in a real browser, for the tests.
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";

const ARGUMENTS = [
  "--use-fake-device-for-media-stream",
  "--use-fake-ui-for-media-stream",
  "--auto-select-desktop-capture-source=Entire screen",
  "--disable-features=WebRtcHideLocalIpsWithMdns",
];

/** Starts the browser. `origin` is an http origin to trust as if it were local. */
export function launch(executablePath = "/usr/bin/chromium", origin = ""): Promise<Browser> {
  const args = origin === "" ? ARGUMENTS : [...ARGUMENTS, `--unsafely-treat-insecure-origin-as-secure=${origin}`];
  return chromium.launch({ executablePath, args, chromiumSandbox: false });
}

export interface Viewport {
  readonly width: number;
  readonly height: number;
}

/** A node that enrols devices. */
export interface Enrols {
  link(number: string, name: string): string | Promise<string>;
  connected(number: string): number | Promise<number>;
}

/** Somebody with a browser of their own. */
export class Someone {
  readonly context: BrowserContext;
  readonly page: Page;
  /** What the page complained of. */
  readonly complaints: string[] = [];

  private constructor(context: BrowserContext, page: Page) {
    this.context = context;
    this.page = page;
    page.on("pageerror", (error) => this.complaints.push(String(error)));
    page.on("console", (message) => {
      const text = message.text();
      if (message.type() === "error" && !text.includes("Failed to load resource")) this.complaints.push(text);
    });
  }

  /** Enrols a device of this number. */
  static async enrol(browser: Browser, node: Enrols, number: string, name: string, options: object = {}): Promise<Someone> {
    const context = await browser.newContext({ acceptDownloads: true, locale: "en-GB", ...options });
    await context.addInitScript(() => {
      const made: RTCPeerConnection[] = [];
      Object.assign(globalThis, { connections: made });
      const Original = RTCPeerConnection;
      globalThis.RTCPeerConnection = class extends Original {
        constructor(configuration?: RTCConfiguration) {
          super(configuration);
          made.push(this);
        }
      } as typeof RTCPeerConnection;
    });
    const page = await context.newPage();
    const someone = new Someone(context, page);
    const link = await node.link(number, name);
    const before = await node.connected(number);
    await page.goto(link);
    await until(async () => (await node.connected(number)) > before, `${name} is connected`);
    return someone;
  }

  /** From now on this person is not asked. */
  async acceptsEverything(): Promise<void> {
    await this.click("Settings");
    await this.page.getByLabel("Accept video, screens").check();
    await this.page.getByLabel("Accept files without asking").check();
    await this.click("Close");
  }

  async click(name: string): Promise<void> {
    await this.page.getByRole("button", { name, exact: true }).click();
  }

  async sees(text: string, timeout = 15_000): Promise<void> {
    await this.page.getByText(text, { exact: false }).first().waitFor({ timeout });
  }

  async write(text: string): Promise<void> {
    await this.page.getByLabel("Write a message").fill(text);
    await this.page.keyboard.press("Enter");
  }

  /** Waits until a picture with this label has shown `frames` more frames, and gives its size. */
  async watches(label: string, frames = 5): Promise<{ width: number; height: number }> {
    return this.page.evaluate(
      async ([label, frames]) => {
        const deadline = Date.now() + 20_000;
        const find = () => document.querySelector<HTMLVideoElement>(`video[aria-label="${label}"]`);
        const count = () => find()?.getVideoPlaybackQuality().totalVideoFrames ?? 0;
        while (find() === null && Date.now() < deadline) await new Promise((done) => setTimeout(done, 50));
        const before = count();
        while (count() < before + frames) {
          if (Date.now() > deadline) throw new Error(`${label}: ${count() - before} frames`);
          await new Promise((done) => setTimeout(done, 50));
        }
        return { width: find()!.videoWidth, height: find()!.videoHeight };
      },
      [label, frames] as const,
    );
  }

  /** The connection breaks as if the process had died. */
  async breakConnections(): Promise<void> {
    await this.page.evaluate(() => {
      const { connections } = globalThis as unknown as { connections: RTCPeerConnection[] };
      connections.forEach((connection) => connection.close());
    });
  }
}

export async function until(done: () => boolean | Promise<boolean>, what: string, timeout = 20_000): Promise<void> {
  const deadline = Date.now() + timeout;
  while (!(await done())) {
    if (Date.now() > deadline) throw new Error(`not in time: ${what}`);
    await new Promise((next) => setTimeout(next, 50));
  }
}

/** Alice offers her camera to Bob's two devices: the second accepts first, and the other one takes over. */
export async function takeOver(alice: Someone, bob: Someone, second: Someone): Promise<void> {
  await alice.click("Camera");
  await bob.sees("would like to show you a camera");
  await second.sees("would like to show you a camera");
  await second.click("Accept");
  await bob.sees("Taken on another device");
  await second.watches("Camera of Alice Archer");
  await bob.click("Continue here");
  await alice.sees("Bob Baker would like to continue on another device");
  await alice.click("Accept");
  await bob.watches("Camera of Alice Archer");
  await second.page.locator("video").waitFor({ state: "detached" });
}
