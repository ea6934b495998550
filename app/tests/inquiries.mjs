// Answers as the other tools give them: a comparison, findings, one session.
import { HOSTILE } from "./answers.mjs";

const LATER = { session_time__gte: "2026-11-14 09:30:00", session_time__lt: "2026-11-21 09:30:00" };
const AS_OF = { as_of: "2026-11-21T09:30:00Z", api_requests: 0, quota_left: 20 };

export function comparison(more = {}) {
  return {
    complete: true, basis: "held", applied: { ...LATER, against: "2026-11-07 09:30:00" },
    summary: "Conversion fell by 9.42 points, from 87.91 to 78.49 %. Largest driver: country ID (-8.45 points, by its conversion), since about 11-18 14:00 UTC.",
    columns: ["figure", "before", "after", "change"],
    rows: [
      ["sessions", "1960", "2175", "+215"], ["verified", "1723", "1707", "-16"], ["conversion_pct", "87.91", "78.49", "-9.42"],
      ["cost", "291.4", "369.98", "+78.58"], ["cost_per_verified", "0.169124", "0.216743", "+0.047619"],
      ["attempts_per_session", "1.31", "1.58", "+0.27"],
    ],
    conversion_change: { points: "-9.42", low: "-11.71", high: "-7.14", chance: "<0.0001" },
    drivers: {
      columns: ["by", "group", "pct_before", "pct_after", "rate", "mix", "chance", "since"],
      rows: [
        ["country", "ID", "86.2", "40", "-8.1", "-0.35", "<0.0001", "11-18 14:00 (13:00 to 16:00)"],
        ["network", "Telkomsel", "85.1", "31.2", "-6.02", "+0.11", "<0.0001", ""],
        ["hour_of_day", "14", "88", "71.5", "-0.9", "+0.08", "0.0031", ""],
      ],
      groups_looked_at: 61,
    },
    cost_change: { by: "country", volume: "+32", mix: "+21.4", price: "+25.18" },
    ...AS_OF, ...more,
  };
}

/** Drivers of one dimension, so many of them, and what they cost. */
export function comparisonOf(count) {
  const groups = Array.from({ length: count }, (_each, place) => String.fromCharCode(65 + (place % 26), 65 + (place * 7) % 26));
  const answer = comparison();
  answer.applied.by = "country";
  answer.drivers = {
    columns: ["by", "group", "pct_before", "pct_after", "rate", "mix", "chance"],
    rows: groups.map((name, place) => ["country", name, "88", String(88 - place), String(-place / 4), "+0.1", "0.01"]),
    rest: "-0.2", groups_looked_at: count + 3,
  };
  answer.cost_change.columns = ["group", "volume", "mix", "price"];
  answer.cost_change.rows = groups.map((name, place) => [name, "+1.5", String(-place), "+0.2"]);
  return answer;
}

/** Both windows counted, and nothing known of cost and drivers. */
export function comparisonCounted() {
  const { drivers: _drivers, cost_change: _cost, ...answer } = comparison({
    complete: false, basis: "counted", eta_s: 0,
    why: "The later window is counted; its cost and groups take about 22 more requests. Drivers need every session of both windows: the same call goes on.",
  });
  return { ...answer, rows: answer.rows.slice(0, 3) };
}

/** The earlier window lies before what the API gives. */
export function comparisonUnreachable() {
  return {
    complete: false, why: "The earlier window starts before that, so there is nothing to compare with.",
    missing: ["2026-08-01 00:00:00 to 2026-08-23 09:30:00"], applied: { ...LATER, against: "2026-08-01 00:00:00" }, ...AS_OF,
  };
}

const FINDING_COLUMNS = [
  "kind", "where", "from", "to", "sessions", "recipients", "verified", "expected", "seen", "cost", "at_stake", "chance", "examples", "summary",
];
const FINDINGS = [
  ["pumping", "AZ Azercell +99450*", "11-19 02:00", "11-19 05:30", "312", "298", "4", "86% verified", "1.28%", "171.6", "169.4", "1e-12", "b7e1c9d2 60ea68db",
    "298 numbers of one range asked, 84% of them neighbours, and codes arrived but were not entered; it could also be tests or a promotion to one range."],
  ["delivery", "ID Telkomsel sms", "11-18 14:00", "11-21 09:30", "240", "214", "61", "9% failed", "64%", "74.4", "52.1", "3e-09", "0a1b2c3d",
    "Messages failed more than usual, beginning between 11-18 13:30 and 14:20; it could also be late reports, or a list of dead numbers."],
  ["stuck", "all", "11-21 07:58", "11-21 08:00", "23", "23", "0", "0 in progress", "23", "", "", "2e-05", "", "These sessions did not end an hour after they began; it could also be late updates of the API."],
];

