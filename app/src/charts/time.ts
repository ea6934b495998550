// Sessions or cost over days or hours, with conversion below on its groupRows axis.

import { scaleBand, scaleLinear } from "d3-scale";
import { area, curveStep, line } from "d3-shape";

import { type Answer, type Row, count, isRest, number, range, tellsEnds, unfinished } from "../answer";
import { hinted, pressable, roving, svg } from "../dom";
import { DAY, HOUR, type Span, groupOf, groups, known, overlap, spanOfGroup } from "../time";
import { amount, between, counted, figure, groupName, formatCell, timeName, formatCount } from "../format";

const TOP = 12;
const UPPER = 150;
const GAP = 34;
const LOWER = 84;
const BOTTOM = 26;
const LEFT = 46;
const RIGHT = 6;
const MOST_SERIES = 5;
const LABEL = 62;
const WIDEST = 72;
/** Columns so narrow that intervals are drawn as one band, not each for itself. */
const NARROW = 9;

export interface Point {
  readonly group: string;
  /** Null where the answer tells nothing: no sessions, or not listed. */
  readonly row: Row | null;
  readonly parts: readonly { name: string; value: number; kind: string }[];
  /** Whether sessions may be missing here: no bar then does not mean none. */
  readonly unknown: boolean;
  /** What stands out in it, in words. */
  readonly events: readonly string[];
}

/** Something that stands out, to be marked on the axis. */
export interface TimeEvent {
  readonly span: Span;
  readonly name: string;
}

/** What there is to draw: every day or hour of the window, also those without a row. */
export function points(answer: Answer, rows: readonly Row[], measure: string, events: readonly TimeEvent[] = []): Point[] {
  const by = answer.by.find((each) => each === "day" || each === "hour") ?? "day";
  const second = answer.by.find((each) => each !== by);
  const byGroup = new Map<string, Row[]>();
  for (const row of rows) {
    if (isRest(row, answer.by)) continue;
    const group = row[by] ?? "";
    byGroup.set(group, [...(byGroup.get(group) ?? []), row]);
  }
  const spanned = answer.window ? groups(answer.window, by, known(answer.zone)) : [];
  const all = [...new Set([...spanned, ...byGroup.keys()])].sort();
  const series = second && byGroup.size && [...byGroup.values()].some((each) => each.length > 1)
    ? largest([...byGroup.values()].flat(), second, measure) : null;
  return all.map((group) => {
    const groupRows = byGroup.get(group) ?? [];
    const row = groupRows.length > 1 ? summed(groupRows) : (groupRows[0] ?? null);
    const parts = series && second ? stacked(groupRows, second, series, measure) : split(row, measure);
    return { group, row, parts, unknown: isUnknown(answer, rows, group, row), events: eventsIn(answer, group, events) };
  });
}

/** What the columns alone would not say: groups that are not in them, and days that are only in part. */
export function timeNotes(answer: Answer, rows: readonly Row[]): string[] {
  const { window, zone } = answer;
  const rest = rows.find((row) => isRest(row, answer.by));
  const left = rest ? `Smaller groups are not drawn: ${counted(count(rest, "sessions"), "session")}.` : "";
  const by = answer.by.find((each) => each === "day" || each === "hour");
  if (!window || !by || known(zone) !== zone || window.end - window.start < 2 * (by === "day" ? DAY : HOUR)) return [left];
  const ends = ([["first", window.start], ["last", window.end - 1]] as const).filter(([, at]) => {
    const span = spanOfGroup(groupOf(at, by, zone), zone);
    return span && (span.start < window.start || span.end > window.end);
  }).map(([name]) => name);
  const cut = ends.length ? `Only a part of the ${ends.join(" and the ")} ${by} is in the window.` : "";
  return [left, cut];
}

function eventsIn(answer: Answer, group: string, events: readonly TimeEvent[]): string[] {
  const span = events.length ? spanOfGroup(group, known(answer.zone)) : null;
  return span ? events.filter((each) => overlap(each.span, span)).map((each) => each.name) : [];
}

