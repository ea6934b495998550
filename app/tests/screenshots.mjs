// Writes the pictures in docs/images, from the same hosts that the tests use, and those of odd
// cases too when another folder is given. Usage: node tests/screenshots.mjs [folder [part of a name]]
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { attempts, attemptsOfCountry, brands, counted, countries, days, empty, firstChannels, hostile, hours, incomplete, paths, tries } from "./answers.mjs";
import { comparison, comparisonCounted, comparisonOf, findings, findingsUnknown, manyFindings, oneFinding, session } from "./inquiries.mjs";
import { open, shown, told } from "./browser.mjs";

const [, , given, only = ""] = process.argv;
const folder = given ?? new URL("../../docs/images/", import.meta.url).pathname;
mkdirSync(folder, { recursive: true });

const PICTURES = {
  "summary-90-days": [days(90)],
  "summary-countries-dark": [countries(), { context: { theme: "dark" } }],
  "summary-drilled": [countries(), { reply: () => told(attemptsOfCountry()), then: drilled }],
  "summary-estimated": [counted()],
  "summary-incomplete": [incomplete()],
  "paths": [paths()],
  "comparison": [comparison()],
  "findings": [findings()],
  "session": [session()],
  "summary-narrow-dark": [hours(), { width: 360, context: { theme: "dark" } }],
};
const ODD = {
  "odd-hint": [days(30), { then: (view) => view.frame.hover('.mark[data-group="2026-11-10"]') }],
  "odd-attempts-dark": [attempts(), { context: { theme: "dark" } }],
  "odd-one-day": [days(1)],
  "odd-part-of-the-days": [{ ...days(30), rows: days(30).rows.slice(11), complete: false, basis: "fetched", missing: ["2026-10-23 00:00:00 to 2026-11-03 06:00:00"], eta_s: 60, why: "The quota of API requests is used up for now. The same call goes on from here." }],
  "odd-hours": [hours()],
  "odd-hours-wide-dark": [hours(), { width: 1280, context: { theme: "dark" } }],
  "odd-empty": [empty()],
  "odd-comparison-narrow": [comparison(), { width: 390 }],
  "odd-comparison-wide": [comparison(), { width: 1280 }],
  "odd-comparison-wide-dark": [comparisonOf(30), { width: 1280, context: { theme: "dark" } }],
  "odd-comparison-counted": [comparisonCounted()],
  "odd-findings-narrow-dark": [findings(), { width: 390, context: { theme: "dark" } }],
  "odd-findings-unknown": [findingsUnknown(), { width: 1280 }],
  "odd-session-wide": [session(), { width: 1280 }],
  "odd-session-narrow-dark": [session(), { width: 390, context: { theme: "dark" } }],
  "odd-paths-narrow-dark": [paths(), { width: 390, context: { theme: "dark" } }],
  "odd-paths-wide": [paths(), { width: 1280 }],
  "odd-brands-narrow": [brands(), { width: 390 }],
  "odd-brands-wide-dark": [brands(), { width: 1280, context: { theme: "dark" } }],
  "odd-tries": [tries(), { width: 390 }],
  "odd-first-channel": [firstChannels()],
  "odd-findings-many-narrow": [manyFindings(), { width: 390 }],
  "odd-finding-one": [oneFinding(), { width: 1280, context: { theme: "dark" } }],
  "odd-no-driver": [comparison({ drivers: { groups_looked_at: 12 }, cost_change: undefined }), { width: 390 }],
  "odd-hostile-narrow-dark": [hostile(), { width: 390, context: { theme: "dark" } }],
  "odd-90-narrow-dark": [days(90), { width: 390, context: { theme: "dark" } }],
  "odd-counted-narrow": [counted(), { width: 390 }],
  "odd-hostile": [hostile()],
  "odd-narrow": [countries(), { width: 360 }],
};

async function drilled(view) {
  await view.frame.click('[data-group="Indonesia (ID)"]');
  await view.frame.waitForSelector(".crumbs");
}

async function settled(frame) {
  await frame.waitForFunction(() => !document.querySelector(".fit") || document.querySelector(".fit svg"));
  await frame.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
}

async function hosted(name, answer, options = {}) {
  const view = await shown(browser, answer, options);
  await settled(view.frame);
  const height = async () => view.frame.evaluate(() => Math.ceil(document.body.getBoundingClientRect().height));
  await options.then?.(view);
  await view.page.setViewportSize({ width: options.width ?? 760, height: await height() });
  await view.page.waitForFunction((wanted) => document.querySelector("iframe").offsetHeight === wanted, await height());
  await settled(view.frame);
  await view.page.locator("iframe").screenshot({ path: join(folder, `${name}.png`) });
  if (view.faults.length) console.log(name, view.faults);
  await view.page.close();
}

async function reported(name) {
  const made = mkdtempSync(join(tmpdir(), "verify-mcp-report-"));
  const file = join(made, "report.html");
  execFileSync(process.env.VERIFY_MCP ?? "verify-mcp", ["report", "--sandbox", "--since", "30d", "-o", file]);
  const page = await browser.context.newPage();
  await page.setViewportSize({ width: 900, height: 1160 });
  await page.goto(`file://${file}`);
  await settled(page);
  await page.screenshot({ path: join(folder, `${name}.png`), fullPage: given !== undefined });
  await page.close();
  rmSync(made, { recursive: true });
}

const browser = await open();
for (const [name, [answer, options]] of Object.entries({ ...PICTURES, ...(given ? ODD : {}) })) {
  if (name.includes(only)) await hosted(name, answer, options);
}
if ("report".includes(only)) await reported("report");
await browser.close();
