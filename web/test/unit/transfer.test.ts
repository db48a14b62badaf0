import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { type FileFrame, readFrame, writeFrame } from "../../src/core/transfer/frames.ts";
import { Receiver } from "../../src/core/transfer/receiver.ts";
import { Sender, WINDOW } from "../../src/core/transfer/sender.ts";

interface Disk {
  readonly files: Map<string, Buffer>;
  open: string;
  discarded: boolean;
}

/** Both machines and the wire between them. Cuts the channel after `cut` messages, loses what is on its way, and opens it again. */
function run(contents: readonly Buffer[], cut: (messages: number) => boolean): { sender: Sender; receiver: Receiver; disk: Disk } {
  const files = contents.map((content, n) => ({ path: `folder/${n}`, size: content.length }));
  const sender = new Sender(files);
  const bytes = contents.reduce((sum, content) => sum + content.length, 0);
  const receiver = new Receiver({ count: files.length, bytes, name: "folder" });
  const disk: Disk = { files: new Map(), open: "", discarded: false };
  let toSender: string[] = [];
  let toReceiver: (string | Buffer)[] = [];
  let messages = 0;
  const act = (actions: ReturnType<Receiver["opened"]>) => {
    for (const action of actions) {
      if (action.do === "open") disk.files.set((disk.open = action.path.join("/")), Buffer.alloc(0));
      if (action.do === "write") disk.files.set(disk.open, Buffer.concat([disk.files.get(disk.open)!, action.bytes]));
      if (action.do === "frame") toSender.push(writeFrame(action.frame));
      if (action.do === "discard") disk.discarded = true;
    }
  };
  const open = () => {
    sender.closed();
    receiver.closed();
    [toSender, toReceiver] = [[], []];
    act(receiver.opened());
  };
  open();
  for (let turn = 0; turn < 100_000 && sender.state !== "done" && typeof sender.state === "string"; turn += 1) {
    const step = sender.next(1000);
    if (step.do === "frame") toReceiver.push(writeFrame(step.frame));
    if (step.do === "read") {
      const chunk = contents[step.file]!.subarray(step.offset, step.offset + step.length);
      sender.read(chunk);
      toReceiver.push(chunk);
    }
    if (step.do === "wait" || toReceiver.length > 5) {
      const [frame, answer] = [toReceiver.shift(), toSender.shift()];
      if (frame !== undefined) act(typeof frame === "string" ? receiver.received(readFrame(frame)!) : receiver.bytes(frame));
      if (answer !== undefined) sender.received(readFrame(answer)!);
      messages += 1;
      if (cut(messages)) open();
    }
  }
  return { sender, receiver, disk };
}

test("files arrive whole, wherever the channel is cut and how often", () => {
  const contents = [randomBytes(10_500), Buffer.alloc(0), randomBytes(1), randomBytes(7000)];
  for (let every = 1; every < 60; every += 1) {
    const { sender, receiver, disk } = run(contents, (messages) => messages % (every + 7) === 0 && messages < 400);
    assert.equal(sender.state, "done", String(every));
    assert.equal(receiver.state, "done");
    assert.equal(receiver.progress, 17_501);
    contents.forEach((content, n) => assert.ok(disk.files.get(`folder/${n}`)!.equals(content), `${every}: ${n}`));
  }
});

const begin = (count: number, bytes: number) => {
  const receiver = new Receiver({ count, bytes, name: "x" });
  receiver.opened();
  return receiver;
};
const file = (index: number, size: number): FileFrame => ({ type: "file", file: index, path: "a", size });

test("a sender that does not keep to what it announced is stopped", () => {
  const bad: ((receiver: Receiver) => void)[] = [
    (receiver) => receiver.received(file(0, 11)),
    (receiver) => receiver.received(file(1, 1)),
    (receiver) => receiver.bytes(new Uint8Array(1)),
    (receiver) => {
      receiver.received(file(0, 4));
      receiver.bytes(new Uint8Array(5));
    },
    (receiver) => {
      receiver.received(file(0, 4));
      receiver.received({ type: "end", file: 0, sha256: "0".repeat(64) });
    },
    (receiver) => {
      receiver.received(file(0, 4));
      receiver.received(file(0, 5));
    },
    (receiver) => receiver.received({ type: "ok", file: 0 }),
  ];
  bad.forEach((act, n) => {
    const receiver = begin(2, 10);
    act(receiver);
    assert.deepEqual(receiver.state, { failed: "limit" }, String(n));
    assert.deepEqual(receiver.bytes(new Uint8Array(1)), []);
  });
});

test("a wrong digest ends the transfer, and nothing is kept", () => {
  const receiver = begin(1, 4);
  receiver.received(file(0, 4));
  receiver.bytes(new Uint8Array(4));
  const actions = receiver.received({ type: "end", file: 0, sha256: "0".repeat(64) });
  assert.deepEqual(receiver.state, { failed: "digest" });
  assert.deepEqual(actions.map((action) => action.do), ["frame", "discard"]);
});

test("a sender stops for a receiver that does not write, and while either side pauses", () => {
  const sender = new Sender([{ path: "a", size: WINDOW * 4 }]);
  assert.deepEqual(sender.next(1000), { do: "wait" });
  sender.received({ type: "have", at: { file: 0, offset: 0 } });
  assert.equal(sender.next(1).do, "frame");
  const block = new Uint8Array(1024 * 1024);
  let sent = 0;
  for (; sender.next(block.length).do === "read"; sent += block.length) sender.read(block);
  assert.equal(sent, WINDOW);
  sender.received({ type: "have", at: { file: 0, offset: block.length } });
  assert.equal(sender.next(block.length).do, "read");
  sender.received({ type: "pause", paused: true });
  assert.equal(sender.next(block.length).do, "wait");
  sender.pause(true);
  sender.received({ type: "pause", paused: false });
  assert.equal(sender.next(block.length).do, "wait");
  sender.pause(false);
  assert.equal(sender.next(block.length).do, "read");
});

test("a pause outlives the channel", () => {
  const receiver = begin(1, 10);
  receiver.pause(true);
  receiver.closed();
  const frames = receiver.opened().map((action) => action.do === "frame" && action.frame.type);
  assert.deepEqual(frames, ["pause", "have"]);
});

test("a receiver that claims what was never sent is not believed", () => {
  for (const at of [{ file: 0, offset: 5 }, { file: 1, offset: 0 }, { file: 0, offset: 11 }, { file: 7, offset: 0 }]) {
    const sender = new Sender([{ path: "a", size: 10 }]);
    sender.received({ type: "have", at });
    assert.deepEqual(sender.state, { failed: "limit" }, JSON.stringify(at));
  }
});

test("frames are read as they are written, and nonsense is not", () => {
  const frames: FileFrame[] = [
    { type: "have", at: { file: 1, offset: 2 } },
    { type: "file", file: 0, path: "a/b", size: 0 },
    { type: "end", file: 0, sha256: "a".repeat(64) },
    { type: "ok", file: 3 },
    { type: "pause", paused: false },
    { type: "cancel", reason: "disk" },
  ];
  for (const frame of frames) assert.deepEqual(readFrame(writeFrame(frame)), frame);
  for (const text of ["", "{}", "[]", '{"have":[1]}', '{"file":0,"path":"","size":1}', '{"ok":-1}', `{"path":"${"a".repeat(6000)}"}`]) {
    assert.equal(readFrame(text), undefined, text.slice(0, 40));
  }
});
