import { createElement } from 'react';
import { renderToStaticMarkup } from 'react-dom/server';
import { expect, test } from 'vitest';
import { type Drawing, draw, figure, type Look, undrawn } from '../charts/drawing.ts';
import { filled, piece } from '../charts/grain.ts';
import { Exact, write } from '../json.ts';
import type { Answer, Relation } from '../rows.ts';
import { csv, quoted } from '../rows.ts';
import { type Drawn, ofChart, ofFilter } from './asking.ts';
import { change, missing, totalsBy, whole } from './beside.ts';
import { asQuery, read } from './choice.ts';
import { added, blank, edited, expression, fresh, placed, renamed, specOf, taken } from './draft.ts';
import { moved, places, room, settled } from './layout.ts';
import { PivotTable, pivoted, spans } from './pivot.tsx';
import { chartMoved, sheetAdded, sheetOptions, sheetRemoved, sheetShifted, under } from './sheets.ts';
import {
  axesOf,
  type Chart,
  chartsOf,
  type Dashboard,
  filterOf,
  handed,
  linked,
  millis,
  type Place,
  sheetsOf,
} from './spec.ts';

const chart = (id: string, more: Partial<Chart> = {}): Chart => ({ id, type: 'bar', from: 'orders', ...more });
const at = (x: number, y: number, w = 6, h = 4): Place => ({ x, y, w, h });

test('a chart that is moved pushes others down, and all fall up as far as they can', () => {
  const before = [at(0, 0), at(6, 0), at(0, 4, 12, 2)];
  expect(moved(before, 1, at(0, 0))).toEqual([at(0, 4), at(0, 0), at(0, 8, 12, 2)]);
  expect(moved(before, 2, at(0, 9, 12, 2))).toEqual([at(0, 0), at(6, 0), at(0, 4, 12, 2)]);
  expect(moved(before, 0, at(40, -3, 3, 2))).toEqual([at(9, 0, 3, 2), at(6, 2), at(0, 6, 12, 2)]);
});

test('a question has what it depends on and no more, so that nothing else asks it anew', () => {
  const spec: Dashboard = { charts: [chart('a'), chart('b', { ignores: ['city'] })] };
  const source = { name: 'sales', generation: 1, spec };
  const chosen = { country: ['CH'], city: ['Bern'] };
  const choice = { filters: chosen, time: { last: '1d' }, drill: { b: ['x'] }, every: '', reader: '' };
  expect(ofChart(source, chart('a'), choice)).toEqual({
    dashboard: 'sales',
    chart: 'a',
    filters: chosen,
    time: { last: '1d' },
    drill: [],
  });
  expect(ofChart(source, chart('b', { ignores: ['city'] }), choice)).toMatchObject({
    filters: { country: ['CH'] },
    drill: ['x'],
  });
  const city = { id: 'city', from: 'orders', column: 'city', after: ['country'] };
  expect(ofFilter(source, city, 'be', choice)).toEqual({
    dashboard: 'sales',
    filter: 'city',
    search: 'be',
    filters: { country: ['CH'] },
  });
  expect(ofFilter(source, { ...city, after: undefined }, '', choice).filters).toEqual({});
});

test('charts that are left close the gaps of those that are left out', () => {
  expect(settled([at(0, 8), at(6, 4), at(0, 30, 12, 2)])).toEqual([at(0, 0), at(6, 0), at(0, 4, 12, 2)]);
});

