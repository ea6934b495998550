// The figures of a chart as a table.

import { type Answer, type Row, range } from "./answer";
import { el } from "./dom";
import { groupName, named, timeName } from "./format";

/** The same figures as a table: exact, as the answer wrote them. */
export function tableOf(answer: Answer, rows: readonly Row[], title: string): HTMLElement {
  const columns = answer.columns.filter((name) => !/_(low|high)$/.test(name));
  const heads = columns.map((name) => el("th", { scope: "col" }, answer.by.includes(name) ? named(name) : columnName(name)));
  const body = rows.map((row) => el("tr", {}, ...columns.map((name) =>
    answer.by.includes(name) && name === columns[0]
      ? el("th", { scope: "row" }, cellName(name, row[name] ?? ""))
      : el("td", {}, answer.by.includes(name) ? cellName(name, row[name] ?? "") : cellOf(row, name)))));
  return el("details", {},
    el("summary", {}, "Show as a table"),
    el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${title}, as a table` },
      el("table", {}, el("caption", { class: "unseen" }, title), el("thead", {}, el("tr", {}, ...heads)), el("tbody", {}, ...body))));
}

function columnName(name: string): string {
  return name === "conversion_pct" ? "Conversion, %" : named(name);
}

function cellName(by: string, group: string): string {
  return by === "day" || by === "hour" ? timeName(group) : groupName(by, group);
}

function cellOf(row: Row, name: string): string {
  const bounds = range(row, name);
  return (row[name] || "–") + (bounds ? ` (${bounds[0]} to ${bounds[1]})` : "");
}
