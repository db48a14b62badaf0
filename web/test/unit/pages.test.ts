import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { dialled, duration, isLoopback, phone, size } from "../../src/core/format.ts";
import { Pace } from "../../src/core/pace.ts";
import { de } from "../../src/core/locale/de.ts";
import { en } from "../../src/core/locale/en.ts";
import { pick } from "../../src/core/locale/mod.ts";

test("durations, sizes and numbers are as people read them", () => {
  assert.deepEqual([0, 65_000, 3_723_000, -5].map(duration), ["0:00", "1:05", "1:02:03", "0:00"]);
  assert.deepEqual([0, 999, 1234, 52_428_800, 3e12].map((bytes) => size(bytes, "en")), ["0 B", "999 B", "1.2 kB", "52.4 MB", "3 TB"]);
  assert.equal(size(1234, "de"), "1,2 kB");
  assert.deepEqual(["1001;phone-context=x.example", "+12125550100", "+493012345"].map(phone), ["1001", "+1 212 555 0100", "+493012345"]);
  assert.deepEqual(["*7433123456", "123456"].map(dialled), ["*7433 123 456", " 123 456"]);
});

test("the pace of a transfer is that of the last seconds, and unknown while it stands", () => {
  const pace = new Pace();
  const at = (seconds: number, bytes: number) => pace.rate(seconds * 1000, bytes);
  assert.deepEqual([at(100, 0), at(101, 5_000)], [undefined, undefined], "too early");
  assert.deepEqual([at(102, 10_000), at(104, 20_000)], [5_000, 5_000]);
  for (let n = 105; n <= 120; n += 1) at(n, 20_000 + (n - 104) * 1000);
  assert.equal(at(121, 37_000), 1_000, "it became slower");
  for (let n = 122; n <= 132; n += 1) at(n, 37_000);
  assert.equal(at(133, 37_000), undefined);
  pace.reset();
  assert.equal(at(134, 50_000), undefined);
});

test("the machine itself has several names", () => {
  const hosts = ["http://127.0.0.1:8600/j", "http://localhost/j", "http://[::1]/j", "https://node.example/j", "https://127.example/j"];
  assert.deepEqual(hosts.map((link) => isLoopback(new URL(link).hostname)), [true, true, true, false, false]);
});

test("both languages have every text, and the browser's first known one is used", () => {
  assert.deepEqual(Object.keys(de).sort(), Object.keys(en).sort());
  assert.equal(pick("auto", ["fr-FR", "de-AT", "en"]), "de");
  assert.equal(pick("auto", ["fr"]), "en");
  assert.equal(pick("en", ["de"]), "en");
});

test("every text is used", () => {
  const pages = sources().filter(([path]) => path.startsWith("ui/") || path === "main.ts").map(([, text]) => text).join("\n");
  const states = ["sending", "sent", "waiting", "delivered", "seen", "failed", "camera", "screen", "microphone", "files", "join"];
  const unused = Object.keys(en).filter((key) => !states.includes(key) && !new RegExp(`\\bt\\.${key}\\b`).test(pages));
  assert.deepEqual(unused, []);
});

/** All sources, by path below `src`. */
function sources(folder = "src"): [string, string][] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry): [string, string][] => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return sources(path);
    return path.endsWith(".ts") ? [[path.slice("src/".length), readFileSync(path, "utf8")]] : [];
  });
}

const LAYERS = ["ui", "app", "files", "media", "net", "core"];
/** Doors: none of them imports another. `files` may be used by `ui` and `app` alone. */
const DOORS = ["files", "media", "net"];

test("imports run downward, and the core touches no page, clock or socket", () => {
  const found: string[] = [];
  for (const [path, text] of sources()) {
    const layer = path.includes("/") ? path.split("/")[0]! : "main";
    for (const match of text.matchAll(/from "((?:\.\.?\/)+)([a-z]+)[/"]/g)) {
      const up = match[1]!.split("../").length - 1;
      const target = up === path.split("/").length - 1 ? match[2]! : layer;
      const allowed = layer === "main" || target === layer || LAYERS.indexOf(target) > LAYERS.indexOf(layer);
      if (!allowed || (DOORS.includes(layer) && DOORS.includes(target) && layer !== target)) found.push(`${path}: ${target}`);
    }
    const impure = /\b(document|window|localStorage|navigator|fetch|setTimeout|Date\.now|Math\.random)\b/.exec(text.replace(/\/\/.*/g, ""));
    if (layer === "core" && !path.endsWith("wordlist.ts") && impure !== null) found.push(`${path}: ${impure[0]}`);
  }
  assert.deepEqual(found, []);
});

test("files are small, say what they are for, and never make markup of text", () => {
  const found: string[] = [];
  for (const [path, text] of sources()) {
    const lines = text.split("\n").length - 1;
    if (lines > 300) found.push(`${path} has ${lines} lines`);
    if (!text.startsWith("// ")) found.push(`${path} does not say what it is for`);
    if (/innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function/.test(text)) found.push(`${path} makes markup`);
  }
  assert.deepEqual(found, []);
});