test('no two charts ever stand on each other', () => {
  let state = 1;
  const chance = (below: number) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % below;
  };
  let all = Array.from({ length: 9 }, (_, n) => at((n % 3) * 4, Math.floor(n / 3) * 3, 4, 3));
  for (let round = 0; round < 300; round += 1) {
    const one = chance(9);
    all = moved(all, one, at(chance(14) - 1, chance(12) - 1, 1 + chance(12), 1 + chance(6)));
    const cells = all.flatMap(({ x, y, w, h }) =>
      Array.from({ length: w * h }, (_, n) => `${x + (n % w)},${y + Math.floor(n / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    for (const { x, y, w } of all) expect(x >= 0 && y >= 0 && x + w <= 12).toBe(true);
  }
});

test('charts without a place stand below, a new one where there is room', () => {
  expect(places([chart('a', { at: at(0, 0) }), chart('b'), chart('c')])).toEqual([
    at(0, 0),
    at(0, 4, 6, 6),
    at(6, 4, 6, 6),
  ]);
  expect(room([chart('a', { at: at(0, 0) })], 6, 4)).toEqual(at(6, 0));
  expect(room([chart('a', { at: at(0, 0, 12) })], 6, 4)).toEqual(at(0, 4));
});

const DASHBOARD: Dashboard = {
  refresh: '30s',
  filters: [
    { id: 'country', from: 'orders', column: 'land', default: ['CH'] },
    { id: 'year', from: 'orders', column: 'year' },
  ],
  charts: [chart('c', { drill: ['year', 'month', 'day'], time: 'at' })],
};

test('choices are in the URL, defaults are not', () => {
  const choice = (query: string) => read(new URLSearchParams(query), DASHBOARD);
  expect(choice('')).toEqual({ filters: { country: ['CH'] }, time: undefined, drill: {}, every: '30s', reader: '' });
  expect(choice('f.country=[]&f.year=[2026,null]&t=all&every=').filters).toEqual({ year: [2026, null] });
  expect(choice('t=24h').time).toEqual({ last: '24h' });
  expect(choice('t=2026-01-01T00:00:00Z..2026-02-01T00:00:00Z').time?.to).toBe('2026-02-01T00:00:00Z');
  expect(choice('d.c=["a","b","c"]').drill.c).toEqual(['a', 'b']);
  const flat = { ...DASHBOARD, charts: [chart('c')] };
  expect(read(new URLSearchParams('d.c=["a","b"]'), flat).drill).toEqual({});
  expect(choice('f.country=nonsense&d.c={}&f.nobody=[1]').filters).toEqual({ country: ['CH'] });
  expect(choice('as=Zo%C3%AB').reader).toBe('Zoë');
  const query = asQuery({ year: [2026] }, { last: '7d' });
  expect(asQuery({}, undefined, 'asha')).toEqual({ as: 'asha' });
  expect(read(new URLSearchParams(query), DASHBOARD)).toMatchObject({
    filters: { year: [2026] },
    time: { last: '7d' },
  });
});

test('axes follow the level, and columns lead to their filters', () => {
  const [drilled = chart('x')] = DASHBOARD.charts ?? [];
  expect(axesOf(drilled, 1)).toEqual(['at']);
  expect(axesOf(chart('a', { drill: ['land', 'city'], dimensions: ['kind'] }), 1)).toEqual(['city', 'kind']);
  expect(axesOf(chart('a', { type: 'line', time: 'at', dimensions: ['kind'] }), 0)).toEqual(['at', 'kind']);
  expect(axesOf(chart('a', { time: 'at', dimensions: ['kind'] }), 0)).toEqual(['kind']);
  expect(filterOf(DASHBOARD, chart('a'), 'land')?.id).toBe('country');
  expect(filterOf(DASHBOARD, chart('a', { columns: { country: 'c.land' } }), 'c.land')?.id).toBe('country');
  expect(filterOf(DASHBOARD, chart('a', { ignores: ['country'] }), 'land')).toBeUndefined();
});

test('columns of a chart set the filters of another dashboard that have their names', () => {
  const there: Dashboard = { filters: ['city', 'country', 'year'].map(id => ({ id, from: 'stores', column: id })) };
  const columns = ['land', 'at', 'city'];
  expect(handed(there, DASHBOARD, chart('a'), columns)).toEqual([
    ['country', 0],
    ['city', 2],
  ]);
  expect(handed(there, DASHBOARD, chart('a', { ignores: ['country'] }), columns)).toEqual([['city', 2]]);
  expect(handed({}, DASHBOARD, chart('a'), columns)).toEqual([]);
});

test('times are cut in UTC, whatever an answer leaves out', () => {
  expect(piece('2024-02-01', 'month')).toEqual({ from: '2024-02-01T00:00:00.000Z', to: '2024-03-01T00:00:00.000Z' });
  expect(piece('2026-12-31T23:00:00', 'hour').to).toBe('2027-01-01T00:00:00.000Z');
  expect(piece('2026-01-01T00:00:00Z', 'year').to).toBe('2027-01-01T00:00:00.000Z');
  expect(filled(['2026-03-01', '2025-12-01', '2026-01-01'], 'month')).toEqual([
    '2025-12-01',
    '2026-01-01',
    '2026-02-01T00:00:00.000Z',
    '2026-03-01',
  ]);
  expect(filled(['2026-01-01T00:00:30Z', '2026-01-01T00:02:00Z'], 'hour')).toHaveLength(2);
  expect([millis('30s'), millis('2h')]).toEqual([30_000, 7_200_000]);
  expect(millis('soon')).toBeNaN();
});

test('values of a link are values and nothing more', () => {
  const to = linked('https://shop.example/{id}?q={name}', column => (column === 'id' ? '../x/y' : 'a&b=<i>'));
  expect(to).toBe('https://shop.example/..%2Fx%2Fy?q=a%26b%3D%3Ci%3E');
});

test('the builder changes what it is about and leaves comments alone', () => {
  const text = `# Of the shop team
apiVersion: headwater.dev/v1
kind: Dashboard
metadata: {name: shop}
spec:
  charts:
    # What counts
    - id: total # never rename
      type: kpi
      from: orders
      measures: [{name: revenue, expr: sum(amount)}]
      at: {x: 0, y: 0, w: 3, h: 3}
`;
  const titled = edited(text, [[['spec', 'charts', 0, 'title'], 'Revenue: all']]);
  expect(titled).toContain('# Of the shop team\n');
  expect(titled).toContain('    # What counts\n    - id: total # never rename\n');
  expect(titled).toContain('title: "Revenue: all"');
  expect(edited(titled, [[['spec', 'charts', 0, 'title'], undefined]])).toBe(text);
  const two = added(text, chart('more', { at: at(3, 0) }));
  expect(specOf(two).spec.charts?.map(({ id }) => id)).toEqual(['total', 'more']);
  const counted = added(text, chart('n', { measures: [{ name: 'n', expr: 'count(*)' }] }));
  expect(counted).toContain('measures: [{name: n, expr: count(*)}]');
  const [a = at(0, 0), b = at(0, 0)] = places(specOf(two).spec.charts ?? []);
  expect(placed(two, [a, b], [a, at(0, 3)])).toContain('at: {x: 0, y: 3, w: 6, h: 4}');
  expect(placed(two, [a, b], [a, at(0, 3)])).toContain('# never rename');
  expect(specOf(blank('new')).spec.charts).toEqual([]);
  expect(specOf('a: [').wrong).toBeDefined();
});

test('what a form does not change keeps its comments and stays as it is written', () => {
  const text = `spec:
  title: Sales # on the wall
  charts:
    - id: total
      from: | # joined
        SELECT *
        FROM orders
      limit: 50 # enough
      measures:
        # With VAT
        - {name: revenue, expr: sum(amount)}
        - name: orders # baskets
          expr: count(*)
      sort: -revenue
      link: {url: 'https://a.example/{revenue}', label: Open} # to the shop
      at:
        x: 0 # left
        y: 0
        w: 3
        h: 3
`;
  const of = (...at: (string | number)[]) => ['spec', 'charts', 0, ...at];
  const revenue = { name: 'revenue', expr: 'avg(amount)' };
  const orders = { name: 'orders', expr: 'count(*)' };
  const after = edited(text, [
    [['spec', 'title'], 'All sales'],
    [of('from'), 'orders'],
    [of('limit'), 20],
    [of('measures'), [revenue, orders, { name: 'n', expr: 'max(x)' }]],
    [of('link'), { label: 'Open', url: 'https://b.example/', dashboard: undefined }],
    [of('at'), { x: 1, y: 0, w: 4, h: 3 }],
  ]);
  expect(after).toBe(`spec:
  title: All sales # on the wall
  charts:
    - id: total
      from: orders # joined
      limit: 20 # enough
      measures:
        # With VAT
        - {name: revenue, expr: avg(amount)}
        - name: orders # baskets
          expr: count(*)
        - {name: n, expr: max(x)}
      sort: -revenue
      link: {url: 'https://b.example/', label: Open} # to the shop
      at:
        x: 1 # left
        y: 0
        w: 4
        h: 3
`);
  expect(edited(text, [[of('measures'), [orders]]])).toContain('- name: orders # baskets');
  // Another name for a measure is another name wherever the chart names it.
  const [was = chart('none')] = chartsOf(specOf(text).spec);
  const drawn = { ...was, band: { lower: 'revenue', upper: 'orders' }, bars: 'orders' };
  expect(renamed(drawn, 'revenue', 'sum')).toEqual([
    [['sort'], '-sum'],
    [['band'], { lower: 'sum', upper: 'orders' }],
    [['link', 'url'], 'https://a.example/{sum}'],
  ]);
  expect(renamed(drawn, 'orders', 'n').at(-1)).toEqual([['bars'], 'n']);
  expect(renamed(drawn, 'n', 'm')).toEqual([]);
});

test('integers that JavaScript would round stay what they are', () => {
  const text = `spec:
  filters:
    - {id: order, from: orders, column: id, default: [9007199254740993, -12345678901234567890, 1234567890123456]}
  charts: []
`;
  const titled = edited(text, [[['spec', 'title'], 'Orders']]);
  expect(titled).toBe(`${text}  title: Orders\n`);
  const [filter] = specOf(titled).spec.filters ?? [];
  expect(write(filter?.default)).toBe('[9007199254740993,-12345678901234567890,1234567890123456]');
  const chosen = [new Exact('9007199254740995'), null, 'a', 2];
  const at = ['spec', 'filters', 0, 'default'];
  expect(edited(text, [[at, chosen]])).toContain('default: [9007199254740995, null, a, 2]}');
  expect(edited(text, [[at, filter?.default]])).toBe(text);
  expect(sheetAdded(text).text).toContain('9007199254740993');
});

const SHEETS = `# Of the shop team
kind: Dashboard
metadata: {name: shop}
spec:
  sheets:
    - id: today
      title: Today
      charts:
        # What counts
        - {id: total, type: kpi, from: &orders orders, at: {x: 0, y: 0, w: 6, h: 4}}
        - {id: course, type: line, from: *orders, at: {x: 6, y: 0, w: 6, h: 4}}
    - id: ever
      charts:
        - {id: years, type: bar, from: *orders, at: {x: 0, y: 0, w: 6, h: 4}}
    - {id: empty}
`;

test('a dashboard has sheets, or one without a name', () => {
  const { spec } = specOf(SHEETS);
  expect(chartsOf(spec).map(({ id }) => id)).toEqual(['total', 'course', 'years']);
  expect(sheetsOf(DASHBOARD)).toEqual([{ id: '', charts: DASHBOARD.charts }]);
  expect(chartsOf({})).toEqual([]);
  expect(under(SHEETS, 1)).toEqual(['sheets', 1]);
  expect(under(blank('new'), 0)).toEqual([]);
  const drilled: Dashboard = { sheets: [{ id: 'a' }, { id: 'b', charts: DASHBOARD.charts }] };
  expect(read(new URLSearchParams('d.c=["a"]&sheet=b'), drilled).drill).toEqual({ c: ['a'] });
});

test('sheets are added, moved and removed, and charts go from one to another', () => {
  const ids = (text: string) => sheetsOf(specOf(text).spec).map(({ id, charts = [] }) => [id, charts.map(it => it.id)]);
  const { text: more, id } = sheetAdded(SHEETS);
  expect([id, ids(more).at(-1)]).toEqual(['sheet', ['sheet', []]]);
  expect(ids(sheetRemoved(SHEETS, 1)).map(([sheet]) => sheet)).toEqual(['today', 'empty']);
  // What the removed sheet says once the others keep.
  const removed = sheetRemoved(SHEETS, 0);
  expect(ids(removed).map(([sheet]) => sheet)).toEqual(['ever', 'empty']);
  expect(specOf(removed).spec.sheets?.[0]?.charts?.[0]?.from).toBe('orders');
  // What the first sheet says once and the second one names is said by both now.
  const shifted = sheetShifted(SHEETS, 1, -1);
  expect(ids(shifted).map(([sheet]) => sheet)).toEqual(['ever', 'today', 'empty']);
  expect(specOf(shifted).spec.sheets?.[0]?.charts?.[0]?.from).toBe('orders');
  expect(shifted).toContain('# What counts');
  expect(sheetShifted(SHEETS, 0, -1)).toBe(SHEETS);
  const sent = chartMoved(SHEETS, 0, 0, 1);
  expect(ids(sent)).toEqual([
    ['today', ['course']],
    ['ever', ['years', 'total']],
    ['empty', []],
  ]);
  expect(specOf(sent).spec.sheets?.[1]?.charts?.[1]?.at).toEqual(at(6, 0));
  expect(sent.startsWith('# Of the shop team')).toBe(true);
  expect(ids(chartMoved(SHEETS, 1, 0, 2))).toEqual([
    ['today', ['total', 'course']],
    ['ever', []],
    ['empty', ['years']],
  ]);
  expect(ids(added(SHEETS, chart('new'), under(SHEETS, 2))).at(-1)).toEqual(['empty', ['new']]);
  expect(sheetOptions(SHEETS)).toEqual([
    ['0', 'Today'],
    ['1', 'ever'],
    ['2', 'empty'],
  ]);
});

test('the charts of a dashboard without sheets become the first one, comments and all', () => {
  const text = `kind: Dashboard
metadata: {name: shop}
spec:
  charts:
    # What counts
    - {id: total, type: kpi, from: orders}
`;
  const { text: sheets, id } = sheetAdded(text);
  expect(id).toBe('sheet-2');
  expect(specOf(sheets).spec).toEqual({
    sheets: [
      { id: 'sheet', title: 'First sheet', charts: [{ id: 'total', type: 'kpi', from: 'orders' }] },
      { id: 'sheet-2', title: 'New sheet' },
    ],
  });
  expect(sheets).toContain('# What counts');
  expect(specOf(sheetAdded(blank('new')).text).spec.charts).toBeUndefined();
});

test('a new chart of any type fits the relation', () => {
  const relation: Relation = {
    schema: 'streams',
    name: 'Orders.raw',
    columns: [
      { name: 'At', type: 'timestamptz' },
      { name: 'item', type: 'text' },
      { name: 'price', type: 'double' },
    ],
  };
  expect(fresh('line', relation, [])).toMatchObject({ from: 'streams."Orders.raw"', time: '"At"', id: 'line' });
  expect(fresh('pie', relation, [chart('pie')])).toMatchObject({ id: 'pie-2', dimensions: ['item'] });
  expect(fresh('scatter', relation, []).measures?.[1]).toEqual({ name: 'average', expr: 'avg(price)' });
  expect(fresh('table', relation, []).measures).toBeUndefined();
  expect(quoted('a"b')).toBe('"a""b"');
});

test('measures are functions of columns as long as they can be', () => {
  for (const expr of ['count(*)', 'sum(amount)', 'count(DISTINCT "Who")', 'sum(a) / sum(b)', 'avg(o.price)']) {
    const { by, of } = taken(expr);
    expect(expression(by, of)).toBe(expr);
  }
  expect(taken('sum(a) / sum(b)').by).toBe('expression');
});

const LOOK: Look = { text: 't', muted: 'm', line: 'l', panel: 'p', bad: 'b', series: ['1', '2'] };
const SALES: Answer = {
  columns: [
    { name: 'at', type: 'timestamptz' },
    { name: 'country', type: 'text' },
    { name: 'revenue', type: 'double' },
  ],
  rows: [
    ['2026-02-01T00:00:00Z', 'CH', 2],
    ['2026-01-01T00:00:00Z', 'CH', 1],
    ['2026-02-01T00:00:00Z', '<b>', 3],
    ['2026-02-01T00:00:00Z', null, null],
  ],
};

test('series stand beside each other along times in order, and marks know their rows', () => {
  const { option, rows } = draw(
    { shape: 'stackedBar', answer: SALES, axis: 0, by: [1], measures: [2], grain: 'month' },
    LOOK,
  );
  const { xAxis, series } = option as { xAxis: { data: string[] }; series: { name: string; data: unknown[] }[] };
  expect(xAxis.data).toEqual(['2026-01', '2026-02']);
  expect(series.map(({ name, data }) => [name, data])).toEqual([
    ['CH', [1, 2]],
    ['<b>', [null, 3]],
    ['–', [null, null]],
  ]);
  expect(rows).toEqual([
    [1, 0],
    [undefined, 2],
    [undefined, 3],
  ]);
});

test('nothing and an empty text are two places along an axis and two series', () => {
  const answer: Answer = {
    columns: ['country', 'channel', 'n'].map(name => ({ name, type: name === 'n' ? 'bigint' : 'text' })),
    rows: [
      [null, 'web', 1],
      ['', 'web', 2],
      ['', null, 3],
      ['', '', 4],
    ],
  };
  const { option } = draw({ shape: 'stackedBar', answer, axis: 0, by: [1], measures: [2] }, LOOK);
  const { xAxis, series } = option as { xAxis: { data: string[] }; series: { name: string; data: unknown[] }[] };
  expect(xAxis.data).toEqual(['–', 'empty']);
  expect(series.map(({ name, data }) => [name, data])).toEqual([
    ['web', [1, 2]],
    ['–', [null, 3]],
    ['empty', [null, 4]],
  ]);
  const map = draw({ shape: 'heatmap', answer, axis: 0, by: [1], measures: [2] }, LOOK);
  expect((map.option as { series: { data: unknown[] }[] }).series[0]?.data).toEqual([
    [0, 0, 1],
    [1, 0, 2],
    [1, 1, 3],
    [1, 2, 4],
  ]);
});

test('what is left out of a picture is told', () => {
  const names = Array.from({ length: 2_001 }, (_, at) => `c${at}`);
  const answer = (count: number): Answer => ({
    columns: ['country', 'n'].map(name => ({ name, type: name === 'n' ? 'bigint' : 'text' })),
    rows: names.slice(0, count).map(name => [name, 1]),
  });
  const lines = (count: number): Drawing => ({ shape: 'line', answer: answer(count), by: [0], measures: [1] });
  expect([30, 31].map(count => undrawn(lines(count)))).toEqual(['', '30 of 31 series are drawn']);
  expect((draw(lines(31), LOOK).option as { series: unknown[] }).series).toHaveLength(30);
  expect(undrawn({ ...lines(31), shape: 'pie' })).toBe('');
  const timed: Drawing = {
    shape: 'bar',
    answer: {
      columns: [
        { name: 'at', type: 'timestamptz' },
        { name: 'country', type: 'text' },
        { name: 'n', type: 'bigint' },
      ],
      rows: [
        [null, 'CH', 5],
        ['2026-01-01T00:00:00Z', 'AT', 1],
        ['2026-01-03T00:00:00Z', 'AT', 2],
      ],
    },
    axis: 0,
    by: [1],
    measures: [2],
    grain: 'day',
  };
  expect(undrawn(timed)).toBe('rows without a time are in the table alone');
  expect(undrawn({ ...timed, answer: { ...timed.answer, rows: timed.answer.rows.slice(1) } })).toBe('');
  const map: Drawing = { ...timed, shape: 'heatmap' };
  expect(undrawn(map)).toBe('rows without a time are in the table alone');
  const { option, rows } = draw(map, LOOK);
  expect(rows).toEqual([[1, 2]]);
  expect((option as { series: { data: unknown[] }[] }).series[0]?.data).toEqual([
    [0, 1, 1],
    [2, 1, 2],
  ]);

  expect(pivoted(answer(60), 1).left).toBe('');
  expect(pivoted(answer(61), 1).left).toBe('60 of 61 columns');
  const long = { columns: DRAWN.columns, rows: names.map(name => [name, '2026', 1]) };
  expect(pivoted(long, 2).left).toBe('2,000 of 2,001 lines');
});

test('a band has dashed edges and is filled between them, and bars stand where something is out of order', () => {
  const answer: Answer = {
    columns: [
      { name: 'at', type: 'timestamptz' },
      ...['actual', 'low', 'high', 'anomaly'].map(name => ({ name, type: 'double' })),
    ],
    rows: [
      ['2026-01-01T00:00:00Z', 5, 4, 6, 0],
      ['2026-01-01T01:00:00Z', 9, 4, 7, 9],
      ['2026-01-01T02:00:00Z', 5, null, null, null],
    ],
  };
  const { option, rows } = draw(
    {
      shape: 'line',
      answer,
      axis: 0,
      by: [],
      measures: [1, 2, 3, 4],
      grain: 'hour',
      band: { lower: 2, upper: 3 },
      bars: 4,
    },
    LOOK,
  );
  const { legend, series } = option as {
    legend: { data: string[] };
    series: { name: string; type: string; data: unknown[]; lineStyle?: { type?: string } }[];
  };
  expect(legend.data).toEqual(['actual', 'low', 'high', 'anomaly']);
  expect(series.map(({ name, type, data, lineStyle }) => [name, lineStyle?.type ?? type, data])).toEqual([
    ['actual', 'line', [5, 9, 5]],
    ['below low', 'line', [4, 4, null]],
    ['low to high', 'line', [2, 3, null]],
    ['low', 'dashed', [4, 4, null]],
    ['high', 'dashed', [6, 7, null]],
    ['anomaly', 'bar', [null, 9, null]],
  ]);
  expect(rows).toHaveLength(series.length);
});

test('a gauge of nothing points at nothing and says so', () => {
  const answer: Answer = { columns: [{ name: 'revenue', type: 'double' }], rows: [[null]] };
  const { option } = draw({ shape: 'gauge', answer, by: [], measures: [0], threshold: 5 }, LOOK);
  const [own] = (option as { series: { data: { value: number }[]; detail: { formatter: () => string } }[] }).series;
  expect([own?.data[0]?.value, own?.detail.formatter()]).toEqual([0, '–']);
});

test('a pivot turns the last axis into columns and joins equal heads', () => {
  const answer: Answer = {
    columns: ['region', 'city', 'year', 'n'].map(name => ({ name, type: 'text' })),
    rows: [
      ['west', 'Bern', '2026', 1],
      ['east', 'Chur', '2025', 2],
      ['west', 'Genf', '2025', 3],
      ['west', 'Bern', '2025', 4],
    ],
  };
  const { across, down, cells } = pivoted(answer, 3);
  expect(across).toEqual(['2025', '2026']);
  expect(down).toEqual([
    ['east', 'Chur'],
    ['west', 'Bern'],
    ['west', 'Genf'],
  ]);
  expect(cells).toEqual([
    [1, undefined],
    [3, 0],
    [2, undefined],
  ]);
  expect([spans(down, 0), spans(down, 1)]).toEqual([
    [1, 2, 0],
    [1, 1, 1],
  ]);
});

const DRAWN: Drawn = {
  query: '',
  grain: null,
  axes: 2,
  columns: ['country', 'year', 'buyers'].map(name => ({ name, type: name === 'buyers' ? 'bigint' : 'text' })),
  rows: [
    ['AT', '2026', 2],
    ['CH', '2026', 3],
  ],
  // Who bought in both countries is one buyer.
  totals: [
    {
      by: [0],
      columns: [],
      rows: [
        ['AT', 2],
        [null, 1],
        ['CH', 3],
      ],
    },
    { by: [1], columns: [], rows: [['2026', 4]] },
    { by: [], columns: [], rows: [[4]] },
  ],
};

test('totals are found by the axes that they keep, and follow the rows of a file', () => {
  expect(totalsBy(DRAWN, [0])(['CH'])).toEqual([3]);
  expect(totalsBy(DRAWN, [0])([null])).toEqual([1]);
  expect(totalsBy(DRAWN, [1])(['2025'])).toBeUndefined();
  expect(totalsBy(DRAWN, [])([])).toEqual([4]);
  expect(totalsBy(DRAWN, [0])([''])).toBeUndefined();
  expect(totalsBy({ ...DRAWN, totals: undefined }, [])([])).toBeUndefined();
  expect(csv(whole(DRAWN)).split('\r\n')).toEqual([
    'country,year,buyers',
    'AT,2026,2',
    'CH,2026,3',
    'AT,Total,2',
    ',Total,1',
    'CH,Total,3',
    'Total,2026,4',
    'Total,Total,4',
    '',
  ]);
});

test('a pivot with totals has a last row and a last column, also for measures beside each other', () => {
  const columns = [...DRAWN.columns, { name: 'spent', type: 'double' }];
  const double = (rows: unknown[][]) => rows.map(row => [...row, Number(row.at(-1)) * 10]);
  const totals = DRAWN.totals?.map(total => ({ ...total, rows: double(total.rows) }));
  const answer: Drawn = { ...DRAWN, columns, totals, rows: double(DRAWN.rows) };
  const draw = (of: Drawn) => {
    const markup = renderToStaticMarkup(
      createElement(PivotTable, { answer: of, grain: undefined, label: 'p', pick: () => undefined }),
    );
    const lines = markup.split('<tr>').slice(1);
    return lines.map(line =>
      [...line.matchAll(/<t[hd][^>]*>(.*?)<\/t[hd]>/g)].map(([, cell = '']) => cell.replace(/<[^>]*>/g, '')),
    );
  };
  expect(draw(answer)).toEqual([
    ['country', '2026', 'Total'],
    ['buyers', 'spent', 'buyers', 'spent'],
    ['AT', '2', '20', '2', '20'],
    ['CH', '3', '30', '3', '30'],
    ['Total', '4', '40', '4', '40'],
  ]);
  expect(draw({ ...DRAWN, totals: undefined })).toEqual([
    ['country', '2026'],
    ['AT', '2'],
    ['CH', '3'],
  ]);
});

test('nothing and an empty text are two lines and two columns of a pivot', () => {
  const rows = [
    ['', 'a', 1],
    [null, '', 2],
    ['', null, 3],
    [null, null, 4],
  ];
  const { across, down, cells } = pivoted({ columns: DRAWN.columns, rows }, 2);
  expect([across, down]).toEqual([
    [null, '', 'a'],
    [[null], ['']],
  ]);
  expect(cells).toEqual([
    [3, 1, undefined],
    [2, undefined, 0],
  ]);
  expect(spans(down, 0)).toEqual([1, 1]);
});

test('what does not stand beside the rows is told', () => {
  const problem = { code: 'HW-LAKE-074', title: 'a total of the chart has too many bytes' };
  const totals = [
    { by: [0], columns: [], rows: [['AT', 2]], cut: true },
    { by: [], columns: [], rows: [], problem },
  ];
  const before = { from: 'a', to: 'b', columns: [], rows: [], problem: { ...problem, title: 'it was stopped' } };
  expect(missing({ ...DRAWN, totals, before })).toEqual([
    'Not all totals are here: there are too many of them',
    'No total over all: HW-LAKE-074 a total of the chart has too many bytes',
    'No earlier value: HW-LAKE-074 it was stopped',
  ]);
  expect(missing(DRAWN)).toEqual([]);
  const rows = Array.from({ length: 10_000 }, () => ['AT', '2026', 1]);
  expect(missing({ ...DRAWN, rows })).toEqual(['The first 10,000 rows are here: there may be more']);
  expect(missing({ ...DRAWN, rows }, 10_000)).toEqual([]);
});

test('what a removed chart says for others stays with them', () => {
  const text = [
    'spec:',
    '  charts:',
    '    - id: a',
    '      measures: &m [{name: n, expr: count(*)}]',
    '    - id: b',
    '      measures: *m',
    '',
  ].join('\n');
  const left = edited(text, [[['spec', 'charts', 0], undefined]]);
  expect(left).not.toContain('*m');
  expect(specOf(left).spec.charts).toEqual([{ id: 'b', measures: [{ name: 'n', expr: 'count(*)' }] }]);
  // What is named nowhere in the changed part stays as people wrote it.
  expect(edited(text, [[['spec', 'charts', 1, 'id'], 'c']])).toContain('*m');
});

test('a change is told in per cent where it is one, and the earlier value is in the file', () => {
  expect(change(150, 120)).toBe(25);
  expect(change('1.5', '2')).toBe(-25);
  expect(change(5, -10)).toBe(150);
  for (const [value, before] of [
    [1, 0],
    [0, 0],
    [1, null],
    [null, 1],
    [1, undefined],
    ['a', 1],
  ]) {
    expect(change(value, before)).toBeUndefined();
  }
  const columns = [{ name: 'revenue', type: 'double' }];
  const before = { from: '2026-01-01T00:00:00Z', to: '2026-01-02T00:00:00Z', columns, rows: [[120]] };
  const { columns: heads, rows } = whole({ query: '', grain: null, axes: 0, columns, rows: [[150]], before });
  expect([heads.map(({ name }) => name), rows]).toEqual([['revenue', 'before'], [[150, 120]]]);
});

test('rows as CSV', () => {
  expect(
    csv({
      columns: SALES.columns.slice(1),
      rows: [
        ['a "b", c', 1.5],
        [null, { x: [1] }],
      ],
    }),
  ).toBe('country,revenue\r\n"a ""b"", c",1.5\r\n,"{""x"":[1]}"\r\n');
});

test('rows as CSV carry out nothing in a spreadsheet', () => {
  const columns = [{ name: '=1+1', type: 'text' }];
  const values = ['=HYPERLINK("http://a")', '@a', '-1.50', '+4e2', '- a', -3, new Exact('-9007199254740993')];
  expect(csv({ columns, rows: values.map(value => [value]) }).split('\r\n')).toEqual([
    "'=1+1",
    '"\'=HYPERLINK(""http://a"")"',
    "'@a",
    '-1.50',
    '+4e2',
    "'- a",
    '-3',
    '-9007199254740993',
    '',
  ]);
});

test('figures are rounded for people, but no digit of a whole number is made up', () => {
  expect([1234.5, 1.234, 0.12345, 12, null, 'x'].map(figure)).toEqual(['1,235', '1.23', '0.1235', '12', '–', 'x']);
  expect(figure(new Exact('9007199254740993'))).toBe('9,007,199,254,740,993');
  expect(figure(new Exact('-12345678901234567890'))).toBe('-12,345,678,901,234,567,890');
  expect(figure(new Exact('1.10000000000000000001'))).toBe('1.1');
});
