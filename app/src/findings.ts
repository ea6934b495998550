// An answer of find_verify_anomalies: what stands out, each finding on the window's time axis.

import { type Answer, type Row, isObject, read, text } from "./answer";
import { button, el, folded } from "./dom";
import type { Question } from "./drill";
import { amount, dated, formatCount, groupName, moment } from "./format";
import { type Actions, extent, footer, header, nothing } from "./page";
import type { TimeEvent } from "./charts/time";
import { type Span, overlap, recent, stamp } from "./time";

const FIRST = 8;
export const ANOMALY_TOOL = "find_verify_anomalies";

export interface Findings {
  readonly answer: Answer;
  readonly baseline: string;
  /** How many there are; null where nothing was looked at yet. */
  readonly number: number | null;
  /** Sessions that could not be read. */
  readonly skipped: number;
}

const KINDS: Readonly<Record<string, string>> = {
  pumping: "Pumping", delivery: "Delivery", conversion: "Conversion", spend: "Spend",
  volume: "Volume", repeat: "Repeated requests", stuck: "Stuck sessions",
};

/** The answer as values, null when it is not one of findings. */
export function readFindings(raw: unknown): Findings | null {
  if (!isObject(raw) || typeof raw.baseline !== "string") return null;
  const answer = read(raw);
  if (!answer) return null;
  return {
    answer,
    baseline: text(raw.baseline),
    number: typeof raw.findings === "number" ? raw.findings : null,
    skipped: typeof raw.skipped === "number" ? raw.skipped : 0,
  };
}

/** The page of findings. */
export function findingsView(found: Findings, actions: Actions | null): Node[] {
  const { answer } = found;
  return [
    header("What stands out", answer, {}, answer.madeUp),
    extent(answer, actions && (() => actions.repeat(ANOMALY_TOOL))),
    el("p", { class: "quiet" }, `Compared with ${found.baseline} before the window.${found.skipped ? ` ${formatCount(found.skipped)} sessions could not be read.` : ""}`),
    ...card(found, actions),
    footer(answer, actions && { ...actions, discuss: null }),
  ];
}

function card(found: Findings, actions: Actions | null): Node[] {
  const body = findingsBody(found, actions);
  if (!found.answer.rows.length) return body;
  const title = countOf(found);
  return [el("section", { class: "card", "aria-label": title }, el("h2", {}, title), ...body)];
}

function countOf({ number }: Findings): string {
  return `${formatCount(number ?? 0)} finding${number === 1 ? "" : "s"}`;
}

/** The findings as spans with names, for a time axis. */
export function eventsOf({ answer }: Findings): TimeEvent[] {
  return answer.rows.flatMap((row) => {
    const span = spanOfRow(answer, row);
    return span && !isWhole(answer.window, span) ? [{ span, name: `${kindOf(row)}, ${placeOf(row)}` }] : [];
  });
}

const kindOf = (row: Row) => KINDS[row.kind ?? ""] ?? row.kind ?? "";

/** Where it is, with the country and the channel as people name them. */
function placeOf({ where = "" }: Row): string {
  if (where === "all") return "Everywhere";
  return where.replace(/^([A-Z]{2})( |$)/, (_all, code: string, more: string) => groupName("country", code) + (more && " · "))
    .replace(/(^|(?: ·)? )(sms|voice|whatsapp|rcs|email)$/, (_all, before: string, channel: string) => (before && " · ") + groupName("channel", channel)) || "Place not told";
}

/** What stands out in all of a window says nothing about a time within it. */
function isWhole(window: Span | null, span: Span): boolean {
  const inside = window && overlap(window, span);
  return Boolean(window && inside && inside.end - inside.start >= 0.95 * (window.end - window.start));
}

/** The list of findings, or why there is none. */
export function findingsBody(found: Findings, actions: Actions | null): Node[] {
  const { answer } = found;
  if (found.number === null) return [nothing("Nothing was looked at yet: too few sessions are held to compare with.")];
  if (!answer.rows.length) return [nothing(answer.note || "Nothing stands out.")];
  const axis = ends(answer.window);
  const items = answer.rows.map((row) => el("li", { class: "finding" }, ...findingOf(answer, row, actions)));
  return [
    ...(axis ? [axis] : []),
    folded(el("ol", { class: "findings" }, ...items), items, FIRST),
  ];
}

