// The page in a real browser, spoken to by the official host bridge.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { HOSTILE, attempts, attemptsByCountry, attemptsByPath, attemptsOfCountry, counted, countries, days, empty, estimated, firstChannels, hostile, hours, incomplete, paths, tries } from "./answers.mjs";
import { HTML, open, shown, told } from "./browser.mjs";
import { comparison, findings } from "./inquiries.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const DRAWN = ".fit svg";
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

const until = (view, wanted, kind, least = 1) =>
  view.page.waitForFunction(([k, n]) => window.log.filter((each) => each.kind === k).length >= n, [kind, least]).then(() => wanted());
const background = (view) => view.frame.evaluate(() => getComputedStyle(document.body).backgroundColor);
const overflow = (view) => view.frame.evaluate(() => document.documentElement.scrollWidth - innerWidth);

shows("the handshake is made once, and the answer that follows is shown", countries(), {}, async (view) => {
  assert.deepEqual(await view.log("initialized"), [{ name: "verify-mcp-summary", version: "1" }]);
  const text = await view.text();
  for (const words of ["2,175", "78.5", "369.98", "0.2167", "Indonesia (ID)", "Exact", "14 Nov 09:30 to 21 Nov 2026 09:30 UTC"]) {
    assert.ok(text.includes(words), words);
  }
});

shows("the host is told how high the page is, and again when it is narrower", countries(), {}, async (view) => {
  const fits = async () => {
    const sizes = await view.log("size");
    const height = await view.frame.evaluate(() => Math.ceil(document.body.getBoundingClientRect().height));
    return { told: sizes.at(-1).height, height };
  };
  await view.page.waitForTimeout(100);
  const wide = await fits();
  assert.equal(wide.told, wide.height);
  await view.page.setViewportSize({ width: 340, height: 900 });
  await view.page.waitForFunction((before) => window.log.filter((each) => each.kind === "size").at(-1).params.height > before, wide.height);
  const narrow = await fits();
  assert.equal(narrow.told, narrow.height);
  assert.ok((await overflow(view)) <= 0);
});

shows("a click on a country asks what became of the attempts there", countries(), { reply: () => told(attemptsOfCountry()), said: { max_requests: 40 } }, async (view) => {
  await view.frame.click('[data-group="Indonesia (ID)"]');
  await view.frame.waitForSelector(".crumbs");
  assert.deepEqual(await view.log("call"), [{
    name: "summarize_verify_sessions",
    arguments: {
      session_time__gte: "2026-11-14 09:30:00", session_time__lt: "2026-11-21 09:30:00",
      country: "ID", group_by: ["attempt_status"], max_requests: 40,
    },
  }]);
  const text = await view.text();
  for (const words of ["Country: Indonesia (ID)", "410", "Undelivered", "164 of 410 sessions"]) assert.ok(text.includes(words), words);
  assert.deepEqual(await view.frame.locator(".ways button").allTextContents(), ["Time", "Channel", "Attempts", "Path", "Application"]);
  const [look] = await view.log("look");
  assert.deepEqual(look.structuredContent.looking_at.country, "ID");
  await view.frame.click(".crumbs button");
  assert.ok((await view.text()).includes("2,175"), "the way back asks nothing");
  assert.equal((await view.log("call")).length, 1);
});

shows("a country of a counted window is picked from an answer about all of them", counted(), { reply: () => told(attemptsByCountry()) }, async (view) => {
  await view.frame.click('[data-group="Indonesia (ID)"]');
  await view.frame.waitForSelector(".crumbs");
  assert.deepEqual((await view.log("call"))[0].arguments.group_by, ["country", "attempt_status"]);
  const text = await view.text();
  for (const words of ["Country: Indonesia (ID)", "Undelivered"]) assert.ok(text.includes(words), words);
  assert.ok(!text.includes("2,030"), "attempts in other countries are not shown");
  const [look] = await view.log("look");
  assert.deepEqual(look.structuredContent.picked, { country: "ID" });
});

