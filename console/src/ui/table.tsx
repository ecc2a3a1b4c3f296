/** A table that sorts by its heads; the order is in the URL. */

import type { ReactNode } from 'react';
import { useParam } from '../router.tsx';

export interface Column<Row> {
  id: string;
  head: string;
  cell: (row: Row) => ReactNode;
  /** What it is sorted by; without it the column does not sort. */
  by?: (row: Row) => string | number;
  right?: boolean;
  one?: boolean;
}

const ROWS_MAX = 500;

/** Rows under heads. */
export function Table<Row>(props: {
  label: string;
  columns: Column<Row>[];
  rows: Row[];
  id: (row: Row) => string;
  empty: ReactNode;
  sort?: string;
}) {
  const [order, setOrder] = useParam('sort', props.sort ?? '');
  const down = order.startsWith('-');
  const column = props.columns.find(({ id }) => id === order.replace(/^-/, ''));
  const rows = column?.by ? [...props.rows].sort(compare(column.by, down)) : props.rows;
  if (rows.length === 0) return props.empty;
  return (
    <section className="scroll" aria-label={props.label} tabIndex={0}>
      <table>
        <thead>
          <tr>
            {props.columns.map(({ id, head, by, right }) => {
              const mine = column?.id === id;
              return (
                <th
                  key={id}
                  scope="col"
                  className={right ? 'num' : ''}
                  aria-sort={mine ? (down ? 'descending' : 'ascending') : undefined}
                >
                  {by ? (
                    <button type="button" onClick={() => setOrder(mine && !down ? `-${id}` : id)}>
                      {head}
                      {mine && (down ? ' ↓' : ' ↑')}
                    </button>
                  ) : (
                    head
                  )}
                </th>
              );
            })}
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, ROWS_MAX).map(row => (
            <tr key={props.id(row)}>
              {props.columns.map(({ id, cell, right, one }) => (
                <td key={id} className={`${right ? 'num' : ''} ${one ? 'one' : ''}`}>
                  {cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > ROWS_MAX && (
        <p className="empty">{rows.length - ROWS_MAX} more; narrow the list with a filter to see them</p>
      )}
    </section>
  );
}

function compare<Row>(by: (row: Row) => string | number, down: boolean) {
  return (a: Row, b: Row) => {
    const [x, y] = [by(a), by(b)];
    const order = typeof x === 'number' && typeof y === 'number' ? x - y : String(x).localeCompare(String(y));
    return down ? -order : order;
  };
}
