// A contact card: what somebody tells about themselves, and the file that address books read.
import { type Json, object, text } from "./json.ts";
import { cleanName } from "./text.ts";

export interface Card {
  readonly name: string;
  readonly company?: string;
  readonly phone?: string;
  readonly email?: string;
}

export const CARD_FIELDS = ["name", "company", "phone", "email"] as const;
const PHONE = /^\+?[0-9 ()./-]{2,40}$/;
const EMAIL = /^[^\s@<>()",:;\\[\]]{1,64}@[^\s@<>()",:;\\[\]]{1,190}$/u;

/** A card with a name. Fields that do not fit are left out. */
export function parseCard(value: unknown): Card | undefined {
  const fields: Json = object(value) ?? {};
  const line = (key: string) => cleanName(text(fields[key], 400) ?? "");
  const name = line("name");
  if (name === undefined) return undefined;
  const [company, phone, email] = [line("company"), text(line("phone"), 40, PHONE), text(line("email"), 254, EMAIL)];
  return { name, ...(company && { company }), ...(phone && { phone }), ...(email && { email }) };
}

/** The card for clients that show text alone. */
export function cardText(card: Card): string {
  return CARD_FIELDS.flatMap((field) => card[field] ?? []).join("\n");
}

/** A vCard (RFC 6350). */
export function vcard({ name, company, phone, email }: Card): string {
  const escape = (value: string) => value.replace(/([\\,;])/g, "\\$1");
  const lines = ["BEGIN:VCARD", "VERSION:4.0", `FN:${escape(name)}`];
  if (company !== undefined) lines.push(`ORG:${escape(company)}`);
  if (phone !== undefined) lines.push(`TEL;VALUE=text:${escape(phone)}`);
  if (email !== undefined) lines.push(`EMAIL:${escape(email)}`);
  return [...lines, "END:VCARD", ""].join("\r\n");
}