shows("filters of several values are asked again; a ranking only by the same call", incomplete(), {}, async (view) => {
  const answer = { ...incomplete(), eta_s: 0 };
  Object.assign(answer.applied, { channel: ["sms", "voice"], order_by: "cost, largest first", min_sessions: 5 });
  await view.page.evaluate((told_) => window.bridge.sendToolResult(told_), told(answer));
  await view.frame.waitForSelector('text="Channel: SMS, Voice"');
  assert.ok(!(await view.text()).includes("largest first"));
  const asked = { session_time__gte: "2026-11-14 09:30:00", session_time__lt: "2026-11-21 09:30:00", channel: ["sms", "voice"] };
  await view.frame.click('text="Go on"');
  await until(view, () => undefined, "call");
  await view.frame.waitForFunction(() => document.getElementById("page").getAttribute("aria-busy") === "false");
  await view.page.evaluate((told_) => window.bridge.sendToolResult(told_), told(answer));
  await view.frame.waitForSelector('text="Channel: SMS, Voice"');
  await view.frame.click('[data-group="Indonesia (ID)"]');
  await until(view, () => undefined, "call", 2);
  assert.deepEqual((await view.log("call")).map((each) => each.arguments), [
    { ...asked, group_by: ["country"], order_by: "cost", min_sessions: 5 },
    { ...asked, country: "ID", group_by: ["attempt_status"] },
  ]);
});

const regrouped = (by, names) => {
  const answer = countries();
  return { ...answer, applied: { ...answer.applied, group_by: by }, columns: [...by, ...answer.columns.slice(1)], rows: names.map((name, place) => [...[name].flat(), ...answer.rows[place % answer.rows.length].slice(1)]) };
};

shows("groups that have an order keep it", regrouped(["weekday"], ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]), {}, async (view) => {
  assert.deepEqual(await view.frame.locator(".bar-name").allInnerTexts(), ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]);
});

shows("the sum of the small groups has no bar beside which all others vanish", regrouped(["recipient"], ["+14155550101", "other (40)"]), {}, async (view) => {
  const bars = await view.frame.$$eval(".bar-row", (all) => all.map((each) => [each.dataset.group, each.querySelector(".bar")?.style.width ?? ""]));
  assert.deepEqual(bars, [["+14155550101", "100%"], ["40 smaller groups", ""]]);
});

shows("a stack is of the largest groups, and says which days and groups are only in part in it",
  regrouped(["day", "country"], [["2026-11-15", "ID"], ["2026-11-15", "IN"], ["2026-11-16", "ID"], ["other (9)", ""]]), {}, async (view) => {
    assert.deepEqual(await view.frame.locator(".chart-place .legend li").allInnerTexts().then((all) => all.slice(0, 2)), ["Indonesia (ID)", "India (IN)"]);
    const text = await view.text();
    assert.match(text, /Smaller groups are not drawn: 240 sessions/);
    assert.match(text, /Only a part of the first and the last day is in the window/);
  });

shows("days are walked with the arrow keys, and Enter opens one by hour", days(7), { reply: () => told(hours()) }, async (view) => {
  await view.frame.waitForSelector(DRAWN);
  await view.frame.focus('.mark[data-group="2026-11-15"]');
  for (const key of ["ArrowRight", "ArrowRight", "End", "ArrowLeft"]) await view.page.keyboard.press(key);
  assert.equal(await view.frame.evaluate(() => document.activeElement.dataset.group), "2026-11-20");
  assert.match(await view.frame.textContent("#hint"), /20 Nov.*Conversion/s);
  await view.page.keyboard.press("Enter");
  await view.frame.waitForSelector(".crumbs");
  assert.deepEqual((await view.log("call"))[0].arguments, {
    session_time__gte: "2026-11-20 00:00:00", session_time__lt: "2026-11-21 00:00:00", group_by: ["hour"],
  });
  assert.equal(await view.frame.evaluate(() => document.activeElement.tagName), "H1");
});

test("a local day is asked with its own bounds, and Space does what Enter does", async () => {
  const answer = days(3);
  answer.applied.time_zone = "Asia/Kolkata";
  const view = await shown(browser, answer);
  await view.frame.waitForSelector(DRAWN);
  await view.frame.focus('.mark[data-group="2026-11-20"]');
  await view.page.keyboard.press(" ");
  await until(view, () => undefined, "call");
  assert.deepEqual((await view.log("call"))[0].arguments, {
    session_time__gte: "2026-11-19 18:30:00", session_time__lt: "2026-11-20 18:30:00", time_zone: "Asia/Kolkata", group_by: ["hour"],
  });
  await view.page.close();
});

