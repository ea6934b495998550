// The page: headline figures, what they cover, and a chart with its table for each answer.

import { type Answer, type Row, count, isEstimate, number, range, tellsEnds, unfinished } from "./answer";
import { MEASURES, barChart, bars } from "./charts/bars";
import { coverage } from "./charts/coverage";
import { fitted } from "./charts/fit";
import { funnel } from "./charts/funnel";
import { FLOWS, flow } from "./charts/flow";
import { type TimeEvent, points, tellsRate, timeChart, timeNotes } from "./charts/time";
import { button, el } from "./dom";
import { type Pick, type Question, VIEWS, deeper, otherwise, same, timeStep, viewOf } from "./drill";
import { asOf, between, groupName, named, formatCell, spanName, formatCount } from "./format";
import { tableOf } from "./table";

/** One answer in the trail of answers that led to it. */
export interface Step {
  readonly answer: Answer;
  readonly pick: Pick;
  readonly figures: Row | null;
  readonly label: string;
}

/** What a person can do here; null where there is nobody to ask. */
export interface Actions {
  ask(question: Question, figures: Row | null): void;
  back(place: number): void;
  /** Ask once more what the person asked, to go on with it. */
  repeat(tool: string): void;
  /** Show one session. */
  open(session: string): void;
  /** The name of the answer that the trail began at, where that is no summary; else "". */
  readonly opening: string;
  discuss: (() => void) | null;
}

const TITLES: Readonly<Record<string, string>> = {
  time: "Over time",
  country: "By country",
  channel: "By channel",
  app: "By application",
  brand: "By brand",
  recipient: "By recipient",
  status: "By status",
  attempt_status: "What became of the attempts",
  path: "How sessions went, attempt by attempt",
  tries: "How many attempts sessions took",
  first_channel: "By first channel",
  network: "By network",
  prefix: "By number range",
  number_type: "By kind of number",
  weekday: "By day of the week",
  hour_of_day: "By hour of the day",
  subaccount: "By subaccount",
};
const SHORT: Readonly<Record<string, string>> = {
  time: "Time", country: "Country", channel: "Channel", attempt_status: "Attempts", path: "Path", app: "Application",
};

/** One answer, with buttons back to earlier ones and on to others. */
export function stepView(trail: readonly Step[], actions: Actions | null): Node[] {
  const step = trail[trail.length - 1];
  if (!step) return [];
  const { answer, pick } = step;
  return [
    header("Verify sessions", answer, pick, answer.madeUp),
    ...(trail.length > 1 || actions?.opening ? [crumbs(trail, actions)] : []),
    ...headline(step.figures, answer),
    extent(answer, actions && (() => actions.ask(same(answer, pick), null))),
    ...(actions ? [ways(step, actions)] : []),
    ...chartSection(step, actions, "h2"),
    footer(answer, actions),
  ];
}

/** A page that only says something. */
export const nothing = (words: string) => el("p", { class: "nothing" }, words);

/** A page that says what went wrong. */
export const problem = (words: string) => el("p", { class: "problem", role: "alert" }, words);

/** Cards side by side where the page is wide enough. */
export function columns(cards: readonly Node[]): HTMLElement {
  return el("div", { class: "columns" }, ...cards);
}

export function header(title: string, answer: Answer, pick: Pick, sandbox: boolean): HTMLElement {
  const filters = [
    ...Object.entries(answer.filters).map(([name, value]) => `${named(name)}: ${filterName(name, value)}`),
    ...Object.entries(pick).map(([by, value]) => `${named(by)}: ${groupName(by, value)}`),
  ];
  return el("header", {},
    el("div", {},
      el("h1", { tabindex: "-1" }, title),
      el("p", { class: "quiet" }, answer.window ? `${spanName(answer.window)} UTC` : "")),
    chips(filters, sandbox, answer.complete, answer.basis === "counted" && isEstimate(answer.figures) ? "estimated" : answer.basis));
}

