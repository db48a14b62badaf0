// Two people in a call, each with the client in a real browser.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import jsQR from "jsqr";
import { bring } from "./bytes.ts";
import { Someone, takeOver } from "./people.ts";
import { scene } from "./scene.ts";

const [ALICE, BOB, CAROL] = ["+12125550100", "1001;phone-context=pbx.b.example", "+13105552001"];

const set = scene(ALICE, BOB);
let { browser, node, alice, bob } = set;
beforeEach(() => ({ browser, node, alice, bob } = set));

/** Alice shows her camera and Bob accepts. */
async function cameraOn(): Promise<void> {
  await alice.click("Camera");
  await bob.sees("Alice Archer would like to show you a camera");
  // Stop camera says it already.
  assert.equal(await alice.page.locator(".invitation").getByRole("button", { name: "Cancel" }).isVisible(), false);
  await bob.click("Accept");
  await bob.watches("Camera of Alice Archer");
}

test("a phone that rings shows who it is, and an answered call the other person", { timeout: 60_000 }, async () => {
  node.ring("c1", ALICE, BOB);
  await alice.sees("Calling…");
  await bob.sees("is calling your phone");
  node.pair("c1", ALICE, BOB);
  await alice.page.getByRole("heading", { name: "Bob Baker" }).waitFor();
  await bob.sees("+1 212 555 0100");
  node.part("c1", ALICE, BOB);
  await bob.sees("Call ended");
  await bob.click("Back");
  await bob.sees("Recent calls");
  await bob.sees("Alice Archer");
});

test("a missed call is in the list", { timeout: 60_000 }, async () => {
  node.ring("c1", ALICE, BOB);
  await bob.sees("is calling your phone");
  await alice.sees("Calling…");
  node.missed("c1", ALICE, BOB);
  await bob.sees("Missed call");
  await alice.sees("No answer");
});

test("files that nobody can take are not sent, and the page says why", { timeout: 60_000 }, async () => {
  const toasts = alice.page.locator(".toasts");
  const says = async (why: string) => {
    for (const how of ["drop", "paste"] as const) {
      assert.ok(await bring(alice, how, "plan.txt", "body"), `the ${how} is left to the browser`);
      await toasts.getByText(why).waitFor();
      await toasts.evaluate((element) => element.replaceChildren());
    }
    assert.equal(await alice.page.locator("main[data-drop]").count(), 0);
  };
  await says("Not sent: there is no call.");
  node.ring("c1", ALICE, BOB);
  await alice.sees("Calling…");
  await says("Not sent: the call is not answered yet.");
  node.missed("c1", ALICE, BOB);
  await alice.sees("No answer");
  await says("Not sent: the call is over.");
  assert.deepEqual(node.posted, []);
});

test("chat arrives, with links and its state", { timeout: 60_000 }, async () => {
  node.pair("c1", ALICE, BOB);
  await alice.sees("Bob Baker");
  await alice.write("See https://example.org/a?b=1, <b>not bold</b>");
  await bob.sees("<b>not bold</b>");
  const link = bob.page.getByRole("link", { name: "https://example.org/a?b=1" });
  assert.equal(await link.getAttribute("rel"), "noopener noreferrer nofollow");
  await alice.sees("Seen");
  await bob.page.getByLabel("Write a message").pressSequentially("Hm");
  await alice.sees("Bob Baker is typing…");
});

test("a message waits for somebody whose stream is cut", { timeout: 60_000 }, async () => {
  node.pair("c1", ALICE, BOB);
  await bob.sees("Alice Archer");
  node.cut(BOB);
  await alice.write("Are you there?");
  await bob.sees("Are you there?");
});

test("camera and screen go in both directions at once", { timeout: 90_000 }, async () => {
  node.pair("c1", ALICE, BOB);
  await cameraOn();
  await bob.click("Camera");
  await bob.click("Screen");
  const theirs = await alice.watches("Camera of Bob Baker");
  assert.ok(theirs.width >= 320);
  await alice.watches("Screen of Bob Baker", 1);
  await alice.click("Screen");
  await bob.watches("Screen of Alice Archer", 1);
  await bob.watches("Camera of Alice Archer");
  await alice.click("Stop camera");
  await bob.page.getByLabel("Camera of Alice Archer").waitFor({ state: "detached" });
  await bob.watches("Screen of Alice Archer", 1);
});