shows("paths are drawn as a flow whose blocks add up, and a bar opens what became of its attempts", paths(), { reply: () => told(attemptsByPath()) }, async (view) => {
  await view.frame.waitForSelector(DRAWN);
  const blocks = await view.frame.$$eval(".flow .mark", (all) => Object.fromEntries(all.map((each) => [each.dataset.way, each.getAttribute("aria-label")])));
  assert.match(blocks["SMS"], /Sessions: 2,062 .*Went on to another attempt: 642, Ended verified: 1,316, Expired: 99, In progress: 5/);
  assert.match(blocks["SMS › Voice"], /Sessions: 399 .*Went on to another attempt: 9, Ended verified: 242/);
  assert.ok(blocks["SMS › SMS › Voice › Further"] && blocks.None);
  assert.ok((await view.text()).includes("Smaller groups are not drawn: 7 sessions."));
  await view.frame.focus('.flow .mark[data-way="SMS"]');
  await view.page.keyboard.press("ArrowRight");
  assert.equal(await view.frame.evaluate(() => document.activeElement.dataset.way), "SMS › Voice");
  await view.frame.click('button[data-group="SMS › Voice"]');
  await view.frame.waitForSelector(".funnel");
  const [{ arguments: asked }] = await view.log("call");
  assert.deepEqual([asked.group_by, asked.top], [["path", "attempt_status"], 200]);
  assert.ok(!(await view.text()).includes("1,420"), "attempts of other paths are not shown");
});

shows("the number of attempts is one line of blocks, and first channels one column", tries(), {}, async (view) => {
  await view.frame.waitForSelector(DRAWN);
  const ways = () => view.frame.$$eval(".flow .mark", (all) => all.map((each) => each.dataset.way.split(" › ").at(-1)));
  assert.deepEqual(await ways(), ["First", "Second", "Third", "Fourth+"]);
  await view.page.evaluate((told_) => window.bridge.sendToolResult(told_), told(firstChannels()));
  await view.frame.waitForSelector('.flow [data-way="SMS"]');
  assert.deepEqual(await ways(), ["SMS", "WhatsApp"]);
});

for (const [by, group, args] of [
  ["prefix", "+99450555", { recipient: "+99450555*", group_by: ["day"] }],
  ["status", "expired", { status: "expired", group_by: ["country"] }],
  ["network", "Telkomsel", { group_by: ["network", "attempt_status"], top: 200 }],
]) {
  test(`a click on one ${by} asks for its sessions`, async () => {
    const answer = countries();
    answer.applied.group_by = [by];
    answer.columns[0] = by;
    answer.rows = [[group, ...answer.rows[0].slice(1)]];
    const view = await shown(browser, answer);
    await view.frame.click("button.bar-row");
    await until(view, () => undefined, "call");
    assert.deepEqual((await view.log("call"))[0].arguments, {
      session_time__gte: "2026-11-14 09:30:00", session_time__lt: "2026-11-21 09:30:00", ...args,
    });
    await view.page.close();
  });
}

shows("the same sessions are looked at another way by its button", countries(), { reply: () => told(attempts()) }, async (view) => {
  await view.frame.click('.ways >> text="Attempts"');
  await view.frame.waitForSelector(".funnel");
  assert.deepEqual((await view.log("call"))[0].arguments.group_by, ["attempt_status"]);
  const text = await view.text();
  assert.ok(text.includes("3,443") && text.includes("of 2,175 sessions"), "the totals of before still hold");
});

