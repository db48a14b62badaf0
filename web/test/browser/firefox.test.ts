// A call between Chromium and Firefox at the real node: each decodes what the other encodes. Firefox is driven over
// WebDriver BiDi. SIDECALL names the binary, FIREFOX the browser. Without a binary there is nothing to test, nor without
// Firefox outside CI.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { after, before, test } from "node:test";
import type { Browser } from "playwright-core";
import puppeteer, { type Browser as Firefox, type ElementHandle, type Page } from "puppeteer-core";
import { Program } from "../double/program.ts";
import { pick } from "./bytes.ts";
import { launch, Someone, until } from "./people.ts";

const BINARY = process.env["SIDECALL"] || undefined;
const FIREFOX = process.env["FIREFOX"] ?? "/usr/bin/firefox-esr";
const skip = BINARY === undefined || (process.env["CI"] === undefined && !existsSync(FIREFOX));
const [ALICE, BOB] = ["+12125550100", "+13105552001"];

let chromium: Browser | undefined;
let firefox: Firefox | undefined;
let program: Program;
let folder: string;

before(async () => {
  if (skip) return;
  folder = mkdtempSync(`${tmpdir()}/sidecall-firefox-`);
  program = new Program();
  await program.start(BINARY!);
  chromium = await launch();
  firefox = await puppeteer.launch({
    browser: "firefox",
    executablePath: FIREFOX,
    headless: true,
    extraPrefsFirefox: {
      "media.navigator.permission.disabled": true,
      "media.navigator.streams.fake": true,
      // As Chromium in these tests: no multicast DNS is needed to find each other.
      "media.peerconnection.ice.obfuscate_host_addresses": false,
      "browser.download.folderList": 2,
      "browser.download.dir": folder,
      "intl.accept_languages": "en-GB",
    },
  });
});
after(async () => {
  if (skip) return;
  await firefox?.close();
  await chromium?.close();
  await program.stop();
  rmSync(folder, { recursive: true });
});

function digest(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Waits for a button that has this name, and clicks it. */
async function click(page: Page, name: string): Promise<void> {
  await page.locator(`::-p-xpath(//button[normalize-space()="${name}" or @aria-label="${name}"])`).setTimeout(15_000).click();
}

async function sees(page: Page, text: string): Promise<void> {
  await page.waitForFunction((text) => document.body.innerText.includes(text), { timeout: 20_000 }, text);
}

/** Waits until a picture with this label has shown five more frames. Firefox counts no frames of a connection. */
async function watches(page: Page, label: string): Promise<void> {
  const video = await page.waitForSelector(`video[aria-label="${label}"]`, { timeout: 20_000 });
  const five = (video: HTMLVideoElement) =>
    new Promise<number>((done) => {
      let frames = 0;
      const next = () => (++frames === 5 ? done(video.videoWidth) : video.requestVideoFrameCallback(next));
      video.requestVideoFrameCallback(next);
    });
  assert.ok((await (video as ElementHandle<HTMLVideoElement>).evaluate(five)) > 0);
}

test("Chromium and Firefox show each other cameras, write, and send files", { timeout: 120_000, skip }, async () => {
  const alice = await Someone.enrol(chromium!, program, ALICE, "Alice Archer");
  const bob = await firefox!.newPage();
  const complaints: string[] = [];
  bob.on("pageerror", (error) => complaints.push(String(error)));
  await bob.goto(await program.link(BOB, "Bob Baker"));
  await sees(bob, "When you are on the phone");
  await program.pair("c1", ALICE, BOB);
  await sees(bob, "Alice Archer");
  await alice.write("Hello");
  await sees(bob, "Hello");
  await bob.type('[aria-label="Write a message"]', "Good morning");
  await bob.keyboard.press("Enter");
  await alice.sees("Good morning");

  await alice.click("Camera");
  await click(bob, "Accept");
  await watches(bob, "Camera of Alice Archer");
  await click(bob, "Camera");
  await alice.watches("Camera of Bob Baker");

  const bytes = Buffer.alloc(5_000_000, "a file from Firefox");
  writeFileSync(`${folder}/plan.bin`, bytes);
  const picker = await bob.$("input[type=file][aria-label=Files]");
  await picker!.uploadFile(`${folder}/plan.bin`);
  await alice.click("Accept");
  const saved = alice.page.waitForEvent("download");
  await alice.click("Save");
  assert.equal(digest(readFileSync(await (await saved).path())), digest(bytes));

  const answer = bytes.subarray(0, 3_000_000);
  await pick(alice, [
    { name: "answer.bin", mimeType: "application/octet-stream", buffer: answer },
  ]);
  await click(bob, "Accept");
  await click(bob, "Save");
  const copy = `${folder}/answer.bin`;
  await until(() => existsSync(copy) && statSync(copy).size === answer.length, "the file is saved");
  assert.equal(digest(readFileSync(copy)), digest(answer));
  await program.part("c1");
  await sees(bob, "Call ended");
  assert.deepEqual([...alice.complaints, ...complaints], []);
});
