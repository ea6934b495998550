// Parts of a difference as bars to the left and right of zero.

import { el, folded, hinted, roving } from "../dom";
import { signed } from "../format";

const FIRST = 8;

export interface Part {
  readonly name: string;
  readonly kind: string;
  /** The part as the answer wrote it. */
  readonly written: string;
}

export interface PartRow {
  readonly name: string;
  readonly detail: string;
  readonly parts: readonly Part[];
  readonly hint: readonly string[];
  readonly press: (() => void) | null;
}

/** A part as a number, zero when it is none. */
export function valueOf(part: Part): number {
  const value = Number(part.written);
  return Number.isFinite(value) ? value : 0;
}

/** The rows as groups of bars, all on one scale; `write` writes a part without its sign. */
export function diverging(rows: readonly PartRow[], write: (value: number) => string): HTMLElement {
  const most = Math.max(1e-9, ...rows.flatMap((row) => row.parts.map((part) => Math.abs(valueOf(part)))));
  const made = rows.map((row) => rowOf(row, most, write));
  roving(made);
  const items = made.map((each) => el("li", {}, each));
  return folded(el("ol", { class: "parts" }, ...items), items, FIRST);
}

function rowOf(row: PartRow, most: number, write: (value: number) => string): HTMLElement {
  const label = [row.name, row.detail, ...row.parts.map((part) => `${part.name} ${signed(part.written, write)}`)].filter(Boolean).join(", ");
  const attributes = { class: "part-row", "data-group": row.name, "aria-label": label + (row.press ? ". Opens it" : "") };
  const cells = [
    el("span", { class: "part-name" }, el("strong", {}, row.name), row.detail && el("span", { class: "quiet" }, row.detail)),
    el("span", { class: "part-bars" }, ...row.parts.map((part) => lineOf(part, most, write))),
  ];
  const made = row.press ? el("button", { type: "button", ...attributes }, ...cells) : el("div", { role: "img", ...attributes }, ...cells);
  if (row.press) made.addEventListener("click", row.press);
  hinted(made, [row.name, ...row.hint]);
  return made;
}

function lineOf(part: Part, most: number, write: (value: number) => string): HTMLElement {
  const value = valueOf(part);
  const width = (50 * Math.abs(value)) / most;
  const bar = el("span", { class: `bar ${part.kind}` });
  bar.style.width = `${width}%`;
  bar.style.left = `${value < 0 ? 50 - width : 50}%`;
  return el("span", { class: "part-line" },
    el("span", { class: "part-label" }, part.name),
    el("span", { class: "zero-track" }, value !== 0 && bar),
    el("span", { class: "part-value" }, signed(part.written, write)));
}