for (const [by, group, filter] of [
  ["recipient", "+91…3443~k7q2", { recipient: "+91…3443~k7q2" }],
  ["brand", "Acme \"quoted\" <b>", { brand_name: "Acme \"quoted\" <b>" }],
  ["app", "ec66515e-86f6-4507-8620-31c039538d7a", { app_uuid: "ec66515e-86f6-4507-8620-31c039538d7a" }],
]) {
  test(`a click on one ${by} narrows the question to it`, async () => {
    const answer = countries();
    answer.applied.group_by = [by];
    answer.columns[0] = by;
    answer.rows = [[group, ...answer.rows[0].slice(1)], ["?", ...answer.rows[1].slice(1)]];
    const view = await shown(browser, answer);
    await view.frame.click("button.bar-row");
    await until(view, () => undefined, "call");
    assert.deepEqual((await view.log("call"))[0].arguments, {
      session_time__gte: "2026-11-14 09:30:00", session_time__lt: "2026-11-21 09:30:00", ...filter, group_by: ["day"],
    });
    await view.page.close();
  });
}

shows("what the API cannot filter by leads nowhere from its unknown group", hostile(), { reply: () => told(hostile()) }, async (view) => {
  assert.equal(await view.frame.locator("button.bar-row").count(), HOSTILE.length);
});

shows("hostile names are shown as they are, run nothing, and are never spoken to the assistant", hostile(), {}, async (view) => {
  const text = await view.text();
  for (const name of ["<img src=x", "</script>", "<svg onload", "<iframe srcdoc="]) assert.ok(text.includes(name), name);
  assert.ok(!text.includes("\u202e"));
  assert.equal(await view.frame.evaluate(() => window.hacked), undefined);
  assert.equal(await view.page.evaluate(() => window.hacked), undefined);
  assert.equal(await view.frame.locator("img, iframe, main script, main style").count(), 0);
  assert.ok((await overflow(view)) <= 0);
  await view.frame.click("summary");
  assert.equal(await view.frame.locator("tbody tr").count(), HOSTILE.length);
});

shows("a host that only takes messages is asked in words, without the names of brands", hostile(), { capabilities: { message: {} } }, async (view) => {
  await view.frame.click("button.bar-row");
  const [message] = await until(view, () => view.log("message"), "message");
  assert.equal(message.content[0].text, 'Please call summarize_verify_sessions with {"session_time__gte":"2026-11-14 09:30:00",'
    + '"session_time__lt":"2026-11-21 09:30:00","group_by":["day"]}, for what the picture is narrowed to, and tell me what stands out.');
});

shows("a host that can do nothing is shown the same figures, and nothing to press", countries(), { capabilities: {} }, async (view) => {
  assert.ok((await view.text()).includes("369.98"));
  assert.equal(await view.frame.locator("button.bar-row, .ways button").count(), 0);
});

shows("nothing at all is said plainly", empty(), {}, async (view) => {
  assert.match(await view.text(), /No session in this window\./);
});

shows("one day is one bar, not a wall", days(1), {}, async (view) => {
  await view.frame.waitForSelector(DRAWN);
  const width = await view.frame.evaluate(() => document.querySelector("rect.bar").getBoundingClientRect().width);
  assert.ok(width <= 72, String(width));
});

for (const width of [320, 760]) {
  shows(`ninety days fit into ${width} pixels, each with its mark`, days(90), { width }, async (view) => {
    await view.frame.waitForSelector(DRAWN);
    assert.equal(await view.frame.locator(".mark[role=button]").count(), 90);
    assert.equal(await view.frame.locator('.mark[tabindex="0"]').count(), 1);
    assert.ok((await overflow(view)) <= 0);
    await view.frame.click("summary");
    assert.equal(await view.frame.locator("tbody tr").count(), 90);
  });
}

shows("days without a session keep their place", { ...days(7), rows: days(7).rows.filter((_row, place) => place !== 3) }, {}, async (view) => {
  await view.frame.waitForSelector(DRAWN);
  assert.equal(await view.frame.locator(".mark").count(), 7);
  assert.equal(await view.frame.locator(".mark[role=button]").count(), 6);
});

shows("days that are not covered are marked, since no bar there does not mean no session", {
  ...days(7), rows: days(7).rows.slice(2), complete: false, basis: "fetched", missing: ["2026-11-15 00:00:00 to 2026-11-17 06:00:00"], eta_s: 60,
}, {}, async (view) => {
  await view.frame.waitForSelector(DRAWN);
  const marked = await view.frame.evaluate(() => [...document.querySelectorAll(".hit.unknown")].map((each) => each.parentElement.dataset.group));
  assert.deepEqual(marked, ["2026-11-15", "2026-11-16", "2026-11-17"]);
  assert.ok((await view.text()).includes("no bar does not mean no session"));
});

