/** Rows as a pivot table: the values of the last axis are columns, those of the others group the rows. */

import { Fragment } from 'react';
import { figure } from '../charts/drawing.ts';
import { type Grain, moment } from '../charts/grain.ts';
import { type Answer, isTime, key, shown } from '../rows.ts';
import type { Drawn } from './asking.ts';
import { TOTAL, totalsBy } from './beside.ts';

/** Columns and rows that are drawn; more cannot be read. */
const ACROSS_MAX = 60;
const DOWN_MAX = 2_000;

/** A pivot: heads of rows and columns, and for each cell the row of the answer. */
export interface Pivot {
  across: unknown[];
  down: unknown[][];
  cells: (number | undefined)[][];
  /** What is not drawn, in words. */
  left: string;
}

/** Turns rows around. Rows stay in the answer's order. */
export function pivoted({ rows }: Answer, axes: number): Pivot {
  const across = new Map<string, unknown>();
  const down = new Map<string, unknown[]>();
  const places = new Map<string, number>();
  for (const [index, row] of rows.entries()) {
    const column = row[axes - 1];
    const heads = row.slice(0, axes - 1);
    across.set(key([column]), column);
    down.set(key(heads), heads);
    places.set(key([...heads, column]), index);
  }
  const columns = [...across.values()]
    .sort((a, b) => shown(a).localeCompare(shown(b)) || nothing(a) - nothing(b))
    .slice(0, ACROSS_MAX);
  const parts = [
    across.size > ACROSS_MAX ? `${ACROSS_MAX} of ${across.size} columns` : '',
    down.size > DOWN_MAX ? `${DOWN_MAX.toLocaleString('en-US')} of ${down.size.toLocaleString('en-US')} lines` : '',
  ];
  // Equal heads stand beside each other, so that they can be one cell.
  const lines = [...down.values()].sort((a, b) => compare(a, b)).slice(0, DOWN_MAX);
  return {
    across: columns,
    down: lines,
    cells: lines.map(heads => columns.map(column => places.get(key([...heads, column])))),
    left: parts.filter(Boolean).join(', '),
  };
}

function compare(a: unknown[], b: unknown[]): number {
  for (const [at, value] of a.entries()) {
    const order = shown(value).localeCompare(shown(b[at]), 'en', { numeric: true });
    if (order !== 0) return order;
    const other = nothing(value) - nothing(b[at]);
    if (other !== 0) return other;
  }
  return 0;
}

/** Nothing comes before an empty text. */
const nothing = (value: unknown) => (value == null ? 0 : 1);

/** Over how many lines a head at this place goes; 0 where the line above has it already. */
export function spans(down: unknown[][], column: number): number[] {
  const same = (line: number) =>
    line > 0 && key(down[line]?.slice(0, column + 1) ?? []) === key(down[line - 1]?.slice(0, column + 1) ?? []);
  const found = down.map(() => 0);
  let begin = 0;
  for (const line of down.keys()) {
    if (!same(line)) begin = line;
    found[begin] = (found[begin] ?? 0) + 1;
  }
  return found;
}

/** The table. */
export function PivotTable(props: {
  answer: Drawn;
  grain: Grain | undefined;
  label: string;
  pick: (row: number, at: { x: number; y: number }) => void;
}) {
  const { answer, grain, label, pick } = props;
  const { axes } = answer;
  const { across, down, cells, left } = pivoted(answer, axes);
  const measures = answer.columns.slice(axes);
  const say = (value: unknown, column: number) =>
    isTime(answer.columns[column]?.type ?? '') ? moment(value, grain) : shown(value) || '–';
  const heads = answer.columns.slice(0, axes - 1);
  const ofLine = totalsBy(
    answer,
    heads.map((_, axis) => axis),
  );
  const ofColumn = totalsBy(answer, [axes - 1]);
  const ofAll = totalsBy(answer, [])([]);
  const summed = answer.totals?.some(({ rows }) => rows.length > 0);
  const figures = (values: unknown[] | undefined) =>
    measures.map(({ name }, measure) => (
      <td key={`${TOTAL} ${name}`} className="num">
        {values && figure(values[measure])}
      </td>
    ));
  const over = heads.map((_, column) => spans(down, column));
  return (
    <section className="grid fill pivot" aria-label={label} tabIndex={0}>
      {left && (
        <p className="muted" role="status">
          {left} are shown
        </p>
      )}
      <table>
        <thead>
          <tr>
            {heads.map(({ name }) => (
              <th key={name} scope="col" rowSpan={measures.length > 1 ? 2 : 1}>
                {name}
              </th>
            ))}
            {across.map(value => (
              <th key={key([value])} scope="col" colSpan={measures.length} className="num">
                {say(value, axes - 1)}
              </th>
            ))}
            {summed && (
              <th scope="col" colSpan={measures.length} className="num">
                {TOTAL}
              </th>
            )}
          </tr>
          {measures.length > 1 && (
            <tr>
              {across.flatMap(value =>
                measures.map(({ name }) => (
                  <th key={`${key([value])} ${name}`} scope="col" className="num">
                    {name}
                  </th>
                )),
              )}
              {summed &&
                measures.map(({ name }) => (
                  <th key={name} scope="col" className="num">
                    {name}
                  </th>
                ))}
            </tr>
          )}
        </thead>
        <tbody>
          {down.map((line, index) => (
            <tr key={key(line)}>
              {line.map((value, column) =>
                over[column]?.[index] ? (
                  // biome-ignore lint/suspicious/noArrayIndexKey: a head is known by its column
                  <th key={column} scope="row" rowSpan={over[column][index]}>
                    {say(value, column)}
                  </th>
                ) : null,
              )}
              {across.flatMap((value, column) =>
                measures.map(({ name }, measure) => {
                  const row = cells[index]?.[column];
                  return (
                    <td key={`${key([value])} ${name}`} className="num">
                      {row !== undefined && (
                        <button
                          type="button"
                          className="as-link"
                          onClick={event => pick(row, { x: event.clientX, y: event.clientY })}
                        >
                          {figure(answer.rows[row]?.[axes + measure])}
                        </button>
                      )}
                    </td>
                  );
                }),
              )}
              {summed && figures(ofLine(line))}
            </tr>
          ))}
        </tbody>
        {summed && (
          <tfoot>
            <tr>
              <th scope="row" colSpan={heads.length}>
                {TOTAL}
              </th>
              {across.map(value => (
                <Fragment key={key([value])}>{figures(ofColumn([value]))}</Fragment>
              ))}
              {figures(ofAll)}
            </tr>
          </tfoot>
        )}
      </table>
    </section>
  );
}
