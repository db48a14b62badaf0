// The first load of the page, by a browser that has nothing of it yet: what is transferred, and when it can be used.
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { quantile, Setting } from "./setting.ts";

const LOADS = 20;

let setting: Setting;

before(async () => {
  setting = await Setting.start();
});
after(() => setting.stop());

interface Load {
  readonly transferred: number;
  /** Bytes of the contents, if the node compressed them. */
  readonly compressed: number;
  /** Milliseconds from the beginning until there is a button to press. */
  readonly usable: number;
}

async function load(): Promise<Load> {
  const context = await setting.browser.newContext({ locale: "en-GB" });
  const page = await context.newPage();
  await page.addInitScript(() => {
    const observer = new MutationObserver(() => {
      if (document.querySelector("button") === null) return;
      Object.assign(globalThis, { usable: performance.now() });
      observer.disconnect();
    });
    observer.observe(document, { childList: true, subtree: true });
  });
  const session = await context.newCDPSession(page);
  await session.send("Network.enable");
  let transferred = 0;
  session.on("Network.loadingFinished", ({ encodedDataLength }) => (transferred += encodedDataLength));
  const contents: Promise<Buffer>[] = [];
  page.on("response", (response) => contents.push(response.body().catch(() => Buffer.alloc(0))));
  await page.goto(`${setting.program.url}client/`);
  // What is not needed at once comes a little later.
  await page.waitForTimeout(500);
  const usable = await page.evaluate(() => (globalThis as unknown as { usable: number }).usable);
  const compressed = (await Promise.all(contents)).reduce((sum, content) => sum + gzipSync(content).length, 0);
  await context.close();
  return { transferred, compressed, usable };
}

test("first load", { timeout: 600_000 }, async () => {
  const loads: Load[] = [];
  for (let n = 0; n < LOADS; n += 1) loads.push(await load());
  const kB = (bytes: number) => `${Math.round(bytes / 1000)} kB`;
  const { transferred, compressed } = loads[0]!;
  const usable = loads.map((load) => load.usable);
  const [p50, p90] = [quantile(usable, 0.5), quantile(usable, 0.9)].map(Math.round);
  console.log(`first load: ${kB(transferred)} transferred, ${kB(compressed)} if compressed (gzip); usable after p50 ${p50} ms, p90 ${p90} ms, ${LOADS} loads`);
});