test("both see the same four words", { timeout: 60_000 }, async () => {
  node.pair("c1", ALICE, BOB);
  await cameraOn();
  const words = async (someone: Someone) => {
    await someone.click("Verify");
    return someone.page.locator(".words li").allTextContents();
  };
  const [hers, his] = [await words(alice), await words(bob)];
  assert.equal(hers.length, 4);
  assert.deepEqual(hers, his);
  const commits = node.posted.filter((content) => content["type"] === "invite").map((content) => content["commit"]);
  assert.equal(commits.length, 1);
});

test("an invitation that is declined says so", { timeout: 60_000 }, async () => {
  node.pair("c1", ALICE, BOB);
  await alice.click("Camera");
  await bob.click("Not now");
  await alice.sees("Camera: not accepted");
});

test("reloading the page returns to the call, its chat, its picture and its words", { timeout: 90_000 }, async () => {
  node.pair("c1", ALICE, BOB);
  await alice.write("before the reload");
  await bob.sees("before the reload");
  await cameraOn();
  await bob.click("Verify");
  const words = await bob.page.locator(".words li").allTextContents();
  await bob.page.reload();
  await bob.sees("before the reload");
  await bob.watches("Camera of Alice Archer");
  await bob.click("Verify");
  assert.deepEqual(await bob.page.locator(".words li").allTextContents(), words);
  await bob.click("Close");
  await bob.write("after the reload");
  await alice.sees("after the reload");
});

test("a broken connection is built again", { timeout: 90_000 }, async () => {
  node.pair("c1", ALICE, BOB);
  await cameraOn();
  await alice.breakConnections();
  await bob.sees("The connection was interrupted", 30_000);
  await bob.sees("Connected directly", 45_000);
  await bob.watches("Camera of Alice Archer");
  const offers = () => node.posted.filter((content) => content["kind"] === "offer").length;
  const before = offers();
  await bob.watches("Camera of Alice Archer", 20);
  assert.equal(offers(), before, "they have agreed");
});

test("after a transfer, the page is with the new person", { timeout: 90_000 }, async () => {
  const carol = await Someone.enrol(browser, node, CAROL, "Carol Clark");
  node.pair("c1", ALICE, BOB);
  await cameraOn();
  node.part("c1", ALICE, BOB);
  node.pair("c1", ALICE, CAROL);
  await alice.page.getByRole("heading", { name: "Carol Clark" }).waitFor();
  await bob.sees("Call ended");
  assert.equal(await bob.page.locator("video").count(), 0);
  await alice.write("Hello Carol");
  await carol.sees("Hello Carol");
  assert.equal(await bob.page.getByText("Hello Carol").count(), 0);
  await carol.click("Camera");
  await alice.click("Accept");
  await alice.watches("Camera of Carol Clark");
  await carol.context.close();
});

test("of two devices, the first to accept gets it, and the other can take over", { timeout: 90_000 }, async () => {
  const second = await Someone.enrol(browser, node, BOB, "Bob Baker");
  node.pair("c1", ALICE, BOB);
  await takeOver(alice, bob, second);
  await second.context.close();
});

test("a contact card arrives and can be saved", { timeout: 60_000 }, async () => {
  node.pair("c1", ALICE, BOB);
  await alice.click("Send contact card");
  await alice.sees("Fill in your contact card first.");
  await alice.click("Settings");
  await alice.page.getByText("Contact card", { exact: true }).click();
  await alice.page.getByLabel("Name").fill("Alice Archer");
  await alice.page.getByLabel("E-mail").fill("alice@a.example");
  await alice.click("Close");
  await alice.click("Send contact card");
  await bob.sees("alice@a.example");
  const download = bob.page.waitForEvent("download");
  await bob.click("Save contact");
  assert.equal((await download).suggestedFilename(), "contact.vcf");
  assert.equal(node.posted.find((content) => content["card"] !== undefined)?.["text"], "Alice Archer\nalice@a.example");
});

test("what is accepted without asking is shown at once", { timeout: 60_000 }, async () => {
  await bob.click("Settings");
  await bob.page.getByLabel("Accept video, screens").check();
  await bob.click("Close");
  node.pair("c1", ALICE, BOB);
  await alice.click("Camera");
  await bob.watches("Camera of Alice Archer");
});

