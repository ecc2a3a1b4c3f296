/** Rows of an answer. Only those in view are in the page, so that 100,000 scroll as ten do. */

import { type ReactNode, useMemo, useRef, useState } from 'react';
import { type Answer, isNumeric, shown } from '../rows.ts';

const ROW = 27;
const HEIGHT_MAX = 560;
/** Rows beyond either edge. */
const BEYOND = 12;
const CELL = 400;
/** Rows that say how wide a column is, and its bounds in characters. */
const SAMPLE = 200;
const [NARROW, WIDE] = [8, 44];

interface Props {
  label: string;
  answer: Answer;
  /** A cell in another form than its text. */
  cell?: (row: number, column: number) => ReactNode;
  /** A last row that stays in sight, by its cells. */
  foot?: (column: number) => ReactNode;
  /** Fills its frame instead of growing with the rows. */
  fill?: boolean;
}

/** A table of any length. */
export function Grid({ label, answer, cell, foot, fill }: Props) {
  const { columns, rows } = answer;
  const [top, setTop] = useState(0);
  const frame = useRef<HTMLElement>(null);
  const height = fill ? (frame.current?.clientHeight ?? HEIGHT_MAX) : HEIGHT_MAX;
  // Measured once: columns that grow and shrink under a scrolling reader cannot be read.
  const widths = useMemo(() => columns.map((_, at) => width(answer, at)), [columns, answer]);
  const from = Math.max(0, Math.floor(top / ROW) - BEYOND);
  const to = Math.min(rows.length, Math.ceil((top + height) / ROW) + BEYOND);
  return (
    <section
      className={`grid ${fill ? 'fill' : ''}`}
      aria-label={label}
      tabIndex={0}
      ref={frame}
      onScroll={event => setTop(event.currentTarget.scrollTop)}
    >
      <table aria-rowcount={rows.length + (foot ? 2 : 1)}>
        <colgroup>
          {widths.map((chars, at) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: two columns may have one name
            <col key={at} style={{ width: `${chars}ch` }} />
          ))}
        </colgroup>
        <thead>
          <tr aria-rowindex={1}>
            {columns.map(({ name, type }, at) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: two columns may have one name
              <th scope="col" key={at} className={isNumeric(type) ? 'num' : ''} title={type}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {from > 0 && <Room height={from * ROW} />}
          {rows.slice(from, to).map((row, offset) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: a row of an answer is known by its place
            <tr key={from + offset} aria-rowindex={from + offset + 2}>
              {columns.map(({ type }, at) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: two columns may have one name
                <td key={at} className={isNumeric(type) ? 'num' : ''}>
                  {cell?.(from + offset, at) ?? <Value value={row[at]} />}
                </td>
              ))}
            </tr>
          ))}
          {to < rows.length && <Room height={(rows.length - to) * ROW} />}
        </tbody>
        {foot && (
          <tfoot>
            <tr aria-rowindex={rows.length + 2}>
              {columns.map(({ type }, at) => {
                const Cell = at === 0 ? 'th' : 'td';
                return (
                  // biome-ignore lint/suspicious/noArrayIndexKey: two columns may have one name
                  <Cell key={at} scope={at === 0 ? 'row' : undefined} className={isNumeric(type) ? 'num' : ''}>
                    {foot(at)}
                  </Cell>
                );
              })}
            </tr>
          </tfoot>
        )}
      </table>
    </section>
  );
}

/** Characters that a column has room for. */
function width({ columns, rows }: Answer, at: number): number {
  const longest = rows.slice(0, SAMPLE).reduce((most, row) => Math.max(most, shown(row[at]).length), 0);
  return Math.min(WIDE, Math.max(NARROW, longest, columns[at]?.name.length ?? 0)) + 4;
}

/** What is not in view keeps its height. */
function Room({ height }: { height: number }) {
  return (
    <tr className="room">
      <td style={{ height, padding: 0 }} />
    </tr>
  );
}

/** One value; nothing is told from an empty text. */
function Value({ value }: { value: unknown }) {
  if (value === null) return <span className="muted">null</span>;
  const text = shown(value);
  return text.length > CELL ? `${text.slice(0, CELL)}…` : text;
}