function filterName(name: string, value: string): string {
  if (name === "app_uuid") return value.slice(0, 8);
  return name === "country" || name === "channel" ? value.split(",").map((each) => groupName(name, each)).join(", ") : value;
}

/** What an answer is about and how exact it is, as small marks; null leaves the latter out. */
export function chips(words: readonly string[], sandbox: boolean, complete: boolean | null, basis = ""): HTMLElement {
  return el("div", { class: "chips" },
    ...words.map((each) => el("span", { class: "chip" }, each)),
    sandbox && el("span", { class: "chip made-up" }, "Made-up data"),
    complete !== null && badge(complete, basis));
}

function badge(complete: boolean, basis: string): HTMLElement {
  if (basis === "estimated") return el("span", { class: "badge estimate" }, "Estimated");
  if (basis === "counted") return el("span", { class: "badge estimate" }, "Partly estimated");
  return complete ? el("span", { class: "badge exact" }, "Exact")
    : el("span", { class: "badge partial" }, "Incomplete");
}

function crumbs(trail: readonly Step[], actions: Actions | null): HTMLElement {
  const last = trail.length - 1;
  return el("nav", { "aria-label": "The way here", class: "crumbs" }, el("ol", {},
    actions?.opening ? el("li", {}, button(actions.opening, () => actions.back(-1))) : null,
    ...trail.map((step, place) => el("li", {}, place === last || !actions
      ? el("span", { "aria-current": "page" }, step.label)
      : button(step.label, () => actions.back(place))))));
}

export function headline(figures: Row | null, answer: Answer): Node[] {
  if (!figures) return [];
  const sessions = figures.sessions === undefined ? "sessions_at_least" : "sessions";
  if (!count(figures, sessions) && !isEstimate(figures)) {
    return [nothing(answer.complete ? "No session in this window." : "No session in the part that is covered so far.")];
  }
  const main = [sessions, "conversion_pct", "cost", "cost_per_verified"];
  const rest = ["attempts", "expired_cost", "rescued", "uncosted"].filter((name) => number(figures, name) !== null);
  return [
    el("dl", { class: "figures" }, ...main.map((name) => tile(figures, name))),
    ...(tellsEnds(figures) ? [outcomes(figures)] : []),
    ...(rest.length ? [el("dl", { class: "lesser" }, ...rest.map((name) =>
      el("div", {}, el("dt", {}, LESSER[name] ?? named(name)), el("dd", {}, formatCell(figures, name), interval(figures, name)))))] : []),
  ];
}

const LESSER: Readonly<Record<string, string>> = {
  attempts: "Attempts",
  expired_cost: "Spent on sessions that expired",
  rescued: "Verified on another channel than the first",
  uncosted: "Without a cost told",
};

function tile(figures: Row, name: string): HTMLElement {
  return el("div", { class: "tile" },
    el("dt", {}, named(name)),
    el("dd", {}, formatCell(figures, name), interval(figures, name)));
}

function interval(row: Row, name: string): HTMLElement | null {
  const bounds = between(row, name);
  return bounds ? el("span", { class: "interval-words" }, `${bounds} (95\u00a0%)`) : null;
}

function outcomes(figures: Row): HTMLElement {
  const parts = [
    ["verified", "Verified", count(figures, "verified")],
    ["expired", "Expired", count(figures, "expired")],
    ["open", "In progress", unfinished(figures)],
  ] as const;
  const all = parts.reduce((sum, [, , value]) => sum + value, 0);
  const strip = el("div", { class: "outcome-strip", "aria-hidden": "true" });
  for (const [kind, , value] of parts) {
    if (value <= 0) continue;
    const bar = el("span", { class: `bar ${kind}` });
    bar.style.width = `${(100 * value) / all}%`;
    strip.append(bar);
  }
  const legend = el("ul", { class: "legend" }, ...parts.filter(([, , value]) => value > 0)
    .map(([kind, name, value]) => el("li", {}, el("span", { class: `swatch ${kind}`, "aria-hidden": "true" }), `${name} `, el("strong", {}, (isEstimate(figures) ? "≈\u00a0" : "") + formatCount(value)))));
  return el("div", { class: "outcomes" }, strip, legend);
}

