/**
 * What the solution `clickstream` shows of itself in operation: its dashboard, and the page of a pipeline that keeps event
 * time. What it is not: the enrichment, whose data would have to be fetched; enriched events are sent as they come out of it.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { barriers, Chrome, Node } from './node.ts';

const FOLDER = join(import.meta.dirname, '..', '..', 'solutions', 'clickstream', 'resources');
const PARTS = ['streams', 'tables', 'behaviour', 'lake', 'operations'];

let node: Node;
let chrome: Chrome;

/** The resources of the solution that need no parameter. */
function resources(): string {
  const documents = PARTS.flatMap(part => readFileSync(join(FOLDER, `${part}.yaml`), 'utf8').split(/^---$/m));
  return documents.filter(document => !document.includes('${')).join('\n---\n');
}

/** An enriched event of so many minutes ago. */
function event(id: string, minutes: number, more: object = {}): object {
  return {
    id,
    time: new Date(Date.now() - minutes * 60_000).toISOString(),
    source: 'web',
    kind: 'view',
    visitor: 'ann',
    device: 'd1',
    page: '/',
    geo: { country: 'CH', asn: 'AS559' },
    agent: { family: 'Firefox', bot: false },
    ...more,
  };
}

const send = (stream: string, events: object[]) =>
  node.send(
    'POST',
    `/v1/streams/${stream}/events?key=.visitor`,
    events.map(one => `${JSON.stringify(one)}\n`).join(''),
    'application/x-ndjson',
  );

beforeAll(async () => {
  [node, chrome] = await Promise.all([Node.start(), Chrome.start()]);
  await node.apply(resources());
  const elsewhere = { visitor: 'bo', geo: { country: 'US', asn: 'AS7922' } };
  const events = [event('e1', 9), event('e2', 8), event('e3', 5), event('e4', 5, elsewhere)];
  // What a lookup brought later is a row of its own, and counts once.
  const again = event('e3', 5, { revision: 2 });
  await send('clicks.enriched', [...events, again, event('e5', 2, { kind: 'order', price: 12.5 })]);
  await send('clicks.decisions', [event('d1', 3, { decision: 'ban' }), event('d2', 3, { decision: 'allow' })]);
});

afterEach(() => chrome?.leave());

afterAll(async () => {
  await chrome?.stop();
  await node?.stop();
  expect(chrome?.complaints).toEqual([]);
});

const chart = (page: Page, title: string) => page.getByRole('region', { name: title, exact: true });
const figure = (page: Page, title: string) => chart(page, title).locator('.kpi strong');

/** What keeps somebody from using the page, in the light and in the dark. */
async function everyBarrier(page: Page): Promise<string[]> {
  const light = await barriers(page);
  await page.emulateMedia({ colorScheme: 'dark' });
  return [...light, ...(await barriers(page, ['color-contrast']))];
}

describe('the dashboard of operations', () => {
  test('draws what comes in, from where, and who is kept out', async () => {
    const page = await chrome.page(`${node.url}/console/dashboards/operations`);
    await page.setViewportSize({ width: 1280, height: 1260 });
    await expect.poll(() => figure(page, 'Events').textContent()).toBe('5');
    await expect.poll(() => figure(page, 'Bans').textContent()).toBe('1');
    await expect.poll(() => figure(page, 'Ordered for').textContent()).toMatch(/^12\.50*$/);
    for (const title of ['Events per minute by kind', 'Countries', 'Decisions per minute'])
      await chart(page, title).locator('canvas').first().waitFor();
    const networks = chart(page, 'Networks').locator('tbody tr');
    await expect
      .poll(() => networks.allTextContents())
      .toEqual([expect.stringMatching(/^AS5594/), expect.stringMatching(/^AS79221/)]);
    expect(await page.getByRole('alert').count()).toBe(0);
    expect(await everyBarrier(page)).toEqual([]);
    await page.close();
  });

  test('is narrowed to a kind, and says more without being asked again', async () => {
    const page = await chrome.page(`${node.url}/console/dashboards/operations?f.kind=["order"]`);
    await expect.poll(() => figure(page, 'Events').textContent()).toBe('1');
    await send('clicks.enriched', [event('e6', 1, { kind: 'order', price: 7.5 })]);
    // It asks again every ten seconds.
    await expect.poll(() => figure(page, 'Events').textContent()).toBe('2');
    await page.close();
  });
});

describe('the page of a pipeline that keeps event time', () => {
  const tile = (page: Page, label: string) => page.locator('.tile', { hasText: label }).locator('dd').first();

  test('tells its watermark, what was late for its lateness and what was no event', async () => {
    const page = await chrome.page(`${node.url}/console/pipelines/clickstream-behaviour`);
    await send('clicks.enriched', [event('now', 0)]);
    // Before there is a watermark nothing is late.
    await expect.poll(() => tile(page, 'Watermark').textContent()).toMatch(/ ago/);
    await send('clicks.enriched', [event('late', 120), event('timeless', 0, { time: null })]);
    await expect.poll(() => tile(page, 'Late, beyond 15m').textContent()).toMatch(/^1\b/);
    await expect.poll(() => tile(page, 'Dead letters').textContent()).toMatch(/^1\b/);
    const graph = page.getByRole('figure', { name: 'Graph of the pipeline clickstream-behaviour' });
    for (const name of ['clicks.late', 'clicks.behaviour.dead']) await graph.getByRole('link', { name }).waitFor();
    expect(await everyBarrier(page)).toEqual([]);
    await page.close();
  });
});
