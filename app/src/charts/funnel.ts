// What became of the attempts, channel by channel, and how many sessions ended verified.

import { scaleLinear } from "d3-scale";

import { type Answer, type Row, count, isRest, number, range } from "../answer";
import { el, hinted, roving } from "../dom";
import { between, counted, groupName, named, outcomeName, percent, formatCell, formatCount } from "../format";

const ARRIVED = ["delivered", "read", "answer", "completed"];
const UNDER_WAY = ["queued", "sent", "ringing", "in progress", "early media"];

interface Outcome {
  readonly row: Row;
  readonly channel: string;
  readonly status: string;
  readonly attempts: number;
  readonly kind: "arrived" | "open" | "lost";
}

/** Three steps, each a bar on the same scale, then every outcome by channel. */
export function funnel(
  answer: Answer, rows: readonly Row[], figures: Row | null, press: (row: Row) => (() => void) | null,
): HTMLElement {
  const found = outcomes(answer, rows);
  const all = sum(found);
  const arrived = sum(found.filter((each) => each.kind === "arrived"));
  const x = scaleLinear().domain([0, Math.max(1, all)]).range([0, 100]);
  const steps = [
    stepBar("Attempts", all, "", x, "attempts"),
    stepBar("Arrived", arrived, all ? `· ${percent((100 * arrived) / all)}` : "", x, "arrived"),
  ];
  const attempts = unit(answer) === "attempts";
  const verified = attempts && figures && number(figures, "verified");
  if (figures && typeof verified === "number") {
    steps.push(stepBar("Sessions verified", verified, `of ${counted(count(figures, "sessions"), "session")}`, x, "verified"));
  }
  const marks: HTMLElement[] = [];
  const channels = [...new Set(found.map((each) => each.channel))];
  const blocks = channels.map((channel) => block(channel, found.filter((each) => each.channel === channel), x, press, marks, unit(answer)));
  roving(marks);
  return el("div", { class: "funnel" },
    attempts && el("div", { class: "steps" }, ...steps),
    el("p", { class: "quiet" }, "“Arrived” is what the networks reported: delivered, read or answered. It does not prove that the code was read."),
    ...blocks);
}

function outcomes(answer: Answer, rows: readonly Row[]): Outcome[] {
  return rows.filter((row) => !isRest(row, answer.by)).map((row) => {
    const name = row.attempt_status ?? "";
    const cut = name.indexOf(" ");
    const [channel, status] = cut < 0 ? [name, ""] : [name.slice(0, cut), name.slice(cut + 1)];
    const kind = ARRIVED.includes(status) ? "arrived" : UNDER_WAY.includes(status) ? "open" : "lost";
    return { row, channel, status, attempts: count(row, unit(answer)), kind } as const;
  });
}

/** What the bars count: an estimated answer tells sessions only. */
function unit(answer: Answer): string {
  return answer.columns.includes("attempts") ? "attempts" : "sessions";
}

function withRange(row: Row, column: string): string {
  const bounds = between(row, column);
  return formatCell(row, column) + (bounds ? ` (${bounds})` : "");
}

function sum(found: readonly Outcome[]): number {
  return found.reduce((all, each) => all + each.attempts, 0);
}

function stepBar(name: string, value: number, beside: string, x: (value: number) => number, kind: string): HTMLElement {
  const bar = value > 0 && el("span", { class: `bar ${kind}` });
  if (bar) bar.style.width = `${x(value)}%`;
  return el("div", { class: "step" },
    el("span", { class: "step-name" }, name),
    el("span", { class: "step-track", "aria-hidden": "true" }, bar),
    el("span", { class: "step-value" }, el("strong", {}, formatCount(value)), beside && ` ${beside}`));
}

function block(
  channel: string, found: readonly Outcome[], x: (value: number) => number,
  press: (row: Row) => (() => void) | null, marks: HTMLElement[], measure: string,
): HTMLElement {
  const order = { arrived: 0, open: 1, lost: 2 };
  const sorted = [...found].sort((one, other) => order[one.kind] - order[other.kind] || other.attempts - one.attempts);
  return el("div", { class: "channel" },
    el("h3", {}, groupName("channel", channel), el("span", { class: "quiet" }, measure === "attempts" ? ` ${counted(sum(found), "attempt")}` : " sessions")),
    el("ol", { class: "bars" }, ...sorted.map((each) => {
      const made = outcomeRow(each, x, press(each.row), measure);
      marks.push(made);
      return el("li", {}, made);
    })));
}

function outcomeRow(each: Outcome, x: (value: number) => number, chosen: (() => void) | null, measure: string): HTMLElement {
  const { row } = each;
  const rate = number(row, "conversion_pct");
  const lines = [
    groupName("attempt_status", row.attempt_status ?? ""),
    ...(row.attempts === undefined ? [] : [`Attempts: ${formatCell(row, "attempts")}`]),
    `Sessions with such an attempt: ${withRange(row, "sessions")}`,
    ...(row.verified === undefined ? [] : [`Of those, verified: ${formatCell(row, "verified")}`]),
    ...(rate === null ? [] : [`Of those that ended, verified: ${withRange(row, "conversion_pct")}`]),
  ];
  const bar = el("span", { class: `bar ${each.kind}` });
  bar.style.width = `${x(each.attempts)}%`;
  const bounds = range(row, measure);
  const interval = bounds && el("span", { class: "range" });
  if (bounds && interval) {
    const [low, high] = bounds.map((bound) => Math.min(100, x(bound))) as [number, number];
    interval.style.left = `${low}%`;
    interval.style.width = `${high - low}%`;
  }
  const attributes = { class: "bar-row", "aria-label": lines.join(", ") + (chosen ? ". Opens it" : ""), "data-group": row.attempt_status ?? "" };
  const cells = [
    el("span", { class: "bar-name" }, outcomeName(each.status)),
    el("span", { class: "track" }, bar, interval),
    el("span", { class: "bar-value", "data-label": named(measure) }, formatCell(row, measure)),
    el("span", { class: "bar-right" }, rate === null ? "" : `${formatCell(row, "conversion_pct")} verified`),
  ];
  const made = chosen ? el("button", { type: "button", ...attributes }, ...cells)
    : el("div", { role: "img", ...attributes }, ...cells);
  if (chosen) made.addEventListener("click", chosen);
  hinted(made, lines);
  return made;
}
