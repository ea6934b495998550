// The whole way: the real server over stdio, a host, the page in a browser, and a click back again.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { open, shown } from "./browser.mjs";

const COMMAND = process.env.VERIFY_MCP ?? "verify-mcp";
const TOOL = "summarize_verify_sessions";
const SHOWN = ["compare_verify_sessions", "find_verify_anomalies", "get_verify_session", TOOL];
const REPORT_PARTS = ["What changed", "What drives the conversion", "What drives the cost", "What stands out", "Over time, by hour", "By country", "What became of the attempts"];
let browser;
let client;
before(async () => {
  browser = await open();
  client = new Client({ name: "test-host", version: "1" });
  await client.connect(new StdioClientTransport({ command: COMMAND, args: ["serve", "--sandbox"], stderr: "ignore" }));
});
after(async () => {
  await client.close();
  await browser.close();
});

test("the tools name their picture, and the server gives it with no origin opened", async () => {
  const { tools } = await client.listTools();
  const named = Object.fromEntries(tools.map((tool) => [tool.name, tool._meta?.ui?.resourceUri]));
  assert.deepEqual(Object.entries(named).filter(([, uri]) => uri).sort(), SHOWN.map((name) => [name, "ui://verify/summary"]));
  const { contents } = await client.readResource({ uri: named[TOOL] });
  const [{ mimeType, _meta: { ui } }] = contents;
  assert.equal(mimeType, "text/html;profile=mcp-app");
  assert.deepEqual(ui, { csp: { connectDomains: [], resourceDomains: [], frameDomains: [], baseUriDomains: [] }, prefersBorder: true });
});

test("a real answer is shown, and a click on a country brings the next real answer", async () => {
  const { contents: [{ text: html }] } = await client.readResource({ uri: "ui://verify/summary" });
  const said = { session_time__gte: "12h", group_by: ["country"] };
  const result = await client.callTool({ name: TOOL, arguments: said });
  const view = await shown(browser, result.structuredContent, { html, said, result, reply: (params) => client.callTool(params) });
  assert.ok((await view.text()).includes("Made-up data"));
  const first = view.frame.locator("button.bar-row").first();
  const country = await first.getAttribute("data-group");
  await first.click();
  await view.frame.waitForSelector(".funnel");
  const text = await view.text();
  assert.ok(text.includes(`Country: ${country}`));
  // One page at most: the window's last second had not passed at the API when it was first read.
  assert.match(text, /\b[01] API requests?\b/, "the same window is not fetched again");
  const [{ arguments: asked }] = await view.log("call");
  assert.deepEqual(asked.group_by, asked.country ? ["attempt_status"] : ["country", "attempt_status"]);
  assert.deepEqual({ faults: view.faults, asked: view.asked }, { faults: [], asked: [] });
  await view.page.close();
});

for (const [name, args, words] of [
  ["compare_verify_sessions", { session_time__gte: "12h" }, ["What changed", "Sessions"]],
  ["find_verify_anomalies", { session_time__gte: "12h" }, ["What stands out", "before the window"]],
  ["get_verify_session", { session_uuid: "b7e1c9d2-41aa-4c58-8f0b-6d5e0a9b3c77" }, ["One session", "Attempts", "+51\u00a0s"]],
]) {
  test(`a real answer of ${name} is shown`, async () => {
    const result = await client.callTool({ name, arguments: args });
    const view = await shown(browser, result.structuredContent, { said: args, result });
    const text = await view.text();
    for (const each of ["Made-up data", ...words]) assert.ok(text.includes(each), `${each} in ${text}`);
    assert.deepEqual({ faults: view.faults, asked: view.asked }, { faults: [], asked: [] });
    await view.page.close();
  });
}

test("the report command writes the same page, closed to others, and never over another file", async () => {
  const folder = mkdtempSync(join(tmpdir(), "verify-mcp-report-"));
  const file = join(folder, "report.html");
  const run = () => execFileSync(COMMAND, ["report", "--sandbox", "--since", "12h", "-o", file], { stdio: "pipe" });
  try {
    run();
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.throws(run, (error) => error.status === 73 && /is there already/.test(String(error.stderr)));
    const page = await browser.context.newPage();
    const faults = [];
    page.on("console", (message) => message.type() === "error" && faults.push(message.text()));
    await page.goto(`file://${file}`);
    await page.waitForSelector(".fit svg");
    assert.deepEqual(await page.locator("h2").allTextContents(), REPORT_PARTS);
    assert.ok((await page.innerText("main")).includes("Made-up data"));
    assert.deepEqual(faults, []);
    await page.close();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