shows("what is missing is drawn and said, and the rest can be fetched when the quota allows", { ...incomplete(), eta_s: 1 }, { reply: () => told(countries()) }, async (view) => {
  const text = await view.text();
  assert.match(text, /64\.2\u00a0% of the window is covered/);
  assert.match(text, /Missing: 19 Nov 02:00 to 19 Nov 2026 05:30 UTC/);
  assert.match(text, /The quota of API requests is used up for now/);
  const holes = await view.frame.evaluate(() => [...document.querySelectorAll(".hole")].map((each) => [each.style.left, each.style.width]));
  assert.deepEqual(holes.map((each) => each.map((value) => Number.parseFloat(value).toFixed(1))), [["0.0", "33.7"], ["67.0", "2.1"]]);
  assert.ok(await view.frame.locator(".primary").isDisabled());
  await view.frame.click('.primary:has-text("Go on"):enabled');
  await view.frame.waitForSelector(".badge.exact");
  assert.deepEqual((await view.log("call"))[0].arguments.group_by, ["country"]);
});

shows("estimates carry their intervals, in words and as whiskers", counted(), {}, async (view) => {
  const text = await view.text();
  assert.match(text, /≈\u00a0369\.98/);
  assert.match(text, /347\.78 to 392\.18 \(95\u00a0%\)/);
  assert.match(text, /2,175/);
  assert.equal(await view.frame.locator(".range").count(), 8);
  assert.match(await view.frame.getAttribute('[data-group="Indonesia (ID)"]', "aria-label"), /Cost: ≈\u00a0155\.80 \(143\.34 to 168\.26\)/);
});

shows("an estimated number of sessions is no exact one", estimated(), {}, async (view) => {
  const text = await view.text();
  for (const words of ["Estimated", "≈\u00a0660", "454 to 966 (95\u00a0%)", "≈\u00a077.7\u00a0%", "45.6\u00a0% to 91.8\u00a0%", "Verified ≈\u00a0513", "≈ is estimated from a sample", "Country: India (IN)"]) {
    assert.ok(text.includes(words), `${words} in ${text}`);
  }
  assert.ok(!text.includes("counted exactly"));
});

shows("nothing seen of a part that may have sessions is not no session", { ...estimated(), sessions: 0, verified: 0, expired: 0, conversion_pct: undefined }, {}, async (view) => {
  const text = await view.text();
  assert.ok(text.includes("≈\u00a00") && !text.includes("No session"), text);
});

shows("a host's light or dark comes before the system's, and may change", countries(), { scheme: "light", context: { theme: "dark" } }, async (view) => {
  assert.equal(await background(view), "rgb(22, 24, 28)");
  await view.page.evaluate(() => window.bridge.setHostContext({ theme: "light" }));
  await view.frame.waitForFunction(() => getComputedStyle(document.body).backgroundColor === "rgb(255, 255, 255)");
});

shows("without a word from the host the system's dark is followed", countries(), { scheme: "dark" }, async (view) => {
  assert.equal(await background(view), "rgb(22, 24, 28)");
});

shows("a host's own colours are worn", countries(), { context: { styles: { variables: { "--color-background-primary": "rgb(1, 2, 3)", "--evil": "x" } } } }, async (view) => {
  assert.equal(await background(view), "rgb(1, 2, 3)");
  assert.equal(await view.frame.evaluate(() => document.documentElement.style.getPropertyValue("--evil")), "");
});

shows("a refusal is shown in its own words", null, {}, async (view) => {
  await view.page.evaluate(() => window.bridge.sendToolInput({ arguments: {} })
    .then(() => window.bridge.sendToolResult({ isError: true, content: [{ type: "text", text: "group_by is none of status." }] })));
  await view.frame.waitForSelector(".problem");
  assert.equal(await view.text(), "group_by is none of status.");
});

