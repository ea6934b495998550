// Elements. Text goes in as text, never as markup.

type Child = Node | string | null | undefined | false;
type Attributes = Readonly<Record<string, string | number | boolean | null | undefined>>;

const SVG = "http://www.w3.org/2000/svg";

export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K, attributes: Attributes = {}, ...children: Child[]
): HTMLElementTagNameMap[K] {
  return filled(document.createElement(tag), attributes, children);
}

export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K, attributes: Attributes = {}, ...children: Child[]
): SVGElementTagNameMap[K] {
  return filled(document.createElementNS(SVG, tag) as SVGElementTagNameMap[K], attributes, children);
}

function filled<E extends Element>(element: E, attributes: Attributes, children: readonly Child[]): E {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
  return element;
}

export function button(label: string, press: () => void, attributes: Attributes = {}): HTMLButtonElement {
  const made = el("button", { type: "button", ...attributes }, label);
  made.addEventListener("click", press);
  return made;
}

/** A list of which a screen shows the first items and a button the others; paper shows all. */
export function folded(list: HTMLElement, items: readonly HTMLElement[], first: number): HTMLElement {
  const rest = items.slice(first);
  if (rest.length < 2) return list;
  for (const item of rest) item.classList.add("folded");
  const more: HTMLButtonElement = button(`Show all ${items.length}`, () => {
    for (const item of rest) item.classList.remove("folded");
    more.remove();
    rest[0]?.querySelector<HTMLElement>("[tabindex], button")?.focus();
  }, { class: "more" });
  return el("div", {}, list, more);
}

/** Announce a text to a screen reader. */
export function announce(words: string): void {
  const live = document.getElementById("live");
  if (live) live.textContent = words;
}

/** Show `lines` beside an element while it is pointed at or focused. */
export function hinted(target: Element, lines: readonly string[]): void {
  const show = () => {
    const hint = document.getElementById("hint");
    if (!hint) return;
    hint.replaceChildren(...lines.map((line, place) => el(place ? "div" : "strong", {}, line)));
    hint.hidden = false;
    const box = target.getBoundingClientRect();
    const width = document.documentElement.clientWidth;
    const left = Math.min(Math.max(8, box.left + box.width / 2 - hint.offsetWidth / 2), width - hint.offsetWidth - 8);
    const above = box.top - hint.offsetHeight - 8;
    hint.style.left = `${Math.max(8, left) + scrollX}px`;
    hint.style.top = `${(above > 0 ? above : Math.min(box.bottom, innerHeight - hint.offsetHeight - 16) + 8) + scrollY}px`;
  };
  target.addEventListener("pointerenter", show);
  target.addEventListener("focus", show);
  target.addEventListener("pointerleave", clearHints);
  target.addEventListener("blur", clearHints);
}

export function clearHints(): void {
  const hint = document.getElementById("hint");
  if (hint) hint.hidden = true;
}

/** One tab stop for many marks; the arrow keys, Home and End move among them. */
export function roving(marks: readonly (HTMLElement | SVGElement)[]): void {
  marks.forEach((mark, place) => {
    mark.setAttribute("tabindex", place ? "-1" : "0");
    mark.addEventListener("keydown", (event) => {
      const to = step((event as KeyboardEvent).key, place, marks.length);
      if (to === null) return;
      event.preventDefault();
      marks.forEach((each, other) => each.setAttribute("tabindex", other === to ? "0" : "-1"));
      marks[to]?.focus();
    });
  });
}

function step(key: string, place: number, length: number): number | null {
  if (key === "ArrowRight" || key === "ArrowDown") return Math.min(place + 1, length - 1);
  if (key === "ArrowLeft" || key === "ArrowUp") return Math.max(place - 1, 0);
  if (key === "Home") return 0;
  return key === "End" ? length - 1 : null;
}

/** Make a drawn mark answer to a click, Enter and Space. */
export function pressable(mark: HTMLElement | SVGElement, press: () => void): void {
  mark.addEventListener("click", press);
  mark.addEventListener("keydown", (event) => {
    const { key } = event as KeyboardEvent;
    if (key !== "Enter" && key !== " ") return;
    event.preventDefault();
    press();
  });
}
