// Groups side by side: one bar each, its value, and its conversion.

import { scaleLinear } from "d3-scale";

import { type Answer, type Row, count, isRest, number, range, tellsEnds, unfinished } from "../answer";
import { el, folded, hinted, roving } from "../dom";
import { between, groupName, named, formatCell } from "../format";

export const MEASURES = ["sessions", "cost", "conversion_pct", "cost_per_verified"] as const;
const FIRST = 12;
/** Groups that have an order of their own, which their answer has. */
const ORDERED = ["weekday", "hour_of_day", "tries"];
const HOURS = 24;
const KINDS: Readonly<Record<string, string>> = { sessions: "plain-bar", conversion_pct: "verified" };

export interface Bar {
  readonly row: Row;
  readonly name: string;
  /** Whether it is the sum of the small ones, which has no bar: it would be longer than all others. */
  readonly isRest: boolean;
}

/** The rows as bars, largest first unless they have an order; the sum of the small ones stays last. */
export function bars(answer: Answer, rows: readonly Row[], pick: Readonly<Record<string, string>>, measure: string): Bar[] {
  const by = answer.by.filter((each) => !(each in pick));
  const name = (row: Row) => isRest(row, answer.by) ? restName(row, answer.by)
    : by.map((each) => groupName(each, row[each] ?? "")).join(" · ");
  return [...rows]
    .sort((one, other) => Number(isRest(one, answer.by)) - Number(isRest(other, answer.by))
      || (by.length === 1 && ORDERED.includes(by[0] ?? "") ? 0 : (number(other, measure) ?? -1) - (number(one, measure) ?? -1)))
    .map((row) => ({ row, name: name(row), isRest: isRest(row, answer.by) }));
}

function restName(row: Row, by: readonly string[]): string {
  return `${(row[by[0] ?? ""] ?? "").replace(/\D/g, "")} smaller groups`;
}

/** The chart; `press` makes of a row what a click on it does, if anything. */
export function barChart(found: readonly Bar[], measure: string, press: (row: Row) => (() => void) | null): HTMLElement {
  const most = measure === "conversion_pct" ? 100
    : Math.max(1e-9, ...found.filter((bar) => !bar.isRest).map((bar) => range(bar.row, measure)?.[1] ?? count(bar.row, measure)));
  const x = scaleLinear().domain([0, most]).range([0, 100]);
  const rows = found.map((bar) => barRow(bar, measure, x, press(bar.row)));
  const items = rows.map((row) => el("li", {}, row));
  roving(rows);
  return folded(el("ol", { class: "bars" }, head(measure), ...items), items, items.length === HOURS ? HOURS : FIRST);
}

function head(measure: string): HTMLElement {
  const right = measure === "conversion_pct" ? "sessions" : "conversion_pct";
  return el("li", { class: "bar-head", "aria-hidden": "true" },
    el("span"), el("span"), el("span", {}, named(measure)), el("span", {}, named(right)));
}

function barRow(bar: Bar, measure: string, x: (value: number) => number, chosen: (() => void) | null): HTMLElement {
  const { row, name } = bar;
  const right = measure === "conversion_pct" ? "sessions" : "conversion_pct";
  const lines = hintOf(bar);
  const attributes = { class: "bar-row", "aria-label": lines.join(", ") + (chosen ? ". Opens it" : ""), "data-group": name };
  const cells = [
    el("span", { class: "bar-name" }, name),
    bar.isRest ? el("span") : track(row, measure, x),
    el("span", { class: "bar-value", "data-label": named(measure) }, formatCell(row, measure)),
    el("span", { class: "bar-right", "data-label": named(right) }, formatCell(row, right)),
  ];
  const made = chosen ? el("button", { type: "button", ...attributes }, ...cells)
    : el("div", { role: "img", ...attributes }, ...cells);
  if (chosen) made.addEventListener("click", chosen);
  hinted(made, lines);
  return made;
}

function track(row: Row, measure: string, x: (value: number) => number): HTMLElement {
  const made = el("span", { class: "track" });
  const parts: readonly (readonly [string, number])[] = measure === "sessions" && tellsEnds(row)
    ? [["verified", count(row, "verified")], ["expired", count(row, "expired")], ["open", unfinished(row)]]
    : [[KINDS[measure] ?? "cost", count(row, measure)]];
  for (const [kind, value] of parts) {
    if (value > 0) made.append(part(`bar ${kind}`, 0, x(value)));
  }
  const bounds = range(row, measure);
  if (bounds) made.append(part("range", x(bounds[0]), x(bounds[1]) - x(bounds[0])));
  return made;
}

function part(kind: string, from: number, width: number): HTMLElement {
  const made = el("span", { class: kind });
  made.style.width = `${width}%`;
  if (kind === "range") made.style.left = `${from}%`;
  return made;
}

function hintOf({ row, name }: Bar): string[] {
  const columns = ["sessions", "verified", "expired", "conversion_pct", "cost", "cost_per_verified"];
  const lines = columns.filter((column) => number(row, column) !== null).map((column) => {
    const bounds = between(row, column);
    return `${named(column)}: ${formatCell(row, column)}${bounds ? ` (${bounds})` : ""}`;
  });
  return [name, ...lines];
}
