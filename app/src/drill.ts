// Which question a click asks: the same window narrowed, or the same sessions grouped otherwise.

import { type Answer, type Row, isRest } from "./answer";
import { DAY, known, overlap, spanOfGroup, stamp } from "./time";
import { groupName } from "./format";

export const TOOL = "summarize_verify_sessions";
export const VIEWS = ["time", "country", "channel", "attempt_status", "path", "app"] as const;

export type Pick = Readonly<Record<string, string>>;

export interface Question {
  readonly args: Readonly<Record<string, unknown>>;
  /** The only groups of the answer that are looked at. */
  readonly pick: Pick;
  /** What the step is called. */
  readonly label: string;
  /** Whether the answer is about other sessions than the ones looked at now. */
  readonly narrower: boolean;
}

const FILTERS: Readonly<Record<string, string>> = {
  app: "app_uuid",
  brand: "brand_name",
  recipient: "recipient",
  prefix: "recipient",
  status: "status",
};
/** As many groups as the server shows: what is picked from an answer must not be among its smaller ones. */
const ALL_GROUPS = 200;
/** Groups that are filtered by what is held: each with the names that the server takes. */
const HELD_FILTERS: Readonly<Record<string, RegExp>> = { country: /^[A-Z]{2}$/, channel: /^(sms|voice|whatsapp|rcs|email)$/ };
/** The best grouping inside one group of these. */
const WITHIN: Readonly<Record<string, string>> = {
  country: "attempt_status",
  channel: "attempt_status",
  attempt_status: "country",
  path: "attempt_status",
  tries: "path",
  first_channel: "path",
  network: "attempt_status",
  number_type: "country",
  weekday: "hour_of_day",
  hour_of_day: "country",
};

/** The narrower question about one row; null where there is none. */
export function deeper(answer: Answer, pick: Pick, row: Row): Question | null {
  const by = answer.by.find((each) => !(each in pick));
  if (by === undefined || isRest(row, answer.by)) return null;
  const group = row[by] ?? "";
  const picked = Object.keys(pick);
  const label = groupName(by, group);
  if (by === "day" || by === "hour") {
    const span = known(answer.zone) === answer.zone ? spanOfGroup(group, answer.zone) : null;
    const within = span && answer.window && overlap(span, answer.window);
    if (!within) return null;
    const times = { session_time__gte: stamp(within.start), session_time__lt: stamp(within.end) };
    const next = by === "day" ? "hour" : picked.includes("attempt_status") ? "country" : "attempt_status";
    return { args: { ...again(answer), ...times, group_by: [...picked, next], ...wholeOf(picked) }, pick, label, narrower: true };
  }
  const filter = FILTERS[by];
  if (filter !== undefined) {
    if (group === "?" || group === "") return null;
    const value = by === "prefix" ? `${group}*` : group;
    const args = { ...again(answer), [filter]: value, group_by: [...picked, by === "status" ? "country" : timeStep(answer)], ...wholeOf(picked) };
    return { args, pick, label, narrower: true };
  }
  // What was only counted is not held: one group of it is picked from an answer about all of them.
  if (answer.basis !== "counted" && HELD_FILTERS[by]?.test(group)) {
    const args = { ...again(answer), [by]: group, group_by: [...picked, picked.includes("attempt_status") ? timeStep(answer) : "attempt_status"], ...wholeOf(picked) };
    return { args, pick, label, narrower: true };
  }
  const next = WITHIN[by];
  if (next === undefined || picked.length) return null;
  return {
    args: { ...again(answer), group_by: [by, next], ...wholeOf([by]) },
    pick: { [by]: group },
    label,
    narrower: true,
  };
}

/** The same sessions, looked at another way. */
export function otherwise(answer: Answer, pick: Pick, view: string): Question {
  const by = view === "time" ? timeStep(answer) : view;
  const args = { ...again(answer), group_by: [...Object.keys(pick), by], ...wholeOf(Object.keys(pick)) };
  return { args, pick, label: "", narrower: false };
}

/** The very same question, to go on where the answer stopped. */
export function same(answer: Answer, pick: Pick): Question {
  return { args: { ...again(answer), ...rankingOf(answer), ...wholeOf(Object.keys(pick)) }, pick, label: "", narrower: false };
}

/** The view that shows an answer. */
export function viewOf(answer: Answer, pick: Pick): string {
  const by = answer.by.find((each) => !(each in pick)) ?? "";
  return by === "day" || by === "hour" ? "time" : by;
}

/** Hours for what lasts up to two days, days for more. */
export function timeStep(answer: Answer): "hour" | "day" {
  const window = answer.window;
  return window && window.end - window.start <= 2 * DAY ? "hour" : "day";
}

/** What a filter may look like to be repeated in a request; anything else could be a sentence. */
const PLAIN: Readonly<Record<string, RegExp>> = {
  app_uuid: /^[0-9a-f-]{36}$/,
  recipient: /^\+?[0-9]+(…[0-9]+~[0-9a-z]+)?$/,
  subaccount: /^SA[A-Z0-9]{18}$/,
  brand_name: /^$/,
  app_hash: /^$/,
  country: /^[A-Z]{2}(,[A-Z]{2})*$/,
  channel: /^[a-z]+(,[a-z]+)*$/,
};

/** A request to the assistant in words. Names that anybody may have written stay out of it. */
export function requestText(question: Question): string {
  const all = Object.entries(question.args);
  const plain = all.filter(([name, value]) => PLAIN[name]?.test(String(value)) ?? true);
  const about = plain.length < all.length ? ", for what the picture is narrowed to," : "";
  return `Please call ${TOOL} with ${JSON.stringify(Object.fromEntries(plain))}${about} and tell me what stands out.`;
}

function wholeOf(picked: readonly string[]): Record<string, unknown> {
  return picked.length ? { top: ALL_GROUPS } : {};
}

/** The arguments that ask for the sessions of an answer; how its groups are ranked is left to the next one. */
function again(answer: Answer): Record<string, unknown> {
  const { order_by: _order, min_sessions: _least, ...applied } = answer.applied;
  return applied;
}

function rankingOf({ applied }: Answer): Record<string, unknown> {
  return {
    // The answer names the direction, too: `cost, largest first`.
    ...(typeof applied.order_by === "string" ? { order_by: applied.order_by.split(",")[0] } : {}),
    ...(applied.min_sessions === undefined ? {} : { min_sessions: applied.min_sessions }),
  };
}
