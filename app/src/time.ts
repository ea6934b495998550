// Instants, spans, and the days and hours of a time zone.

export interface Span {
  /** Milliseconds since the epoch. */
  readonly start: number;
  readonly end: number;
}

export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;

const WRITTEN = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d(?::\d\d)?)(?:\.\d+)?Z?$/;
const LOCAL = /^(\d{4})-(\d\d)-(\d\d)(?: (\d\d):00)?$/;

/** The instant of a time as answers write it, in UTC; null when it is none. */
export function instant(written: string): number | null {
  const match = WRITTEN.exec(written.trim());
  if (!match) return null;
  const found = Date.parse(`${match[1]}T${match[2]}Z`);
  return Number.isNaN(found) ? null : found;
}

/** The instant of a time that answers write without its year, `11-21 09:30`: the one nearest to another. */
export function recent(written: string, near: number): number | null {
  if (!/^\d\d-\d\d \d\d:\d\d/.test(written)) return null;
  const year = new Date(near).getUTCFullYear();
  const found = [year - 1, year, year + 1].flatMap((each) => instant(`${each}-${written}`) ?? []);
  return found.sort((one, other) => Math.abs(one - near) - Math.abs(other - near))[0] ?? null;
}

/** A span as answers write it: `… to …`, or `until …`. */
export function span(written: string): Span | null {
  const [from, to] = written.split(" to ");
  if (to === undefined) {
    const end = written.startsWith("until ") ? instant(written.slice(6)) : null;
    return end === null ? null : { start: Number.NEGATIVE_INFINITY, end };
  }
  const start = instant(from ?? "");
  const end = instant(to);
  return start === null || end === null ? null : { start, end };
}

/** An instant as arguments take it: UTC, to the second. */
export function stamp(moment: number): string {
  return new Date(moment).toISOString().slice(0, 19).replace("T", " ");
}

/** How far a zone's clocks are ahead of UTC at an instant. */
function ahead(zone: string, moment: number): number {
  const parts = new Intl.DateTimeFormat("en-GB", {
    timeZone: zone, hourCycle: "h23", year: "numeric", month: "numeric", day: "numeric",
    hour: "numeric", minute: "numeric", second: "numeric",
  }).formatToParts(moment);
  const part = (type: string) => Number(parts.find((each) => each.type === type)?.value);
  const local = Date.UTC(
    part("year"), part("month") - 1, part("day"), part("hour"), part("minute"), part("second"),
  );
  return local - Math.floor(moment / 1000) * 1000;
}

/** The zone when this browser knows it, else UTC. */
export function known(zone: string): string {
  try {
    new Intl.DateTimeFormat("en-GB", { timeZone: zone });
    return zone;
  } catch {
    return "UTC";
  }
}

function fromLocal(local: number, zone: string): number {
  const guess = local - ahead(zone, local);
  return local - ahead(zone, guess);
}

/** The span of a local day (`2026-11-21`) or hour (`2026-11-21 09:00`); null for other text. */
export function spanOfGroup(group: string, zone: string): Span | null {
  const match = LOCAL.exec(group);
  if (!match) return null;
  const [year, month, day] = [Number(match[1]), Number(match[2]) - 1, Number(match[3])];
  if (match[4] !== undefined) {
    const start = fromLocal(Date.UTC(year, month, day, Number(match[4])), zone);
    return { start, end: start + HOUR };
  }
  return {
    start: fromLocal(Date.UTC(year, month, day), zone),
    end: fromLocal(Date.UTC(year, month, day + 1), zone),
  };
}

/** The local day or hour of an instant, as answers write it. */
export function groupOf(moment: number, by: string, zone: string): string {
  const local = new Date(moment + ahead(zone, moment)).toISOString();
  return by === "day" ? local.slice(0, 10) : `${local.slice(0, 10)} ${local.slice(11, 13)}:00`;
}

/** Every local day or hour that a span touches, oldest first. */
export function groups(span: Span, by: string, zone: string): string[] {
  const found = new Set<string>();
  const step = by === "day" ? DAY / 2 : HOUR / 2;
  for (let moment = span.start; moment < span.end; moment += step) {
    found.add(groupOf(moment, by, zone));
  }
  if (span.end > span.start) found.add(groupOf(span.end - 1, by, zone));
  return [...found].sort();
}

/** The instants two spans share; null when there are none. */
export function overlap(one: Span, other: Span): Span | null {
  const start = Math.max(one.start, other.start);
  const end = Math.min(one.end, other.end);
  return start < end ? { start, end } : null;
}
