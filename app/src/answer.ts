// An answer of summarize_verify_sessions, read into values. Whatever it holds is data: text is cut
// to a length that can be shown, and what is missing or misshapen is left out.

import { type Span, instant, recent, span, stamp } from "./time";

export type Row = Readonly<Record<string, string>>;
export type Range = readonly [low: number, high: number];

export interface Answer {
  readonly complete: boolean;
  /** Whether the answer is a sandbox's. */
  readonly madeUp: boolean;
  readonly basis: string;
  readonly why: string;
  readonly note: string;
  readonly missing: readonly Span[];
  readonly eta: number | null;
  readonly window: Span | null;
  readonly zone: string;
  readonly by: readonly string[];
  /** Filters of the question, by argument. */
  readonly filters: Readonly<Record<string, string>>;
  /** The totals; null where the answer has none. */
  readonly figures: Row | null;
  readonly columns: readonly string[];
  readonly rows: readonly Row[];
  /** `applied` as the server sent it, from which the next question is made. */
  readonly applied: Readonly<Record<string, unknown>>;
  readonly asOf: string;
  readonly requests: number | null;
}

export const FIGURES = [
  "sessions", "sessions_at_least", "verified", "expired", "in_progress", "conversion_pct", "attempts", "cost",
  "cost_per_verified", "expired_cost", "rescued", "uncosted",
] as const;
/** Characters that show nothing but change how others read: control, direction, zero width. */
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
const MAX_LENGTH = 200;
const MAX_ROWS = 1000;

export type RawAnswer = Record<string, unknown>;

/** The answer as values, null when it has not the shape of one. */
export function read(raw: unknown): Answer | null {
  if (!isObject(raw) || !isObject(raw.applied)) return null;
  const applied = raw.applied;
  const columns = list(raw.columns).map((each) => text(each));
  const window = spanOf(applied);
  return {
    complete: raw.complete === true,
    madeUp: text(raw.data).startsWith("made up"),
    basis: text(raw.basis),
    why: text(raw.why, 500),
    note: text(raw.note, 500),
    missing: list(raw.missing).flatMap((each) => span(text(each)) ?? []),
    eta: typeof raw.eta_s === "number" ? raw.eta_s : null,
    window,
    zone: text(applied.time_zone) || "UTC",
    by: list(applied.group_by).map((each) => text(each)),
    filters: filtersOf(applied),
    figures: figuresOf(raw),
    columns,
    rows: withYears(rowsOf(raw), window),
    applied,
    asOf: text(raw.as_of),
    requests: typeof raw.api_requests === "number" ? raw.api_requests : null,
  };
}

/** A cell as a number; null when it is empty or no number. */
export function number(row: Row, column: string): number | null {
  const value = row[column];
  if (value === undefined || value === "") return null;
  const found = Number(value);
  return Number.isFinite(found) ? found : null;
}

/** The interval of an estimated cell; null when the cell is exact. */
export function range(row: Row, column: string): Range | null {
  const low = number(row, `${boundsName(column)}_low`);
  const high = number(row, `${boundsName(column)}_high`);
  return low === null || high === null ? null : [low, high];
}

/** Whether even the number of sessions is estimated. */
export function isEstimate(figures: Row | null): boolean {
  return figures !== null && range(figures, "sessions") !== null;
}

/** How the columns of a figure's bounds begin. */
function boundsName(column: string): string {
  return column === "conversion_pct" ? "conversion" : column;
}

/** Sessions neither verified nor expired. */
export function unfinished(row: Row): number {
  return count(row, "sessions") - count(row, "verified") - count(row, "expired");
}

/** A cell as a count, zero when it is empty. */
export function count(row: Row, column: string): number {
  return Math.max(0, number(row, column) ?? 0);
}

/** Whether a row tells how its sessions ended, which an estimated one does not. */
export function tellsEnds(row: Row): boolean {
  return row.verified !== undefined && row.expired !== undefined;
}

/** The row in which the groups too small for the table were added up. */
export function isRest(row: Row, by: readonly string[]): boolean {
  return /^other \(\d+\)$/.test(row[by[0] ?? ""] ?? "");
}

function figuresOf(raw: RawAnswer): Row | null {
  if (raw.sessions === undefined && raw.sessions_at_least === undefined) return null;
  const present = FIGURES.filter((name) => raw[name] !== undefined);
  const figures = Object.fromEntries(present.map((name) => [name, text(raw[name])]));
  for (const [name, bounds] of Object.entries(isObject(raw.estimated) ? raw.estimated : {})) {
    const [low, high] = list(bounds);
    if (low === undefined || high === undefined) continue;
    figures[`${boundsName(name)}_low`] = text(low);
    figures[`${boundsName(name)}_high`] = text(high);
  }
  return figures;
}

function filtersOf(applied: RawAnswer): Record<string, string> {
  const others = ["group_by", "order_by", "min_sessions", "time_zone", "session_time__gte", "session_time__lt"];
  const filters = Object.entries(applied).filter(([name]) => !others.includes(name));
  return Object.fromEntries(filters.map(([name, value]) => [name, list(value).length ? list(value).map((each) => text(each)).join(",") : text(value)]));
}

/** The rows of a table, by its columns. */
export function rowsOf(table: RawAnswer): Row[] {
  const columns = list(table.columns).map((each) => text(each));
  return list(table.rows).slice(0, MAX_ROWS).flatMap((each) => rowOf(columns, each));
}

/** Hours, which are told without their year, with it. */
function withYears(rows: Row[], window: Span | null): Row[] {
  if (!window) return rows;
  return rows.map((row) => {
    const at = row.hour === undefined ? null : recent(row.hour, window.end);
    return at === null ? row : { ...row, hour: stamp(at).slice(0, 16) };
  });
}

function rowOf(columns: readonly string[], cells: unknown): Row[] {
  if (!Array.isArray(cells)) return [];
  return [Object.fromEntries(columns.map((column, place) => [column, text(cells[place])]))];
}

function spanOf(applied: RawAnswer): Span | null {
  const start = instant(text(applied.session_time__gte));
  const end = instant(text(applied.session_time__lt));
  return start !== null && end !== null && start <= end ? { start, end } : null;
}

export function text(value: unknown, most: number = MAX_LENGTH): string {
  if (typeof value === "number") return String(value);
  return typeof value === "string" ? value.replace(UNSEEN, "").slice(0, most) : "";
}

export function list(value: unknown): readonly unknown[] {
  if (typeof value === "string") return [value];
  return Array.isArray(value) ? value : [];
}

export function isObject(value: unknown): value is RawAnswer {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