export function extent(answer: Answer, goOn: (() => void) | null): HTMLElement {
  const partial = !answer.complete;
  return el("section", { class: partial ? "extent partial" : "extent", "aria-label": "What the figures cover" },
    coverage(answer),
    partial && el("p", {}, answer.why.replace("Figures in `estimated`", "Figures marked ≈").replaceAll("`", "") || "Something is missing."),
    partial && answer.basis !== "counted" && answer.missing.length > 0 && el("ul", { class: "missing" },
      ...answer.missing.slice(0, 6).map((each) => el("li", {}, `Missing: ${spanName(each)} UTC`)),
      answer.missing.length > 6 && el("li", {}, `and ${answer.missing.length - 6} more spans`)),
    partial && goOn && continuing(answer.eta, goOn));
}

/** A button that goes on with the same question, once the quota allows. */
function continuing(eta: number | null, goOn: () => void): HTMLElement {
  const made = button("", goOn, { class: "primary" });
  const ready = Date.now() + 1000 * (eta ?? 0);
  const tell = () => {
    const left = Math.ceil((ready - Date.now()) / 1000);
    made.disabled = left > 0;
    made.textContent = left > 0 ? `Go on (possible in ${left} s)` : "Go on";
    return left > 0;
  };
  if (tell()) {
    const timer = setInterval(() => {
      if (!tell() || !made.isConnected) clearInterval(timer);
    }, 1000);
  }
  return made;
}

function ways(step: Step, actions: Actions): HTMLElement {
  const now = viewOf(step.answer, step.pick);
  const offered = VIEWS.filter((view) => !(view in step.pick) && !(view in step.answer.filters) && !(view === "app" && step.answer.filters.app_uuid));
  return el("div", { class: "ways", role: "group", "aria-label": "Look at it by" },
    ...offered.map((view) => button(SHORT[view] ?? view,
      () => actions.ask(otherwise(step.answer, step.pick, view), step.figures),
      { "aria-pressed": view === now ? "true" : "false" })));
}

/** A chart with its table; `events` are marked on a time axis. */
export function chartSection(step: Step, actions: Actions | null, level: "h2", events: readonly TimeEvent[] = []): Node[] {
  const { answer, pick } = step;
  if (!answer.by.length) return [];
  const rows = answer.rows.filter((row) => Object.entries(pick).every(([by, value]) => row[by] === value));
  const view = viewOf(answer, pick);
  const title = titleOf(answer, pick, view);
  if (!rows.length) return [el("section", { class: "card" }, el(level, {}, title), nothing(answer.complete ? "No session here." : answer.note || "Not known yet: these figures are not covered."))];
  const press = (row: Row) => {
    const question = actions && deeper(answer, pick, row);
    return actions && question ? () => actions.ask(question, row) : null;
  };
  const place = el("div", { class: "chart-place" });
  const measures = view === "attempt_status" || answer.by.includes("attempt_status") ? []
    : MEASURES.filter((name) => rows.some((row) => number(row, name) !== null))
      .filter((name) => view !== "time" || name === "cost" || name === "sessions");
  const draw = (measure: string) => place.replaceChildren(chartOf(step, view, rows, measure, press, events));
  const first = view === "time" || (FLOWS as readonly string[]).includes(view) || !measures.includes("cost") ? "sessions" : "cost";
  const made = el("section", { class: "card", "aria-label": title },
    el("div", { class: "card-head" }, el(level, {}, title), measures.length > 1 && switcher(measures, first, draw)),
    ...[answer.note.replace(/(^|\. )\? are /, "$1“Not told” are "), ...(view === "time" ? timeNotes(answer, rows) : [])].map((each) => each && el("p", { class: "quiet" }, each)),
    place,
    tableOf(answer, rows, title));
  draw(first);
  return [made];
}

