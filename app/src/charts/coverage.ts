// The window as a strip: what the figures cover, and what is missing.

import { type Answer, range } from "../answer";
import { el } from "../dom";
import { overlap } from "../time";
import { moment, percent, spanName } from "../format";

/** How much of the window the figures cover, in per cent. */
export function share(answer: Answer): number {
  const { window } = answer;
  if (!window || window.end <= window.start) return answer.complete ? 100 : 0;
  const lost = answer.missing.reduce((sum, each) => {
    const inside = overlap(each, window);
    return sum + (inside ? inside.end - inside.start : 0);
  }, 0);
  return 100 * (1 - lost / (window.end - window.start));
}

/** The strip, with its words. */
export function coverage(answer: Answer): HTMLElement | null {
  const { window } = answer;
  if (!window || window.end <= window.start) return null;
  if (!answer.missing.length) return el("p", { class: "quiet" }, "The whole window is covered.");
  const covered = share(answer);
  const at = (moment_: number) => (100 * (moment_ - window.start)) / (window.end - window.start);
  const holes = answer.missing.flatMap((each) => {
    const inside = overlap(each, window);
    if (!inside) return [];
    const hole = el("span", { class: "hole", title: spanName(inside) });
    hole.style.left = `${at(inside.start)}%`;
    hole.style.width = `${Math.max(0.6, at(inside.end) - at(inside.start))}%`;
    return [hole];
  });
  const words = wordsOf(answer, covered);
  return el("div", { class: "coverage" },
    el("div", { class: "coverage-words" },
      el("span", {}, words),
      answer.basis === "counted" && el("span", { class: "quiet" }, certainty(answer))),
    el("div", { class: answer.basis === "counted" ? "strip counted" : "strip", role: "img", "aria-label": words }, ...holes),
    el("div", { class: "ends", "aria-hidden": "true" }, el("span", {}, moment(window.start)), el("span", {}, moment(window.end))));
}

function certainty(answer: Answer): string {
  if (answer.figures && answer.figures.sessions === undefined) return "Counting is not finished";
  if (answer.figures && range(answer.figures, "sessions")) return "≈ is estimated from a sample";
  return "Sessions are counted exactly; ≈ is estimated from a sample";
}

function wordsOf(answer: Answer, covered: number): string {
  const part = percent(Math.min(99.9, Math.floor(covered * 10) / 10));
  if (answer.basis !== "counted") return `${part} of the window is covered`;
  return covered < 0.1 ? "The window is counted, not fetched" : `${part} of the window is fetched, the rest is counted`;
}
