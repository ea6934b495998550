// An answer of compare_verify_sessions: two windows, their difference, and what drives it.

import { type Answer, type RawAnswer, type Row, isObject, read, rowsOf, text } from "./answer";
import { type Part, type PartRow, diverging } from "./charts/diverging";
import { el } from "./dom";
import type { Question } from "./drill";
import { amount, counted, dated, figure, groupName, named, signed, spanName } from "./format";
import { type Actions, columns, extent, footer, header, nothing } from "./page";
import { type Span, instant, stamp } from "./time";

export const COMPARE_TOOL = "compare_verify_sessions";

interface Change {
  readonly points: string;
  readonly low: string;
  readonly high: string;
  readonly chance: string;
}

export interface Comparison {
  readonly answer: Answer;
  readonly earlier: Span | null;
  readonly summary: string;
  readonly change: Change | null;
  /** The drivers; null where the answer has none because sessions are missing. */
  readonly drivers: readonly Row[] | null;
  readonly rest: string;
  readonly lookedAt: number | null;
  readonly costBy: string;
  readonly cost: Row | null;
  readonly costRows: readonly Row[];
}

/** The answer as values, null when it is not one of a comparison. */
export function readComparison(raw: unknown): Comparison | null {
  if (!isObject(raw) || !isObject(raw.applied) || typeof raw.applied.against !== "string") return null;
  const read_ = read(raw);
  if (!read_) return null;
  const { against: _against, by: _by, ...filters } = read_.filters;
  // Only exact figures are in a comparison, so nothing in it is marked as an estimate.
  const answer = { ...read_, filters, basis: "" };
  const start = instant(raw.applied.against);
  const length = answer.window ? answer.window.end - answer.window.start : 0;
  const change = isObject(raw.conversion_change) ? raw.conversion_change : null;
  const drivers = isObject(raw.drivers) ? raw.drivers : null;
  const cost = isObject(raw.cost_change) ? raw.cost_change : null;
  return {
    answer,
    earlier: start === null ? null : { start, end: start + length },
    summary: text(raw.summary, 500),
    change: change && { points: text(change.points), low: text(change.low), high: text(change.high), chance: text(change.chance) },
    drivers: drivers && rowsOf(drivers),
    rest: text(drivers?.rest),
    lookedAt: typeof drivers?.groups_looked_at === "number" ? drivers.groups_looked_at : null,
    costBy: text(cost?.by),
    cost: cost && costOf(cost),
    costRows: cost ? rowsOf(cost) : [],
  };
}

const COST_PARTS = ["volume", "mix", "price"] as const;

function costOf(cost: RawAnswer): Row {
  return Object.fromEntries(COST_PARTS.map((name) => [name, text(cost[name])]));
}

/** The page of a comparison. */
export function comparisonView(found: Comparison, actions: Actions | null): Node[] {
  const { answer } = found;
  return [
    header("What changed", { ...answer, window: null }, {}, answer.madeUp),
    windows(found),
    ...summaryOf(found),
    extent({ ...answer, window: null }, actions && (() => actions.repeat(COMPARE_TOOL))),
    columns([...sides(found, "Before and after"), ...drivers(found, actions), ...costs(found, actions)]),
    footer(answer, actions && { ...actions, discuss: null }),
  ];
}

/** The same without a page around it, for a report. */
export function comparisonBody(found: Comparison, actions: Actions | null): Node[] {
  const { answer } = found;
  const why = !answer.complete && answer.why ? [el("p", { class: "problem" }, answer.why.replaceAll("`", ""))] : [];
  const head = [...summaryOf(found), ...why, windows(found)];
  return [columns([...sides(found, "What changed", head), ...drivers(found, actions), ...costs(found, actions)])];
}

/** Whether both windows are known to have no session. */
export function isEmpty({ answer }: Comparison): boolean {
  const sessions = answer.rows.find((row) => row.figure === "sessions");
  return answer.complete && sessions?.before === "0" && sessions.after === "0";
}

