// Text that somebody else wrote, made harmless: what a person reads must be what is there.

const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;
/** Bidirectional marks, embeddings, overrides and isolates; zero-width and tag characters; line separators. */
const DECEPTIVE =
  /[\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]|[\ud800-\udfff]/gu;
/** The joiners that emoji and some scripts need. */
const JOINERS = /[\u200c\u200d]/;

export const TEXT_MAX = 8000;
const NAME_MAX = 100;
const SEGMENT_MAX = 200;
const SEGMENTS_MAX = 16;

function strip(raw: string, replacement = ""): string {
  const visible = raw.replace(DECEPTIVE, (mark) => (JOINERS.test(mark) ? mark : ""));
  return visible.replace(CONTROLS, replacement);
}

function first(text: string, max: number): string {
  if (text.length <= max) return text;
  const points = Array.from(text.slice(0, max * 2));
  return points.slice(0, max).join("");
}

/** A chat text of several lines, or nothing if there is nothing to read. */
export function cleanText(raw: string): string | undefined {
  const text = first(strip(raw.slice(0, TEXT_MAX * 4).replace(/\r\n?/g, "\n")), TEXT_MAX);
  const short = text.replace(/\n{4,}/g, "\n\n\n").trim();
  return short === "" ? undefined : short;
}

/** A person's or a device's name on one line. */
export function cleanName(raw: string): string | undefined {
  const line = strip(raw.slice(0, NAME_MAX * 4).replace(/[\t\n]/g, " "), " ").replace(/ +/g, " ");
  const name = first(line, NAME_MAX).trim();
  return name === "" ? undefined : name;
}

/** Names that Windows takes for devices. */
const RESERVED = /^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)/i;

/** One file name for every file system. */
export function cleanFileName(raw: string): string {
  let name = strip(raw.slice(0, SEGMENT_MAX * 4), "_").replace(/[\t\n/\\:*?"<>|]/g, "_");
  name = name.trim().replace(/[. ]+$/, "").replace(/^\.+/, "_");
  if (RESERVED.test(name)) name = `_${name}`;
  if (name === "") return "_";
  const points = Array.from(name);
  if (points.length <= SEGMENT_MAX) return name;
  const dot = name.lastIndexOf(".");
  const extension = dot > 0 && name.length - dot <= 16 ? name.slice(dot) : "";
  return points.slice(0, SEGMENT_MAX - extension.length).join("") + extension;
}

/** A relative path that stays inside its folder. */
export function cleanPath(raw: string): string[] {
  const segments = raw.slice(0, 4096).split(/[/\\]/).filter((segment) => segment !== "" && segment !== ".");
  const safe = segments.slice(-SEGMENTS_MAX).map((segment) => (segment === ".." ? "_" : cleanFileName(segment)));
  return safe.length === 0 ? ["_"] : safe;
}

export type Piece = { readonly text: string; readonly href?: string };

const LINK = /\bhttps?:\/\/[^\s<>"'`{}|\\^]+/gi;

/** Text and the links in it. A link is shown as it is written, so it must not hide its host behind a user name. */
export function pieces(text: string): Piece[] {
  const found: Piece[] = [];
  let end = 0;
  for (const match of text.matchAll(LINK)) {
    const written = match[0].replace(/[.,;:!?)\]]+$/, "");
    const href = safeLink(written);
    if (href === undefined) continue;
    if (match.index > end) found.push({ text: text.slice(end, match.index) });
    found.push({ text: written, href });
    end = match.index + written.length;
  }
  if (end < text.length) found.push({ text: text.slice(end) });
  return found;
}

/** An http or https link without credentials. */
export function safeLink(written: string): string | undefined {
  if (written.length > 2048 || !URL.canParse(written)) return undefined;
  const url = new URL(written);
  const web = url.protocol === "https:" || url.protocol === "http:";
  return web && url.username === "" && url.password === "" && url.hostname !== "" ? url.href : undefined;
}
