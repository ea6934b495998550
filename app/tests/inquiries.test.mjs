// The pages of the other tools' answers: comparison, findings, one session.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { attempts, countries } from "./answers.mjs";
import { open, shown, told } from "./browser.mjs";
import {
  HOSTILE_INQUIRIES, comparison, comparisonCounted, comparisonOf, comparisonUnreachable, findings, findingsUnknown, manyFindings, oneFinding, session, sessionPending,
} from "./inquiries.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
let browser;
before(async () => {
  browser = await open();
});
after(() => browser.close());

/** A test with a host of its own, which must end without a fault and without a request. */
function shows(name, answer, options, body) {
  test(name, async () => {
    const view = await shown(browser, answer, options);
    try {
      await body(view);
      assert.deepEqual({ faults: view.faults, asked: view.asked }, { faults: [], asked: [] });
    } finally {
      await view.page.close();
    }
  });
}

async function has(view, ...wanted) {
  const text = await view.text();
  for (const words of wanted) assert.ok(text.includes(words), `${words} in ${text}`);
  return text;
}

const inlineStyle = (view, selector) => view.frame.$eval(selector, (each) => [each.style.left, each.style.width].map(parseFloat));

shows("a comparison shows both windows, the change with its interval, and its drivers", comparison(), {}, async (view) => {
  await has(view, "7 Nov 09:30 to 14 Nov 2026 09:30 UTC", "14 Nov 09:30 to 21 Nov 2026 09:30 UTC", "1,960", "2,175", "−9.42 points", "−11.71 to −7.14", "<0.0001",
    "Country: Indonesia (ID)", "86.2\u00a0% → 40\u00a0%", "since 18 Nov 14:00 (13:00 to 16:00) UTC", "Largest driver: country Indonesia (ID) (−8.45 points", "since about 18 Nov 14:00 UTC", "61 groups were looked at", "+25.18", "Exact");
  const [left, width] = await inlineStyle(view, '[data-group="Country: Indonesia (ID)"] .part-rate');
  assert.deepEqual([left, width], [0, 50], "the largest part fills its half, to the left where it is a loss");
  const [low, long] = await inlineStyle(view, ".change-range");
  assert.ok(low < low + long && low + long < 50, "an interval below zero is drawn left of it");
});

shows("a driver that a sentence may not name is named by the page", comparison({
  summary: "Conversion fell by 9.42 points, from 87.91 to 78.49 %. Largest driver: one network (-6.95 points, by its share of the sessions).",
  drivers: { columns: ["by", "group", "pct_before", "pct_after", "rate", "mix", "chance"], rows: [["network", "Azercell (range)", "88", "40", "-0.41", "-6.5", "0.01"]], groups_looked_at: 1 },
}), {}, async (view) => {
  await has(view, "Largest driver: network Azercell (range) (−6.95 points", "1 group was looked at", "−6.50");
});

shows("a driver that a filter reaches opens its sessions, and the way back asks nothing", comparison(), { reply: () => told(attempts()) }, async (view) => {
  await view.frame.click('[data-group="Country: Indonesia (ID)"]');
  await view.frame.waitForSelector(".funnel");
  assert.deepEqual(await view.log("call"), [{
    name: "summarize_verify_sessions",
    arguments: { session_time__gte: "2026-11-14 09:30:00", session_time__lt: "2026-11-21 09:30:00", country: "ID", group_by: ["attempt_status"] },
  }]);
  assert.equal(await view.frame.locator('button[data-group="Network: Telkomsel"]').count(), 0, "no filter reaches a network");
  await view.frame.click('.crumbs >> text="What changed"');
  await has(view, "Before and after");
  assert.equal((await view.log("call")).length, 1);
});

shows("a counted comparison says what is not known, and goes on with the same call", comparisonCounted(), {
  said: { session_time__gte: "7d", by: "country" }, reply: () => told(comparison()),
}, async (view) => {
  const text = await has(view, "Incomplete", "Drivers need every session", "−9.42 points");
  for (const words of ["Cost", "What drives", "Exact", "estimated"]) assert.ok(!text.includes(`${words}\n`), words);
  await view.frame.click('text="Go on"');
  await view.frame.waitForSelector(".part-rate");
  assert.deepEqual(await view.log("call"), [{ name: "compare_verify_sessions", arguments: { session_time__gte: "7d", by: "country" } }]);
});

shows("a comparison with nothing to compare with has no figure", comparisonUnreachable(), {}, async (view) => {
  await has(view, "nothing to compare with", "Missing: 1 Aug 00:00", "No figure is known");
});

shows("of many drivers the first are shown, and the others on request", comparisonOf(30), {}, async (view) => {
  const drivers = view.frame.locator('section[aria-label="What drives the conversion"] .part-row:visible');
  assert.equal(await drivers.count(), 8);
  await view.frame.click('text="Show all 30"');
  assert.equal(await drivers.count(), 30);
});

shows("drivers that were looked for and not found are told as such", comparison({ drivers: { groups_looked_at: 12 }, cost_change: undefined }), {}, async (view) => {
  await has(view, "No group changed otherwise than the rest, beyond chance. 12 groups were looked at.");
});

