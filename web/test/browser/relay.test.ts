// Media that may only go through a relay: two browsers, the real node, and a real coturn. SIDECALL names the node's binary.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { after, afterEach, before, beforeEach, test } from "node:test";
import type { Browser } from "playwright-core";
import { Coturn, hasCoturn } from "../double/coturn.ts";
import { freePort } from "../double/ports.ts";
import { Program } from "../double/program.ts";
import { MB, pick, save, write } from "./bytes.ts";
import { launch, Someone } from "./people.ts";

const BINARY = process.env["SIDECALL"] || undefined;
const SECRET = "what-coturn-and-the-node-share";
const [ALICE, BOB] = ["+12125550100", "+13105552001"];
const skip = BINARY === undefined || (!hasCoturn() && process.env["CI"] === undefined);

let browser: Browser;
let coturn: Coturn;
let program: Program;
let folder: string;
let people: readonly Someone[] = [];

before(async () => {
  if (skip) return;
  browser = await launch();
  coturn = new Coturn();
  await coturn.start(SECRET);
});
after(async () => {
  await browser?.close();
  await coturn?.stop();
});
beforeEach(() => {
  folder = mkdtempSync(`${tmpdir()}/sidecall-relay-`);
  program = new Program();
});
afterEach(async () => {
  for (const { context } of people) await context.close();
  if (!skip) await program.stop();
  rmSync(folder, { recursive: true });
});

/** Alice and Bob are in a call, and the node has this relay. */
async function talk(relay: string, secret: string): Promise<readonly [Someone, Someone]> {
  await program.start(BINARY!, `urls = ["${relay}"]\nsecret = "${secret}"\nrelay_only = true`);
  const alice = await Someone.enrol(browser, program, ALICE, "Alice Archer");
  const bob = await Someone.enrol(browser, program, BOB, "Bob Baker");
  people = [alice, bob];
  await program.pair("c1", ALICE, BOB);
  await alice.click("Camera");
  await bob.click("Accept");
  return [alice, bob];
}

/** Of the connection: how each side of the pair in use is reached, and every way that this browser has found. */
function ways(someone: Someone): Promise<{ used: unknown[]; found: unknown[] }> {
  return someone.page.evaluate(async () => {
    const { connections } = globalThis as unknown as { connections: RTCPeerConnection[] };
    const reports = (await connections.at(-1)!.getStats()) as unknown as Map<string, Record<string, unknown>>;
    const all = [...reports.values()];
    const transport = all.find(({ type }) => type === "transport")!;
    const pair = reports.get(String(transport["selectedCandidatePairId"]))!;
    const used = ["localCandidateId", "remoteCandidateId"].map((key) => reports.get(String(pair[key]))!["candidateType"]);
    return { used, found: all.filter(({ type }) => type === "local-candidate").map((candidate) => candidate["candidateType"]) };
  });
}

test("all media go through the relay, and no other way is even tried", { timeout: 120_000, skip }, async () => {
  const [alice, bob] = await talk(coturn.uri, SECRET);
  await bob.watches("Camera of Alice Archer");
  await bob.click("Camera");
  await alice.watches("Camera of Bob Baker");
  const sha256 = write(`${folder}/plan.bin`, 5 * MB);
  await pick(alice, `${folder}/plan.bin`);
  await bob.click("Accept");
  await bob.page.locator(".bubble.files").waitFor({ timeout: 60_000 });
  assert.deepEqual(await save(bob), { name: "plan.bin", sha256 });
  for (const someone of [alice, bob]) {
    await someone.sees("Connected through a relay");
    const { used, found } = await ways(someone);
    assert.deepEqual(used, ["relay", "relay"]);
    assert.deepEqual([...new Set(found)], ["relay"]);
  }
});

test("if the relay does not know the node's secret, the page says so", { timeout: 60_000, skip }, async () => {
  await talk(coturn.uri, "another-secret-than-that-of-coturn");
  for (const someone of people) {
    await someone.sees("The relay refuses this device (401). Your administrator must check that the relay and the server have the same secret.");
  }
});

test("if no relay answers, the page says so", { timeout: 60_000, skip }, async () => {
  await talk(`turn:127.0.0.1:${await freePort()}`, SECRET);
  for (const someone of people) await someone.sees("The relay cannot be reached.", 30_000);
});
