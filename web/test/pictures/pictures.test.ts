// Takes the pictures of the README: two people on the real program, with a drawn camera and a drawn screen.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { chromium } from "playwright-core";
import { Someone } from "../browser/people.ts";
import { Program } from "../double/program.ts";

const [ALICE, BOB] = ["+12125550100", "+13105552001"];
const CHROMIUM = "/usr/bin/chromium";
const OUT = new URL("../../../docs/images/", `file://${process.argv[1]}`).pathname;

/** Somebody in front of a bookshelf. */
const CAMERA = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 480" width="640" height="480">
  <rect width="640" height="480" fill="#d9cdb8"/>
  <g fill="#b59b77"><rect y="96" width="640" height="10"/><rect y="236" width="640" height="10"/></g>
  <g>${[18, 46, 70, 98, 128, 470, 500, 530, 556, 590]
    .map((x, n) => `<rect x="${x}" y="${24 + ((n * 7) % 20)}" width="22" height="${72 - ((n * 7) % 20)}" fill="${["#7a4b3a", "#3f5d6b", "#8a7a3c", "#54624b", "#6d3f52"][n % 5]}"/>`)
    .join("")}</g>
  <path d="M150 480c6-110 70-150 170-150s164 40 170 150z" fill="#34566b"/>
  <path d="M276 280h88v70c-20 26-68 26-88 0z" fill="#c98f6f"/>
  <ellipse cx="320" cy="214" rx="82" ry="102" fill="#dca381"/>
  <path d="M234 210c-8-92 50-122 92-120 60 2 92 48 80 122-14-46-40-66-72-70-40 22-78 20-100 68z" fill="#3a2a22"/>
  <g fill="#2c211c"><circle cx="290" cy="218" r="7"/><circle cx="352" cy="218" r="7"/></g>
  <path d="M288 262q32 28 66 0" fill="none" stroke="#8d4b3b" stroke-width="6" stroke-linecap="round"/>
</svg>`;

/** A plan to talk about. */
const PLAN = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1280 720" width="1280" height="720">
  <rect width="1280" height="720" fill="#fbfbf8"/>
  <g stroke="#e6e6df" stroke-width="1">${Array.from({ length: 64 }, (_, n) => `<path d="M${n * 20} 0v720M0 ${n * 20}h1280"/>`).join("")}</g>
  <g fill="none" stroke="#1d2733" stroke-width="9"><path d="M180 110h920v500H180zM620 110v210M620 420v190M180 360h300M800 360h300"/></g>
  <g fill="none" stroke="#1d2733" stroke-width="3"><path d="M620 320a100 100 0 0 1 100 100M480 360a90 90 0 0 1 90 90"/></g>
  <g fill="none" stroke="#5b7a99" stroke-width="4"><rect x="240" y="150" width="150" height="80"/><circle cx="900" cy="540" r="40"/><rect x="900" y="150" width="140" height="90"/></g>
  <g font-family="sans-serif" font-size="28" fill="#1d2733"><text x="320" y="310">Office</text><text x="860" y="310">Meeting</text><text x="330" y="500">Kitchen</text><text x="700" y="580">Lobby</text></g>
  <g stroke="#d33" fill="none" stroke-width="6"><ellipse cx="622" cy="370" rx="80" ry="74"/><path d="M696 400l40 48"/></g>
  <text x="700" y="476" font-family="sans-serif" font-size="26" fill="#d33">move the door here?</text>
</svg>`;

/** Shows the plan where the page would show a screen: a headless browser has none. */
async function draw(plan: string): Promise<void> {
  const image = new Image();
  image.src = `data:image/svg+xml,${encodeURIComponent(plan)}`;
  await image.decode();
  const canvas = Object.assign(document.createElement("canvas"), { width: 1280, height: 720 });
  const paint = () => canvas.getContext("2d")!.drawImage(image, 0, 0);
  navigator.mediaDevices.getDisplayMedia = async () => {
    setInterval(paint, 100);
    return canvas.captureStream(10);
  };
}

test("the pictures of the README", { timeout: 120_000 }, async () => {
  const folder = mkdtempSync(`${tmpdir()}/sidecall-pictures-`);
  const program = new Program();
  await program.start(process.env["SIDECALL"]!);
  const drawing = await chromium.launch({ executablePath: CHROMIUM, chromiumSandbox: false });
  const easel = await drawing.newPage({ viewport: { width: 640, height: 480 } });
  await easel.setContent(`<style>body{margin:0}</style>${CAMERA}`);
  const frame = await easel.screenshot({ type: "jpeg", quality: 92 });
  writeFileSync(`${folder}/camera.mjpeg`, Buffer.concat(Array<Buffer>(30).fill(frame)));
  await drawing.close();
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    chromiumSandbox: false,
    args: [
      "--use-fake-device-for-media-stream",
      "--use-fake-ui-for-media-stream",
      `--use-file-for-fake-video-capture=${folder}/camera.mjpeg`,
      "--disable-features=WebRtcHideLocalIpsWithMdns",
    ],
  });
  try {
    const options = { viewport: { width: 1200, height: 720 }, bypassCSP: true };
    const alice = await Someone.enrol(browser, program, ALICE, "Alice Archer", options);
    const bob = await Someone.enrol(browser, program, BOB, "Bob Baker", { ...options, viewport: { width: 390, height: 760 }, colorScheme: "dark" });
    await program.pair("c1", ALICE, BOB);
    await alice.sees("0:0");
    await bob.write("Morning! Here is the plan: https://plans.example.org/ground-floor");
    await alice.write("Thanks. I have marked the door.");
    await bob.page.evaluate(draw, PLAN);
    await bob.click("Screen");
    await alice.click("Accept");
    await alice.watches("Screen of Bob Baker");
    await alice.click("Camera");
    await bob.watches("Camera of Alice Archer");
    await bob.page.locator("input[type=file][aria-label=Files]").setInputFiles([
      { name: "Ground floor.pdf", mimeType: "application/pdf", buffer: Buffer.alloc(1_200_000, 1) },
    ]);
    await alice.click("Accept");
    await alice.page.locator(".bubble.files").waitFor();
    await Promise.all([alice, bob].map((person) => person.page.mouse.move(0, 0)));
    await alice.page.waitForTimeout(2_000);
    mkdirSync(OUT, { recursive: true });
    await alice.page.screenshot({ path: `${OUT}call.png` });
    await bob.page.screenshot({ path: `${OUT}call-narrow.png` });
  } finally {
    await browser.close();
    await program.stop();
    rmSync(folder, { recursive: true });
  }
});
