/** SQL and dashboards in a real browser against a real node: what is asked, narrowed, drilled into and built. */

import { readFileSync } from 'node:fs';
import type { Download, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { barriers, Chrome, Node, param, until } from './node.ts';

const HOSTILE = '<img src=x onerror="window.pwned=1">';

const RESOURCES = `
apiVersion: headwater.dev/v1
kind: Stream
metadata: {name: sales}
spec: {partitions: 1}
---
apiVersion: headwater.dev/v1
kind: Dataset
metadata: {name: orders}
spec:
  stream: sales
  columns:
    - {name: at, type: timestamp}
    - {name: country, type: string}
    - {name: city, type: string}
    - {name: amount, type: double}
---
apiVersion: headwater.dev/v1
kind: Dashboard
metadata: {name: shop}
spec:
  title: Shop
  filters:
    - {id: country, label: Country, from: orders, column: country}
    - {id: city, label: City, from: orders, column: city, after: [country]}
  charts:
    - id: total
      title: Revenue
      type: kpi
      from: orders
      time: at
      measures: [{name: revenue, expr: sum(amount)}]
      at: {x: 0, y: 0, w: 3, h: 4}
    - id: years
      title: By time
      type: bar
      from: orders
      time: at
      drill: [year, month, day]
      measures: [{name: revenue, expr: sum(amount)}]
      at: {x: 3, y: 0, w: 9, h: 8}
    - id: cities
      title: Cities
      type: table
      from: orders
      time: at
      dimensions: [city, country]
      measures: [{name: revenue, expr: sum(amount)}]
      sort: -revenue
      link: {label: Open in the shop, url: "https://shop.example/{city}"}
      at: {x: 0, y: 8, w: 12, h: 8}
---
apiVersion: headwater.dev/v1
kind: Dashboard
metadata: {name: swiss}
spec:
  filters:
    - {id: country, from: orders, column: country, default: [CH]}
  charts:
    - id: total
      title: Revenue
      type: kpi
      from: orders
      measures: [{name: revenue, expr: sum(amount)}]
      link: {dashboard: shop}
---
apiVersion: headwater.dev/v1
kind: Dashboard
metadata: {name: leads}
spec:
  filters:
    - {id: country, from: orders, column: country}
  charts:
    - id: where
      title: Where
      type: table
      from: orders
      dimensions: [city]
      measures: [{name: revenue, expr: sum(amount)}]
      link: {label: Open the shop, dashboard: shop}
---
apiVersion: headwater.dev/v1
kind: Dashboard
metadata: {name: sums}
spec:
  charts:
    - id: month
      title: The month
      type: kpi
      from: orders
      time: at
      measures: [{name: revenue, expr: sum(amount)}]
      compare: previous
      at: {x: 0, y: 0, w: 4, h: 5}
    - id: best
      title: Best city
      type: table
      from: orders
      time: at
      dimensions: [city]
      measures: [{name: average, expr: avg(amount)}]
      sort: -average
      limit: 1
      totals: true
      at: {x: 4, y: 0, w: 8, h: 5}
    - id: spread
      title: Spread
      type: pivot
      from: orders
      time: at
      dimensions: [country, city]
      measures: [{name: average, expr: avg(amount)}]
      totals: true
      at: {x: 0, y: 5, w: 12, h: 7}
---
apiVersion: headwater.dev/v1
kind: Dashboard
metadata: {name: sheets}
spec:
  filters:
    - {id: country, label: Country, from: orders, column: country}
  sheets:
    - id: sum
      title: The sum
      charts:
        - id: total
          title: Revenue
          type: kpi
          from: orders
          measures: [{name: revenue, expr: sum(amount)}]
          at: {x: 0, y: 0, w: 3, h: 4}
    - id: parts
      title: Its parts
      charts:
        - id: cities
          title: By city
          type: table
          from: orders
          dimensions: [city]
          measures: [{name: revenue, expr: sum(amount)}]
          at: {x: 0, y: 0, w: 12, h: 6}
`;

const SALES = [
  { at: '2025-12-31T23:30:00Z', country: 'CH', city: 'Bern', amount: 10 },
  { at: '2026-01-01T00:30:00Z', country: 'CH', city: 'Chur', amount: 20 },
  { at: '2026-01-01T01:30:00Z', country: 'AT', city: 'Wien', amount: 40 },
  { at: '2026-02-01T00:00:00Z', country: 'AT', city: HOSTILE, amount: 80 },
];

let node: Node;
let chrome: Chrome;

const at = (path: string) => `${node.url}/console${path}`;

beforeAll(async () => {
  [node, chrome] = await Promise.all([Node.start(), Chrome.start()]);
  await node.apply(RESOURCES);
  const lines = SALES.map(sale => `${JSON.stringify(sale)}\n`).join('');
  await node.send('POST', '/v1/streams/sales/events', lines, 'application/x-ndjson');
  await until('rows of orders', async () => {
    const [count] = (await node.ask('SELECT count(*) FROM orders'))[0] ?? [];
    return Number(count) === SALES.length;
  });
});

afterEach(() => chrome?.leave());

afterAll(async () => {
  await chrome?.stop();
  await node?.stop();
  expect(chrome.complaints).toEqual([]);
});

/** A file that the page hands out. */
async function saved(page: Page, act: () => Promise<void>): Promise<{ name: string; bytes: Buffer }> {
  const [download] = await Promise.all([page.waitForEvent('download') as Promise<Download>, act()]);
  return { name: download.suggestedFilename(), bytes: readFileSync(await download.path()) };
}

/** Both themes, without barriers and without anything read as HTML. */
async function sound(page: Page): Promise<void> {
  expect(await barriers(page)).toEqual([]);
  await page.emulateMedia({ colorScheme: 'dark' });
  expect(await barriers(page, ['color-contrast'])).toEqual([]);
  await page.emulateMedia({ colorScheme: 'light' });
  expect(await page.evaluate(() => 'pwned' in window)).toBe(false);
  expect(await page.locator('main img').count()).toBe(0);
}

describe('SQL', () => {
  const write = async (page: Page, statement: string) => {
    await page.locator('.editor .cm-content').click();
    await page.keyboard.press('ControlOrMeta+a');
    // Typing over coloured words, Chromium tries to keep their style, which the policy refuses.
    await page.keyboard.press('Delete');
    await page.keyboard.insertText(statement);
  };

  test('is completed, asked with the keyboard, drawn, and comes back with the URL', async () => {
    const page = await chrome.page(at('/sql'));
    await page.getByText('orders', { exact: true }).waitFor();
    await page.locator('.editor .cm-content').click();
    await page.keyboard.type('SELECT city, amount FROM ord');
    await page.locator('.cm-tooltip-autocomplete').getByText('orders').waitFor();
    await page.keyboard.press('Escape');
    await write(page, 'SELECT country, sum(amount) AS revenue FROM orders GROUP BY 1 ORDER BY 1');
    await page.keyboard.press('Control+Enter');
    await page.getByRole('status').getByText('2 rows').waitFor();
    expect(await page.getByRole('region', { name: 'Rows' }).locator('td').allTextContents()).toEqual([
      'AT',
      '120',
      'CH',
      '30',
    ]);
    const file = await saved(page, () => page.getByRole('button', { name: 'Download CSV' }).click());
    expect([file.name, file.bytes.toString()]).toEqual(['rows.csv', 'country,revenue\r\nAT,120\r\nCH,30\r\n']);
    await page.getByRole('tab', { name: 'Chart' }).click();
    await page.getByRole('img', { name: 'Chart of revenue' }).locator('canvas').waitFor();
    await page.getByLabel('Kind of chart').selectOption('pie');
    await sound(page);
    await page.reload();
    await page.getByRole('img', { name: 'Chart of revenue' }).locator('canvas').waitFor();
    expect(await page.getByLabel('Kind of chart').inputValue()).toBe('pie');
    await page.getByRole('button', { name: /^SELECT country/ }).waitFor();
    await page.getByRole('button', { name: 'Explain' }).click();
    await page.getByText('logical plan').waitFor();
    await page.close();
  });

  test('shows 100,000 rows of which few are in the page', async () => {
    const page = await chrome.page(at('/sql'));
    await write(page, 'SELECT value AS n, value * 2 AS twice FROM generate_series(1, 200000) ORDER BY 1');
    await page.getByRole('button', { name: 'Run' }).click();
    await page.getByRole('status').getByText('the first 100,000 rows').waitFor();
    const rows = page.getByRole('region', { name: 'Rows' });
    await rows.getByRole('cell', { name: '1', exact: true }).waitFor();
    expect(await rows.locator('tr').count()).toBeLessThan(100);
    await rows.evaluate(element => element.scrollTo(0, element.scrollHeight));
    await rows.getByRole('cell', { name: '200000', exact: true }).waitFor();
    expect(await rows.locator('tr').count()).toBeLessThan(100);
    await page.close();
  });

  test('marks what is wrong at its place, and ends what nobody waits for', async () => {
    const page = await chrome.page(at('/sql'));
    await write(page, 'SELECT country,\n  colour FROM orders');
    await page.keyboard.press('Control+Enter');
    await page.getByRole('alert').getByText('HW-LAKE-041').waitFor();
    await page.locator('.cm-lintRange-error', { hasText: 'colour' }).waitFor();
    await page.getByRole('button', { name: 'Explain' }).click();
    await page.locator('.cm-lintRange-error', { hasText: 'colour' }).waitFor();
    await write(page, 'SELECT sum(value) FROM generate_series(1, 1000000000000)');
    await page.getByRole('button', { name: 'Run' }).click();
    await page.getByRole('status').getByText('running').waitFor();
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.getByRole('status').getByText('cancelled').waitFor();
    await page.close();
  });
});

describe('a dashboard', () => {
  const kpi = (page: Page, value: string) =>
    page.getByRole('region', { name: 'Revenue', exact: true }).getByText(value).waitFor();

  test('is listed and shows its charts, names and values as text', async () => {
    const page = await chrome.page(at('/dashboards'));
    await page.getByRole('link', { name: 'Shop' }).click();
    await kpi(page, '150');
    await page.getByRole('region', { name: 'By time' }).locator('canvas').waitFor();
    await page.getByRole('button', { name: HOSTILE }).waitFor();
    await sound(page);
    await page.close();
  });

  test('is narrowed by filters that follow each other, by a row, and by times; the URL has it all', async () => {
    const page = await chrome.page(at('/dashboards/shop'));
    await kpi(page, '150');
    await page.locator('summary', { hasText: 'Country' }).click();
    await page.getByRole('checkbox', { name: 'CH' }).check();
    await kpi(page, '30');
    await page.keyboard.press('Escape');
    await page.locator('summary', { hasText: 'City' }).click();
    const cities = page.getByRole('group', { name: 'City' });
    await cities.getByText('Chur').waitFor();
    await expect.poll(() => cities.getByRole('checkbox').count()).toBe(2);
    await page.getByRole('searchbox', { name: 'Search City' }).fill('ER');
    await expect.poll(() => cities.getByRole('checkbox').count()).toBe(1);
    await page.keyboard.press('Escape');
    await page.reload();
    await kpi(page, '30');
    await page.getByRole('button', { name: 'Chur' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Only City: Chur' }).click();
    await kpi(page, '20');
    expect(await param(page, 'f.city')).toBe('["Chur"]');
    await page.getByRole('button', { name: 'Reset' }).click();
    await kpi(page, '150');
    await page.locator('summary', { hasText: 'Time' }).click();
    await page.getByLabel('From (UTC)').fill('2026-01-01T00:00');
    await page.getByLabel('Up to (UTC)').fill('2026-02-01T00:00');
    await page.getByRole('button', { name: 'Show', exact: true }).click();
    await kpi(page, '60');
    await page.goBack();
    await kpi(page, '150');
    await page.close();
  });

  test('is drilled into by a bar and by a row, and back', async () => {
    const page = await chrome.page(at('/dashboards/shop'));
    const tile = page.getByRole('region', { name: 'By time' });
    const canvas = tile.locator('canvas');
    await canvas.waitFor();
    const levels = tile.getByRole('navigation', { name: 'Levels of By time' });
    // The second of two bars, low enough to be within it.
    await until('a drill by the bar', async () => {
      const box = await canvas.boundingBox();
      if (!box) throw new Error('no canvas');
      await page.mouse.click(box.x + box.width * 0.76, box.y + box.height * 0.8);
      return (await levels.count()) > 0;
    });
    await levels.getByRole('button', { name: '2026' }).waitFor();
    await tile.locator('summary', { hasText: '⋯' }).click();
    await tile.getByRole('button', { name: 'Show as table' }).click();
    await tile.getByRole('button', { name: '2026-01' }).click();
    await levels.getByRole('button', { name: '2026-01' }).waitFor();
    await expect.poll(() => tile.locator('tbody tr').allTextContents()).toEqual(['2026-01-0160']);
    expect(await param(page, 'd.years')).toContain('2026-01-01');
    await levels.getByRole('button', { name: 'All' }).click();
    await tile.getByRole('button', { name: '2025' }).waitFor();
    await page.close();
  });

  test('leads elsewhere with the values of a row, and gives its rows and pictures out', async () => {
    const page = await chrome.page(at('/dashboards/shop'));
    await page.getByRole('button', { name: HOSTILE }).click();
    const link = page.getByRole('dialog').getByRole('link', { name: 'Open in the shop' });
    expect(await link.getAttribute('href')).toBe(`https://shop.example/${encodeURIComponent(HOSTILE)}`);
    expect(await link.getAttribute('rel')).toContain('noopener');
    await page.keyboard.press('Escape');
    const tile = page.getByRole('region', { name: 'By time' });
    await tile.locator('canvas').waitFor();
    await tile.locator('summary', { hasText: '⋯' }).click();
    const csv = await saved(page, () => tile.getByRole('button', { name: 'Download CSV' }).click());
    expect(csv.bytes.toString()).toBe('at,revenue\r\n2025-01-01T00:00:00Z,10\r\n2026-01-01T00:00:00Z,140\r\n');
    const png = await saved(page, () => tile.getByRole('button', { name: 'Download PNG' }).click());
    expect([png.name, png.bytes.subarray(1, 4).toString()]).toEqual(['years.png', 'PNG']);
    await tile.getByRole('button', { name: 'Show SQL' }).click();
    await tile.getByText("date_trunc('year', at)").waitFor();
    await page.close();
  });

  test('asks nothing before its filters have their defaults, and only the newest question counts', async () => {
    const page = await chrome.page(at('/dashboards'));
    const asked: { filters: unknown }[] = [];
    page.on('request', request => {
      if (request.url().endsWith('/v1/charts/together')) asked.push(...request.postDataJSON().charts);
    });
    await page.getByRole('link', { name: 'swiss' }).first().click();
    await kpi(page, '30');
    expect(asked.map(({ filters }) => filters)).toEqual([{ country: ['CH'] }]);
    const failed: string[] = [];
    page.on('requestfailed', request => {
      // What a filter offers is given up as well when nobody looks at it any more.
      if (request.url().endsWith('/v1/charts/together')) failed.push(request.failure()?.errorText ?? '');
    });
    let held = 0;
    await page.route('**/v1/charts/together', async route => {
      held += 1;
      if (held > 1) await route.continue();
      // The first one waits until it is given up.
    });
    await page.locator('summary', { hasText: 'country' }).click();
    await page.getByRole('checkbox', { name: 'AT' }).check();
    await until('the first question', async () => held > 0);
    await page.getByRole('checkbox', { name: 'CH' }).uncheck();
    await kpi(page, '120');
    // The browser tells of it when it likes.
    await expect.poll(() => failed).toEqual(['net::ERR_ABORTED']);
    await page.close();
  });

  test('leads to another dashboard with the values of a row and the filters that it has, too', async () => {
    const page = await chrome.page(at('/dashboards/leads?f.country=["CH"]'));
    await page.getByRole('region', { name: 'Where' }).getByRole('button', { name: 'Chur' }).click();
    await page.getByRole('dialog').getByRole('link', { name: 'Open the shop' }).click();
    await page.getByRole('heading', { level: 1, name: 'Shop' }).waitFor();
    await kpi(page, '20');
    const { pathname, searchParams } = new URL(await page.evaluate(() => window.location.href));
    expect([pathname, searchParams.get('f.country'), searchParams.get('f.city')]).toEqual([
      '/console/dashboards/shop',
      '["CH"]',
      '["Chur"]',
    ]);
    await page.goBack();
    await page.getByRole('heading', { level: 1, name: 'leads' }).waitFor();
    await page.close();
  });

  test('is asked anew as often as its reader wants', async () => {
    const page = await chrome.page(at('/dashboards/shop?f.city=["new"]'));
    await page.getByRole('region', { name: 'Cities' }).getByText('Nothing at this time').waitFor();
    await page.getByLabel(/^Refresh/).selectOption('5s');
    await until('the interval in the URL', async () => new URL(page.url()).searchParams.get('every') === '5s');
    await node.send('POST', '/v1/streams/sales/events', '{"at":"2024-01-01T00:00:00Z","city":"new","amount":0}');
    await page.getByRole('region', { name: 'Cities' }).getByRole('button', { name: 'new' }).waitFor();
    await page.close();
  });
});

describe('sums and comparisons', () => {
  const MONTH = 't=2026-01-01T00:00:00Z..2026-02-01T00:00:00Z';

  test('are what the node says of all rows, and go with the file', async () => {
    const page = await chrome.page(at(`/dashboards/sums?${MONTH}`));
    const tile = (name: string) => page.getByRole('region', { name, exact: true }).first();
    await tile('The month').getByText('60', { exact: true }).waitFor();
    await tile('The month').getByText('+500 % before: 10').waitFor();
    await tile('Best city').getByText('Wien', { exact: true }).waitFor();
    // The average of the two sales, of which one is in the row that is shown.
    expect(await tile('Best city').locator('tfoot').locator('th, td').allTextContents()).toEqual(['Total', '30']);
    await tile('Spread').locator('tr').nth(3).waitFor();
    const lines = await tile('Spread').locator('tr').all();
    expect(await Promise.all(lines.map(line => line.locator('th, td').allTextContents()))).toEqual([
      ['country', 'Chur', 'Wien', 'Total'],
      ['AT', '', '40', '40'],
      ['CH', '20', '', '20'],
      ['Total', '20', '40', '30'],
    ]);
    await tile('Best city').locator('summary', { hasText: '⋯' }).click();
    const file = await saved(page, () => tile('Best city').getByRole('button', { name: 'Download CSV' }).click());
    expect(file.bytes.toString()).toBe('city,average\r\nWien,40\r\nTotal,30\r\n');
    await sound(page);
    // Of all times there is none before.
    await page.goto(at('/dashboards/sums?t=all'));
    await tile('The month').getByText('revenue').waitFor();
    expect(await tile('The month').getByText('before').count()).toBe(0);
    await page.close();
  });

  test('are turned on and off in the builder', async () => {
    const page = await chrome.page(at(`/dashboards/sums?mode=edit&${MONTH}`));
    const tile = (name: string) => page.getByRole('region', { name, exact: true }).first();
    await tile('Spread').locator('tfoot').waitFor();
    await page.getByRole('button', { name: 'Edit The month' }).click();
    await page.getByLabel('Compared with').selectOption('365d');
    await tile('The month').getByText('before: –').waitFor();
    await page.getByRole('button', { name: 'Edit Spread' }).click();
    await page.getByRole('checkbox', { name: 'Totals' }).uncheck();
    await tile('Spread').locator('tfoot').waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Discard draft' }).click();
    await tile('Spread').locator('tfoot').waitFor();
    await page.close();
  });
});

describe('sheets', () => {
  const tile = (page: Page, name: string) => page.getByRole('region', { name, exact: true }).first();
  const tab = (page: Page, name: string) => page.getByRole('tablist', { name: 'Sheets' }).getByRole('tab', { name });

  test('are reached by keys, asked when they are seen, and narrowed together; the URL has which', async () => {
    const page = await chrome.page(at('/dashboards'));
    const asked: string[] = [];
    page.on('request', request => {
      if (!request.url().endsWith('/v1/charts/together')) return;
      for (const { chart } of request.postDataJSON().charts) asked.push(chart);
    });
    await page.getByRole('link', { name: 'sheets' }).first().click();
    await tile(page, 'Revenue').getByText('150').waitFor();
    expect(asked).toEqual(['total']);
    await tab(page, 'The sum').focus();
    await page.keyboard.press('ArrowRight');
    await tile(page, 'By city').getByText('Wien').waitFor();
    expect(await tab(page, 'Its parts').getAttribute('aria-selected')).toBe('true');
    expect(await tab(page, 'Its parts').evaluate(element => element === document.activeElement)).toBe(true);
    expect(await param(page, 'sheet')).toBe('parts');
    await page.locator('summary', { hasText: 'Country' }).click();
    await page.getByRole('checkbox', { name: 'CH' }).check();
    await tile(page, 'By city').getByText('Wien').waitFor({ state: 'detached' });
    await page.keyboard.press('Escape');
    await sound(page);
    await page.reload();
    await tile(page, 'By city').getByText('Chur').waitFor();
    await tab(page, 'Its parts').press('Home');
    await tile(page, 'Revenue').getByText('30').waitFor();
    expect(await param(page, 'sheet')).toBe(null);
    await page.close();
  });

  test('are all printed, each below its title, as high as the node reckons', async () => {
    const page = await chrome.page(at('/dashboards/sheets?view=print&t=all&every='));
    await tile(page, 'Revenue').getByText('150').waitFor();
    await tile(page, 'By city').getByText('Wien').waitFor();
    expect(await page.locator('main > section > h2').allTextContents()).toEqual(['The sum', 'Its parts']);
    const board = (rows: number) => 40 + rows * 52 - 12;
    const height = await page.locator('main').evaluate(main => main.scrollHeight);
    expect(height).toBe(2 * 16 + 56 + board(4) + board(6));
    await page.goto(at('/dashboards/sheets?view=print&t=all&every=&charts=cities'));
    await tile(page, 'By city').getByText('Wien').waitFor();
    expect(await page.locator('main > section > h2').allTextContents()).toEqual(['Its parts']);
    await page.close();
  });

  test('are made, named, moved and filled in the builder', async () => {
    const page = await chrome.page(at('/dashboards/shop?mode=edit'));
    await tile(page, 'Revenue').getByText('150').waitFor();
    await page.getByRole('button', { name: 'Add sheet' }).click();
    await page.getByText('Add a chart: it begins').waitFor();
    await page.getByLabel('Title of First sheet').fill('Before');
    await page.getByLabel('Title of First sheet').press('Enter');
    await tab(page, 'Before').click();
    await page.getByRole('button', { name: 'Edit Revenue' }).click();
    await page.getByLabel('Sheet', { exact: true }).selectOption('New sheet');
    await tile(page, 'Cities').waitFor({ state: 'detached' });
    await tile(page, 'Revenue').getByText('150').waitFor();
    expect(await tab(page, 'New sheet').getAttribute('aria-selected')).toBe('true');
    await page.getByRole('button', { name: 'Close' }).click();
    await page.getByRole('button', { name: 'Move New sheet to the left' }).click();
    const tabs = page.getByRole('tablist', { name: 'Sheets' }).getByRole('tab');
    await expect.poll(() => tabs.allTextContents()).toEqual(['New sheet', 'Before']);
    await sound(page);
    await page.getByRole('button', { name: 'Remove sheet Before and its charts' }).click();
    await page.getByRole('tablist', { name: 'Sheets' }).waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Discard draft' }).click();
    await tile(page, 'Cities').waitFor();
    await page.close();
  });
});

describe('a dashboard to be printed', () => {
  test('has no frame and the height that the node reckons with, and is as its reader sees it', async () => {
    const page = await chrome.page(at('/dashboards/shop?view=print&charts=cities,total&t=all&every=&as=Zo%C3%AB'));
    const asked = page.waitForRequest('**/v1/charts/together');
    await page.reload();
    expect(Buffer.from((await asked).headers()['headwater-principal'] ?? '', 'latin1').toString()).toBe('Zoë');
    await page.getByRole('region', { name: 'Revenue', exact: true }).getByText('150').waitFor();
    await page.getByRole('region', { name: 'Cities' }).getByText('Chur').waitFor();
    expect(await page.locator('.tile-frame').count()).toBe(2);
    expect(await page.getByText('Live', { exact: true }).count()).toBe(0);
    // Four rows of the one, eight of the other: see `crates/bus/src/report.rs`.
    expect(await page.locator('main').evaluate(main => main.scrollHeight)).toBe(2 * 16 + 56 + 12 * 52 - 12);
    await sound(page);
    await page.close();
  });
});

describe('the builder', () => {
  test('makes a dashboard by pointer and keys, and keeps comments', async () => {
    const page = await chrome.page(at('/dashboards?new=1'));
    await page.getByLabel('Name', { exact: true }).fill('made.here');
    await page.getByLabel('Name', { exact: true }).press('Enter');
    const yaml = page.getByRole('textbox', { name: 'YAML' });
    await expect.poll(() => yaml.inputValue()).toContain('name: made.here');
    await yaml.fill(`# Kept by the team\n${await yaml.inputValue()}`);
    await page.locator('summary', { hasText: 'Add chart' }).click();
    await page.getByRole('button', { name: 'KPI' }).click();
    await page.getByLabel('Data', { exact: true }).selectOption('orders');
    await page.getByLabel('Title', { exact: true }).fill('All of it');
    await page.getByLabel('Title', { exact: true }).press('Enter');
    await page.getByLabel('Measure 1: function').selectOption('sum');
    await page.getByLabel('Measure 1: column').fill('amount');
    await page.getByLabel('Measure 1: column').press('Enter');
    const tile = page.getByRole('region', { name: 'All of it', exact: true });
    await tile.getByText('150').waitFor();
    await sound(page);

    await page.locator('summary', { hasText: 'Add chart' }).click();
    await page.getByRole('button', { name: 'Bar', exact: true }).click();
    await page.getByRole('heading', { name: 'Chart: orders' }).waitFor();
    await page.getByRole('button', { name: 'Close' }).click();
    const move = tile.getByRole('button', { name: 'Move All of it' });
    await move.press('ArrowRight');
    await page.getByText('column 2, row 1, 3 wide, 4 high').waitFor();
    await tile.getByRole('button', { name: 'Resize All of it' }).press('ArrowDown');
    await page.getByText('column 2, row 1, 3 wide, 5 high').waitFor();
    // That it is on the node is said above the charts: what stands below has its place by then.
    await page.getByText('everybody sees it').waitFor();
    const grip = await move.boundingBox();
    if (!grip) throw new Error('no grip');
    await page.mouse.move(grip.x + 5, grip.y + 5);
    await page.mouse.down();
    await page.mouse.move(grip.x + 305, grip.y + 8, { steps: 5 });
    await page.mouse.up();
    await expect.poll(() => yaml.inputValue()).toMatch(/at: \{x: [3-9], y: 0/);
    await page.getByRole('button', { name: 'Undo' }).click();
    await expect.poll(() => yaml.inputValue()).toContain('at: {x: 1, y: 0, w: 3, h: 5}');

    // A draft is on the node: it outlives the page, and is no dashboard yet.
    await page.getByText('everybody sees it').waitFor();
    await page.reload();
    await expect.poll(() => yaml.inputValue()).toMatch(/^# Kept by the team/);
    expect((await fetch(`${node.url}/v1/dashboards/made.here`)).status).toBe(404);
    await page.getByRole('button', { name: 'Publish' }).click();
    await page.waitForURL(at('/dashboards/made.here'));
    await page.getByRole('region', { name: 'All of it', exact: true }).getByText('150').waitFor();
    await page.getByRole('link', { name: 'Edit' }).click();
    await page.getByText('Published').waitFor();
    await expect.poll(() => yaml.inputValue()).toContain('# Kept by the team');
    // The node keeps the comments, so that everybody has them.
    const told = await fetch(`${node.url}/v1/dashboards/made.here`, { headers: { accept: 'application/yaml' } });
    expect(told.headers.get('headwater-text')).toBe('author');
    expect(await told.text()).toContain('# Kept by the team');
    await page.goto(at('/dashboards/made.here?mode=yaml'));
    await page.getByText('# Kept by the team').waitFor();
    await page.close();
  });

  test('shares a draft, and lets nobody overwrite what they have not seen', async () => {
    const [mine, theirs] = [
      await chrome.page(at('/dashboards/shop?mode=edit')),
      await chrome.elsewhere(at('/dashboards')),
    ];
    const title = (page: Page) => page.getByLabel('Title', { exact: true });
    const retitle = async (page: Page, text: string) => {
      await title(page).fill(text);
      await title(page).press('Enter');
    };
    await retitle(mine, 'Shop of mine');
    await mine.getByText('everybody sees it').waitFor();
    await theirs
      .getByRole('region', { name: 'Drafts' })
      .first()
      .getByRole('link', { name: 'shop', exact: true })
      .click();
    await expect.poll(() => title(theirs).inputValue()).toBe('Shop of mine');
    await sound(theirs);
    await retitle(theirs, 'Shop of theirs');
    await theirs.getByText('everybody sees it').waitFor();
    await retitle(mine, 'Shop again');
    await mine.getByRole('alert').getByText('Somebody else has changed').waitFor();
    await sound(mine);
    await mine.getByRole('button', { name: 'Take theirs' }).click();
    await expect.poll(() => title(mine).inputValue()).toBe('Shop of theirs');
    await retitle(mine, 'Shop of both');
    await mine.getByText('everybody sees it').waitFor();
    await retitle(theirs, 'Shop for all');
    await theirs.getByRole('button', { name: 'Put mine over it' }).click();
    await theirs.getByText('everybody sees it').waitFor();
    await theirs.getByRole('button', { name: 'Discard draft' }).click();
    await theirs.getByText('Published').waitFor();
    expect((await fetch(`${node.url}/v1/dashboards/shop/draft`)).status).toBe(404);
    await mine.close();
    await theirs.close();
  });

  test('says what is wrong where it is', async () => {
    const page = await chrome.page(at('/dashboards/shop?mode=edit'));
    await page.getByRole('button', { name: 'Edit Revenue' }).click();
    await page.getByLabel('Only where').fill('amount > ) 1');
    await page.getByLabel('Only where').press('Enter');
    const tile = page.getByRole('region', { name: 'Revenue', exact: true });
    await tile.getByRole('alert').getByText('HW-LAKE-040').waitFor();
    await page.getByRole('button', { name: 'Publish' }).click();
    await page.getByText('HW-LAKE-040').nth(1).waitFor();
    await page.getByRole('button', { name: 'Undo' }).click();
    await tile.getByText('150').waitFor();
    await page.close();
  });

  test('lays a band and bars behind the lines of a chart', async () => {
    const page = await chrome.page(at('/dashboards?new=1'));
    const yaml = page.getByRole('textbox', { name: 'YAML' });
    await yaml.fill(`apiVersion: headwater.dev/v1
kind: Dashboard
metadata: {name: banded}
spec:
  charts:
    - id: course
      title: Course
      type: line
      from: orders
      time: at
      measures:
        - {name: revenue, expr: sum(amount)}
        - {name: least, expr: min(amount)}
        - {name: most, expr: max(amount)}
        - {name: odd, expr: count(*) FILTER (WHERE amount > 50)}
`);
    await yaml.blur();
    await page.getByRole('button', { name: 'Edit Course' }).click();
    await page.getByLabel('Band: lower edge').selectOption('least');
    await page.getByLabel('Band: upper edge').selectOption('most');
    await page.getByLabel('Bars', { exact: true }).selectOption('odd');
    await page.getByRole('region', { name: 'Course', exact: true }).locator('canvas').waitFor();
    await sound(page);
    await page.getByRole('button', { name: 'Close' }).click();
    expect(await yaml.inputValue()).toMatch(/band: \{lower: least, upper: most\}\n +bars: odd/);
    await page.getByRole('button', { name: 'Edit Course' }).click();
    await page.getByLabel('Band: lower edge').selectOption('no band');
    await page.getByRole('button', { name: 'Close' }).click();
    expect(await yaml.inputValue()).not.toContain('band:');
    await page.close();
  });
});
