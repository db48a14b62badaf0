import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { test } from "node:test";
import { hex, Sha256 } from "../../src/core/sha256.ts";
import { commitment, fingerprintsIn, fourWords, isFrom } from "../../src/core/verify.ts";
import { WORDS } from "../../src/core/wordlist.ts";

test("SHA-256 of a stream is that of its bytes, however they are cut", () => {
  for (let length = 0; length < 300; length += 1) {
    const bytes = randomBytes(length);
    const hash = new Sha256();
    for (let at = 0; at < length; ) {
      const cut = at + 1 + ((length * 7 + at) % 130);
      hash.update(bytes.subarray(at, cut));
      at = cut;
    }
    assert.equal(hex(hash.digest()), createHash("sha256").update(bytes).digest("hex"), String(length));
  }
});

const fingerprint = (byte: string) => Array(32).fill(byte).join(":");

test("the list has 2,048 different words", () => {
  assert.equal(new Set(WORDS).size, 2048);
  assert.equal(WORDS.length, 2048);
});

test("both sides see the same words, and others if anything differs", () => {
  const [a, b] = [{ nonce: "a".repeat(32), fingerprint: fingerprint("AB") }, { nonce: "b".repeat(32), fingerprint: fingerprint("CD") }];
  const words = fourWords(a, b);
  assert.equal(words.length, 4);
  assert.deepEqual(fourWords({ ...a }, { ...b }), words);
  for (const other of [fourWords(b, a), fourWords({ ...a, nonce: "c".repeat(32) }, b), fourWords(a, { ...b, fingerprint: fingerprint("CE") })]) {
    assert.notDeepEqual(other, words);
  }
  assert.notEqual(commitment(a), commitment({ ...a, fingerprint: fingerprint("AC") }));
});

test("the words are the first 44 bits of the digest", () => {
  const [a, b] = [{ nonce: "1", fingerprint: "2" }, { nonce: "3", fingerprint: "4" }];
  const digest = createHash("sha256").update("sidecall-words|1|2|3|4").digest();
  const bits = Array.from(digest, (byte) => byte.toString(2).padStart(8, "0")).join("");
  const expected = [0, 11, 22, 33].map((at) => WORDS[parseInt(bits.slice(at, at + 11), 2)]);
  assert.deepEqual(fourWords(a, b), expected);
});

test("a description with another certificate, or with a second one, is not from the device", () => {
  const line = (byte: string) => `a=fingerprint:sha-256 ${fingerprint(byte)}\r\n`;
  assert.ok(isFrom(`v=0\r\n${line("ab")}`, fingerprint("AB")));
  assert.ok(isFrom(`v=0\r\n${line("AB")}m=\r\n${line("AB")}`, fingerprint("AB")));
  assert.ok(!isFrom(`v=0\r\n${line("AC")}`, fingerprint("AB")));
  assert.ok(!isFrom(`v=0\r\n${line("AB")}${line("AC")}`, fingerprint("AB")));
  assert.ok(!isFrom(`v=0\r\n${line("AB")}a=fingerprint:sha-1 00:11\r\n`, fingerprint("AB")));
  assert.ok(!isFrom("v=0", fingerprint("AB")));
  assert.deepEqual(fingerprintsIn(line("ab")), [fingerprint("AB")]);
});
