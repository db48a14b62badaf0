// Bundles the tests of a folder and runs them: `node test/run.mjs unit|browser [FILTER]`.
import { build } from "esbuild";
import { spawnSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const [folder = "unit", filter = ""] = process.argv.slice(2);
const names = readdirSync(here(folder)).filter((name) => name.endsWith(".test.ts") && name.includes(filter));
const outdir = here(`../build/${folder}`);
rmSync(outdir, { recursive: true, force: true });
await build({
  entryPoints: names.map((name) => here(`${folder}/${name}`)),
  outdir,
  bundle: true,
  platform: "node",
  format: "esm",
  packages: "external",
  outExtension: { ".js": ".mjs" },
  sourcemap: "inline",
  logLevel: "warning",
});
const files = names.map((name) => `${outdir}/${name.replace(/\.ts$/, ".mjs")}`);
const run = spawnSync(process.execPath, ["--test", "--test-concurrency=1", ...files], { stdio: "inherit" });
process.exit(run.status ?? 1);
