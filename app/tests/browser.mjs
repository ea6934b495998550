// A real browser with a host in it. Nothing it asks for leaves this machine, and all of it is noted.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { build } from "esbuild";
import { chromium } from "playwright-core";

const HOST = "http://host.test/";
export const HTML = readFileSync(new URL("../../verify_mcp/app.html", import.meta.url), "utf8");
export const ALL = { serverTools: {}, message: { text: {} }, updateModelContext: { structuredContent: {} } };

export async function open() {
  const folder = mkdtempSync(join(tmpdir(), "verify-mcp-browser-"));
  const { outputFiles } = await build({
    entryPoints: [new URL("bridge.mjs", import.meta.url).pathname], bundle: true, write: false, format: "iife", minify: true,
  });
  const context = await chromium.launchPersistentContext(folder, {
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    headless: true,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  return {
    context,
    script: outputFiles[0].text,
    async close() {
      await context.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export function told(answer) {
  return { content: [{ type: "text", text: JSON.stringify(answer) }], structuredContent: answer };
}

/** A host that shows an answer; `reply` answers the calls that the page makes, after a moment: a test must wait for it. */
export async function shown(browser, answer, options = {}) {
  const { reply = () => told(answer), width = 760, html = HTML, capabilities = ALL, context = {}, said = {}, scheme = "light", ...more } = options;
  const page = await browser.context.newPage();
  await page.setViewportSize({ width, height: 900 });
  await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
  const faults = [];
  const asked = [];
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("console", (message) => message.type() === "error" && faults.push(message.text()));
  await page.route("**/*", (route) => {
    const url = route.request().url();
    if (url !== HOST) {
      asked.push(url);
      return route.abort();
    }
    return route.fulfill({
      contentType: "text/html; charset=utf-8",
      body: `<!doctype html><title>host</title><style>body{margin:0}iframe{border:0;width:100%;height:10px;display:block}</style><iframe sandbox="allow-scripts"></iframe>`,
    });
  });
  await page.goto(HOST);
  await page.exposeFunction("tell", async (params) => {
    await setTimeout(150);
    return reply(params);
  });
  await page.addScriptTag({ content: browser.script });
  const result = answer === null ? null : more.result ?? told(answer);
  await page.evaluate((given) => window.start(given), { html, capabilities, context, said, result });
  const frame = page.frames().find((each) => each !== page.mainFrame());
  if (result) await frame.waitForSelector("header, .problem");
  return {
    page, frame, faults, asked,
    log: (kind) => page.evaluate((wanted) => window.log.filter((each) => each.kind === wanted).map((each) => each.params), kind),
    text: () => frame.evaluate(() => document.body.innerText),
  };
}
