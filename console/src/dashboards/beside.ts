/** What stands beside a chart's rows: totals, and its value at an earlier time. The node has asked them. Pure. */

import { type Answer, key, numeric } from '../rows.ts';
import type { Drawn } from './asking.ts';

/** What a total is called where an axis would say what a row is about. */
export const TOTAL = 'Total';

/** Rows of a chart that says nothing about it (`ROWS` in `crates/lake/src/charts.rs`). */
const ROWS_MAX = 10_000;

/** What of it is not there, in words. A `limit` is what its author wanted to see. */
export function missing({ rows, totals = [], before }: Drawn, limit?: number): string[] {
  const cut = limit === undefined && rows.length >= ROWS_MAX;
  const words = totals.flatMap(({ by, cut, problem }) => {
    const which = by.length === 0 ? 'total over all' : 'totals';
    if (problem) return [`No ${which}: ${problem.code} ${problem.title}`];
    return cut ? ['Not all totals are here: there are too many of them'] : [];
  });
  const { problem } = before ?? {};
  return [
    ...(cut ? [`The first ${ROWS_MAX.toLocaleString('en-US')} rows are here: there may be more`] : []),
    ...new Set(words),
    ...(problem ? [`No earlier value: ${problem.code} ${problem.title}`] : []),
  ];
}

/** Finds the measures of a total by the values of the axes that it keeps; nothing where there is none. */
export function totalsBy({ totals = [] }: Drawn, by: number[]): (values: unknown[]) => unknown[] | undefined {
  const found = totals.find(total => total.by.join() === by.join());
  const all = new Map(found?.rows.map(row => [key(row.slice(0, by.length)), row.slice(by.length)]));
  return values => all.get(key(values));
}

/** By how many per cent a value has changed; nothing where that cannot be said. */
export function change(value: unknown, before: unknown): number | undefined {
  const [now, then] = [numeric(value), numeric(before)];
  const percent = ((now - then) / Math.abs(then)) * 100;
  return Number.isFinite(percent) ? percent : undefined;
}

/** All of it as rows: totals behind the others, the earlier value in a column of its own. */
export function whole({ columns, rows, axes, totals = [], before }: Drawn): Answer {
  const more = totals.flatMap(({ by, rows }) =>
    rows.map(row => {
      const said = columns.slice(0, axes).map((_, axis) => {
        const place = by.indexOf(axis);
        return place < 0 ? TOTAL : row[place];
      });
      return [...said, ...row.slice(by.length)];
    }),
  );
  if (!before) return { columns, rows: [...rows, ...more] };
  const type = before.columns[0]?.type ?? '';
  return { columns: [...columns, { name: 'before', type }], rows: rows.map(row => [...row, before.rows[0]?.[0]]) };
}
