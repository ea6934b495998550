// How sessions went from attempt to attempt: a block for each channel, wide ribbons to the next one.

import { type Answer, type Row, count, isRest, tellsEnds, unfinished } from "../answer";
import { el, hinted, roving, svg } from "../dom";
import { counted, formatCount, groupName, percent } from "../format";
import { fitted } from "./fit";

export const FLOWS = ["path", "tries", "first_channel"] as const;
const MAX_DEPTH = 4;
const HEIGHT = 210;
const TOP = 22;
const GAP = 8;
const BLOCK = 12;
const LABEL = 32;
const LETTER = 6.4;
const ORDINALS = ["First", "Second", "Third", "Fourth+"];
const ENDS = [["went-on", "Went on to another attempt"], ["verified", "Ended verified"], ["expired", "Expired"], ["open", "In progress"], ["ended", "Ended, not told how"]] as const;

/** A place on the way: the sessions that came here, and how many of them ended here. */
interface Place {
  readonly name: string;
  readonly way: string;
  sessions: number;
  verified: number;
  expired: number;
  open: number;
  /** Ended here, but the answer does not tell how. */
  ended: number;
  readonly next: Place[];
}

interface Block {
  readonly place: Place;
  readonly depth: number;
  readonly top: number;
  readonly height: number;
}

/** The drawing with its legend; the bars below it have every figure and open what can be opened. */
export function flow(answer: Answer, rows: readonly Row[], by: string): HTMLElement {
  const root = place("", "");
  for (const row of rows) if (!isRest(row, answer.by)) add(root, stepsOf(by, row[by] ?? ""), row);
  const rest = rows.find((row) => isRest(row, answer.by));
  const left = rest ? `Smaller groups are not drawn: ${counted(count(rest, "sessions"), "session")}. ` : "";
  const estimated = rows.some((row) => row.sessions_low !== undefined) ? "Widths are estimates; their intervals stand below. " : "";
  if (!root.sessions) return el("p", { class: "quiet" }, left || "No session to draw.");
  const drawn = fitted(el("div", { class: "fit flow-fit" }), (width) => draw(root, width));
  return el("div", {}, legend(root), drawn,
    el("p", { class: "quiet" }, `${left}${estimated}Each block is an attempt; read from left to right. The API does not tell which attempt’s code was entered.`));
}

function place(name: string, way: string): Place {
  return { name, way, sessions: 0, verified: 0, expired: 0, open: 0, ended: 0, next: [] };
}

/** The stations of a group, named: at most as many as fit side by side. */
function stepsOf(by: string, group: string): string[] {
  if (by === "tries") {
    const tries = Number.parseInt(group, 10);
    return tries ? ORDINALS.slice(0, tries) : ["None"];
  }
  const all = group === "none" ? ["None"] : group.split(">").map((each) => groupName("first_channel", each));
  return all.length > MAX_DEPTH ? [...all.slice(0, MAX_DEPTH - 1), "Further"] : all;
}

function add(root: Place, steps: readonly string[], row: Row): void {
  const sessions = count(row, "sessions");
  let at = root;
  at.sessions += sessions;
  steps.forEach((name, depth) => {
    let next = at.next.find((each) => each.name === name);
    if (!next) at.next.push(next = place(name, steps.slice(0, depth + 1).join(" › ")));
    next.sessions += sessions;
    at = next;
  });
  if (!tellsEnds(row)) at.ended += sessions;
  else {
    at.verified += count(row, "verified");
    at.expired += count(row, "expired");
    at.open += unfinished(row);
  }
}

const wentOn = (at: Place) => at.next.reduce((sum, each) => sum + each.sessions, 0);
const partOf = (at: Place, kind: string) => (kind === "went-on" ? wentOn(at) : at[kind as "verified" | "expired" | "open" | "ended"]);

function all(at: Place): Place[] {
  return at.next.flatMap((each) => [each, ...all(each)]);
}

function legend(root: Place): HTMLElement {
  const kinds = ENDS.filter(([kind]) => all(root).some((each) => partOf(each, kind) > 0));
  return el("ul", { class: "legend", "aria-hidden": "true" }, ...kinds.map(([kind, name]) =>
    el("li", {}, el("span", { class: `swatch ${kind}` }), name)));
}

