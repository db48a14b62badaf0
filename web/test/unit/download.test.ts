import assert from "node:assert/strict";
import { test } from "node:test";
import { Download } from "../../src/files/download.ts";
import { Channel, install, settle } from "../double/browser.ts";

const MB = 1024 * 1024;

/** A disk that writes nothing until it is let go. */
function slowDisk(): () => void {
  let release = () => {};
  const released = new Promise<void>((done) => (release = done));
  const file = { createWritable: async () => ({ write: () => released, close: async () => undefined }) };
  const folder: object = { getDirectoryHandle: async () => folder, getFileHandle: async () => file };
  Object.assign(navigator, { storage: { getDirectory: async () => folder } });
  return release;
}

const attach = (download: Download, channel: Channel) => download.attach(channel as unknown as RTCDataChannel);

test("what waits for the disk when a channel breaks is not said on the next one", async () => {
  install();
  const release = slowDisk();
  const download = new Download("t", { count: 1, bytes: 4 * MB, name: "a" }, () => undefined);
  const [first, second] = [new Channel(), new Channel()];
  attach(download, first);
  first.onmessage!({ data: JSON.stringify({ file: 0, path: "a", size: 4 * MB }) });
  for (let n = 0; n < 3; n += 1) first.onmessage!({ data: new ArrayBuffer(MB) });
  await settle();
  assert.deepEqual(first.sent, [{ have: [0, 0] }, { have: [0, MB] }], "the rest waits");
  first.onclose!();
  attach(download, second);
  release();
  await settle();
  assert.deepEqual(second.sent, [{ have: [0, 3 * MB] }]);
});

test("bytes that a replaced channel still brings are not taken", async () => {
  install();
  const download = new Download("t", { count: 1, bytes: 4 * MB, name: "a" }, () => undefined);
  const [first, second] = [new Channel(), new Channel()];
  attach(download, first);
  first.onmessage!({ data: JSON.stringify({ file: 0, path: "a", size: 4 * MB }) });
  attach(download, second);
  first.onmessage!({ data: new ArrayBuffer(MB) });
  await settle();
  assert.deepEqual(second.sent, [{ have: [0, 0] }]);
  assert.equal(download.progress, 0);
});