shows("an answer in text alone is shown as well", null, {}, async (view) => {
  const result = { content: [{ type: "text", text: JSON.stringify(countries()) }] };
  await view.page.evaluate((given) => window.bridge.sendToolInput({ arguments: {} }).then(() => window.bridge.sendToolResult(given)), result);
  await view.frame.waitForSelector("header");
  assert.ok((await view.text()).includes("369.98"));
});

shows("a question that fails leaves the picture and says why", countries(), { reply: () => ({ isError: true, content: [{ type: "text", text: "The API is away." }] }) }, async (view) => {
  await view.frame.click('[data-group="India (IN)"]');
  await view.frame.waitForSelector(".problem");
  const text = await view.text();
  assert.ok(text.includes("The API is away.") && text.includes("369.98"));
});

shows("messages that do not come from the host are not heard", countries(), {}, async (view) => {
  const forged = { jsonrpc: "2.0", method: "ui/notifications/tool-result", params: told(empty()) };
  await view.frame.evaluate((message) => new Promise((done) => {
    window.addEventListener("message", () => done());
    window.postMessage(message, "*");
  }), forged);
  assert.ok((await view.text()).includes("369.98"));
});

shows("the end is answered, and nothing is sent after it", countries(), {}, async (view) => {
  assert.deepEqual(await view.page.evaluate(() => window.bridge.teardownResource({})), {});
  const before = (await view.log("size")).length;
  await view.page.setViewportSize({ width: 400, height: 700 });
  await view.page.waitForTimeout(150);
  assert.equal((await view.log("size")).length, before);
});

test("the page's own policy lets nothing in or out", async () => {
  const view = await shown(browser, countries());
  const outcomes = await view.frame.evaluate(async () => {
    const fetched = await fetch("http://elsewhere.test/").then(() => "fetched", () => "refused");
    const image = await new Promise((done) => {
      const made = new Image();
      made.onload = () => done("loaded");
      made.onerror = () => done("refused");
      made.src = "http://elsewhere.test/a.png";
    });
    const script = document.createElement("script");
    script.textContent = "window.hacked = 1";
    document.body.append(script);
    return [fetched, image, window.hacked];
  });
  assert.deepEqual(outcomes, ["refused", "refused", undefined]);
  assert.deepEqual(view.asked, []);
  await view.page.close();
});

for (const theme of ["light", "dark"]) {
  for (const [name, answer] of Object.entries({ countries: countries(), days: days(7), attempts: attempts(), incomplete: incomplete(), counted: counted(), paths: paths(), tries: tries() })) {
    shows(`no fault of accessibility: ${name}, ${theme}`, answer, { scheme: theme, context: { theme } }, async (view) => {
      await view.frame.click("summary");
      await view.frame.evaluate(AXE);
      const faults = await view.frame.evaluate(async () => {
        const { violations } = await window.axe.run(document, { iframes: false });
        return violations.flatMap((each) => each.nodes.map((node) => `${each.id}: ${node.html.slice(0, 160)} ${node.failureSummary}`));
      });
      assert.deepEqual(faults, []);
    });
  }
}

test("a report's file shows all its answers, with nothing to press and nothing asked", async () => {
  const page = await browser.context.newPage();
  const asked = [];
  const faults = [];
  page.on("console", (message) => message.type() === "error" && faults.push(message.text()));
  await page.route("**/*", (route) => {
    if (route.request().url() === "http://report.test/") return route.fulfill({ contentType: "text/html; charset=utf-8", body: html });
    asked.push(route.request().url());
    return route.abort();
  });
  const report = { version: "0", made: "2026-11-21 09:30:00Z", sandbox: true, answers: [countries(), days(30), hostile(), attempts(), paths()], comparison: comparison(), findings: findings() };
  const data = JSON.stringify(report).replace(/[<>&]/g, (sign) => `\\u00${sign.charCodeAt(0).toString(16)}`);
  const html = HTML.replace("<!--data-->", () => `<script type="application/json" id="report">${data}</script>`);
  await page.goto("http://report.test/");
  await page.waitForSelector(DRAWN);
  assert.deepEqual(await page.locator("h2").allTextContents(), [
    "What changed", "What drives the conversion", "What drives the cost", "What stands out",
    "By country", "Over time, by day", "By brand", "What became of the attempts", "How sessions went, attempt by attempt",
  ]);
  assert.deepEqual(await page.$$eval("rect.event", (all) => all.map((each) => each.parentElement.dataset.group)), ["2026-11-18", "2026-11-19", "2026-11-20", "2026-11-21"]);
  assert.match(await page.getAttribute('.mark[data-group="2026-11-19"]', "aria-label"), /Stands out: Pumping, Azerbaijan \(AZ\) · Azercell/);
  assert.equal(await page.locator("main a, .finding button, button.part-row").count(), 0);
  assert.equal(await page.locator("button.bar-row").count(), 0);
  assert.ok((await page.innerText("main")).includes("Made-up data"));
  assert.equal(await page.evaluate(() => window.hacked), undefined);
  assert.deepEqual({ asked, faults }, { asked: [], faults: [] });
  await page.close();
});

