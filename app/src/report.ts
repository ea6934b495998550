// A report's file: the answers about one window, what changed against the one before, what stands out.

import { type Answer, count, read } from "./answer";
import { type Comparison, comparisonBody, isEmpty, readComparison } from "./comparison";
import { viewOf } from "./drill";
import { el } from "./dom";
import { type Findings, eventsOf, findingsBody, readFindings } from "./findings";
import { asOf, lasting, spanName } from "./format";
import { chartSection, columns, extent, header, headline, nothing } from "./page";
import { isObject, text } from "./answer";

export interface Report {
  readonly made: string;
  readonly version: string;
  readonly sandbox: boolean;
  readonly answers: readonly Answer[];
  readonly comparison: Comparison | null;
  /** Why nothing is compared; empty where something is, or where the report has no comparison. */
  readonly whyNotCompared: string;
  readonly findings: Findings | null;
  readonly whyNotSearched: string;
}

/** The report in a page's data; null when it is none. */
export function readReport(raw: unknown): Report | null {
  if (!isObject(raw) || !Array.isArray(raw.answers)) return null;
  const comparison = readComparison(raw.comparison);
  const findings = readFindings(raw.findings);
  const why = (part: unknown) => (isObject(part) ? text(part.why, 500) : "");
  return {
    made: text(raw.made), version: text(raw.version), sandbox: raw.sandbox === true,
    answers: raw.answers.flatMap((each) => read(each) ?? []),
    comparison, whyNotCompared: comparison ? "" : why(raw.comparison),
    findings, whyNotSearched: findings ? "" : why(raw.findings),
  };
}

/** The report: all on one page, with nothing to press that would ask a question. */
export function reportView(report: Report): Node[] {
  const [first] = report.answers;
  if (!first) return [nothing("This report holds no answer.")];
  const figures = report.answers.find((each) => each.figures)?.figures ?? null;
  const worst = report.answers.find((each) => !each.complete) ?? first;
  const events = report.findings ? eventsOf(report.findings) : [];
  const isNone = first.complete && figures !== null && !count(figures, "sessions");
  const isEmpty_ = isNone && report.comparison !== null && isEmpty(report.comparison);
  const charts = report.answers.filter((each) => each.by.length && !isNone);
  const draw = (answer: Answer) => chartSection({ answer, pick: {}, figures, label: "" }, null, "h2", events);
  return [
    header("Verify sessions", first, {}, report.sandbox),
    ...(isEmpty_ ? [nothing(`No session in this window, and none in the ${lasting(first.window ? first.window.end - first.window.start : 0)} before it.`)] : headline(figures, first)),
    extent(worst, null),
    ...(isEmpty_ ? [] : past(report)),
    ...runs(charts).map((run) => columns(run.flatMap(draw))),
    el("footer", { class: "quiet" }, `Made by verify-mcp ${report.version}, ${asOf(report.made)}. `,
      "Amounts are in the account’s currency, which the API does not name."),
  ];
}

/** The answers in their order: each over time alone, the others that follow each other together. */
function runs(answers: readonly Answer[]): Answer[][] {
  const found: Answer[][] = [];
  const isOfTime = (answer: Answer) => viewOf(answer, {}) === "time";
  for (const answer of answers) {
    const last = found[found.length - 1];
    if (!last?.[0] || isOfTime(answer) || isOfTime(last[0])) found.push([answer]);
    else last.push(answer);
  }
  return found;
}

function past(report: Report): Node[] {
  const { comparison, whyNotCompared, findings, whyNotSearched } = report;
  if (whyNotCompared && whyNotCompared === whyNotSearched) {
    return [unknown("What changed, and what stands out", whyNotCompared)];
  }
  return [
    ...(comparison ? comparisonBody(comparison, null) : whyNotCompared ? [unknown("What changed", whyNotCompared)] : []),
    ...(findings ? searched(findings) : whyNotSearched ? [unknown("What stands out", whyNotSearched)] : []),
  ];
}

function unknown(title: string, why: string): HTMLElement {
  return el("section", { class: "card", "aria-label": title }, el("h2", {}, title), el("p", {}, why.replaceAll("`", "")));
}

function searched(findings: Findings): Node[] {
  const { answer } = findings;
  const when = answer.window ? `Searched: ${spanName(answer.window)} UTC. ` : "";
  const why = answer.complete ? "" : `${answer.missing.length ? "Not all of this time is held. " : ""}${answer.why.replaceAll("`", "")}`;
  // Where nothing was looked at, the reason says all.
  if (findings.number === null && why) return [unknown("What stands out", why)];
  return [el("section", { class: "card", "aria-label": "What stands out" },
    el("h2", {}, "What stands out"),
    el("p", { class: "quiet" }, `${when}Compared with ${findings.baseline} before it.`),
    why && el("p", { class: "problem" }, why),
    ...findingsBody(findings, null))];
}
