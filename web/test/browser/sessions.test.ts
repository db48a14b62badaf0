// Sessions between devices in less usual situations.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Someone, until } from "./people.ts";
import { scene } from "./scene.ts";

const [ALICE, BOB, CAROL] = ["+12125550100", "+13105552001", "+442079460000"];

const set = scene(ALICE, BOB);
let { browser, node, alice, bob } = set;
beforeEach(() => ({ browser, node, alice, bob } = set));

test("two who invite each other at once see each other, over one connection", { timeout: 90_000 }, async () => {
  node.pair("c1", ALICE, BOB);
  await alice.sees("Bob Baker");
  await bob.sees("Alice Archer");
  await Promise.all([alice.click("Camera"), bob.click("Screen")]);
  await alice.sees("would like to show you a screen");
  await bob.sees("would like to show you a camera");
  await Promise.all([alice.click("Accept"), bob.click("Accept")]);
  await bob.watches("Camera of Alice Archer");
  await alice.watches("Screen of Bob Baker", 1);
  const open = (someone: Someone) =>
    someone.page.evaluate(() => {
      const { connections } = globalThis as unknown as { connections: RTCPeerConnection[] };
      return connections.filter((connection) => connection.connectionState === "connected").length;
    });
  await until(async () => (await open(alice)) === 1 && (await open(bob)) === 1, "one connection");
  assert.equal(await bob.page.locator("video[aria-label='Camera of Alice Archer']").count(), 1);
});

test("a node of an earlier version is enough for everything but a choice of devices", { timeout: 90_000 }, async () => {
  node.old = true;
  node.pair("c1", ALICE, BOB);
  await alice.write("Hello");
  await bob.sees("Hello");
  await bob.click("Camera");
  await alice.click("Accept");
  await alice.watches("Camera of Bob Baker");
});

test("in a conference, everybody sees who is there and can be shown something", { timeout: 120_000 }, async () => {
  const carol = await Someone.enrol(browser, node, CAROL, "Carol Clark");
  node.pair("c1", ALICE, BOB);
  node.pair("c1", CAROL, ALICE);
  node.pair("c1", CAROL, BOB);
  await alice.page.getByRole("heading", { name: "Bob Baker and Carol Clark" }).waitFor();
  await alice.click("Camera");
  await bob.click("Accept");
  await carol.click("Accept");
  const shown = (someone: Someone) => someone.page.locator(".tile:not([data-own]) video");
  for (const someone of [bob, carol]) {
    await until(async () => (await shown(someone).count()) === 1, "the camera");
    await until(() => shown(someone).evaluate((video) => (video as HTMLVideoElement).videoWidth > 0), "its picture");
  }
  const words = async (someone: Someone) => {
    await someone.click("Verify");
    const texts = await someone.page.locator(".words li").allTextContents();
    const names = await someone.page.locator("dialog h3").allTextContents();
    await someone.click("Close");
    return { texts, names };
  };
  const [hers, his, carols] = [await words(alice), await words(bob), await words(carol)];
  assert.deepEqual([...hers.names].sort(), ["Bob Baker", "Carol Clark"]);
  const all = hers.names[0] === "Bob Baker" ? [his, carols] : [carols, his];
  assert.deepEqual(hers.texts, all.flatMap(({ texts }) => texts));
  await carol.write("Hello from me");
  await alice.sees("Hello from me");
  const author = alice.page.locator(".line.theirs", { hasText: "Hello from me" }).locator(".author");
  await until(async () => (await author.textContent()) === "Carol Clark", "her name");
  node.part("c1", ALICE, CAROL);
  node.part("c1", BOB, CAROL);
  await alice.page.getByRole("heading", { name: "Bob Baker", exact: true }).waitFor();
  await carol.sees("Call ended");
  // The node has told Bob's client whose picture it is, so that it stays.
  await bob.watches("Camera of Alice Archer");
  await carol.context.close();
});

test("another network makes ICE look for other ways, and the picture stays", { timeout: 90_000 }, async () => {
  node.pair("c1", ALICE, BOB);
  await alice.click("Camera");
  await bob.click("Accept");
  await bob.watches("Camera of Alice Archer");
  const fragment = () =>
    bob.page.evaluate(() => {
      const { connections } = globalThis as unknown as { connections: RTCPeerConnection[] };
      return /a=ice-ufrag:(\S+)/.exec(connections.at(-1)?.remoteDescription?.sdp ?? "")?.[1];
    });
  const before = await fragment();
  await alice.page.evaluate(() => dispatchEvent(new Event("online")));
  await until(async () => (await fragment()) !== before, "other credentials");
  await bob.watches("Camera of Alice Archer");
  await bob.sees("Connected directly");
});

test("a microphone is added only after a warning, and is heard", { timeout: 90_000 }, async () => {
  node.pair("c1", ALICE, BOB);
  await alice.click("Microphone");
  await alice.sees("A second microphone can cause an echo");
  assert.equal(node.posted.length, 0);
  await alice.click("Use microphone");
  await bob.click("Accept");
  const heard = () =>
    bob.page.evaluate(async () => {
      const { connections } = globalThis as unknown as { connections: RTCPeerConnection[] };
      const reports = [...((await connections.at(-1)?.getStats()) ?? new Map<string, Record<string, unknown>>()).values()];
      return Number(reports.find(({ type, kind }) => type === "inbound-rtp" && kind === "audio")?.["totalAudioEnergy"] ?? 0);
    });
  await until(async () => (await heard()) > 0, "sound");
  await alice.click("Mute");
  await until(async () => (await alice.page.getByRole("button", { name: "Microphone", exact: true }).count()) === 1, "muted");
});

test("an impostor's description closes the session instead of being used", { timeout: 90_000 }, async () => {
  node.pair("c1", ALICE, BOB);
  await alice.click("Camera");
  await bob.click("Accept");
  await bob.watches("Camera of Alice Archer");
  const sdp = node.posted.findLast((content) => content["type"] === "sdp" && content["kind"] === "offer")!;
  const forged = String(sdp["sdp"]).replace(/(a=fingerprint:sha-256 )[0-9A-F]{2}/gi, "$100");
  node.post("c1", BOB, { ...sdp, sdp: forged });
  await bob.page.locator("video").waitFor({ state: "detached" });
  await alice.page.locator(".media-status:empty").waitFor({ state: "attached" });
});