const written = (report) => HTML.replace("<!--data-->", () => `<script type="application/json" id="report">${JSON.stringify(report)}</script>`);

async function reportText(report) {
  const page = await browser.context.newPage();
  await page.setContent(written({ version: "0", made: "2026-11-21 09:30:00Z", sandbox: false, ...report }));
  await page.waitForSelector("header");
  const found = { text: await page.innerText("main"), marked: await page.locator("rect.event").count(), cards: await page.locator(".card").count() };
  await page.close();
  return found;
}

test("a report of an account without a session says so once, and has no empty card", async () => {
  const none = { ...days(7), sessions: 0, verified: 0, expired: 0, cost: "0", rows: [] };
  const compared = { ...comparison(), rows: [["sessions", "0", "0", "0"]], drivers: undefined, cost_change: undefined };
  const { text, cards } = await reportText({ answers: [none], comparison: compared, findings: findings([]) });
  assert.match(text, /No session in this window, and none in the 6 days before it/);
  assert.equal(cards, 0);
  const before = { ...compared, rows: [["sessions", "12", "0", "-12"]] };
  assert.match((await reportText({ answers: [none], comparison: before, findings: findings([]) })).text, /What changed[\s\S]*−12/);
});

test("what stands out in all of a window is no mark on its time", async () => {
  const whole = ["repeat", "ID one recipient", "11-14 09:30", "11-21 09:31", "11", "1", "8", "1.11 sessions", "11", "4.86", "0.93", "1e-09", "", "One recipient asked far more often than others."];
  const { text, marked } = await reportText({ answers: [days(7)], findings: findings([whole]) });
  assert.match(text, /Indonesia \(ID\) · one recipient\s+14 Nov 09:30 to 21 Nov 09:30 UTC/);
  const places = [["ID sms", "Indonesia (ID) · SMS"], ["voice", "Voice"], ["ID Telkomsel (range) sms", "Indonesia (ID) · Telkomsel (range) · SMS"]];
  const named = await reportText({ answers: [days(7)], findings: findings(places.map(([where]) => whole.with(1, where))) });
  for (const [, name] of places) assert.ok(named.text.includes(`\n${name}\n`), `${name} in ${named.text}`);
  assert.match(text, /Seen\s+11 sessions\s+Expected\s+1.11 sessions\s+Recipients/);
  assert.equal(marked, 0);
});

test("a report says in words why nothing is compared, once for both parts", async () => {
  const why = "The period before is not held in full. Run `verify-mcp sync --since 2026-11-07`, then the report again.";
  const report = { version: "0", made: "2026-11-21 09:30:00Z", sandbox: false, answers: [days(7)], comparison: { why }, findings: { why } };
  const page = await browser.context.newPage();
  await page.setContent(HTML.replace("<!--data-->", () => `<script type="application/json" id="report">${JSON.stringify(report)}</script>`));
  await page.waitForSelector(DRAWN);
  const text = await page.innerText("main");
  assert.equal(text.split("The period before is not held in full").length, 2);
  assert.ok(text.includes("What changed, and what stands out") && text.includes("verify-mcp sync --since 2026-11-07"));
  await page.close();
});
