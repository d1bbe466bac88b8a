// Makes one ES module of a source and what it imports: node bundle.mjs PLATFORM OUTPUT SOURCE.
// What a world imports (`wasi:http/types@0.2.10`), and what Node.js has, stays an import.

import { build } from "esbuild";

const [platform, outfile, source] = process.argv.slice(2);

const interfaces = {
  name: "interfaces",
  setup(setup) {
    setup.onResolve({ filter: /^[a-z][a-z0-9-]*:[a-z]/ }, ({ path }) => ({ path, external: true }));
  },
};

try {
  await build({
    entryPoints: [source],
    outfile,
    platform,
    bundle: true,
    format: "esm",
    target: "es2022",
    mainFields: ["module", "main"],
    conditions: ["import"],
    plugins: [interfaces],
    logLevel: "warning",
  });
} catch {
  // esbuild has said what is wrong.
  process.exitCode = 1;
}