function titleOf(answer: Answer, pick: Pick, view: string): string {
  const by = answer.by.filter((each) => !(each in pick));
  if (by.length < 2) return view === "time" ? `${TITLES.time}, by ${by[0]}` : (TITLES[view] ?? named(view));
  return `By ${by.map((each) => named(each).toLowerCase()).join(" and ")}`;
}

function chartOf(
  step: Step, view: string, rows: readonly Row[], measure: string, press: (row: Row) => (() => void) | null, events: readonly TimeEvent[],
): HTMLElement {
  const { answer, pick } = step;
  const by = answer.by.filter((each) => !(each in pick));
  if (by.some((each) => each === "day" || each === "hour") && !by.includes("attempt_status")) {
    const found = points(answer, rows, measure, events);
    const place = fitted(el("div", { class: tellsRate(found) ? "fit" : "fit low-fit" }), (width) => timeChart(found, measure, width, press));
    return el("div", {}, legendOf(found), place);
  }
  if (view === "attempt_status" && by.length === 1) return funnel(answer, rows, step.figures, press);
  const drawn = answer.by.includes("attempt_status") ? "sessions" : measure;
  const way = by.length === 1 ? FLOWS.find((each) => each === by[0]) : undefined;
  return el("div", {}, way && flow(answer, rows, way), drawn === "sessions" && rows.some(tellsEnds) && outcomeLegend(), barChart(bars(answer, rows, pick, drawn), drawn, press));
}

function outcomeLegend(): HTMLElement {
  return el("ul", { class: "legend", "aria-hidden": "true" }, ...[["verified", "Verified"], ["expired", "Expired"], ["open", "In progress"]]
    .map(([kind, name]) => el("li", {}, el("span", { class: `swatch ${kind}` }), name ?? "")));
}

function legendOf(found: ReturnType<typeof points>): HTMLElement | null {
  const kinds = new Map<string, string>(found.flatMap((each) => each.parts).filter((part) => part.name && part.value > 0).map((part) => [part.kind, part.name]));
  if (found.some((each) => each.unknown)) kinds.set("unknown", "Not covered, or in part: no bar does not mean no session");
  if (found.some((each) => each.events.length)) kinds.set("event", "Something stands out");
  if (found.some((each) => each.row && (range(each.row, "sessions") || range(each.row, "cost")))) kinds.set("band", "95\u00a0% interval");
  if (!kinds.size) return null;
  return el("ul", { class: "legend", "aria-hidden": "true" }, ...[...kinds].map(([kind, name]) =>
    el("li", {}, el("span", { class: `swatch ${kind}` }), name)));
}

function switcher(measures: readonly string[], first: string, draw: (measure: string) => void): HTMLElement {
  const made = measures.map((name) => button(named(name), () => {
    made.forEach((each, place) => each.setAttribute("aria-pressed", String(measures[place] === name)));
    draw(name);
  }, { "aria-pressed": String(name === first) }));
  return el("div", { class: "switch", role: "group", "aria-label": "What the bars show" }, ...made);
}

export function footer(answer: Answer, actions: Actions | null): HTMLElement {
  const facts = [
    asOf(answer.asOf) && `As of ${asOf(answer.asOf)}`,
    answer.requests !== null && `${answer.requests} API request${answer.requests === 1 ? "" : "s"}`,
    "amounts in the account’s currency",
    answer.by.includes(timeStep(answer)) && answer.zone !== "UTC" && `days and hours of ${answer.zone}`,
  ].filter(Boolean).join(" · ");
  return el("footer", { class: "quiet" }, el("span", {}, facts),
    actions?.discuss ? button("Ask the assistant about this", actions.discuss, { class: "plain" }) : null);
}
