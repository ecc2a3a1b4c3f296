import { QueryClientProvider } from '@tanstack/react-query';
import { act, type ReactNode } from 'react';
import { createRoot } from 'react-dom/client';
import { afterEach, beforeAll, expect, test, vi } from 'vitest';
import { queries, RESOURCES } from '../api.ts';
import { edited, specOf, unfiltered } from './draft.ts';
import { FilterForms } from './filterforms.tsx';
import { ChartForm, DashboardForm } from './form.tsx';
import type { Change } from './formparts.tsx';
import type { Dashboard } from './spec.ts';

beforeAll(() => {
  vi.stubGlobal('IS_REACT_ACT_ENVIRONMENT', true);
  vi.stubGlobal('fetch', () => new Promise(() => undefined));
});
let leave = () => {};
afterEach(() => {
  act(() => leave());
  queries.clear();
  document.body.replaceChildren();
});

type Form = (spec: Dashboard, change: (...under: (string | number)[]) => Change) => ReactNode;

/** A form over a text, as the builder has it, and what a person does there: fields are found by their names. */
function over(begin: string, form: Form) {
  let text = begin;
  const place = document.createElement('div');
  document.body.append(place);
  const root = createRoot(place);
  leave = () => root.unmount();
  const change =
    (...under: (string | number)[]): Change =>
    changes => {
      text = edited(
        text,
        changes.map(([at, value]) => [['spec', ...under, ...at], value]),
      );
      draw();
    };
  const draw = () =>
    root.render(<QueryClientProvider client={queries}>{form(specOf(text).spec, change)}</QueryClientProvider>);
  act(draw);
  const called = (element: Element) => element.getAttribute('aria-label') ?? element.closest('label')?.textContent;
  const find = (name: string) =>
    [...place.querySelectorAll<HTMLInputElement | HTMLSelectElement>('input, select')].find(it => called(it) === name);
  const field = (name: string) => find(name) ?? expect.fail(`there is no field ${name}`);
  const put = (element: HTMLInputElement | HTMLSelectElement, value: string, event: string) => {
    const own = element instanceof HTMLSelectElement ? HTMLSelectElement : HTMLInputElement;
    act(() => {
      Object.getOwnPropertyDescriptor(own.prototype, 'value')?.set?.call(element, value);
      element.dispatchEvent(new Event(event, { bubbles: true }));
    });
  };
  return {
    text: () => text,
    says: () => place.textContent,
    has: (name: string) => find(name) !== undefined,
    value: (name: string) => field(name).value,
    choose: (name: string, value: string) => put(field(name), value, 'change'),
    type: (name: string, value: string) => {
      put(field(name), value, 'input');
      act(() => void field(name).dispatchEvent(new FocusEvent('focusout', { bubbles: true })));
    },
    click: (name: string) => act(() => field(name).click()),
    press: (name: string) =>
      act(() => {
        const found = [...place.querySelectorAll('button')].find(it =>
          [it.getAttribute('aria-label'), it.textContent].includes(name),
        );
        (found ?? expect.fail(`there is no button ${name}`)).click();
      }),
    open: (name: string) => {
      const all = [...place.querySelectorAll('summary')];
      const found =
        all.find(it => it.textContent?.startsWith(name)) ?? expect.fail(`there is nothing to open: ${name}`);
      act(() => {
        (found.parentElement as HTMLDetailsElement).open = true;
        found.parentElement?.dispatchEvent(new Event('toggle'));
      });
    },
  };
}

const chartForm: Form = (spec, change) => {
  const [chart] = spec.charts ?? [];
  return (
    chart && (
      <ChartForm
        chart={chart}
        filters={spec.filters ?? []}
        relations={[]}
        change={change('charts', 0)}
        remove={() => undefined}
        sheets={[]}
        sheet={0}
        send={() => undefined}
      />
    )
  );
};

const dashboard = (name: string, spec: Dashboard) => ({
  apiVersion: 'headwater.dev/v1',
  kind: 'Dashboard',
  metadata: { name, generation: 1, resourceVersion: 1 },
  spec,
  status: { ready: 'true' },
});