function ends(window: Span | null): HTMLElement | null {
  return window && el("div", { class: "ends", "aria-hidden": "true" },
    el("span", {}, moment(window.start)), el("span", {}, `${moment(window.end)} UTC`));
}

function findingOf(answer: Answer, row: Row, actions: Actions | null): Node[] {
  const span = spanOfRow(answer, row);
  const question = span && narrowed(answer, span, row);
  const unit = (row.expected ?? "").replace(/^[\d.]+(%|(?= )|$)/, "");
  const facts: readonly (readonly [string, string | undefined])[] = [
    ["Seen", row.seen && (unit === " cost" ? money(row.seen) : row.seen + unit)],
    ["Expected", unit === " cost" ? money(row.expected?.replace(unit, "")) : row.expected],
    ["Sessions", /sessions|in progress/.test(unit) ? "" : row.sessions], ["Recipients", row.recipients],
    ["Verified", row.verified], ["Cost", unit === " cost" ? "" : money(row.cost)],
    ["Spent for nothing", money(row.at_stake)], ["Chance", chanceOf(row.chance)],
  ];
  return [
    el("div", { class: "finding-head" },
      el("h3", {}, kindOf(row)), el("span", { class: "chip" }, placeOf(row)),
      el("span", { class: "quiet" }, span ? `${moment(span.start)} to ${moment(span.end)} UTC` : `${row.from || "?"} to ${row.to || "?"} UTC`)),
    ...axis(answer.window, span),
    el("p", {}, dated(row.summary ?? "")),
    el("dl", { class: "lesser" }, ...facts.filter(([, value]) => value)
      .map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value ?? ""))),
      row.examples && el("div", {}, el("dt", {}, "Examples"), el("dd", { class: "examples" }, ...examples(row.examples, actions)))),
    ...(actions && question ? [button(question.args.country ? "What became of the attempts there and then" : "Sessions of that time, by country", () => actions.ask(question, null), { class: "plain" })] : []),
  ];
}

const money = (written = "") => (written === "" ? "" : amount(Number(written)));

/** Ids of sessions; each opens its session where the page can ask. */
function examples(written: string, actions: Actions | null): (HTMLElement | string)[] {
  return written.split(" ").flatMap((id, place) => [
    place ? " " : "",
    actions && /^[0-9a-f]{8}$/.test(id) ? button(id, () => actions.open(id), { class: "link", "aria-label": `Open the session ${id}` }) : id,
  ]);
}

/** A chance as people read one: none smaller than a ten-thousandth. */
function chanceOf(written: string | undefined): string {
  const value = Number(written);
  return written && value > 0 && value < 0.0001 ? "<0.0001" : written && value >= 0.0001 ? String(value) : (written ?? "");
}

function spanOfRow({ window }: Answer, row: Row): Span | null {
  if (!window) return null;
  const start = recent(row.from ?? "", window.end);
  const end = recent(row.to ?? "", window.end);
  return start === null || end === null || start > end ? null : { start, end: Math.max(start, Math.min(end, window.end)) };
}

/** The finding as a mark on the window's axis; nothing where its time is not known, or is all of it. */
function axis(window: Span | null, span: Span | null): Node[] {
  const inside = window && span && overlap(window, span);
  if (!window || !inside || isWhole(window, span)) return [];
  const share = (length: number) => `${(100 * length) / (window.end - window.start)}%`;
  const mark = el("span", { class: "span-mark" });
  mark.style.left = share(inside.start - window.start);
  mark.style.width = share(inside.end - inside.start);
  const label = `${moment(inside.start)} to ${moment(inside.end)} UTC, within the window`;
  return [el("div", { class: "span-track", role: "img", "aria-label": label }, mark)];
}

/** The sessions of a finding's time within the window, of its country where it names one. */
function narrowed(answer: Answer, span: Span, row: Row): Question | null {
  const within = answer.window && overlap(answer.window, span);
  if (!within) return null;
  const times = { session_time__gte: stamp(within.start), session_time__lt: stamp(within.end) };
  const country = /^[A-Z]{2}(?= |$)/.exec(row.where ?? "")?.[0];
  const place = country && answer.filters.country === undefined ? { country } : {};
  return {
    args: { ...answer.filters, ...times, ...place, group_by: [country ? "attempt_status" : "country"] },
    pick: {}, label: `${moment(within.start)} to ${moment(within.end)}`, narrower: true,
  };
}