shows("findings stand on the window's axis, each with its place, figures and words", findings(), { reply: () => told(countries()) }, async (view) => {
  await has(view, "3 findings", "Pumping", "Azerbaijan (AZ) · Azercell +99450*", "19 Nov 02:00 to 19 Nov 05:30 UTC", "86% verified", "1.28%", "169.4", "<0.0001", "Everywhere", "Compared with 28 days");
  const [left, width] = await inlineStyle(view, ".finding:nth-child(1) .span-mark");
  assert.ok(Math.abs(left - (100 * 112.5) / 168) < 0.01 && Math.abs(width - (100 * 3.5) / 168) < 0.01, `${left} ${width}`);
  await view.frame.click('.finding:nth-child(1) >> text="What became of the attempts there and then"');
  await view.frame.waitForSelector(".crumbs");
  assert.deepEqual((await view.log("call"))[0].arguments, {
    session_time__gte: "2026-11-19 02:00:00", session_time__lt: "2026-11-19 05:30:00", country: "AZ", group_by: ["attempt_status"],
  });
});

shows("an example of a finding opens its session, and the way back asks nothing", findings(), { reply: () => told(session()) }, async (view) => {
  await view.frame.click('.examples >> text="60ea68db"');
  await view.frame.waitForSelector(".crumbs");
  await has(view, "One session", "Attempts", "+24\u00a0s");
  assert.deepEqual(await view.log("call"), [{ name: "get_verify_session", arguments: { session_uuid: "60ea68db" } }]);
  await view.frame.click('.crumbs >> text="What stands out"');
  await has(view, "3 findings");
  assert.equal((await view.log("call")).length, 1);
});

shows("on a phone no label is broken within a word", findings(), { width: 390 }, async (view) => {
  const heights = await view.frame.$$eval(".lesser dt", (all) => all.map((each) => each.getBoundingClientRect().height));
  assert.ok(Math.max(...heights) < 24, String(heights));
});

shows("of many findings the first are shown, the others on request and on paper", manyFindings(), { width: 390 }, async (view) => {
  const visible = () => view.frame.locator(".finding:visible").count();
  assert.equal(await visible(), 8);
  await view.page.emulateMedia({ media: "print" });
  assert.equal(await visible(), 30);
  await view.page.emulateMedia({ media: "screen" });
  await view.frame.click('text="Show all 30"');
  assert.equal(await visible(), 30);
});

shows("no finding says what was looked at", findings([]), {}, async (view) => {
  await has(view, "Nothing stands out. Looked at the window", "Exact");
});

shows("a window not looked at yet is not one without findings", findingsUnknown(), {}, async (view) => {
  const text = await has(view, "Nothing was looked at yet", "Only 133 h", "Incomplete", "5.54 of 28 days");
  assert.ok(!text.includes("Nothing stands out"));
});

shows("a session is a line of attempts with their seconds, over the turn of a year too", session(), {}, async (view) => {
  await has(view, "One session", "Verified", "United States (US)", "+0\u00a0s", "+24\u00a0s", "+51\u00a0s", "Answered",
    "error 450 (destination country barred by geo permissions)", "Record: not available", "answered after 6 s");
  const lefts = await view.frame.$$eval(".moment", (all) => all.map((each) => Math.round(parseFloat(each.style.left))));
  assert.deepEqual(lefts, [0, 47, 100]);
});

shows("a session that could not be read has no attempts, which is not none", sessionPending(), {}, async (view) => {
  await has(view, "The session is not read yet.", "quota");
});

shows("a session without an attempt says so", session({ attempts: [] }), {}, async (view) => {
  await has(view, "No attempt yet.");
});

for (const [name, answer] of Object.entries(HOSTILE_INQUIRIES)) {
  shows(`nothing that others wrote becomes markup: ${name}`, answer, { width: 390 }, async (view) => {
    assert.equal(await view.frame.evaluate(() => window.hacked), undefined);
    assert.equal(await view.frame.locator("img, iframe, script:not([type]) ~ script").count(), 0);
    assert.ok((await view.frame.evaluate(() => document.documentElement.scrollWidth - innerWidth)) <= 0);
  });
}

const ALL = {
  comparison: comparison(), "one driver": comparisonOf(1), "many drivers": comparisonOf(30), counted: comparisonCounted(),
  findings: findings(), "one finding": oneFinding(), "many findings": manyFindings(), "no finding": findings([]), session: session(),
};
for (const theme of ["light", "dark"]) {
  for (const [name, answer] of Object.entries(ALL)) {
    shows(`fits at 390 and 1280 px without a fault of accessibility: ${name}, ${theme}`, answer, { width: 390, scheme: theme, context: { theme } }, async (view) => {
      const overflow = () => view.frame.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok((await overflow()) <= 0, "390 px");
      await view.page.setViewportSize({ width: 1280, height: 900 });
      assert.ok((await overflow()) <= 0, "1280 px");
      await view.frame.evaluate(AXE);
      const faults = await view.frame.evaluate(async () => {
        const { violations } = await window.axe.run(document, { iframes: false });
        return violations.flatMap((each) => each.nodes.map((node) => `${each.id}: ${node.html.slice(0, 160)} ${node.failureSummary}`));
      });
      assert.deepEqual(faults, []);
    });
  }
}
