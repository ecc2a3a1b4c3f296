/**
 * How long the console takes over three million rows, with the twelve charts of the solution `flights`:
 * - cold: the node has just started, the browser is new and has kept nothing. From the navigation to the dashboard until
 *   every chart is drawn.
 * - repaint: from a choice in a filter of all charts until every chart has drawn what it leaves.
 *
 * Prints one JSON object on a line of its own. It measures and judges nothing: whether a goal is met depends on the
 * machine and on the binary, which `HEADWATER_BINARY` names. `HEADWATER_RUNS` is how often the node and the browser are
 * started, 5 unless it is set. `cargo xtask bench console` sets them.
 */

import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { Chrome, Node } from '../tests/node.ts';

const RUNS = Number(process.env.HEADWATER_RUNS ?? 5);
const CHARTS = 12;
const FLIGHTS = 3_000_000;
/** What is chosen in each run, each one beside those before it, so that no answer was given already. */
const STATES = ['CA', 'TX', 'IL', 'GA'];
const PATIENCE_MS = 60_000;

/** What a page knows of its charts, told to it before anything of its own runs. */
interface Charts {
  /** Resolves once one of them is asked for again. */
  asked: () => Promise<void>;
  /** Resolves once all are drawn: to the milliseconds since the navigation. */
  drawn: () => Promise<number>;
  /** When they were drawn for the first time. */
  cold: Promise<number>;
}

function watch({ charts, patienceMs }: { charts: number; patienceMs: number }): void {
  const frame = () => new Promise(done => requestAnimationFrame(done));
  const tiles = () => [...document.querySelectorAll('.tile-frame')];
  const busy = () => document.querySelector('.tile-frame .busy') !== null;
  // No rows are an answer, too.
  const has = (tile: Element) => tile.querySelector('canvas, table, .kpi, .tile-body .empty') !== null;
  const there = () => tiles().length === charts && !busy() && tiles().every(has);
  /** What the page shows instead, for whoever has to find out why. */
  const shown = () => {
    const each = tiles().map(tile => {
      const wrong = tile.querySelector('[role=alert]')?.textContent;
      const state = tile.querySelector('.busy') ? 'asked' : has(tile) ? 'drawn' : 'nothing';
      return `${tile.getAttribute('aria-label')}: ${wrong ?? state}`;
    });
    return each.join('; ') || (document.body.textContent ?? '').slice(0, 500);
  };
  const late = (what: string) => new Error(`in ${patienceMs} ms ${what}: ${shown()}`);
  const drawn = async () => {
    const end = performance.now() + patienceMs;
    while (!there()) {
      if (performance.now() > end) throw late('not all charts were drawn');
      await frame();
    }
    // A canvas draws in the frame after its rows came, which is on the screen with the next one.
    await frame();
    await frame();
    return performance.now();
  };
  // Each change of the page is looked at: what is asked and answered within a frame counts as well.
  const asked = () =>
    new Promise<void>((done, refuse) => {
      const end = setTimeout(() => refuse(late('no chart was asked again')), patienceMs);
      const observer = new MutationObserver(() => {
        if (!busy()) return;
        observer.disconnect();
        clearTimeout(end);
        done();
      });
      observer.observe(document, { childList: true, subtree: true });
    });
  Object.assign(window, { charts: { asked, drawn, cold: drawn() } });
}

/** Chooses a value of the open filter; milliseconds until all charts have painted what it leaves. */
function repaint(page: Page, value: string): Promise<number> {
  return page.evaluate(async wanted => {
    const { charts } = window as unknown as { charts: Charts };
    const label = [...document.querySelectorAll('.value-list label')].find(it => it.textContent?.trim() === wanted);
    const box = label?.querySelector('input');
    if (!box) throw new Error(`the filter does not offer ${wanted}`);
    const asked = charts.asked();
    const begun = performance.now();
    box.click();
    await asked;
    return (await charts.drawn()) - begun;
  }, value);
}

/** When all charts were drawn for the first time. */
function seen(page: Page): Promise<number> {
  return page.evaluate(() => (window as unknown as { charts: Charts }).charts.cold);
}

/** What a page is asked has no end of its own where the page stands still. */
async function within<T>(what: string, work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, refuse) => {
    const error = new Error(`${what} did not come to an end: the page stands still`);
    timer = setTimeout(() => refuse(error), 2 * PATIENCE_MS);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** One life of the node and of a browser: the cold start, then a repaint for each state. */
async function run(node: Node): Promise<{ cold: number; repaints: number[] }> {
  await node.restart();
  const chrome = await Chrome.start();
  try {
    const page = await chrome.blank();
    page.setDefaultTimeout(PATIENCE_MS);
    await page.setViewportSize({ width: 1280, height: 1300 });
    await page.addInitScript(watch, { charts: CHARTS, patienceMs: PATIENCE_MS });
    await page.goto(`${node.url}/console/dashboards/flights`);
    const cold = await within('the cold start', seen(page));
    await page.locator('.controls summary', { hasText: 'From' }).click();
    for (const state of STATES) await page.getByRole('checkbox', { name: state, exact: true }).waitFor();
    const repaints: number[] = [];
    for (const state of STATES) repaints.push(await within(`the repaint for ${state}`, repaint(page, state)));
    expect(await page.getByRole('alert').count()).toBe(0);
    // What was drawn is what was chosen.
    const chosen = STATES.map(state => `'${state}'`).join(', ');
    const from = 'external.flights f JOIN external.airports o ON o.iata = f.origin';
    const [left] = (await node.ask(`SELECT count(*) FROM ${from} WHERE o.state IN (${chosen})`))[0] ?? [];
    const shown = await page.getByRole('region', { name: 'Flights', exact: true }).locator('.kpi strong').textContent();
    expect(Number(shown?.replaceAll(',', ''))).toBe(Number(left));
    return { cold, repaints };
  } finally {
    await chrome.stop();
  }
}

/** The middle one, the least and the most, in whole milliseconds. */
function spread(times: number[]) {
  const sorted = [...times].sort((a, b) => a - b).map(Math.round);
  return { p50: sorted[sorted.length >> 1], min: sorted[0], max: sorted.at(-1), runs: sorted.length };
}

test('the dashboard of three million flights', { timeout: (RUNS + 1) * 4 * PATIENCE_MS }, async () => {
  const node = await Node.start();
  try {
    await node.headwater('solution', 'apply', 'flights');
    const [rows] = (await node.ask('SELECT count(*) FROM external.flights'))[0] ?? [];
    expect(Number(rows)).toBe(FLIGHTS);
    const cold: number[] = [];
    const repaints: number[] = [];
    for (let number = 0; number < RUNS; number += 1) {
      const seen = await run(node);
      cold.push(seen.cold);
      repaints.push(...seen.repaints);
    }
    const figures = { rows: FLIGHTS, charts: CHARTS, cold_start_ms: spread(cold), repaint_ms: spread(repaints) };
    console.log(JSON.stringify(figures));
  } finally {
    await node.stop();
  }
});