const STORES = dashboard('stores', {
  title: 'All stores',
  filters: [{ id: 'city', label: 'Town', from: 'stores', column: 'town' }],
});

const LINKED = `spec:
  # For the shop
  charts:
    - id: cities # never rename
      type: table
      from: orders
      dimensions: [city]
`;

test('a row leads to another dashboard or to an address, under a text of its own', () => {
  queries.setQueryData(RESOURCES, [STORES, dashboard('visits', {})]);
  const { text, says, has, value, choose, type } = over(LINKED, chartForm);
  expect([value('Leads to'), has('Address'), has('Link text')]).toEqual(['', false, false]);
  choose('Leads to', 'dashboard stores');
  expect(text()).toBe(`${LINKED}      link: {dashboard: stores}\n`);
  expect(says()).toContain("Opens it with the row's value of Town.");
  type('Link text', 'Look at the store');
  expect(text()).toBe(`${LINKED}      link: {dashboard: stores, label: Look at the store}\n`);
  choose('Leads to', 'dashboard visits');
  expect(text()).toBe(`${LINKED}      link: {dashboard: visits, label: Look at the store}\n`);
  expect(says()).toContain('No value of the row is a filter there');
  // Nothing is lost before there is an address.
  choose('Leads to', 'url');
  expect(text()).toContain('{dashboard: visits, label: Look at the store}');
  type('Address', 'https://shop.example/{city}');
  expect(specOf(text()).spec.charts?.[0]?.link).toEqual({
    label: 'Look at the store',
    url: 'https://shop.example/{city}',
  });
  type('Link text', '');
  expect(specOf(text()).spec.charts?.[0]?.link).toEqual({ url: 'https://shop.example/{city}' });
  choose('Leads to', '');
  expect(text()).toBe(LINKED);
});

test('a link keeps its comments, and a dashboard that is gone is still told', () => {
  const linked = `${LINKED}      link:
        # Agreed with the shops
        label: Open # short
        dashboard: gone
`;
  const { text, value, type } = over(linked, chartForm);
  expect(value('Leads to')).toBe('dashboard gone');
  type('Link text', 'Open it');
  expect(text()).toBe(linked.replace('Open #', 'Open it #'));
});

const FILTERED = `spec:
  filters:
    # Where most of us are
    - {id: country, from: orders, column: country, default: [CH]} # agreed
    - id: order # of the shop
      from: orders
      column: id
      after: [country]
  charts: []
`;

test('a filter begins with values that the node offers, each as what it is', async () => {
  const asked: unknown[] = [];
  vi.stubGlobal('fetch', async (address: string, { body }: RequestInit = {}) => {
    if (address !== '/v1/charts/values') return new Promise(() => undefined);
    asked.push(JSON.parse(String(body)));
    return new Response('{"columns":[],"rows":[[9007199254740993,2],["7",1],[null,1]]}');
  });
  const { text, has, click, open, press } = over(FILTERED, (spec, change) => (
    <FilterForms source={{ generation: 0, spec }} relations={[]} change={change()} />
  ));
  open('Chosen at first all');
  const holds = (sure: () => void) => vi.waitFor(() => act(async () => sure()), { timeout: 20_000 });
  await holds(() => expect(has('9007199254740993')).toBe(true));
  expect(asked).toMatchObject([{ filter: 'order', search: '', filters: { country: ['CH'] } }]);
  click('9007199254740993');
  click('nothing');
  const chosen = FILTERED.replace('after: [country]\n', 'after: [country]\n      default: [9007199254740993, null]\n');
  expect(text()).toBe(chosen);
  click('9007199254740993');
  click('7');
  expect(text()).toContain('      default: [null, "7"]\n');
  click('nothing');
  click('7');
  expect(text()).toBe(FILTERED);
  press('Clear');
  expect(text()).toBe(FILTERED.replace(', default: [CH]', ''));
});

