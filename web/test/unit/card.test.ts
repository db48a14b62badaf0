import assert from "node:assert/strict";
import { test } from "node:test";
import { cardText, parseCard, vcard } from "../../src/core/card.ts";

test("a card keeps what fits and loses the rest", () => {
  const card = parseCard({ name: "Bob\u202e", company: "A, B; C", phone: "+1 212 555-0100", email: "bob@b.example", photo: "x" });
  assert.deepEqual(card, { name: "Bob", company: "A, B; C", phone: "+1 212 555-0100", email: "bob@b.example" });
  assert.deepEqual(parseCard({ name: "Bob", phone: "javascript:1", email: "a@b\r\nEND:VCARD" }), { name: "Bob" });
  for (const value of [undefined, "Bob", {}, { name: "" }, { name: 7 }]) assert.equal(parseCard(value), undefined);
});

test("a vCard has one line for each field, and nobody can add others", () => {
  const card = parseCard({ name: "Bob\r\nTEL:666", company: "A, B; C\\" })!;
  assert.equal(vcard(card), "BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Bob TEL:666\r\nORG:A\\, B\\; C\\\\\r\nEND:VCARD\r\n");
  assert.equal(cardText(card), "Bob TEL:666\nA, B; C\\");
});
