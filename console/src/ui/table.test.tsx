import { act } from 'react';
import { createRoot } from 'react-dom/client';
import { beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { PAGE_ROWS, pageOf, Table } from './table.tsx';

const numbers = (count: number) => Array.from({ length: count }, (_, at) => at);

beforeAll(() => vi.stubGlobal('IS_REACT_ACT_ENVIRONMENT', true));
beforeEach(() => window.history.replaceState(null, '', '/console/streams'));

/** Two tables of a page, as a reader finds them. */
function shown() {
  const place = document.createElement('div');
  const table = (label: string, name?: string) => (
    <Table
      label={label}
      name={name}
      rows={numbers(250)}
      id={String}
      sort="n"
      empty={null}
      columns={[{ id: 'n', head: 'Number', by: row => row, cell: row => row, one: true }]}
    />
  );
  const root = createRoot(place);
  act(() =>
    root.render(
      <>
        {table('First')}
        {table('Second', 'second')}
      </>,
    ),
  );
  const of = (label: string) => {
    const rows = place.querySelector(`section[aria-label="${label}"]`);
    const pages = place.querySelector(`nav[aria-label="Pages of ${label}"]`);
    return {
      cells: () => [...(rows?.querySelectorAll('td') ?? [])].map(cell => cell.textContent),
      said: () => pages?.querySelector('[role=status]')?.textContent,
      press: (words: string) => {
        const buttons = [...(pages?.querySelectorAll('button') ?? []), ...(rows?.querySelectorAll('button') ?? [])];
        act(() => buttons.find(button => button.textContent?.startsWith(words))?.click());
      },
    };
  };
  return { first: of('First'), second: of('Second'), leave: () => act(() => root.unmount()) };
}

test('every row is on a page, and no page is beyond the last', () => {
  const rows = numbers(2 * PAGE_ROWS + 1);
  const pages = [1, 2, 3].map(page => pageOf(rows, page).shown);
  expect(pages.flat()).toEqual(rows);
  expect([0, 99, Number.NaN, 1.5].map(page => pageOf(rows, page).page)).toEqual([1, 3, 1, 1]);
  expect(pageOf([], 4)).toEqual({ page: 1, pages: 1, before: 0, shown: [] });
});

test('two tables of a page have their own order and their own page', () => {
  const { first, second, leave } = shown();
  expect(first.said()).toBe('1–100 of 250');
  first.press('Next page');
  first.press('Next page');
  first.press('Next page');
  expect([first.said(), first.cells()[0], first.cells().length]).toEqual(['201–250 of 250', '200', 50]);
  expect(second.said()).toBe('1–100 of 250');
  second.press('Number');
  expect([second.cells()[0], first.cells()[0]]).toEqual(['249', '200']);
  expect(window.location.search).toBe('?page=3&second.sort=-n');
  // Another order begins at its first page.
  first.press('Number');
  expect([first.said(), first.cells()[0]]).toEqual(['1–100 of 250', '249']);
  leave();
});

test("an order by another table's column is not taken", () => {
  window.history.replaceState(null, '', '/console/streams?sort=-other');
  const { first, leave } = shown();
  expect(first.cells().slice(0, 2)).toEqual(['0', '1']);
  leave();
});