export function findings(rows = FINDINGS, more = {}) {
  return {
    complete: true, applied: { ...LATER }, baseline: "28 days", sessions: 2175, findings: rows.length,
    ...(rows.length ? { columns: FINDING_COLUMNS, rows } : { note: "Nothing stands out. Looked at the window for pumping, delivery." }),
    ...AS_OF, ...more,
  };
}

export const oneFinding = () => findings(FINDINGS.slice(0, 1));
export const manyFindings = () => findings(Array.from({ length: 30 }, (_each, place) => FINDINGS[place % 3]));

/** Too little is held to compare with. */
export function findingsUnknown() {
  return {
    complete: false, why: "Only 133 h before the window are held, and 168 h are needed to compare with. The same call goes on fetching.",
    missing: ["2026-11-14 09:30:00 to 2026-11-16 00:00:00"], eta_s: 0, applied: { ...LATER }, baseline: "5.54 of 28 days", ...AS_OF,
  };
}

export function session(more = {}) {
  return {
    complete: true, summary: "Verified: 3 attempts in 51 s, SMS failed, SMS failed, voice answered; 0.061 charged.",
    session: "b7e1c9d2-41aa-4c58-8f0b-6d5e0a9b3c77", app: "ec66515e-86f6-4507-8620-31c039538d7a", recipient: "+14…0142~k7q2",
    country: "US", network: "T-Mobile", status: "verified", channel: "voice",
    attempts: [
      { attempt_uuid: "b7e1c9d2-41aa-4c58-8f0b-6d5e0a9b3c01", channel: "sms", status: "failed", time: "12-31 23:59:30", charge: "0",
        record: { state: "failed", error_code: "450", error: "destination country barred by geo permissions", network: "T-Mobile" } },
      { attempt_uuid: "b7e1c9d2-41aa-4c58-8f0b-6d5e0a9b3c02", channel: "sms", status: "failed", time: "12-31 23:59:54", charge: "0", record: "not available" },
      { attempt_uuid: "b7e1c9d2-41aa-4c58-8f0b-6d5e0a9b3c03", channel: "voice", status: "answer", time: "01-01 00:00:21", charge: "0.011",
        record: { state: "answer", answered_after_s: 6, hangup_cause: "Normal Hangup", duration_s: 18 } },
    ],
    cost: "0.061", validation_cost: "0.05", created: "2026-12-31 23:59:30", updated: "2027-01-01 00:00:21", as_of: "2027-01-01T00:10:00Z",
    api_requests: 3, quota_left: 1000, ...more,
  };
}

export const sessionPending = () => ({ complete: false, why: "The quota of API requests is used up for now.", eta_s: 30, session: "b7e1c9d2", ...AS_OF });

/** Every text that the API or anybody else may have written is a hostile one. */
export const HOSTILE_INQUIRIES = {
  comparison: comparison({
    summary: HOSTILE[0], why: HOSTILE[1],
    rows: HOSTILE.map((name) => [name, "1", "2", name]),
    conversion_change: { points: HOSTILE[0], low: HOSTILE[1], high: HOSTILE[2], chance: HOSTILE[3] },
    drivers: { columns: ["by", "group", "pct_before", "pct_after", "rate", "mix", "chance"], rows: HOSTILE.map((name) => ["brand", name, name, name, name, "1", name]), rest: HOSTILE[1], groups_looked_at: 8 },
    cost_change: { by: HOSTILE[0], volume: HOSTILE[1], mix: "1", price: "2", columns: ["group", "volume", "mix", "price"], rows: HOSTILE.map((name) => [name, "1", "2", "3"]) },
  }),
  findings: findings(HOSTILE.map((name) => FINDING_COLUMNS.map(() => name)), { baseline: HOSTILE[0] }),
  session: session({
    summary: HOSTILE[0], note: HOSTILE[1], status: HOSTILE[2], country: HOSTILE[0], network: HOSTILE[1], brand: HOSTILE[6], app_name: HOSTILE[0], recipient: HOSTILE[0],
    attempts: HOSTILE.map((name) => ({ channel: name, status: name, time: name, charge: name, record: { error_code: name, error: name, network: name, hangup_cause: name } })),
  }),
};
