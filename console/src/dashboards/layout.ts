/**
 * Where charts stand on a grid of twelve columns. Pure. Charts fall upwards until they touch another; one that is moved
 * keeps its place and pushes others down.
 */

import type { Chart, Place } from './spec.ts';

export const COLUMNS = 12;
/** Height of a row and what is between two, in pixels; the style sheet has them as well. */
export const ROW = 40;
export const GAP = 12;

const touch = (a: Place, b: Place) => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;

const first = (charts: Chart[]): Place => {
  const bottom = charts.reduce((lowest, { at }) => Math.max(lowest, at ? at.y + at.h : 0), 0);
  return { x: 0, y: bottom, w: 6, h: 6 };
};

/** A place for one more chart: beside the last one if there is room, or below all. */
export function room(charts: Chart[], w = 6, h = 6): Place {
  const placed = places(charts);
  const bottom = placed.reduce((lowest, at) => Math.max(lowest, at.y + at.h), 0);
  for (let y = 0; y < bottom; y += 1) {
    for (let x = 0; x + w <= COLUMNS; x += 1) {
      const at = { x, y, w, h };
      if (!placed.some(other => touch(other, at))) return at;
    }
  }
  return { x: 0, y: bottom, w, h };
}

/** The place of each chart; those without one stand below, two beside each other. */
export function places(charts: Chart[]): Place[] {
  const below = first(charts).y;
  let without = 0;
  return charts.map(({ at }) => {
    if (at) return at;
    const place = { x: (without % 2) * 6, y: below + Math.floor(without / 2) * 6, w: 6, h: 6 };
    without += 1;
    return place;
  });
}

/** All places after one chart was put somewhere. */
export function moved(all: Place[], index: number, to: Place): Place[] {
  const w = clamp(to.w, 1, COLUMNS);
  const own = { x: clamp(to.x, 0, COLUMNS - w), y: Math.max(0, to.y), w, h: clamp(to.h, 1, COLUMNS * 3) };
  const wanted = all.map((place, at) => (at === index ? own : place));
  const order = wanted.map((_, at) => at);
  const key = (at: number) => (wanted[at]?.y ?? 0) - (at === index ? 0.5 : 0);
  order.sort((a, b) => key(a) - key(b) || (wanted[a]?.x ?? 0) - (wanted[b]?.x ?? 0));
  return settle(wanted, order);
}

/** All places after charts were left out: each as far up as there is room. */
export function settled(all: Place[]): Place[] {
  const order = all.map((_, at) => at);
  const at = (index: number) => all[index] ?? { x: 0, y: 0 };
  order.sort((a, b) => at(a).y - at(b).y || at(a).x - at(b).x);
  return settle(all, order);
}

/** Places fall upwards in an order, and those that come later make room. */
function settle(wanted: Place[], order: number[]): Place[] {
  const taken: Place[] = [];
  const found: Place[] = [...wanted];
  for (const at of order) {
    const place = wanted[at];
    if (!place) continue;
    const free = (y: number) => !taken.some(other => touch(other, { ...place, y }));
    let y = place.y;
    while (!free(y)) y += 1;
    while (y > 0 && free(y - 1)) y -= 1;
    const own = { ...place, y };
    taken.push(own);
    found[at] = own;
  }
  return found;
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value));
}
