// Builds dist/: the same bytes from the same sources, under fixed names.
import { build } from "esbuild";
import { cp, mkdir, rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

await rm(here("dist"), { recursive: true, force: true });
await mkdir(here("dist"), { recursive: true });
await build({
  absWorkingDir: here("."),
  entryPoints: { client: "src/main.ts", worker: "src/worker.ts" },
  outdir: "dist",
  bundle: true,
  minify: true,
  format: "iife",
  target: ["chrome109", "firefox115", "safari16.4"],
  charset: "utf8",
  legalComments: "none",
  logLevel: "warning",
});
await build({
  absWorkingDir: here("."),
  entryPoints: { client: "src/ui/client.css" },
  outdir: "dist",
  minify: true,
  logLevel: "warning",
});
await cp(here("static"), here("dist"), { recursive: true });
await cp(here("node_modules/uqr/LICENSE"), here("dist/licences.txt"));
