// Figures, times and names as text for people.

import { type Row, number, range } from "./answer";
import { DAY, type Span, instant } from "./time";

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

export const NAMES: Readonly<Record<string, string>> = {
  sessions: "Sessions",
  sessions_at_least: "Sessions, at least",
  verified: "Verified",
  expired: "Expired",
  in_progress: "In progress",
  conversion_pct: "Conversion",
  attempts: "Attempts",
  cost: "Cost",
  cost_per_verified: "Cost per verified",
  expired_cost: "Spent on expired",
  rescued: "Rescued",
  status: "Status",
  channel: "Channel",
  country: "Country",
  app: "Application",
  brand: "Brand",
  recipient: "Recipient",
  day: "Day",
  hour: "Hour",
  attempt_status: "Attempts",
  network: "Network",
  first_channel: "First channel",
  tries: "Attempts made",
  hour_of_day: "Hour of day",
  weekday: "Day of the week",
  path: "Channels in order",
  prefix: "Number range",
  number_type: "Kind of number",
  against: "Against",
  app_uuid: "Application",
  subaccount: "Subaccount",
  brand_name: "Brand",
  app_hash: "App hash",
};

export function named(column: string): string {
  return NAMES[column] ?? column.replaceAll("_", " ");
}

export function formatCount(value: number): string {
  return value.toLocaleString("en-GB", { maximumFractionDigits: 0 });
}

/** An amount: two places, or four for a small one, which would else read as zero. */
export function amount(value: number): string {
  const small = Math.abs(value) < 1 && value !== 0;
  return value.toLocaleString("en-GB", {
    minimumFractionDigits: 2,
    maximumFractionDigits: small ? 4 : 2,
  });
}

export function percent(value: number): string {
  return `${value.toLocaleString("en-GB", { maximumFractionDigits: 1 })}\u00a0%`;
}

const isMoney = (column: string) => column.includes("cost") && column !== "uncosted";

export function figure(column: string, value: number): string {
  if (column === "conversion_pct") return percent(value);
  return isMoney(column) ? amount(value) : formatCount(value);
}

/** A cell for people: `44.36`, `about 44.36` when estimated, a dash when unknown. */
export function formatCell(row: Row, column: string): string {
  const value = number(row, column);
  if (value === null) return "–";
  return (range(row, column) ? "≈\u00a0" : "") + figure(column, value);
}

/** The interval of an estimated cell in words, empty for an exact one. */
export function between(row: Row, column: string): string {
  const bounds = range(row, column);
  return bounds ? `${figure(column, bounds[0])} to ${figure(column, bounds[1])}` : "";
}

/** A day or hour group: `21 Nov`, `21 Nov, 09:00`. */
export function timeName(group: string): string {
  const [date = "", hour] = group.split(" ");
  const [, month, day] = date.split("-");
  const name = `${Number(day)} ${MONTHS[Number(month) - 1] ?? ""}`;
  return hour ? `${name}, ${hour}` : name;
}

/** A moment in UTC: `21 Nov 09:30`. */
export function moment(at: number): string {
  const iso = new Date(at).toISOString();
  return `${timeName(iso.slice(0, 10))} ${iso.slice(11, 16)}`;
}

/** A span in UTC, with its year: `14 Nov 09:30 to 21 Nov 2026 09:30`. */
export function spanName(span: Span): string {
  const iso = new Date(span.end).toISOString();
  const start = Number.isFinite(span.start) ? `${moment(span.start)} to ` : "until ";
  return `${start}${timeName(iso.slice(0, 10))} ${iso.slice(0, 4)} ${iso.slice(11, 16)}`;
}

/** A text of the server with its times, `11-21 09:30`, as the page writes them: `21 Nov 09:30`. */
export function dated(words: string): string {
  return words.replace(/(?<![\d-])(\d\d-\d\d)(?= \d\d:\d\d\b)/g, (date) => timeName(`-${date}`));
}

/** A figure with its sign, a true minus; a dash when it is not known. */
export function signed(written: string, write: (value: number) => string = String): string {
  const value = Number(written);
  if (written === "" || !Number.isFinite(value)) return written || "–";
  return `${value > 0 ? "+" : value < 0 ? "−" : ""}${write(Math.abs(value))}`;
}

/** `1 attempt`, `12 attempts`. */
export function counted(value: number, what: string): string {
  return `${formatCount(value)} ${what}${value === 1 ? "" : "s"}`;
}

/** How long something lasts: `7 days`, `3 h`, `45 min`, `20 s`. */
export function lasting(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000);
  if (milliseconds >= 2 * DAY) return `${Math.round(milliseconds / DAY)} days`;
  if (seconds >= 5400) return `${Math.round(seconds / 3600)} h`;
  return seconds >= 90 ? `${Math.round(seconds / 60)} min` : `${seconds} s`;
}

export function asOf(written: string): string {
  const at = instant(written);
  return at === null ? "" : `${moment(at)} UTC`;
}

const regions = (() => {
  try {
    return new Intl.DisplayNames(["en-GB"], { type: "region", fallback: "none" });
  } catch {
    return null;
  }
})();

function regionName(code: string): string {
  const name = /^[A-Z]{2}$/.test(code) ? regions?.of(code) : undefined;
  return name ? `${name} (${code})` : code;
}

/** A group's name for people. */
export function groupName(by: string, group: string): string {
  if (group === "?") return "Not told";
  if (group === "") return "–";
  if (by === "country") return regionName(group);
  if (by === "day" || by === "hour") return timeName(group);
  if (by === "path") return group.split(">").map((each) => groupName("first_channel", each)).join(" › ");
  if (by === "first_channel") return group === "none" ? "No attempt" : capital(group);
  if (by === "tries") return group === "0" ? "No attempt" : `${group} attempt${group === "1" ? "" : "s"}`;
  if (by === "app") return /^[0-9a-f-]{36}$/.test(group) ? group.slice(0, 8) : group;
  if (by === "channel" || by === "status") return capital(group.replace("in-progress", "in progress"));
  return by === "attempt_status" ? capital(group) : group;
}

const SPOKEN: Readonly<Record<string, string>> = {
  answer: "answered", "no answer": "not answered", cancel: "cancelled",
};

/** What a network reported of an attempt. */
export function outcomeName(status: string): string {
  return status ? capital(SPOKEN[status] ?? status) : "Status not told";
}

function capital(word: string): string {
  const spelled = word.replace(/^sms\b/, "SMS").replace(/^whatsapp\b/, "WhatsApp").replace(/^rcs\b/, "RCS");
  return spelled.charAt(0).toUpperCase() + spelled.slice(1);
}