function isUnknown(answer: Answer, rows: readonly Row[], group: string, row: Row | null): boolean {
  if (answer.basis === "counted" || rows.some((each) => isRest(each, answer.by))) return row === null;
  const span = spanOfGroup(group, known(answer.zone));
  return Boolean(span && answer.missing.some((each) => overlap(each, span)));
}

function largest(rows: readonly Row[], by: string, measure: string): string[] {
  const sizes = new Map<string, number>();
  for (const row of rows) sizes.set(row[by] ?? "", (sizes.get(row[by] ?? "") ?? 0) + count(row, measure));
  return [...sizes].sort((one, other) => other[1] - one[1]).slice(0, MOST_SERIES).map(([name]) => name);
}

function stacked(rows: readonly Row[], by: string, series: readonly string[], measure: string): Point["parts"] {
  const named = series.map((name, place) => ({
    name: groupName(by, name),
    value: rows.filter((row) => row[by] === name).reduce((sum, row) => sum + count(row, measure), 0),
    kind: `series-${place}`,
  }));
  const rest = rows.filter((row) => !series.includes(row[by] ?? ""));
  const value = rest.reduce((sum, row) => sum + count(row, measure), 0);
  return value ? [...named, { name: "the rest", value, kind: "rest" }] : named;
}

function split(row: Row | null, measure: string): Point["parts"] {
  if (!row) return [];
  if (measure !== "sessions") return [{ name: "", value: count(row, measure), kind: "cost" }];
  if (!tellsEnds(row)) return [{ name: "", value: count(row, "sessions"), kind: "plain-bar" }];
  return [
    { name: "Verified", value: count(row, "verified"), kind: "verified" },
    { name: "Expired", value: count(row, "expired"), kind: "expired" },
    { name: "In progress", value: unfinished(row), kind: "open" },
  ];
}

function summed(rows: readonly Row[]): Row {
  const sum = (column: string) => rows.reduce((all, row) => all + count(row, column), 0);
  const [verified, expired] = [sum("verified"), sum("expired")];
  const ended = verified + expired;
  return {
    sessions: String(sum("sessions")),
    verified: String(verified),
    expired: String(expired),
    cost: String(sum("cost")),
    conversion_pct: ended ? String((100 * verified) / ended) : "",
  };
}

/** The chart, `width` pixels wide; `press` makes of a row what a click on it does, if anything. */
export function timeChart(
  found: readonly Point[], measure: string, width: number, press: (row: Row) => (() => void) | null,
): SVGElement {
  const hasRate = tellsRate(found);
  const height = TOP + UPPER + (hasRate ? GAP + LOWER : 0) + BOTTOM;
  const x = scaleBand<string>().domain(found.map((each) => each.group)).range([LEFT, width - RIGHT])
    .paddingInner(found.length > 40 ? 0.15 : 0.28).paddingOuter(0.1);
  const most = Math.max(1e-9, ...found.map((each) => Math.max(
    each.parts.reduce((sum, part) => sum + part.value, 0), each.row ? (range(each.row, measure)?.[1] ?? 0) : 0)));
  const y = scaleLinear().domain([0, most]).nice(4).range([TOP + UPPER, TOP]);
  const rate = scaleLinear().domain([0, 100]).range([TOP + UPPER + GAP + LOWER, TOP + UPPER + GAP]);
  const chart = svg("svg", {
    viewBox: `0 0 ${width} ${height}`, width, height, role: "group", class: "chart",
    "aria-label": `${measure === "cost" ? "Cost" : "Sessions"}${hasRate ? " and conversion" : ""} over time; the arrow keys move`,
  });
  const write = measure === "cost" ? (value: number) => (value < 10 ? amount(value) : formatCount(value)) : formatCount;
  const ticks = y.ticks(4).filter((tick) => measure === "cost" || Number.isInteger(tick));
  chart.append(axis(ticks, y, write, width));
  if (hasRate) {
    chart.append(axis([0, 50, 100], rate, (value) => `${value} %`, width));
    chart.append(svg("text", { x: LEFT, y: TOP + UPPER + GAP - 10, class: "caption" }, "Conversion"));
  }
  chart.append(...labels(found, x, width, height));
  const bottom = (hasRate ? rate : y).range()[0] ?? 0;
  const marks = found.map((each) => column(each, measure, x, y, bottom, press));
  if (hasRate) chart.append(...conversion(found, x, rate));
  chart.append(...marks);
  if (x.bandwidth() < NARROW) chart.append(bandOf(found, measure, x, y));
  roving(marks.filter((mark) => mark.hasAttribute("role")));
  return chart;
}