/** Blocks from the top of each column, beside those they come from. */
function blocksOf(root: Place): Block[] {
  const scale = HEIGHT / root.sessions;
  const bottoms: number[] = [];
  const found: Block[] = [];
  const put = (at: Place, depth: number, wanted: number) => {
    const height = Math.max(2, at.sessions * scale);
    const top = Math.max(wanted, bottoms[depth] ?? TOP);
    bottoms[depth] = top + Math.max(height, LABEL) + GAP;
    found.push({ place: at, depth, top, height });
    for (const next of sorted(at)) put(next, depth + 1, top);
  };
  for (const first of sorted(root)) put(first, 0, TOP);
  return found;
}

function sorted(at: Place): Place[] {
  return [...at.next].sort((one, other) => other.sessions - one.sessions);
}

function draw(root: Place, width: number): SVGElement {
  const blocks = blocksOf(root);
  const columns = 1 + Math.max(...blocks.map((each) => each.depth));
  const step = Math.min(320, width / columns);
  const height = Math.max(...blocks.map((each) => each.top + Math.max(each.height, LABEL))) + 4;
  const chart = svg("svg", {
    viewBox: `0 0 ${width} ${height}`, width, height, role: "group", class: "chart flow",
    "aria-label": "How sessions went from attempt to attempt; the arrow keys move",
  });
  const byPlace = new Map(blocks.map((each) => [each.place, each]));
  const scale = HEIGHT / root.sessions;
  for (let column = 0; column < columns; column++) {
    const words = step > 96 ? `Attempt ${column + 1}` : String(column + 1);
    chart.append(svg("text", { x: column * step, y: 12, class: "caption", "aria-hidden": "true" }, words));
  }
  for (const block of blocks) chart.append(...ribbons(block, byPlace, step, scale));
  const marks = blocks.map((block) => mark(block, root, step, scale));
  chart.append(...marks);
  roving(marks);
  return chart;
}

function ribbons(block: Block, byPlace: ReadonlyMap<Place, Block>, step: number, scale: number): SVGElement[] {
  let from = block.top;
  return sorted(block.place).flatMap((next) => {
    const to = byPlace.get(next);
    if (!to) return [];
    const thick = Math.max(1, next.sessions * scale);
    const [x1, x2] = [block.depth * step + BLOCK, to.depth * step];
    const middle = (x1 + x2) / 2;
    const path = `M${x1},${from}C${middle},${from} ${middle},${to.top} ${x2},${to.top}v${to.height}C${middle},${to.top + to.height} ${middle},${from + thick} ${x1},${from + thick}Z`;
    from += thick;
    return [svg("path", { d: path, class: "ribbon", "aria-hidden": "true" })];
  });
}

function mark({ place: at, depth, top, height }: Block, root: Place, step: number, scale: number): SVGElement {
  const x = depth * step;
  let y = top;
  const parts = ENDS.flatMap(([kind]) => {
    const value = partOf(at, kind);
    if (!value) return [];
    const tall = Math.max(1, value * scale);
    const part = svg("rect", { x, y, width: BLOCK, height: tall, class: kind });
    y += tall;
    return [part];
  });
  const letters = Math.max(4, Math.floor((step - BLOCK - 8) / LETTER));
  const share = percent((100 * at.sessions) / root.sessions);
  const figures = `${formatCount(at.sessions)} · ${share}`;
  const written = figures.length > letters ? formatCount(at.sessions) : figures;
  const label = (words: string, row: number, kind: string) => svg("text", { x: x + BLOCK + 5, y: top + 12 + 15 * row, class: kind, "aria-hidden": "true" },
    words.length > letters ? `${words.slice(0, letters - 1)}…` : words);
  const lines = hintOf(at, share);
  const group = svg("g", { class: "mark", role: "img", "aria-label": lines.join(", "), "data-way": at.way },
    svg("rect", { x: x - 2, y: top - 2, width: Math.max(20, step - 4), height: Math.max(height, LABEL) + 2, class: "hit", rx: 4 }),
    ...parts, label(at.name, 0, "flow-name"), label(written, 1, "flow-figure"));
  hinted(group, lines);
  return group;
}

function hintOf(at: Place, share: string): string[] {
  const parts = ENDS.filter(([kind]) => partOf(at, kind) > 0).map(([kind, name]) => `${name}: ${formatCount(partOf(at, kind))}`);
  return [at.way, `Sessions: ${formatCount(at.sessions)} (${share})`, ...parts];
}