test("a removed device is signed out and forgets everything", { timeout: 60_000 }, async () => {
  node.pair("c1", ALICE, BOB);
  await bob.sees("Alice Archer");
  node.revoke(BOB);
  await bob.sees("This device was removed");
  const [message, card] = [bob.page.getByText("This device was removed"), bob.page.locator(".card").first()];
  assert.ok((await message.boundingBox())!.y < (await card.boundingBox())!.y, "it is said before what to do");
  assert.equal(await bob.page.evaluate(() => localStorage.getItem("sidecall.device")), null);
});

/** What a camera reads off a QR code on the page. */
async function photographed(someone: Someone, label: string): Promise<string | undefined> {
  const { size, pixels } = await someone.page.getByLabel(label).evaluate((svg) => {
    const modules = (svg as SVGSVGElement).viewBox.baseVal.width;
    const size = modules * 4;
    const context = Object.assign(document.createElement("canvas"), { width: size, height: size }).getContext("2d")!;
    context.fillStyle = getComputedStyle(svg).backgroundColor;
    context.fillRect(0, 0, size, size);
    context.scale(4, 4);
    context.fillStyle = getComputedStyle(svg.querySelector("path")!).fill;
    context.fill(new Path2D(svg.querySelector("path")!.getAttribute("d")!));
    return { size, pixels: [...context.getImageData(0, 0, size, size).data] };
  });
  return jsQR(Uint8ClampedArray.from(pixels), size, size)?.data;
}

test("a device adds another one, sees it, and removes it", { timeout: 60_000 }, async () => {
  await bob.click("Settings");
  await bob.click("Devices");
  await bob.click("Add a device");
  const link = await bob.page.getByText("#enrol=").textContent();
  assert.equal(await photographed(bob, "The link as a QR code"), link);
  const context = await browser.newContext({ locale: "en-GB" });
  const page = await context.newPage();
  await page.goto(link!);
  await page.getByText("When you are on the phone").waitFor();
  assert.equal(new URL(page.url()).hash, "");
  await bob.click("Close");
  await bob.click("Settings");
  await bob.click("Devices");
  await bob.page.getByRole("button", { name: "Remove Chrome, Linux" }).click();
  await page.getByText("This device was removed").waitFor();
  await context.close();
});

test("a second tab asks to be used, and then is the one", { timeout: 60_000 }, async () => {
  const other = await bob.context.newPage();
  await other.goto(`${node.url}client/`);
  await other.getByText("Open in another tab").waitFor();
  await other.getByRole("button", { name: "Use this tab" }).click();
  await bob.sees("Open in another tab");
  node.pair("c1", ALICE, BOB);
  await other.getByRole("heading", { name: "Alice Archer" }).waitFor();
});

test("a link replaces the device only if the person agrees, also by way of another tab", { timeout: 60_000 }, async () => {
  const link = node.link(CAROL, "Carol Clark");
  const other = await bob.context.newPage();
  await other.goto(link);
  await other.getByRole("button", { name: "Use this tab" }).click();
  await other.getByText("This browser is connected to 1001.").waitFor();
  await other.locator("dialog").getByRole("button", { name: "Cancel" }).click();
  node.pair("c1", ALICE, BOB);
  await other.getByRole("heading", { name: "Alice Archer" }).waitFor();
  await other.goto("about:blank");
  await other.goto(link);
  await other.getByRole("button", { name: "Use the link" }).click();
  await other.getByText("When you are on the phone").waitFor();
  assert.match(String(await other.evaluate(() => localStorage.getItem("sidecall.device"))), /13105552001/);
  assert.equal(new URL(other.url()).hash, "");
});

test("hostile messages change nothing", { timeout: 60_000 }, async () => {
  node.pair("c1", ALICE, BOB);
  await bob.sees("Alice Archer");
  const from = "0123456789abcdef";
  node.post("c1", BOB, { type: "sdp", session: "x", kind: "offer", sdp: "v=0".repeat(15_000), from, ephemeral: true });
  node.post("c1", BOB, { type: "ice", session: "__proto__", candidates: [{ candidate: 7 }], from, ephemeral: true });
  node.post("c1", BOB, { type: "invite", invitation: "../../x", session: "a", kind: "camera", role: "first", commit: "0".repeat(64), from });
  node.post("c1", BOB, { type: "text", text: "\u202Eevil\u0000 javascript:alert(1)" });
  await bob.sees("evil javascript:alert(1)");
  assert.equal(await bob.page.getByRole("link").count(), 0);
  assert.equal(await bob.page.locator(".invitation").count(), 0);
});