/** Whether enough conversions are known for a line: one of many days is none. */
export function tellsRate(found: readonly Point[]): boolean {
  const known_ = found.filter((each) => each.row && number(each.row, "conversion_pct") !== null).length;
  return known_ > 1 || (known_ === 1 && found.every((each) => !each.row || number(each.row, "conversion_pct") !== null));
}

/** The intervals of all columns as one band. */
function bandOf(found: readonly Point[], measure: string, x: Band, y: Linear): SVGElement {
  const bounds = (each: Point) => (each.row ? range(each.row, measure) : null);
  const drawn = area<Point>().curve(curveStep).defined((each) => bounds(each) !== null)
    .x((each) => (x(each.group) ?? 0) + x.bandwidth() / 2)
    .y0((each) => y(bounds(each)?.[0] ?? 0)).y1((each) => y(bounds(each)?.[1] ?? 0));
  return svg("path", { d: drawn([...found]) ?? "", class: "band", "aria-hidden": "true" });
}

type Band = ReturnType<typeof scaleBand<string>>;
type Linear = ReturnType<typeof scaleLinear<number>>;

function axis(ticks: readonly number[], y: Linear, write: (value: number) => string, width: number): SVGElement {
  return svg("g", { class: "axis", "aria-hidden": "true" }, ...ticks.flatMap((tick) => [
    svg("line", { x1: LEFT, x2: width - RIGHT, y1: y(tick), y2: y(tick) }),
    svg("text", { x: LEFT - 8, y: y(tick) + 4, "text-anchor": "end" }, write(tick)),
  ]));
}

function labels(found: readonly Point[], x: Band, width: number, height: number): SVGElement[] {
  const every = Math.max(1, Math.ceil(LABEL / Math.max(1, x.step())));
  // So that the midnight of a day, whose label is its date, is among them.
  const midnight = Math.max(0, found.findIndex((each) => each.group.endsWith(" 00:00")));
  return found.filter((_each, place) => (place - midnight) % every === 0).map((each) => {
    const [day, hour] = each.group.split(" ");
    const text = hour && hour !== "00:00" && found.length > 1 ? hour : timeName(day ?? "");
    const middle = (x(each.group) ?? 0) + x.bandwidth() / 2;
    const last = middle + LABEL / 3 > width;
    return svg("text", { x: last ? width : middle, y: height - 8, "text-anchor": last ? "end" : "middle", class: "tick", "aria-hidden": "true" }, text);
  });
}

