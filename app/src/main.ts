// Where the page begins: a report with its data inside, or a view that a host feeds.

import { type Answer, type Row, count, read } from "./answer";
import { Host, type Result, object } from "./bridge";
import { unfit } from "./charts/fit";
import { announce, unhint } from "./dom";
import { type Question, TOOL, asked, otherwise, viewOf } from "./drill";
import { type Actions, type Report, type Step, nothing, problem, reportView, stepView } from "./page";

const NAME = "verify-mcp-summary";
const VERSION = "1";
const page = document.getElementById("page") as HTMLElement;

/** What an answer or a refusal of a host comes to. */
function answerOf(result: Result): Answer | string {
  const told = read(result.structuredContent) ?? read(parsed(textOf(result)));
  if (told && result.isError !== true) return told;
  return textOf(result).slice(0, 500) || "There is no answer to show.";
}

function textOf(result: Result): string {
  const [first] = Array.isArray(result.content) ? result.content : [];
  const text = object(first).text;
  return typeof text === "string" ? text : "";
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** The conversation between a person, this page and the host. */
class View {
  private trail: Step[] = [];
  private host: Host | null = null;
  private busy = false;
  private size = "";
  private extra: Readonly<Record<string, unknown>> = {};
  private readonly watch = new ResizeObserver(() => this.measured());

  async begin(parent: Window): Promise<void> {
    const host = new Host(parent, {
      input: (said) => this.said(said),
      result: (result) => this.arrived(result),
      cancelled: () => this.put([nothing("The question was cancelled.")]),
      context: (context) => dressed(context),
      teardown: () => this.end(),
    });
    this.host = host;
    await host.begin(NAME, VERSION);
    this.watch.observe(document.body);
  }

  private said(said: Readonly<Record<string, unknown>>): void {
    this.extra = said.max_requests === undefined ? {} : { max_requests: said.max_requests };
  }

  private arrived(result: Result): void {
    const answer = answerOf(result);
    if (typeof answer === "string") return this.put([problem(answer)]);
    this.trail = [{ answer, pick: {}, figures: answer.figures, label: "All" }];
    return this.show();
  }

  private show(): void {
    this.put(stepView(this.trail, this.actions()));
  }

  private put(nodes: readonly Node[]): void {
    unhint();
    page.replaceChildren(...nodes);
    unfit();
  }

  private actions(): Actions | null {
    const host = this.host;
    if (!host || !(host.can("serverTools") || host.can("message"))) return null;
    return {
      ask: (question, figures) => void this.ask(host, question, figures),
      back: (place) => this.back(place),
      discuss: host.can("message") ? () => void this.discuss(host) : null,
    };
  }

  private back(place: number): void {
    this.trail = this.trail.slice(0, place + 1);
    this.show();
    this.focused();
  }

  private async ask(host: Host, question: Question, figures: Row | null): Promise<void> {
    if (this.busy) return;
    if (!host.can("serverTools")) return void (await this.spoken(host, asked(question)));
    this.waiting(true);
    try {
      const answer = answerOf(await host.call(TOOL, { ...question.said, ...this.extra }));
      if (typeof answer === "string") this.failed(answer);
      else this.followed(host, question, answer, figures);
    } catch (error) {
      this.failed(error instanceof Error ? error.message : "The host did not answer.");
    } finally {
      this.waiting(false);
    }
  }

  private followed(host: Host, question: Question, answer: Answer, figures: Row | null): void {
    const last = this.trail[this.trail.length - 1];
    const told = Object.keys(question.pick).length ? (figures ?? last?.figures ?? null) : (answer.figures ?? figures);
    const step = { answer, pick: question.pick, figures: told, label: question.narrower ? question.label : (last?.label ?? "All") };
    this.trail = question.narrower ? [...this.trail, step] : [...this.trail.slice(0, -1), step];
    this.show();
    this.focused();
    announce(`${step.label}: ${count(told ?? {}, "sessions")} sessions`);
    host.look({ looking_at: { ...question.said }, picked: { ...question.pick }, complete: answer.complete, figures: told ?? {} });
  }

  private async discuss(host: Host): Promise<void> {
    const step = this.trail[this.trail.length - 1];
    if (step) await this.spoken(host, asked(otherwise(step.answer, step.pick, viewOf(step.answer, step.pick) || "country")));
  }

  private async spoken(host: Host, words: string): Promise<void> {
    const said = await host.say(words).catch(() => false);
    announce(said ? "Asked in the conversation." : "The host did not pass the question on.");
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

/** Dressed as the host is: light or dark, its colours and fonts. */
function dressed(context: Record<string, unknown>): void {
  const root = document.documentElement;
  if (context.theme === "light" || context.theme === "dark") root.dataset.theme = context.theme;
  const variables = object(object(context.styles).variables);
  for (const [name, value] of Object.entries(variables)) {
    if (/^--(color|font|border|shadow)-[a-z0-9-]+$/.test(name) && typeof value === "string") root.style.setProperty(name, value);
  }
}

function reportOf(said: unknown): Report | null {
  const told = object(said);
  if (!Array.isArray(told.answers)) return null;
  const answers = told.answers.flatMap((each) => read(each) ?? []);
  return { made: String(told.made ?? ""), version: String(told.version ?? ""), sandbox: told.sandbox === true, answers };
}

function begin(): void {
  const inside = document.getElementById("report");
  const report = inside && reportOf(parsed(inside.textContent ?? ""));
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
