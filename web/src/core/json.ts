// Reads fields of JSON that somebody else wrote. What does not fit is absent.

export type Json = { readonly [key: string]: unknown };

export function object(value: unknown): Json | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : undefined;
}

/** The object that a text holds. */
export function parse(text: string): Json | undefined {
  try {
    return object(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** A text of 1 to `max` characters that matches. */
export function text(value: unknown, max: number, pattern?: RegExp): string | undefined {
  if (typeof value !== "string" || value === "" || value.length > max) return undefined;
  return pattern === undefined || pattern.test(value) ? value : undefined;
}

export function integer(value: unknown, max: number): number | undefined {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= max ? (value as number) : undefined;
}

export function oneOf<T extends string>(value: unknown, words: readonly T[]): T | undefined {
  return words.find((word) => word === value);
}

/** The items that fit, or nothing if it is no list or a longer one. */
export function list<T>(value: unknown, max: number, item: (value: unknown) => T | undefined): T[] | undefined {
  if (!Array.isArray(value) || value.length > max) return undefined;
  return value.map(item).filter((found): found is T & {} => found !== undefined);
}

/** Without the fields that are undefined. */
export function defined<T extends object>(fields: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const kept = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(kept) as { [K in keyof T]: Exclude<T[K], undefined> };
}
