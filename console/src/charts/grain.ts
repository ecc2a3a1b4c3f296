/** How finely time is cut, in UTC as the node cuts it. */

import { shown } from '../rows.ts';

export const GRAINS = ['year', 'month', 'day', 'hour', 'minute'] as const;
export type Grain = (typeof GRAINS)[number];

/** The moment of a value; a time without a zone is in UTC. */
function instant(value: unknown): Date {
  const text = shown(value);
  // A day alone is in UTC for JavaScript, a time without a zone is not.
  return new Date(text.length <= 10 || /(Z|[+-]\d\d:?\d\d)$/.test(text) ? text : `${text}Z`);
}

/** A moment as far as a grain tells it. */
export function moment(value: unknown, grain: Grain = 'minute'): string {
  const at = instant(value);
  if (Number.isNaN(at.getTime())) return shown(value);
  const length = { year: 4, month: 7, day: 10, hour: 16, minute: 16 }[grain];
  return at.toISOString().slice(0, length).replace('T', ' ');
}

/** A piece of time from the moment it begins: both of its ends. */
export function piece(begin: unknown, grain: Grain): { from: string; to: string } {
  const at = instant(begin);
  const from = at.toISOString();
  const step = {
    year: () => at.setUTCFullYear(at.getUTCFullYear() + 1),
    month: () => at.setUTCMonth(at.getUTCMonth() + 1),
    day: () => at.setUTCDate(at.getUTCDate() + 1),
    hour: () => at.setUTCHours(at.getUTCHours() + 1),
    minute: () => at.setUTCMinutes(at.getUTCMinutes() + 1),
  };
  step[grain]();
  return { from, to: at.toISOString() };
}

/** More pieces than this are not told apart on a screen. */
const PIECES_MAX = 3_000;

/** The beginnings of pieces in their order, with those between them that had no rows. */
export function filled(begins: unknown[], grain: Grain): unknown[] {
  const known = new Map<number, unknown>();
  for (const begin of begins) {
    const at = instant(begin).getTime();
    if (Number.isFinite(at)) known.set(at, begin);
  }
  const order = [...known.keys()].sort((a, b) => a - b);
  const [first, last] = [order[0], order.at(-1)];
  const found: unknown[] = [];
  for (let at = first; at !== undefined && last !== undefined && at <= last; ) {
    const { from, to } = piece(new Date(at).toISOString(), grain);
    found.push(known.get(at) ?? from);
    if (found.length > PIECES_MAX) return order.map(one => known.get(one));
    at = Date.parse(to);
  }
  // Pieces that do not begin where the grain says are not lost.
  return found.length >= order.length ? found : order.map(one => known.get(one));
}
