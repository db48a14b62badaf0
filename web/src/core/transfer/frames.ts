// The text frames of a file channel (PROTOCOL.md, "Files"), parsed.
import { integer, object, oneOf, parse, text } from "../json.ts";
import { BYTES_MAX, FILES_MAX } from "../signal.ts";

export const REASONS = ["user", "digest", "limit", "disk", "gone", "changed"] as const;
/** Why a transfer is over. */
export type Reason = (typeof REASONS)[number];

export interface Position {
  readonly file: number;
  readonly offset: number;
}

export type FileFrame =
  | { readonly type: "have"; readonly at: Position }
  | { readonly type: "file"; readonly file: number; readonly path: string; readonly size: number }
  | { readonly type: "end"; readonly file: number; readonly sha256: string }
  | { readonly type: "ok"; readonly file: number }
  | { readonly type: "pause"; readonly paused: boolean }
  | { readonly type: "cancel"; readonly reason: Reason };

const FRAME_MAX = 4096 + 1024;

export function readFrame(frame: string): FileFrame | undefined {
  const fields = frame.length > FRAME_MAX ? undefined : object(parse(frame));
  if (fields === undefined) return undefined;
  if (Array.isArray(fields["have"])) {
    const [file, offset] = [integer(fields["have"][0], FILES_MAX), integer(fields["have"][1], BYTES_MAX)];
    return file === undefined || offset === undefined ? undefined : { type: "have", at: { file, offset } };
  }
  if (typeof fields["pause"] === "boolean") return { type: "pause", paused: fields["pause"] };
  if ("cancel" in fields) return { type: "cancel", reason: oneOf(fields["cancel"], REASONS) ?? "user" };
  const ok = integer(fields["ok"], FILES_MAX);
  if (ok !== undefined) return { type: "ok", file: ok };
  const end = integer(fields["end"], FILES_MAX);
  const sha256 = text(fields["sha256"], 64, /^[0-9a-f]{64}$/);
  if (end !== undefined && sha256 !== undefined) return { type: "end", file: end, sha256 };
  const [file, size] = [integer(fields["file"], FILES_MAX), integer(fields["size"], BYTES_MAX)];
  const path = text(fields["path"], 4096);
  if (file === undefined || size === undefined || path === undefined) return undefined;
  return { type: "file", file, path, size };
}

export function writeFrame(frame: FileFrame): string {
  switch (frame.type) {
    case "have":
      return JSON.stringify({ have: [frame.at.file, frame.at.offset] });
    case "file":
      return JSON.stringify({ file: frame.file, path: frame.path, size: frame.size });
    case "end":
      return JSON.stringify({ end: frame.file, sha256: frame.sha256 });
    case "ok":
      return JSON.stringify({ ok: frame.file });
    case "pause":
      return JSON.stringify({ pause: frame.paused });
    case "cancel":
      return JSON.stringify({ cancel: frame.reason });
  }
}