function summaryOf(found: Comparison): Node[] {
  return found.summary ? [el("p", { class: "summary" }, sentence(found))] : [];
}

/** The sentence as a page can say it: times and countries in full, and the driver by its name. */
function sentence({ summary, drivers }: Comparison): string {
  const first = drivers?.[0];
  const name = first ? `${named(first.by ?? "").toLowerCase()} ${groupName(first.by ?? "", first.group ?? "")}` : "";
  const full = name ? summary.replace(/(?<=Largest driver: )(one \w+|country [A-Z]{2})(?= \()/, () => name) : summary;
  return dated(full).replace(/(?<=\()-(?=\d)/g, "−");
}

function windows({ answer, earlier }: Comparison): HTMLElement {
  const line = (kind: string, name: string, span: Span | null) => el("li", {},
    el("span", { class: `swatch ${kind}`, "aria-hidden": "true" }), `${name}: `,
    el("strong", {}, span ? `${spanName(span)} UTC` : "not told"));
  return el("ul", { class: "legend" }, line("before", "Before", earlier), line("after", "After", answer.window));
}

function sides(found: Comparison, title: string, head: readonly Node[] = []): Node[] {
  const rows = found.answer.rows.filter((row) => row.figure);
  if (!rows.length && !head.length) return [nothing("No figure is known of both windows yet.")];
  return [el("section", { class: "card", "aria-label": title },
    el("h2", {}, title), ...head,
    rows.length > 0 && el("ol", { class: "pairs" }, ...rows.map(pairOf)),
    found.change && changeOf(found.change))];
}

function pairOf(row: Row): HTMLElement {
  const name = row.figure ?? "";
  const values = [row.before ?? "", row.after ?? ""].map((each) => (each === "" ? null : Number(each)));
  const most = name === "conversion_pct" ? 100 : Math.max(1e-9, ...values.map((each) => each ?? 0));
  const lines = (["before", "after"] as const).map((side, place) => {
    const value = values[place] ?? null;
    const bar = el("span", { class: `bar ${side}` });
    bar.style.width = `${(100 * (value ?? 0)) / most}%`;
    return el("span", { class: "pair-line" },
      el("span", { class: "unseen" }, `${side}: `),
      el("span", { class: "track", "aria-hidden": "true" }, value ? bar : null),
      el("span", { class: "part-value" }, value === null ? "not known" : exact(name, value)));
  });
  return el("li", { class: "pair", "data-group": name },
    el("span", { class: "part-name" }, el("strong", {}, FIGURE_NAMES[name] ?? named(name))),
    el("span", { class: "part-bars" }, ...lines),
    el("span", { class: "pair-change" }, changed(name, row.change ?? "")));
}

const FIGURE_NAMES: Readonly<Record<string, string>> = {
  attempts_per_session: "Attempts per session", uncosted: "Without a cost told",
};

const points = (value: number) => value.toFixed(2);

function exact(name: string, value: number): string {
  return name === "attempts_per_session" ? value.toFixed(2) : figure(name, value);
}

function changed(name: string, written: string): string {
  if (name === "conversion_pct") return written ? `${signed(written, points)} points` : "–";
  return signed(written, (value) => exact(name, value));
}

/** The difference of conversion with its interval, about zero. */
function changeOf(change: Change): HTMLElement {
  const [value, low, high] = [change.points, change.low, change.high].map(Number) as [number, number, number];
  const words = `Conversion changed by ${signed(change.points, points)} points, 95\u00a0% interval ${signed(change.low, points)} to ${signed(change.high, points)}. `
    + `Chance of such a difference if nothing changed: ${change.chance}.`;
  const most = Math.max(1, ...[value, low, high].map(Math.abs)) * 1.1;
  const at = (points: number) => `${50 + (50 * points) / most}%`;
  const range = el("span", { class: "change-range" });
  const dot = el("span", { class: value > 0 ? "change-dot up" : "change-dot" });
  range.style.left = at(low);
  range.style.width = `${(50 * (high - low)) / most}%`;
  dot.style.left = at(value);
  return el("div", { class: "change" },
    el("p", {}, words),
    el("div", { class: "change-track", "aria-hidden": "true" }, range, dot),
    el("div", { class: "ends", "aria-hidden": "true" },
      el("span", {}, `−${most.toFixed(1)}`), el("span", {}, "no change"), el("span", {}, `+${most.toFixed(1)} points`)));
}

function drivers(found: Comparison, actions: Actions | null): Node[] {
  const title = "What drives the conversion";
  if (found.drivers === null) return [];
  const looked = found.lookedAt === null ? "" : ` ${counted(found.lookedAt, "group")} ${found.lookedAt === 1 ? "was" : "were"} looked at.`;
  if (!found.drivers.length) {
    if (!found.lookedAt) return []; // the summary says so
    return [el("section", { class: "card", "aria-label": title }, el("h2", {}, title),
      nothing(`No group changed otherwise than the rest, beyond chance.${looked}`))];
  }
  const rows = found.drivers.map((row) => driverRow(found, row, actions));
  return [el("section", { class: "card", "aria-label": title },
    el("h2", {}, title),
    el("p", { class: "quiet" }, `In points of conversion. Rate: the group’s conversion changed; mix: its share of the sessions did. Where, not why.${looked}`),
    diverging(rows, points),
    found.rest && el("p", { class: "quiet" }, `All other groups together: ${signed(found.rest, points)} points.`))];
}

function driverRow(found: Comparison, row: Row, actions: Actions | null): PartRow {
  const by = row.by ?? "";
  const name = `${named(by)}: ${groupName(by, row.group ?? "")}`;
  const share = (side: string) => (row[side] ? `${row[side]}\u00a0%` : "not known");
  const detail = `${share("pct_before")} → ${share("pct_after")}${row.since ? `, since ${dated(row.since)} UTC` : ""}, chance ${row.chance || "not known"}`;
  const question = narrowed(found, by, row.group ?? "");
  return {
    name,
    detail,
    parts: [part(row, "rate", "Rate"), part(row, "mix", "Mix")],
    hint: [`Verified: ${detail}`],
    press: actions && question ? () => actions.ask(question, null) : null,
  };
}

function part(row: Row, column: string, name: string): Part {
  return { name, kind: `part-${column}`, written: row[column] ?? "" };
}

/** The later window's sessions of one group; null where no filter reaches it. */
function narrowed({ answer }: Comparison, by: string, group: string): Question | null {
  const { window } = answer;
  if (!window || !/^(country|channel)$/.test(by) || !/^[A-Za-z]{2,20}$/.test(group)) return null;
  const times = { session_time__gte: stamp(window.start), session_time__lt: stamp(window.end) };
  return {
    args: { ...answer.filters, ...times, [by]: group, group_by: ["attempt_status"] },
    pick: {}, label: groupName(by, group), narrower: true,
  };
}

function costs(found: Comparison, actions: Actions | null): Node[] {
  const { cost, costBy } = found;
  if (!cost) return [];
  const title = "What drives the cost";
  const parts = (row: Row) => COST_PARTS.map((name) => part(row, name, named(name).replace(/^./, (first) => first.toUpperCase())));
  const all: PartRow = { name: "All sessions", detail: "", parts: parts(cost), hint: ["Volume, mix and price add up to the change"], press: null };
  const rows = found.costRows.map((row): PartRow => {
    const question = narrowed(found, costBy, row.group ?? "");
    return { name: groupName(costBy, row.group ?? ""), detail: "", parts: parts(row), hint: [], press: actions && question ? () => actions.ask(question, null) : null };
  });
  return [el("section", { class: "card", "aria-label": title },
    el("h2", {}, title),
    el("p", { class: "quiet" }, `In the account’s currency. Volume: more or fewer sessions; mix: other shares, by ${named(costBy).toLowerCase()}; price: cost per session.`),
    diverging([all, ...rows], amount))];
}