const NARROWED = `spec:
  filters:
    - {id: country, label: Country, from: orders, column: country}
    - {id: city, from: orders, column: city, after: [country]}
  charts:
    - id: visits # of the page
      type: kpi
      from: visits
`;

test('a chart has the values of a filter elsewhere, or is not narrowed by it', () => {
  const { text, has, click, type } = over(NARROWED, chartForm);
  type('Column of Country', 'land');
  expect(text()).toBe(`${NARROWED}      columns: {country: land}\n`);
  type('Column of city', 'town');
  type('Column of Country', '');
  expect(text()).toBe(`${NARROWED}      columns: {city: town}\n`);
  type('Column of city', '');
  click('narrowed by Country');
  expect(text()).toBe(`${NARROWED}      ignores: [country]\n`);
  expect([has('Column of Country'), has('Column of city')]).toEqual([false, true]);
  click('narrowed by city');
  click('narrowed by Country');
  expect(text()).toBe(`${NARROWED}      ignores: [city]\n`);
  click('narrowed by city');
  expect(text()).toBe(NARROWED);
});

test('what a chart says of filters keeps its comments', () => {
  const begin = `${NARROWED}      columns:
        # Of the visitor, not of the order
        country: land # two letters
        city: town
      ignores:
        - city # not told by the page
`;
  const { text, type, click } = over(begin, chartForm);
  type('Column of Country', 'v.land');
  click('narrowed by Country');
  const after = begin.replace('land #', 'v.land #');
  expect(text()).toBe(`${after}        - country\n`);
});

test('a filter that is removed is named nowhere any more', () => {
  const rest = (ignores: string) => `  charts:
    - id: a # the first
      type: kpi
      from: orders${ignores}
    - {id: b, type: kpi, from: orders, columns: {city: town}}
`;
  const begin = `spec:
  filters:
    - {id: country, from: orders, column: country}
    - {id: city, from: orders, column: city, after: [country]} # below the country
${rest('\n      ignores: [country]').replace('{city', '{country: land, city')}`;
  const { text, press } = over(begin, (spec, change) => (
    <FilterForms source={{ generation: 0, spec }} relations={[]} change={change()} />
  ));
  press('Remove filter');
  expect(text()).toBe(`spec:
  filters:
    - {id: city, from: orders, column: city} # below the country
${rest('')}`);
  const sheets: Dashboard = {
    filters: [{ id: 'country', from: 'orders', column: 'country' }],
    sheets: [
      { id: 'one', charts: [] },
      { id: 'two', charts: [{ id: 'a', type: 'kpi', from: 'orders', columns: { country: 'land' } }] },
    ],
  };
  expect(unfiltered(sheets, 0)).toEqual([
    [['sheets', 1, 'charts', 0, 'columns'], undefined],
    [['filters', 0], undefined],
  ]);
});

test('a dashboard says who answers for it', () => {
  const begin = 'spec:\n  title: Sales # on the wall\n';
  const { text, type } = over(begin, (spec, change) => <DashboardForm spec={spec} change={change()} />);
  type('Owner', 'Shop team');
  expect(text()).toBe(`${begin}  owner: Shop team\n`);
  type('Owner', ' ');
  expect(text()).toBe(begin);
});

test('columns and measures change their order, each with its comments', () => {
  const begin = `spec:
  charts:
    - id: sales
      type: pivot
      from: orders
      dimensions: [city, kind]
      measures:
        - {name: orders, expr: count(*)}
        # With VAT
        - {name: revenue, expr: sum(amount)} # exact
`;
  const { text, press } = over(begin, chartForm);
  press('Move kind up');
  press('Move city up');
  press('Move city up');
  expect(text()).toBe(begin);
  press('Move kind up');
  press('Move revenue up');
  expect(text()).toBe(`spec:
  charts:
    - id: sales
      type: pivot
      from: orders
      dimensions: [kind, city]
      measures:
        # With VAT
        - {name: revenue, expr: sum(amount)} # exact
        - {name: orders, expr: count(*)}
`);
});
