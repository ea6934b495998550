// What every TypeScript client must be able to do with the server, over stdio.
// Usage: node peer.mjs v1|legacy|auto|modern /path/to/verify-mcp SLOW_API_URL

import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";

const [, , kind, command, slowApi] = process.argv;
const session = "b7e1c9d2-41aa-4c58-8f0b-6d5e0a9b3c77";
// Far more than either takes, and far less than the API that never answers in time would cost.
const patience = 10_000;
const versions = { legacy: "2025-11-25", auto: "2026-07-28", modern: "2026-07-28" };

// The two generations of the SDK differ in where things are, and in how a call is given its options.
async function library() {
  if (kind === "v1") {
    const { Client } = await import("@modelcontextprotocol/sdk/client/index.js");
    const { StdioClientTransport } = await import("@modelcontextprotocol/sdk/client/stdio.js");
    return {
      client: () => new Client({ name: "interop", version: "1" }),
      Transport: StdioClientTransport,
      call: (client, params, options) => client.callTool(params, undefined, options),
    };
  }
  const { Client } = await import("@modelcontextprotocol/client");
  const { StdioClientTransport } = await import("@modelcontextprotocol/client/stdio");
  const mode = kind === "modern" ? { pin: "2026-07-28" } : kind;
  return {
    client: () => new Client({ name: "interop", version: "1" }, { versionNegotiation: { mode } }),
    Transport: StdioClientTransport,
    call: (client, params, options) => client.callTool(params, options),
  };
}

const { client: newClient, Transport, call } = await library();

async function connected(args, env) {
  const client = newClient();
  let said = "";
  const transport = new Transport({ command, args, env: { ...process.env, ...env }, stderr: "pipe" });
  transport.stderr.on("data", (chunk) => (said += chunk));
  await client.connect(transport).catch((error) => {
    throw new Error(`no connection: ${error}\n${said}`);
  });
  return { client, stderr: () => said };
}

async function protocolError(promise, code) {
  const error = await promise.then(
    () => assert.fail("no error came"),
    (error) => error,
  );
  assert.equal(error.code, code, `${error}`);
  return error.message;
}

async function answers() {
  const { client, stderr } = await connected(["serve", "--sandbox"], {});
  // The old generation speaks one version and does not tell it.
  if (kind !== "v1") assert.equal(client.getNegotiatedProtocolVersion(), versions[kind]);
  assert.equal(client.getServerVersion().name, "verify-mcp");

  const { tools } = await client.listTools();
  const names = tools.map((tool) => tool.name);
  for (const name of ["list_verify_sessions", "get_verify_session"]) assert.ok(names.includes(name));
  for (const tool of tools) assert.equal(tool.annotations.readOnlyHint, true);

  const page = await call(client, { name: "list_verify_sessions", arguments: { limit: 3 } });
  assert.ok(!page.isError);
  assert.equal(page.structuredContent.rows.length, 3);
  assert.deepEqual(JSON.parse(page.content[0].text), page.structuredContent);

  const one = await call(client, { name: "get_verify_session", arguments: { session_uuid: session } });
  assert.equal(one.structuredContent.session, session);

  const typo = await call(client, { name: "list_verify_sessions", arguments: { statuss: "expired" } });
  assert.equal(typo.isError, true);
  assert.match(typo.content[0].text, /Did you mean status\?/);

  const missing = await call(client, { name: "get_verify_session", arguments: {} });
  assert.equal(missing.isError, true);

  const unknown = { session_uuid: "00000000-0000-4000-8000-000000000000" };
  const absent = await call(client, { name: "get_verify_session", arguments: unknown });
  assert.equal(absent.isError, true);

  const told = await protocolError(call(client, { name: "no_such_tool", arguments: {} }), -32602);
  assert.match(told, /No such tool/);

  const { prompts } = await client.listPrompts();
  assert.ok(prompts.some((prompt) => prompt.name === "explain_session"));
  const wanted = { name: "investigate_recipient", arguments: { recipient: "+12025553434" } };
  const prompt = await client.getPrompt(wanted);
  assert.match(prompt.messages[0].content.text, /since 7d/);
  await protocolError(client.getPrompt({ name: "investigate_recipient" }), -32602);

  const { resources } = await client.listResources();
  assert.ok(resources.some((resource) => resource.uri === "verify://guide"));
  const guide = await client.readResource({ uri: "verify://guide" });
  assert.match(guide.contents[0].text, /How to read the answers/);
  await protocolError(client.readResource({ uri: "verify://nothing" }), -32602);

  const ref = { type: "ref/resource", uri: "verify://sessions/{session_uuid}" };
  const completed = await client.complete({ ref, argument: { name: "session_uuid", value: "b7e1" } });
  assert.ok(completed.completion.values.every((value) => value.startsWith("b7e1")));

  const started = performance.now();
  await client.close();
  assert.ok(performance.now() - started < patience, "the server outlived its client");
  assert.equal(stderr(), "");
}

async function givesUp() {
  const env = {
    PLIVO_AUTH_ID: process.env.SLOW_AUTH_ID,
    PLIVO_AUTH_TOKEN: process.env.SLOW_AUTH_TOKEN,
    VERIFY_MCP_API_URL: slowApi,
  };
  const { client } = await connected(["serve"], env);
  const abort = new AbortController();
  const slow = call(
    client,
    { name: "list_verify_sessions", arguments: { limit: 1 } },
    { signal: abort.signal },
  );
  const outcome = slow.then(
    () => "answered",
    () => "given up",
  );
  await pause(300);
  abort.abort("the person pressed stop");
  assert.equal(await outcome, "given up");
  const started = performance.now();
  const { tools } = await client.listTools();
  assert.ok(tools.length > 0);
  assert.ok(performance.now() - started < patience, "the call that was given up held the next one up");
  await client.close();
}

await answers();
await givesUp();
console.log(`TypeScript client, ${kind}: listed, called, refused, prompted, read, given up`);
