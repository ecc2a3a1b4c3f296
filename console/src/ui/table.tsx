/** A table that sorts by its heads and shows one page of its rows; order and page are in the URL. */

import type { ReactNode } from 'react';
import { count } from '../format.ts';
import { useParam } from '../router.tsx';

export interface Column<Row> {
  id: string;
  head: string;
  cell: (row: Row) => ReactNode;
  /** What it is sorted by; without it the column does not sort. */
  by?: (row: Row) => string | number;
  right?: boolean;
  /** One line, cut where it has no room. */
  one?: boolean;
}

interface Props<Row> {
  label: string;
  columns: Column<Row>[];
  rows: Row[];
  id: (row: Row) => string;
  empty: ReactNode;
  sort?: string;
  /** Tells its order and page in the URL from those of the page's first table. */
  name?: string;
}

export const PAGE_ROWS = 100;

/** The rows of a page, and how many stand before them. A page that is not there any more is the last one. */
export function pageOf<Row>(rows: Row[], page: number): { page: number; pages: number; before: number; shown: Row[] } {
  const pages = Math.max(1, Math.ceil(rows.length / PAGE_ROWS));
  const at = Number.isInteger(page) ? Math.min(Math.max(page, 1), pages) : 1;
  const before = (at - 1) * PAGE_ROWS;
  return { page: at, pages, before, shown: rows.slice(before, before + PAGE_ROWS) };
}

/** Rows under heads. */
export function Table<Row>(props: Props<Row>) {
  const own = props.name ? `${props.name}.` : '';
  const usual = props.sort ?? '';
  const [wanted, setOrder] = useParam(`${own}sort`, usual);
  const [number, setPage] = useParam(`${own}page`, '1');
  const columnOf = (order: string) => props.columns.find(({ id }) => id === order.replace(/^-/, ''));
  // Another tab's table may have columns that this one has not.
  const order = columnOf(wanted) ? wanted : usual;
  const down = order.startsWith('-');
  const column = columnOf(order);
  const rows = column?.by ? [...props.rows].sort(compare(column.by, down)) : props.rows;
  if (rows.length === 0) return props.empty;
  const { page, pages, before, shown } = pageOf(rows, Number(number));
  return (
    <>
      {pages > 1 && (
        <Pages
          label={props.label}
          said={`${count(before + 1)}–${count(before + shown.length)} of ${count(rows.length)}`}
          page={page}
          pages={pages}
          go={page => setPage(String(page))}
        />
      )}
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
                      <button
                        type="button"
                        onClick={() => {
                          setPage('1');
                          setOrder(mine && !down ? `-${id}` : id);
                        }}
                      >
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
            {shown.map(row => (
              <tr key={props.id(row)}>
                {props.columns.map(({ id, cell, by, right, one }) => (
                  <td
                    key={id}
                    className={`${right ? 'num' : ''} ${one ? 'one' : ''}`}
                    title={one && by ? String(by(row)) : undefined}
                  >
                    {cell(row)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </>
  );
}

/** The way to other pages, above the rows: the focus stays where it is while they change. */
function Pages(props: { label: string; said: string; page: number; pages: number; go: (page: number) => void }) {
  const { label, said, page, pages, go } = props;
  // A button that is switched off would lose the focus with the last page.
  const button = (words: string, to: number) => (
    <button
      type="button"
      className="btn"
      aria-disabled={to < 1 || to > pages}
      onClick={() => {
        if (to >= 1 && to <= pages) go(to);
      }}
    >
      {words}
    </button>
  );
  return (
    <nav className="pages bar" aria-label={`Pages of ${label}`}>
      {button('Previous page', page - 1)}
      {button('Next page', page + 1)}
      <span className="muted" role="status">
        {said}
      </span>
    </nav>
  );
}

function compare<Row>(by: (row: Row) => string | number, down: boolean) {
  return (a: Row, b: Row) => {
    const [x, y] = [by(a), by(b)];
    const order = typeof x === 'number' && typeof y === 'number' ? x - y : String(x).localeCompare(String(y));
    return down ? -order : order;
  };
}