function column(
  point: Point, measure: string, x: Band, y: Linear, bottom: number, press: (row: Row) => (() => void) | null,
): SVGElement {
  const left = x(point.group) ?? 0;
  const { row } = point;
  const marks: SVGElement[] = [];
  const wide = Math.min(WIDEST, x.bandwidth());
  let base = 0;
  for (const part of point.parts) {
    if (part.value <= 0) continue;
    const [top, foot] = [y(base + part.value), y(base)];
    marks.push(svg("rect", { x: left + (x.bandwidth() - wide) / 2, y: top, width: wide, height: Math.max(0.5, foot - top), class: `bar ${part.kind}` }));
    base += part.value;
  }
  if (point.events.length) marks.push(svg("rect", { x: left - (x.step() - x.bandwidth()) / 2, y: 1, width: x.step(), height: 6, class: "event", "aria-hidden": "true" }));
  const bounds = row ? range(row, measure) : null;
  if (bounds && wide >= NARROW) marks.push(whisker(left + x.bandwidth() / 2, y(bounds[0]), y(bounds[1])));
  const chosen = row ? press(row) : null;
  const lines = hintOf(point);
  const hit = svg("rect", {
    x: left - (x.step() - x.bandwidth()) / 2, y: y.range()[1], width: x.step(),
    height: Math.max(0, bottom - (y.range()[1] ?? 0)), class: point.unknown ? "hit unknown" : "hit", rx: point.unknown ? 0 : 4,
  });
  const group = svg("g", {
    class: chosen ? "mark pressable" : "mark",
    role: row ? (chosen ? "button" : "img") : null,
    "aria-label": row ? lines.join(", ") + (chosen ? ". Opens this part of the time" : "") : null,
    "data-group": point.group,
  }, hit, ...marks);
  hinted(group, lines);
  if (chosen) pressable(group, chosen);
  return group;
}

function whisker(x: number, low: number, high: number): SVGElement {
  const path = `M${x - 3},${high}h6M${x},${high}V${low}M${x - 3},${low}h6`;
  return svg("path", { d: path, class: "whisker", "aria-hidden": "true" });
}

function conversion(found: readonly Point[], x: Band, rate: Linear): SVGElement[] {
  const at = (each: Point) => (x(each.group) ?? 0) + x.bandwidth() / 2;
  const value = (each: Point) => (each.row ? number(each.row, "conversion_pct") : null);
  const drawn = line<Point>().defined((each) => value(each) !== null)
    .x(at).y((each) => rate(value(each) ?? 0));
  const band = area<Point>().defined((each) => Boolean(each.row && range(each.row, "conversion_pct")))
    .x(at).y0((each) => rate(each.row ? (range(each.row, "conversion_pct")?.[0] ?? 0) : 0))
    .y1((each) => rate(each.row ? (range(each.row, "conversion_pct")?.[1] ?? 0) : 0));
  const dots = found.filter((each) => value(each) !== null);
  const alone = dots.length > 40 ? dots.filter((each) => lonely(found, each)) : dots;
  return [
    svg("path", { d: band([...found]) ?? "", class: "interval", "aria-hidden": "true" }),
    svg("path", { d: drawn([...found]) ?? "", class: "line", "aria-hidden": "true" }),
    ...alone.map((each) => svg("circle", { cx: at(each), cy: rate(value(each) ?? 0), r: 3, class: "dot", "aria-hidden": "true" })),
  ];
}

/** A value between two unknown ones, of which a line would show nothing. */
function lonely(found: readonly Point[], each: Point): boolean {
  const place = found.indexOf(each);
  return !found[place - 1]?.row && !found[place + 1]?.row;
}

function hintOf(point: Point): string[] {
  const { row } = point;
  const events = point.events.slice(0, 4).map((each) => `Stands out: ${each}`);
  if (!row) return [timeName(point.group), ...events, point.unknown ? "Not covered" : "No session"];
  const parts = point.parts.filter((part) => part.name && part.value > 0)
    .map((part) => `${part.name}: ${part.kind.startsWith("series") || part.kind === "rest" ? formatCount(part.value) : figure("sessions", part.value)}`);
  const ranges = (["conversion_pct", "cost"] as const).map((name) => [name, between(row, name)] as const);
  return [
    timeName(point.group),
    ...events,
    ...(point.unknown ? ["Covered in part"] : []),
    `Sessions: ${formatCell(row, "sessions")}`,
    ...parts,
    ...ranges.filter(([name]) => number(row, name) !== null).map(([name, bounds]) =>
      `${name === "cost" ? "Cost" : "Conversion"}: ${formatCell(row, name)}${bounds ? ` (${bounds})` : ""}`),
  ];
}
