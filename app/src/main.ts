// Where the page begins: a report with its data inside, or a view that a host feeds.

import { type Answer, type Row, count, read } from "./answer";
import { Host, type Result, object } from "./host";
import { unfit } from "./charts/fit";
import { announce, button, clearHints, el } from "./dom";
import { type Question, TOOL, requestText, otherwise, viewOf } from "./drill";
import { comparisonView, readComparison } from "./comparison";
import { findingsView, readFindings } from "./findings";
import { SESSION_TOOL, readSession, sessionView } from "./session";
import { type Actions, type Step, nothing, problem, stepView } from "./page";
import { readReport, reportView } from "./report";

const NAME = "verify-mcp-summary";
const VERSION = "1";
/** An answer of another tool than the summary: its name in the trail, and what is drawn of it. */
interface Opening {
  readonly name: string;
  draw(actions: Actions | null): Node[];
}

function openingOf(raw: unknown): Opening | null {
  const comparison = readComparison(raw);
  if (comparison) return { name: "What changed", draw: (actions) => comparisonView(comparison, actions) };
  const findings = readFindings(raw);
  if (findings) return { name: "What stands out", draw: (actions) => findingsView(findings, actions) };
  const session = readSession(raw);
  return session && { name: "One session", draw: (actions) => sessionView(session, actions) };
}

const page = document.getElementById("page") as HTMLElement;

/** The answer in a tool's result, or the text of an error. */
function answerOf(result: Result): Answer | string {
  const answer = read(result.structuredContent) ?? read(parseJson(textOf(result)));
  if (answer && result.isError !== true) return answer;
  return textOf(result).slice(0, 500) || "There is no answer to show.";
}

