import assert from "node:assert/strict";
import { test } from "node:test";
import { cleanFileName, cleanName, cleanPath, cleanText, pieces, safeLink } from "../../src/core/text.ts";

test("bidirectional overrides and control characters are removed from names", () => {
  assert.equal(cleanName("Bob\u202e\u0000\u200b gpj.exe\u2066"), "Bob gpj.exe");
  assert.equal(cleanName("  a\n\tb  "), "a b");
  assert.equal(cleanName("\u202e\u200f"), undefined);
  assert.equal(cleanName("\ud800x"), "x");
  assert.equal(Array.from(cleanName("😀".repeat(300))!).length, 100);
  assert.equal(cleanName("👩‍💻 نور می‌خواهم"), "👩‍💻 نور می‌خواهم");
});

test("a file name cannot leave its folder or stand for a device", () => {
  const names: readonly (readonly [string, string])[] = [
    ["../../etc/passwd", ".._.._etc_passwd".replace(/^\.+/, "_")],
    ["a\u202etxt.exe", "atxt.exe"],
    ["CON.txt", "_CON.txt"],
    ["com1", "_com1"],
    [".bashrc", "_bashrc"],
    ["name. . ", "name"],
    ["a:b*c?", "a_b_c_"],
    ["\u0000", "_"],
    ["", "_"],
  ];
  for (const [raw, clean] of names) assert.equal(cleanFileName(raw), clean, raw);
  const long = cleanFileName(`${"x".repeat(400)}.jpeg`);
  assert.equal(long.length, 200);
  assert.ok(long.endsWith(".jpeg"));
});

test("a path stays inside its folder, whatever it says", () => {
  assert.deepEqual(cleanPath("plans/./old/../a.txt"), ["plans", "old", "_", "a.txt"]);
  assert.deepEqual(cleanPath("C:\\Windows\\x"), ["C_", "Windows", "x"]);
  assert.deepEqual(cleanPath("///"), ["_"]);
  assert.equal(cleanPath("a/".repeat(500)).length, 16);
  for (let n = 0; n < 2000; n += 1) {
    const alphabet = ["/", "\\", ".", "..", "a", "\u0000", "\u202e", " ", "~", "con", "\n"];
    const raw = Array.from({ length: n % 12 }, (_, k) => alphabet[(n * 7 + k * (n % 13)) % alphabet.length]).join("");
    for (const segment of cleanPath(raw)) {
      assert.ok(segment !== "" && segment !== "." && segment !== ".." && !/[/\\\u0000-\u001f]/.test(segment), raw);
    }
  }
});

test("chat keeps its lines and loses what deceives", () => {
  assert.equal(cleanText("a\r\nb\u202e\u0007"), "a\nb");
  assert.equal(cleanText(" \n "), undefined);
  assert.equal(cleanText("a\n\n\n\n\n\nb"), "a\n\n\nb");
  assert.equal(cleanText("x".repeat(9000))!.length, 8000);
});

test("only http and https links without credentials become links", () => {
  assert.deepEqual(pieces("see https://a.example/x?y=1. and"), [
    { text: "see " },
    { text: "https://a.example/x?y=1", href: "https://a.example/x?y=1" },
    { text: ". and" },
  ]);
  for (const text of ["javascript:alert(1)", "https://bank.example@evil.example/", "ftp://a.example", "data:text/html,x"]) {
    assert.deepEqual(pieces(text), [{ text }], text);
  }
  assert.equal(safeLink("https://"), undefined);
  assert.equal(pieces("(http://a.example)")[1]!.href, "http://a.example/");
});
