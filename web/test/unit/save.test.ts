// Saving received files into a folder of the person's.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { distinct, numbered } from "../../src/core/paths.ts";
import { saveAll } from "../../src/files/save.ts";
import { openSink, type Saved } from "../../src/files/sink.ts";
import { install } from "../double/browser.ts";
import { Folder } from "../double/folder.ts";

let root: Folder;
let transfers = 0;

beforeEach(() => {
  install();
  root = new Folder("Documents");
  Object.assign(globalThis, { window: { showDirectoryPicker: async () => root } });
});

/** Receives files whose texts are their numbers. */
async function receive(...paths: string[]): Promise<[string, Saved[]]> {
  const transfer = `t${(transfers += 1)}`;
  const sink = await openSink(transfer);
  for (const [index] of paths.entries()) {
    await sink.open(index);
    await sink.write(new TextEncoder().encode(String(index)));
    await sink.close();
  }
  return [transfer, paths.map((path) => ({ path: path.split("/"), size: 1 }))];
}

test("files of one name get numbers, also where case does not count", () => {
  const paths = ["a.txt", "A.TXT", "a (2).txt", "a.txt", "b/a.txt", "Makefile", "Makefile", ".env", ".env"].map((path) => path.split("/"));
  assert.deepEqual(distinct(paths).map((path) => path.join("/")), [
    "a.txt", "A (2).TXT", "a (2) (2).txt", "a (3).txt", "b/a.txt", "Makefile", "Makefile (2)", ".env", ".env (2)",
  ]);
  assert.equal(numbered("a.tar.gz", 2), "a.tar (2).gz");
  assert.equal(distinct(Array<string[]>(10_000).fill(["a"])).at(-1)!.join(), "a (10000)");
});

test("nothing that is in the folder is overwritten", async () => {
  await root.getDirectoryHandle("plans", { create: true });
  const own = { text: "own" };
  (root.entries.get("plans") as Folder).entries.set("a.txt", own);
  root.entries.set("plans (2)", own);
  const received = await receive("plans/a.txt", "plans/old/b.txt");
  assert.deepEqual(await saveAll(...received, "Files"), { folder: "plans (3)", failed: 0 });
  assert.deepEqual(root.files, { "plans (2)": "own", "plans (3)/a.txt": "0", "plans (3)/old/b.txt": "1", "plans/a.txt": "own" });
});

test("files of one name are all saved", async () => {
  const received = await receive("a.txt", "b.txt", "a.txt");
  assert.deepEqual(await saveAll(...received, "Files"), { folder: "Files", failed: 0 });
  assert.deepEqual(root.files, { "Files/a (2).txt": "2", "Files/a.txt": "0", "Files/b.txt": "1" });
});

test("a file that cannot be saved is reported, and the others are saved", async () => {
  const [transfer, saved] = await receive("a.txt", "b.txt", "c.txt");
  root.full.add("b.txt");
  const missing: Saved = { path: ["d.txt"], size: 1 };
  assert.deepEqual(await saveAll(transfer, [...saved, missing], "Files"), { folder: "Files", failed: 2 });
  assert.deepEqual(root.files, { "Files/a.txt": "0", "Files/c.txt": "2" });
});

test("without a folder, nothing is saved or reported", async () => {
  Object.assign(globalThis, { window: { showDirectoryPicker: () => Promise.reject(new DOMException("", "AbortError")) } });
  assert.equal(await saveAll(...(await receive("a.txt", "b.txt")), "Files"), undefined);
});