function textOf(result: Result): string {
  const [first] = Array.isArray(result.content) ? result.content : [];
  const text = object(first).text;
  return typeof text === "string" ? text : "";
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** The page in a host: the trail of answers, and the questions that clicks ask. */
class View {
  private trail: Step[] = [];
  private opening: Opening | null = null;
  /** One session, opened from what is shown otherwise. */
  private leaf: Opening | null = null;
  private input: Readonly<Record<string, unknown>> = {};
  private host: Host | null = null;
  private busy = false;
  private size = "";
  private extra: Readonly<Record<string, unknown>> = {};
  private readonly watch = new ResizeObserver(() => this.measured());

  async begin(parent: Window): Promise<void> {
    const host = new Host(parent, {
      input: (args) => this.rememberInput(args),
      result: (result) => this.arrived(result),
      cancelled: () => this.put([nothing("The question was cancelled.")]),
      context: (context) => applyTheme(context),
      teardown: () => this.end(),
    });
    this.host = host;
    await host.connect(NAME, VERSION);
    this.watch.observe(document.body);
  }

  private rememberInput(args: Readonly<Record<string, unknown>>): void {
    this.input = args;
    this.extra = args.max_requests === undefined ? {} : { max_requests: args.max_requests };
  }

  private arrived(result: Result): void {
    this.opening = result.isError === true ? null : openingOf(result.structuredContent) ?? openingOf(parseJson(textOf(result)));
    this.trail = [];
    this.leaf = null;
    if (this.opening) return this.show();
    const answer = answerOf(result);
    if (typeof answer === "string") return this.put([problem(answer)]);
    this.trail = [{ answer, pick: {}, figures: answer.figures, label: "All" }];
    return this.show();
  }

  private show(): void {
    if (this.leaf) return this.put([this.way(this.leaf), ...this.leaf.draw(this.actions())]);
    if (this.opening && !this.trail.length) return this.put(this.opening.draw(this.actions()));
    this.put(stepView(this.trail, this.actions()));
  }

  /** The way back from one session. */
  private way(leaf: Opening): HTMLElement {
    const name = this.trail[this.trail.length - 1]?.label ?? this.opening?.name ?? "Back";
    return el("nav", { "aria-label": "The way here", class: "crumbs" }, el("ol", {},
      el("li", {}, button(name, () => this.back(this.trail.length - 1))),
      el("li", {}, el("span", { "aria-current": "page" }, leaf.name))));
  }

  private put(nodes: readonly Node[]): void {
    clearHints();
    page.replaceChildren(...nodes);
    unfit();
  }

  private actions(): Actions | null {
    const host = this.host;
    if (!host || !(host.can("serverTools") || host.can("message"))) return null;
    return {
      ask: (question, figures) => void this.ask(host, question, figures),
      back: (place) => this.back(place),
      repeat: (tool) => void this.repeat(host, tool),
      open: (session) => void this.open(host, session),
      opening: this.opening?.name ?? "",
      discuss: host.can("message") ? () => void this.discuss(host) : null,
    };
  }

  private async open(host: Host, session: string): Promise<void> {
    if (this.busy) return;
    const args = { session_uuid: session };
    if (!host.can("serverTools")) return void (await this.sendMessage(host, `Please call ${SESSION_TOOL} with ${JSON.stringify(args)}.`));
    this.waiting(true);
    try {
      const result = await host.call(SESSION_TOOL, args);
      const leaf = result.isError === true ? null : openingOf(result.structuredContent) ?? openingOf(parseJson(textOf(result)));
      if (!leaf) return this.failed(textOf(result).slice(0, 500) || "There is no answer to show.");
      this.leaf = leaf;
      this.show();
      this.focused();
      announce(leaf.name);
    } catch (error) {
      this.failed(error instanceof Error ? error.message : "The host did not answer.");
    } finally {
      this.waiting(false);
    }
  }

  private back(place: number): void {
    this.leaf = null;
    this.trail = this.trail.slice(0, place + 1);
    this.show();
    this.focused();
  }

  private async ask(host: Host, question: Question, figures: Row | null): Promise<void> {
    if (this.busy) return;
    if (!host.can("serverTools")) return void (await this.sendMessage(host, requestText(question)));
    this.waiting(true);
    try {
      const answer = answerOf(await host.call(TOOL, { ...question.args, ...this.extra }));
      if (typeof answer === "string") this.failed(answer);
      else this.followed(host, question, answer, figures);
    } catch (error) {
      this.failed(error instanceof Error ? error.message : "The host did not answer.");
    } finally {
      this.waiting(false);
    }
  }

  private async repeat(host: Host, tool: string): Promise<void> {
    if (this.busy) return;
    if (!host.can("serverTools")) return void (await this.sendMessage(host, `Please call ${tool} again with the same arguments.`));
    this.waiting(true);
    try {
      const result = await host.call(tool, { ...this.input });
      if (result.isError === true) this.failed(textOf(result).slice(0, 500) || "There is no answer to show.");
      else this.arrived(result);
    } catch (error) {
      this.failed(error instanceof Error ? error.message : "The host did not answer.");
    } finally {
      this.waiting(false);
    }
  }

  private followed(host: Host, question: Question, answer: Answer, figures: Row | null): void {
    const last = this.trail[this.trail.length - 1];
    const shownFigures = Object.keys(question.pick).length ? (figures ?? last?.figures ?? null) : (answer.figures ?? figures);
    const step = { answer, pick: question.pick, figures: shownFigures, label: question.narrower ? question.label : (last?.label ?? "All") };
    this.trail = question.narrower ? [...this.trail, step] : [...this.trail.slice(0, -1), step];
    this.show();
    this.focused();
    announce(`${step.label}: ${count(shownFigures ?? {}, "sessions")} sessions`);
    host.updateModelContext({ looking_at: { ...question.args }, picked: { ...question.pick }, complete: answer.complete, figures: shownFigures ?? {} });
  }

  private async discuss(host: Host): Promise<void> {
    const step = this.trail[this.trail.length - 1];
    if (step) await this.sendMessage(host, requestText(otherwise(step.answer, step.pick, viewOf(step.answer, step.pick) || "country")));
  }

  private async sendMessage(host: Host, text: string): Promise<void> {
    const taken = await host.sendMessage(text).catch(() => false);
    announce(taken ? "Asked in the conversation." : "The host did not pass the question on.");
  }

  private failed(words: string): void {
    page.querySelector(".problem")?.remove();
    page.prepend(problem(words));
  }

  private waiting(busy: boolean): void {
    this.busy = busy;
    page.setAttribute("aria-busy", String(busy));
    if (busy) announce("Asking…");
  }

  private focused(): void {
    page.querySelector("h1")?.focus({ preventScroll: true });
  }

  private measured(): void {
    const { width, height } = document.body.getBoundingClientRect();
    const size = `${Math.ceil(width)} ${Math.ceil(height)}`;
    if (size === this.size) return;
    this.size = size;
    this.host?.size(Math.ceil(width), Math.ceil(height));
  }

  private end(): void {
    this.watch.disconnect();
    unfit(true);
    this.host?.end();
    this.host = null;
  }
}

/** Take over the host's theme: light or dark, its colours and fonts. */
function applyTheme(context: Record<string, unknown>): void {
  const root = document.documentElement;
  if (context.theme === "light" || context.theme === "dark") root.dataset.theme = context.theme;
  const variables = object(object(context.styles).variables);
  for (const [name, value] of Object.entries(variables)) {
    if (/^--(color|font|border|shadow)-[a-z0-9-]+$/.test(name) && typeof value === "string") root.style.setProperty(name, value);
  }
}

function begin(): void {
  const inside = document.getElementById("report");
  const report = inside && readReport(parseJson(inside.textContent ?? ""));
  if (report) {
    document.body.classList.add("report");
    page.replaceChildren(...reportView(report));
  } else if (window.parent !== window) {
    new View().begin(window.parent).catch(() => page.replaceChildren(problem("The host did not begin.")));
  } else {
    page.replaceChildren(nothing("This page shows answers of verify-mcp inside an MCP client."));
  }
}

begin();
