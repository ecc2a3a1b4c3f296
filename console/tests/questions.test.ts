/** SQL in a real browser against a real node. */

import { readFileSync } from 'node:fs';
import type { Download, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { barriers, Chrome, Node } from './node.ts';

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
});

afterAll(async () => {
  expect(chrome.complaints).toEqual([]);
  await chrome?.stop();
  await node?.stop();
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
    await write(
      page,
      'SELECT sum(a.value * b.value) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b',
    );
    await page.getByRole('button', { name: 'Run' }).click();
    await page.getByRole('status').getByText('running').waitFor();
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.getByRole('status').getByText('cancelled').waitFor();
    await page.close();
  });
});
