// An answer of get_verify_session: one session with its attempts on a time axis.

import { type RawAnswer, isObject, list, text } from "./answer";
import { el } from "./dom";
import { amount, asOf, groupName, outcomeName } from "./format";
import { type Actions, chips, nothing, problem } from "./page";
import { instant, recent } from "./time";

interface Attempt {
  readonly channel: string;
  readonly status: string;
  readonly written: string;
  /** Milliseconds since the session began; null when its time is not told. */
  readonly after: number | null;
  readonly charge: string;
  readonly record: string;
}

export interface SessionAnswer {
  readonly id: string;
  readonly complete: boolean;
  readonly madeUp: boolean;
  readonly why: string;
  readonly summary: string;
  readonly note: string;
  readonly status: string;
  readonly country: string;
  readonly network: string;
  readonly recipient: string;
  readonly brand: string;
  readonly app: string;
  readonly cost: string;
  readonly validationCost: string;
  readonly created: string;
  readonly asOf: string;
  /** The attempts; null where the session was not read. */
  readonly attempts: readonly Attempt[] | null;
}

export const SESSION_TOOL = "get_verify_session";
const MAX_ATTEMPTS = 100;

/** The answer as values, null when it is not one of a session. */
export function readSession(raw: unknown): SessionAnswer | null {
  if (!isObject(raw) || typeof raw.session !== "string" || raw.applied !== undefined) return null;
  const created = instant(text(raw.created));
  return {
    id: text(raw.session),
    complete: raw.complete === true,
    madeUp: text(raw.data).startsWith("made up"),
    why: text(raw.why, 500),
    summary: text(raw.summary, 500),
    note: text(raw.note, 500),
    status: text(raw.status),
    country: text(raw.country),
    network: text(raw.network),
    recipient: text(raw.recipient),
    brand: text(raw.brand),
    app: text(raw.app_name) || text(raw.app).slice(0, 8),
    cost: text(raw.cost),
    validationCost: text(raw.validation_cost),
    created: text(raw.created),
    asOf: text(raw.as_of),
    attempts: Array.isArray(raw.attempts)
      ? list(raw.attempts).slice(0, MAX_ATTEMPTS).flatMap((each) => (isObject(each) ? [attemptOf(each, created)] : [])) : null,
  };
}

function attemptOf(raw: RawAnswer, created: number | null): Attempt {
  const written = text(raw.time);
  const at = created === null ? null : recent(written, created);
  return {
    channel: text(raw.channel), status: text(raw.status), written, charge: text(raw.charge),
    after: at === null || created === null ? null : at - created,
    record: recordWords(raw.record),
  };
}

/** What the attempt's own record tells, in words. */
function recordWords(record: unknown): string {
  if (typeof record === "string") return `Record: ${text(record)}`;
  if (!isObject(record)) return "";
  const code = text(record.error_code);
  const error = text(record.error);
  const parts = [
    code && code !== "000" && `error ${code}${error ? ` (${error})` : ""}`,
    text(record.network),
    text(record.delay_s) && `reported after ${text(record.delay_s)} s`,
    text(record.answered_after_s) && `answered after ${text(record.answered_after_s)} s`,
    text(record.duration_s) && `lasted ${text(record.duration_s)} s`,
    text(record.hangup_cause),
  ];
  return parts.filter(Boolean).join(", ");
}

/** The page of one session. */
export function sessionView(found: SessionAnswer, _actions: Actions | null): Node[] {
  const facts: readonly (readonly [string, string])[] = [
    ["Recipient", found.recipient], ["Network", found.network], ["Application", found.app], ["Brand", found.brand],
    ["Cost", money(found.cost)], ["of which validation", money(found.validationCost)],
  ];
  return [
    el("header", {},
      el("div", {}, el("h1", { tabindex: "-1" }, "One session"), el("p", { class: "quiet" }, `${found.id}${found.created ? ` · ${asOf(found.created)}` : ""}`)),
      chips([found.status && groupName("status", found.status), found.country && groupName("country", found.country)].filter((each) => each !== ""), found.madeUp, found.complete ? null : false)),
    ...(found.summary ? [el("p", { class: "summary" }, found.summary)] : []),
    ...(found.why ? [problem(found.why)] : []),
    ...(found.note ? [el("p", { class: "quiet" }, found.note)] : []),
    el("dl", { class: "lesser" }, ...facts.filter(([, value]) => value)
      .map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)))),
    timeline(found.attempts),
    el("footer", { class: "quiet" }, [asOf(found.asOf) && `As of ${asOf(found.asOf)}`, "amounts in the account’s currency"].filter(Boolean).join(" · ")),
  ];
}

function money(written: string): string {
  return written === "" ? "" : amount(Number(written));
}

function timeline(attempts: readonly Attempt[] | null): HTMLElement {
  if (attempts === null) return nothing("The session is not read yet.");
  if (!attempts.length) return nothing("No attempt yet.");
  const most = Math.max(1, ...attempts.map((each) => each.after ?? 0));
  return el("section", { class: "card", "aria-label": "Attempts" },
    el("h2", {}, "Attempts"),
    el("ol", { class: "attempts-line" }, ...attempts.map((each) => el("li", {}, ...attemptRow(each, most)))));
}

function attemptRow(attempt: Attempt, most: number): Node[] {
  const { after } = attempt;
  const track = el("span", { class: "moment-track", "aria-hidden": "true" });
  if (after !== null) {
    const dot = el("span", { class: `moment ${kindOf(attempt.status)}` });
    dot.style.left = `${(100 * Math.min(Math.max(0, after), most)) / most}%`;
    track.append(el("span", { class: "moment-place" }, dot));
  }
  return [
    el("span", { class: "part-name" }, el("strong", {}, groupName("channel", attempt.channel) || "Channel not told"), el("span", {}, outcomeName(attempt.status))),
    track,
    el("span", { class: "part-value", title: attempt.written }, after === null ? "time not told" : offset(after)),
    el("span", { class: "part-value quiet" }, attempt.charge === "" ? "charge not told" : amount(Number(attempt.charge))),
    ...(attempt.record ? [el("span", { class: "attempt-record quiet" }, attempt.record)] : []),
  ];
}

/** Seconds since the session began: `+27 s`. */
function offset(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000);
  return `${seconds < 0 ? "−" : "+"}${Math.abs(seconds)}\u00a0s`;
}

function kindOf(status: string): string {
  if (/^(delivered|answer|answered|read|seen)$/.test(status)) return "arrived";
  return /^(queued|sent|ringing|early media)$/.test(status) ? "open" : "lost";
}
