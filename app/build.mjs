// Makes verify_mcp/app.html: one self-contained page of the sources here.
// `--check` writes nothing and fails when the committed page is another one.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const here = new URL("./", import.meta.url);
const page = new URL("../verify_mcp/app.html", here);

async function bundled(entry) {
  const { outputFiles } = await build({
    entryPoints: [new URL(entry, here).pathname],
    bundle: true,
    minify: true,
    write: false,
    format: "iife",
    target: "es2022",
    charset: "ascii",
    legalComments: "none",
    banner: entry.endsWith(".ts") ? { js: "/*! With d3-scale and d3-shape, (c) Mike Bostock, ISC licence */" } : {},
  });
  const text = outputFiles[0].text.trim();
  if (/<\/(script|style)/i.test(text)) throw new Error(`${entry} would end its own element`);
  return text;
}

/** One digest of all that the page is made of, by which a test knows a page that is out of date. */
function sources() {
  const inside = readdirSync(new URL("src/", here), { recursive: true }).map((name) => `src/${name.replaceAll("\\", "/")}`);
  const names = [...inside.filter((name) => name.endsWith(".ts")), "build.mjs", "index.html", "package.json", "style.css"].sort();
  const hash = createHash("sha256");
  for (const name of names) {
    hash.update(`${name}\n${readFileSync(new URL(name, here), "utf8").replaceAll("\r\n", "\n")}\n`);
  }
  return hash.digest("hex");
}

const digest = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

const [script, style] = await Promise.all([bundled("src/main.ts"), bundled("style.css")]);
const policy = [
  "default-src 'none'",
  `script-src ${digest(script)}`,
  `style-src ${digest(style)}`,
  "base-uri 'none'",
  "form-action 'none'",
].join("; ");
const parts = { csp: policy, script, style, sources: sources() };
const html = readFileSync(new URL("index.html", here), "utf8").replace(
  /\{\{(csp|script|style|sources)\}\}/g,
  (_whole, name) => parts[name],
);

if (process.argv.includes("--check")) {
  if (readFileSync(page, "utf8") !== html) {
    console.error("verify_mcp/app.html is not what these sources make: npm run build");
    process.exit(1);
  }
} else {
  writeFileSync(page, html);
}
console.log(`verify_mcp/app.html: ${(Buffer.byteLength(html) / 1000).toFixed(1)} kB`);
