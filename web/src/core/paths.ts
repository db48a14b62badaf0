// Names for files and folders, so that none takes the place of another.

/** A name with its number before the extension: `a.txt`, `a (2).txt`, `a (3).txt`. */
export function numbered(name: string, n: number): string {
  if (n <= 1) return name;
  const dot = name.lastIndexOf(".");
  return dot > 0 ? `${name.slice(0, dot)} (${n})${name.slice(dot)}` : `${name} (${n})`;
}

/** Paths of which no two are the same, not even to a file system that ignores case: a repeated one gets a number. */
export function distinct(paths: readonly (readonly string[])[]): string[][] {
  const used = new Set<string>();
  const next = new Map<string, number>();
  return paths.map((path) => {
    const [folders, name] = [path.slice(0, -1), path.at(-1) ?? "_"];
    const first = keyOf(path);
    for (let n = next.get(first) ?? 1; ; n += 1) {
      const candidate = [...folders, numbered(name, n)];
      const key = keyOf(candidate);
      if (used.has(key)) continue;
      used.add(key);
      next.set(first, n + 1);
      return candidate;
    }
  });
}

/** The folder that all paths begin with, if there is one. */
export function commonFolder(paths: readonly (readonly string[])[]): string | undefined {
  const folder = paths[0]?.[0];
  return paths.every((path) => path.length > 1 && path[0] === folder) ? folder : undefined;
}

function keyOf(path: readonly string[]): string {
  return path.join("/").normalize("NFC").toLowerCase();
}
