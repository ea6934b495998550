// Drawings that follow the width they are given.

const watched = new Map<Element, ResizeObserver>();

/** A place in which `draw` draws, again whenever its width changes. */
export function fitted(place: HTMLElement, draw: (width: number) => Element): HTMLElement {
  let drawn = 0;
  const watch = new ResizeObserver(() => {
    const width = Math.floor(place.clientWidth);
    if (!width || width === drawn) return;
    drawn = width;
    place.replaceChildren(draw(width));
  });
  watch.observe(place);
  watched.set(place, watch);
  return place;
}

/** Forget the places no longer shown, or all of them. */
export function unfit(all = false): void {
  for (const [place, watch] of watched) {
    if (!all && place.isConnected) continue;
    watch.disconnect();
    watched.delete(place);
  }
}
