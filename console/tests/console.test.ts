/** Every page in a real browser against a real node. */

import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { barriers, Chrome, Node, param, RESOURCES, until } from './node.ts';

const HOSTILE = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>';
const BIG = '9007199254740993';

let node: Node;
let chrome: Chrome;
let failed: string;
let waiting: string;
let ended: string;

const at = (path: string) => `${node.url}/console${path}`;

beforeAll(async () => {
  [node, chrome] = await Promise.all([Node.start(), Chrome.start()]);
  await node.apply(RESOURCES);
  await node.send(
    'PUT',
    '/v1/tables/users/documents/u1',
    JSON.stringify({ id: 'u1', country: 'CH', since: 2020, note: HOSTILE }),
  );
  await node.send('PUT', '/v1/tables/users/documents/u2', JSON.stringify({ id: 'u2', country: 'AT', since: 2024 }));
  await node.send(
    'POST',
    '/v1/streams/clicks/events?key=.user',
    `{"user":"u1","amount":3.5,"big":${BIG}}\n${JSON.stringify({ user: HOSTILE, amount: 1 })}\n`,
    'application/x-ndjson',
  );
  ended = await node.refund(5);
  failed = await node.refund(-5);
  waiting = await node.refund(500);
});

afterEach(() => chrome?.leave());

afterAll(async () => {
  await chrome?.stop();
  await node?.stop();
});

const executionPath = (id: string) => `/executions/${id.split('/').map(encodeURIComponent).join('/')}`;

/** Every page and tab. */
function pages(): string[] {
  return [
    '/',
    '/streams',
    '/streams?system=1&sort=-events',
    '/streams/clicks',
    ...['schema', 'partitions', 'groups', 'users', 'yaml'].map(tab => `/streams/clicks?tab=${tab}`),
    '/tables',
    '/tables/users?row=u1',
    '/tables/users?tab=schema',
    '/eventtypes',
    '/eventtypes/order-placed',
    '/eventtypes/order-placed?tab=versions',
    '/pipelines',
    '/pipelines/enrich',
    ...['steps', 'lookups', 'course', 'yaml'].map(tab => `/pipelines/enrich?tab=${tab}`),
    '/pipelines/broken',
    '/rules',
    '/rules/large-orders',
    '/rules/large-orders?tab=pattern',
    '/pipes',
    '/pipes/decide',
    '/schedules',
    '/schedules/nightly',
    '/workflows',
    '/workflows/refund',
    ...['executions', 'start'].map(tab => `/workflows/refund?tab=${tab}`),
    '/executions',
    executionPath(failed),
    `${executionPath(ended)}?tab=events`,
    `${executionPath(waiting)}?tab=data`,
    '/solutions/clickstream',
    '/sql',
    '/sql?q=SELECT key, value FROM tables.users',
    '/dashboards',
    '/dashboards?new=1',
    ...['', '?mode=edit', '?mode=yaml'].map(query => `/dashboards/visits${query}`),
    '/kinds',
    '/secrets',
    '/streams?new=1',
    '/nothing/here/at/all',
  ];
}

describe('every page', () => {
  test('stands without errors and without barriers, light and dark', { timeout: 600_000 }, async () => {
    const browser = await Chrome.start();
    const waiting = pages();
    const found: string[] = [];
    const walk = async () => {
      const page = await browser.page(at('/'));
      for (let path = waiting.shift(); path !== undefined; path = waiting.shift()) {
        await page.emulateMedia({ colorScheme: 'light' });
        await page.goto(at(path));
        await page.locator('h1').first().waitFor();
        await page.getByText('Live', { exact: true }).waitFor();
        await until(
          'end of loading',
          async () => (await page.locator('main [role=status]:has-text("Loading")').count()) === 0,
        );
        found.push(...(await barriers(page)).map(barrier => `${path} ${barrier}`));
        await page.emulateMedia({ colorScheme: 'dark' });
        found.push(...(await barriers(page, ['color-contrast'])).map(barrier => `${path} in the dark: ${barrier}`));
        expect(await page.evaluate(() => 'pwned' in window), path).toBe(false);
      }
    };
    await Promise.all([walk(), walk(), walk()]).finally(() => browser.stop());
    expect(found).toEqual([]);
    expect(browser.complaints).toEqual([]);
  });
});

describe('home', () => {
  test('tells problems, rates and latest executions, and leads to them', async () => {
    const page = await chrome.page(at('/'));
    const problems = page.locator('section', { has: page.getByRole('heading', { name: 'Problems' }) });
    await problems.getByText('HW-CONNECT-102').waitFor();
    const tile = page.locator('.tile', { hasText: 'Events appended' }).locator('dd').first();
    const rate = async () => Number.parseFloat((await tile.textContent()) ?? '');
    // What was appended before the first figures came has not grown since.
    await until('rate', async () => !Number.isNaN(await rate()));
    for (let n = 0; n < 20; n += 1)
      await node.send('POST', '/v1/streams/clicks/events', JSON.stringify({ user: 'u2', amount: n }));
    await until('rate above 0', async () => (await rate()) > 0);
    await page.locator('section', { hasText: 'Latest executions' }).getByText('Failed').first().waitFor();
    await problems.getByRole('link', { name: 'broken' }).click();
    await page.getByRole('heading', { level: 1, name: 'broken' }).waitFor();
    await page.waitForURL(at('/pipelines/broken'));
    await page.close();
  });

  test('starts a solution and leads to what is in it', async () => {
    const page = await chrome.page(at('/'));
    await page.getByRole('button', { name: 'Start workflow-cost' }).click();
    const card = page.locator('.card', { hasText: 'What each run of a workflow cost' });
    await card.getByText('Applied', { exact: true }).waitFor();
    await card.getByRole('link', { name: 'Open' }).click();
    await page.getByRole('heading', { level: 1, name: 'What each run of a workflow cost' }).waitFor();
    await page
      .getByRole('row', { name: /Workflow price-launch/ })
      .getByRole('link')
      .waitFor();
    await page.getByRole('link', { name: 'Run costs' }).click();
    await page.getByRole('heading', { level: 1, name: 'Run costs' }).waitFor();
    await page.getByRole('region', { name: 'Launches', exact: true }).getByText('0', { exact: true }).waitFor();
    expect(await page.getByRole('alert').count()).toBe(0);
    expect(await barriers(page)).toEqual([]);
    await page.close();
  });

  test('tells what a solution would change, with values of ones own, and what keeps it from starting', async () => {
    const page = await chrome.page(at('/solutions/sales-insights'));
    await page.getByRole('row', { name: /sales_hourly.*Not applied/ }).waitFor();
    await page.getByRole('button', { name: 'What would change' }).click();
    await page.getByText('Dataset/sales_hourly would be created').waitFor();
    await page.getByLabel(/^notify/).fill('perhaps');
    await page.getByRole('button', { name: 'What would change' }).click();
    await page.getByRole('alert').waitFor();
    // It is said for a moment only: who begins to look once the button was pressed may come too late.
    await Promise.all([
      page.waitForFunction(() =>
        [...document.querySelectorAll('.command [role=status]')].some(status => status.textContent === 'Copied'),
      ),
      page.getByRole('button', { name: /^Copy headwater solution diff/ }).click(),
    ]);
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(
      `headwater solution diff sales-insights --server ${node.url}`,
    );
    await page.close();
  });

  test('shows a resource that comes and goes without being asked again', async () => {
    const page = await chrome.page(at('/streams'));
    await page.getByRole('link', { name: 'clicks.enriched' }).waitFor();
    await node.apply('apiVersion: headwater.dev/v1\nkind: Stream\nmetadata: {name: passing}\nspec: {partitions: 1}\n');
    await page.getByRole('link', { name: 'passing' }).waitFor();
    await fetch(`${node.url}/v1/streams/passing`, { method: 'DELETE' });
    await page.getByRole('link', { name: 'passing' }).waitFor({ state: 'detached' });
    await page.close();
  });
});

describe('streams', () => {
  beforeAll(async () => {
    const args = ['-b', node.kafka, '-G', 'readers', '-c', '1', '-X', 'auto.offset.reset=earliest', 'clicks'];
    await promisify(execFile)('kcat', args, { timeout: 60_000 });
  });

  test('tail what comes in, as text and without rounding', async () => {
    const page = await chrome.page(at('/streams/clicks'));
    await page.getByText(BIG).waitFor();
    await page.getByText('onerror').first().waitFor();
    expect(await page.locator('main img, main script, main b, main i:not([class])').count()).toBe(0);
    await node.send('POST', '/v1/streams/clicks/events', JSON.stringify({ user: 'just now', amount: 7 }));
    const row = page.getByRole('button', { name: /just now/ });
    await row.click();
    await page.locator('.json').getByText('"just now"').waitFor();
    await page.getByLabel('Only records that contain').fill('onerror');
    const rows = page.locator('table.tail tbody tr');
    await expect.poll(() => rows.allTextContents()).toEqual([expect.stringContaining('onerror')]);
    expect(await param(page, 'q')).toBe('onerror');
    await page.reload();
    await expect.poll(() => rows.allTextContents()).toEqual([expect.stringContaining('onerror')]);
    expect(await page.evaluate(() => 'pwned' in window)).toBe(false);
    await page.close();
  });

  test('stand still while they are looked at, and miss nothing of what came meanwhile', async () => {
    const send = (said: string) =>
      node.send('POST', '/v1/streams/clicks/events?key=.user', JSON.stringify({ user: 'reader', said }));
    const { placed } = (await send('ahead of it')) as { placed: { partition: number }[] };
    // Records of one partition come in their order: with the newest of them all have been read.
    const page = await chrome.page(at(`/streams/clicks?partition=${placed[0]?.partition}`));
    await page.getByRole('button', { name: /ahead of it/ }).waitFor();
    await page.getByRole('button', { name: 'Pause' }).click();
    const read = page.getByText(/^\d+ read$/);
    const before = await read.textContent();
    await send('meanwhile');
    await expect.poll(() => read.textContent()).not.toBe(before);
    expect(await page.getByRole('button', { name: /meanwhile/ }).count()).toBe(0);
    await page.getByRole('button', { name: 'Go on' }).click();
    await page.getByRole('button', { name: /meanwhile/ }).waitFor();
    await page.close();
  });

  test('take an event that is typed, numbers as they are, and say why they do not take one', async () => {
    const page = await chrome.page(at('/streams/clicks'));
    await page.getByText('Send an event').click();
    await page.getByLabel(/^Event/).fill('{"user": ');
    await page.getByRole('button', { name: 'Send', exact: true }).click();
    await page.getByRole('alert').getByText(/HW-/).waitFor();
    await page.getByLabel(/^Event/).fill('{"user": "by hand", "big": 9007199254740995}');
    await page.getByLabel(/^Key/).fill('.user');
    await page.getByRole('button', { name: 'Send', exact: true }).click();
    await page.getByText(/^1 durable at offset \d+ of partition \d$/).waitFor();
    await page.getByRole('button', { name: /by hand.*9007199254740995/ }).waitFor();
    await page.close();
  });

  test('tell how far consumer groups are behind', async () => {
    const page = await chrome.page(at('/streams/clicks?tab=groups'));
    await page.getByRole('cell', { name: 'readers' }).first().waitFor();
    // What the chart draws can be read without it.
    await page.getByText('As a table').click();
    const table = page.getByRole('region', { name: 'Records behind, by group, each half minute' });
    await table.getByRole('columnheader', { name: 'readers' }).waitFor();
    expect(await barriers(page)).toEqual([]);
    await page.close();
  });

  test('set where a consumer group reads on, once they have shown what would be set', async () => {
    const page = await chrome.page(at('/streams/clicks?tab=groups'));
    await page.getByLabel(/^Group/).selectOption('readers');
    await page.getByLabel(/^Reads on at/).selectOption('earliest');
    const ask = async () => {
      const pressed = page.getByRole('button', { name: 'What would be set' }).click();
      const [answer] = await Promise.all([page.waitForResponse(/\/offsets\?/), pressed]);
      return answer.ok();
    };
    // A member that was stopped a moment ago may still be one.
    await until('what would be set', ask);
    await page.getByRole('region', { name: 'What would be set' }).waitFor();
    await page.getByRole('button', { name: 'Set offsets …' }).click();
    await page.getByText(/^It (reads|goes on)/).waitFor();
    await page.getByRole('button', { name: 'Set offsets', exact: true }).click();
    await page.getByText(/^Set in \d+ partition/).waitFor();
    const group = await fetch(`${node.url}/v1/groups/readers`).then(answer => answer.json());
    expect(group.partitions.map(({ offset }: { offset: number }) => offset)).toEqual(group.partitions.map(() => 0));
    // The keyboard stands where it can ask again.
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('What would be set');
    // Another question has no answer yet.
    expect(await ask()).toBe(true);
    await page.getByRole('button', { name: 'Set offsets …' }).waitFor();
    await page.getByLabel(/^Reads on at/).selectOption('latest');
    await page.getByRole('button', { name: /Set offsets/ }).waitFor({ state: 'detached' });
    await page.close();
  });

  test('list partitions, schema and who uses them', async () => {
    const page = await chrome.page(at('/streams/clicks'));
    await page.getByRole('tab', { name: 'Partitions' }).click();
    await page.getByRole('cell', { name: '1', exact: true }).first().waitFor();
    await page.getByRole('tab', { name: 'Schema' }).click();
    await page.getByRole('cell', { name: 'Who did it: <i>never</i> HTML.' }).waitFor();
    await page.getByRole('tab', { name: /Wiring/ }).click();
    await page.locator('section', { hasText: 'Read by' }).getByRole('link', { name: 'enrich' }).waitFor();
    await page.goBack();
    await page.close();
  });
});

describe('tables', () => {
  test('are looked through by key, index and filter; a wrong filter says why', async () => {
    const page = await chrome.page(at('/tables/users'));
    await page.getByRole('button', { name: 'u2' }).waitFor();
    await page.getByRole('button', { name: 'u1' }).click();
    await page.locator('.json').getByText('onerror').waitFor();
    await page.getByLabel('Filter').fill("country = 'AT'");
    await page.getByLabel('Filter').press('Enter');
    await page.getByRole('button', { name: 'u1' }).waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'u2' }).waitFor();
    await page.getByLabel('Filter').fill('country = = 1');
    await page.getByLabel('Filter').press('Enter');
    await page.getByRole('alert').getByText(/HW-/).waitFor();
    await page.close();
  });

  test('take documents, changes and deletions, numbers as they are, over nothing that was not seen', async () => {
    const page = await chrome.page(at('/tables/users'));
    await page.getByRole('button', { name: 'New document' }).click();
    await page.getByLabel('Key', { exact: true }).fill('by/hand');
    await page.getByLabel(/^Document, a/).fill(`{"id": "by/hand", "country": "CH", "since": 2001, "n": ${BIG}}`);
    await page.getByRole('button', { name: 'Save' }).click();
    await page.locator('.json').getByText(BIG).waitFor();
    expect(await param(page, 'row')).toBe('by/hand');
    await page.getByRole('button', { name: 'Edit' }).click();
    const text = page.getByLabel(/^Document, a/);
    await text.fill((await text.inputValue()).replace('2001', '2002'));
    await node.send(
      'PUT',
      '/v1/tables/users/documents/by%2Fhand',
      JSON.stringify({ id: 'by/hand', country: 'CH', since: 1999 }),
    );
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('alert').getByText('HW-KERNEL-020').waitFor();
    expect(await text.inputValue()).toContain('2002');
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.locator('.json').getByText('1999').waitFor();
    await page.getByRole('button', { name: 'Delete …' }).click();
    await page.getByRole('button', { name: 'Delete', exact: true }).click();
    await page.locator('.json').waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'by/hand' }).waitFor({ state: 'detached' });
    await page.close();
  });
});

describe('pipelines', () => {
  test('are drawn from source to outputs, with links', async () => {
    const page = await chrome.page(at('/pipelines/enrich'));
    const graph = page.getByRole('figure', { name: 'Graph of the pipeline enrich' });
    for (const name of ['clicks', 'known', 'large', 'doubled', 'clicks.enriched', 'clicks.dead']) {
      await graph.locator('.node .name', { hasText: new RegExp(`^${name}$`) }).waitFor();
    }
    // Lines are drawn once the boxes are measured.
    await expect.poll(() => graph.locator('path.edge').count()).toBe(5);
    await graph
      .locator('.edge-words', { hasText: /^[\d,.]+ \/s/ })
      .first()
      .waitFor();
    await graph.getByRole('link', { name: 'clicks.enriched' }).click();
    await page.getByRole('heading', { level: 1, name: 'clicks.enriched' }).waitFor();
    await page.goBack();
    await page.getByRole('heading', { level: 1, name: 'enrich', exact: true }).waitFor();
    await page.close();
  });
});

describe('reactions', () => {
  test('are drawn with what they match and where it goes', async () => {
    const page = await chrome.page(at('/rules/large-orders'));
    await page.getByRole('figure').getByRole('link', { name: 'orders.large', exact: true }).waitFor();
    await page.getByRole('tab', { name: 'Pattern' }).click();
    await page.locator('.json').getByText('"OrderPlaced"').waitFor();
    await page.goto(at('/schedules'));
    await page.getByText('cron(0 3 * * ? *)').waitFor();
    await page.close();
  });
});

describe('archives', () => {
  test('give their events out again, after a question', async () => {
    await node.apply('apiVersion: headwater.dev/v1\nkind: Archive\nmetadata: {name: kept}\nspec: {}\n');
    const event = { source: 'shop', 'detail-type': 'Seen', detail: {} };
    await until('an event in the archive', async () => {
      await node.send('POST', '/v1/buses/default/events', JSON.stringify(event));
      const answer = await fetch(`${node.url}/v1/streams/archive.kept/partitions`);
      const { partitions } = (await answer.json()) as { partitions: { records: number }[] };
      return partitions.some(({ records }) => records > 0);
    });
    const page = await chrome.page(at('/archives/kept'));
    await page.getByText('None of its events were given out again').waitFor();
    await page.getByLabel('Name', { exact: true }).fill('again');
    await page.getByLabel('From (UTC)').fill('2020-01-01T00:00');
    await page.getByLabel('Up to (UTC)').fill('2100-01-01T00:00');
    await page.getByRole('button', { name: 'Begin …' }).click();
    await page.getByRole('button', { name: 'Begin', exact: true }).click();
    await page.getByRole('row', { name: /again.*completed/ }).waitFor();
    expect(await barriers(page)).toEqual([]);
    await page.close();
  });
});

describe('what has times or waits for events', () => {
  test('runs now, rests and goes on', async () => {
    const page = await chrome.page(at('/schedules/nightly'));
    await page.getByRole('button', { name: 'Run now' }).click();
    await page.getByText(/^due at /).waitFor();
    await until('what it sends', async () => {
      const [count] = (await node.ask('SELECT count(*) FROM streams."orders.large"'))[0] ?? [];
      return Number(count) > 0;
    });
    await page.getByRole('button', { name: 'Disable' }).click();
    await page.locator('h1 + .badge', { hasText: 'Not enabled' }).waitFor();
    expect(await page.getByRole('button', { name: 'Run now' }).count()).toBe(0);
    await page.getByRole('button', { name: 'Enable' }).click();
    await page.getByRole('button', { name: 'Run now' }).waitFor();
    await page.close();
  });
});

describe('workflows', () => {
  test('are drawn from their definition, branches inside their state', async () => {
    const page = await chrome.page(at('/workflows/refund'));
    const graph = page.getByRole('figure');
    for (const name of ['Start', 'Judge', 'Review', 'Pay', 'Tell', 'Refuse'])
      await graph.locator('.node .name', { hasText: name }).first().waitFor();
    await graph.getByText('$states.input.amount > 100').waitFor();
    await page.close();
  });

  test('start with an input, and a wrong one says why', async () => {
    const page = await chrome.page(at('/workflows/refund?tab=start'));
    await page.getByLabel('Input').fill('{"amount": ');
    await page.getByRole('button', { name: 'Start' }).click();
    await page.getByRole('alert').getByText('HW-API-008').waitFor();
    await page.getByRole('tab', { name: 'State machine' }).click();
    await page.getByRole('tab', { name: 'Start' }).click();
    expect(await page.getByLabel('Input').inputValue()).toBe('{"amount": ');
    await page.getByLabel('Input').fill('{"amount": 1}');
    await page.getByRole('button', { name: 'Start' }).click();
    await page.locator('h1 + .badge', { hasText: 'Succeeded' }).waitFor();
    await page.close();
  });

  test('start once more with the input of another', async () => {
    const page = await chrome.page(at(executionPath(ended)));
    await page.getByRole('link', { name: 'Start another' }).click();
    await until('the input', async () => (await page.getByLabel('Input').inputValue()).includes('"amount": 5'));
    await page.getByRole('button', { name: 'Start' }).click();
    await page.locator('h1 + .badge', { hasText: 'Succeeded' }).waitFor();
    const path = await page.evaluate(() => window.location.pathname);
    expect(path).toContain('/console/executions/refund/');
    expect(path).not.toBe(`/console${executionPath(ended)}`);
    await page.close();
  });

  test('that failed tell where, and are taken up again', async () => {
    const page = await chrome.page(at(executionPath(failed)));
    await page.getByText('Refund.Refused: the amount is <b>negative</b>').waitFor();
    const timeline = page.getByRole('table', { name: 'States in order of entering' });
    // What the execution says of itself comes by another question than its states.
    await expect
      .poll(() => timeline.getByRole('row').allInnerTexts())
      .toEqual([expect.stringMatching(/Judge.*done/s), expect.stringMatching(/Refuse.*failed/s)]);
    await page.getByRole('figure').locator('.node.bad', { hasText: 'Refuse' }).waitFor();
    await page.getByRole('button', { name: 'Redrive' }).click();
    await page.locator('.tile', { hasText: 'Redriven' }).getByText('1×').waitFor();
    await page.getByRole('tab', { name: 'Events' }).click();
    await page.getByRole('button', { name: 'ExecutionRedriven' }).waitFor();
    await page.close();
  });

  test('that wait are stopped', async () => {
    const page = await chrome.page(at(executionPath(waiting)));
    await page.getByRole('figure').locator('.node.accent', { hasText: 'Review' }).waitFor();
    await page.getByRole('button', { name: 'Stop …' }).click();
    // Enter by habit stops nothing.
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Stop …' }).click();
    await page.getByRole('button', { name: 'Stop', exact: true }).click();
    await page.locator('h1 + .badge', { hasText: 'Aborted' }).waitFor();
    await page.close();
  });
});

describe('any resource', () => {
  const type = async (page: Page, yaml: string) => {
    const content = page.locator('.editor .cm-content');
    await content.click();
    await page.keyboard.press('ControlOrMeta+a');
    await page.keyboard.insertText(yaml);
  };

  test('is made, judged while typed, changed and deleted', async () => {
    const page = await chrome.page(at('/streams?new=1'));
    await type(
      page,
      'apiVersion: headwater.dev/v1\nkind: Stream\nmetadata: {name: made.here}\nspec:\n  partitons: 3\n',
    );
    await page.getByRole('alert').getByText('HW-KERNEL-007').waitFor();
    await page.getByText('did you mean `partitions`?').waitFor();
    await page.getByRole('button', { name: 'line 5, column 3' }).click();
    await page.locator('.cm-lintRange-error', { hasText: 'partitons' }).waitFor();
    expect(await barriers(page)).toEqual([]);
    await type(
      page,
      'apiVersion: headwater.dev/v1\nkind: Stream\nmetadata: {name: made.here}\nspec:\n  partitions: 3\n',
    );
    await page.getByText('Stream/made.here would be created').waitFor();
    await page.getByRole('button', { name: 'Apply' }).click();
    await page.getByRole('heading', { level: 1, name: 'made.here' }).waitFor();
    await page.getByRole('tab', { name: 'YAML' }).click();
    await page.locator('.cm-line', { hasText: 'partitions: 3' }).waitFor();
    await type(
      page,
      'apiVersion: headwater.dev/v1\nkind: Stream\nmetadata: {name: made.here}\nspec:\n  partitions: 2\n',
    );
    await page
      .getByRole('alert')
      .getByText(/HW-KERNEL/)
      .waitFor();
    await page.getByRole('button', { name: 'Delete …' }).click();
    await page.getByRole('button', { name: 'Delete made.here' }).click();
    await page.waitForURL(at('/streams'));
    await page.getByRole('link', { name: 'clicks', exact: true }).waitFor();
    await page.getByRole('link', { name: 'made.here' }).waitFor({ state: 'detached' });
    await page.close();
  });

  const stream = (name: string, about: string) =>
    `apiVersion: headwater.dev/v1\nkind: Stream\nmetadata: {name: ${name}}\nspec: {description: ${about}}\n`;

  test('is not written over when somebody else was quicker, and what was typed stays', async () => {
    await node.apply(stream('shared', 'mine'));
    const page = await chrome.page(at('/streams/shared?tab=yaml'));
    await page.locator('.cm-line', { hasText: 'mine' }).waitFor();
    await type(page, stream('shared', 'typed'));
    await page.getByRole('tab', { name: 'Schema' }).click();
    await page.getByRole('tab', { name: 'YAML' }).click();
    await page.locator('.cm-line', { hasText: 'typed' }).waitFor();
    await node.apply(stream('shared', 'theirs'));
    await page.getByText('Somebody else has changed it since').waitFor();
    await page.getByRole('button', { name: 'Apply' }).click();
    await page.getByRole('alert').getByText('HW-KERNEL-011').waitFor();
    await page.getByRole('button', { name: 'Show theirs' }).click();
    await page.locator('.cm-line', { hasText: 'theirs' }).waitFor();
    await type(page, stream('shared', 'both'));
    await page.getByText('Stream/shared would be').waitFor();
    await page.getByRole('button', { name: 'Apply' }).click();
    await page.getByText('applied', { exact: true }).waitFor();
    // By now the page knows of its own change, which is nobody else's.
    await page.locator('.about', { hasText: 'both' }).waitFor();
    expect(await page.getByText('Somebody else has changed it since').count()).toBe(0);
    await fetch(`${node.url}/v1/streams/shared`, { method: 'DELETE' });
    await page.close();
  });

  test('is there once it is made, and gone once it is deleted, while nobody tells of changes', async () => {
    const page = await chrome.blank();
    await page.route('**/v1/live', route => route.abort());
    await page.goto(at('/streams?new=1'));
    await type(page, stream('untold', 'made'));
    await page.getByText('Stream/untold would be created').waitFor();
    await page.getByRole('button', { name: 'Apply' }).click();
    await page.getByRole('tab', { name: 'YAML' }).click();
    await page.getByRole('button', { name: 'Delete …' }).click();
    await page.getByRole('button', { name: 'Delete untold' }).click();
    await page.waitForURL(at('/streams'));
    await page.getByRole('link', { name: 'clicks', exact: true }).waitFor();
    await page.getByRole('link', { name: 'untold' }).waitFor({ state: 'detached' });
    await page.close();
  });

  test('that others name is deleted with them alone, and all of them are named first', async () => {
    const page = await chrome.page(at('/streams/clicks?tab=yaml'));
    await page.getByRole('button', { name: 'Delete …', exact: true }).click();
    await page.getByRole('alert').getByText('HW-KERNEL-013').waitFor();
    await page.getByRole('button', { name: 'Delete what names it as well …' }).click();
    await page.getByRole('listitem').filter({ hasText: 'Pipeline/enrich' }).waitFor();
    await page.getByRole('button', { name: 'Keep it' }).click();
    await page.getByRole('button', { name: 'Delete …', exact: true }).waitFor();
    await page.close();
  });

  test("is listed by kind, with the kind's example for a new one", async () => {
    const page = await chrome.page(at('/kinds'));
    await page.getByRole('link', { name: 'Secret', exact: true }).click();
    await page.getByRole('link', { name: 'New' }).click();
    await page.locator('.cm-line', { hasText: 'catalogue-token' }).waitFor();
    await page.locator('.keys').getByText('from', { exact: true }).waitFor();
    await page.close();
  });
});

describe('the keyboard', () => {
  test('reaches everything', async () => {
    const page = await chrome.page(at('/'));
    await page.keyboard.press('Tab');
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Skip to content');
    await page.keyboard.press('Control+k');
    await page.getByRole('combobox', { name: 'Name of a page or resource' }).waitFor();
    expect(await barriers(page)).toEqual([]);
    const found = page.getByRole('option', { selected: true }).getByText('enrich', { exact: true });
    await page.keyboard.type('pipeline enri');
    await found.waitFor();
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 1, name: 'enrich', exact: true }).waitFor();
    await page.getByRole('tab', { name: 'Graph' }).focus();
    await page.keyboard.press('ArrowRight');
    await page.getByRole('tab', { name: 'Steps', selected: true }).waitFor();
    expect(await param(page, 'tab')).toBe('steps');
    // However the dialog is left, the keyboard goes on where it was.
    const where = () => page.evaluate(() => document.activeElement?.getAttribute('role'));
    await page.keyboard.press('Control+k');
    await page.getByRole('dialog').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    expect(await where()).toBe('tab');
    await page.keyboard.press('Control+k');
    await page.keyboard.type('pipeline enri');
    await found.waitFor();
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    expect(await where()).toBe('tab');
    await page.close();
  });

  test('comes back to what opened a document', async () => {
    const page = await chrome.page(at('/tables/users'));
    const focused = () => page.evaluate(() => document.activeElement?.textContent);
    await page.getByRole('button', { name: 'u2' }).click();
    await page.getByRole('button', { name: 'Close' }).click();
    expect(await focused()).toBe('u2');
    await page.getByRole('button', { name: 'New document' }).click();
    await page.getByRole('button', { name: 'Cancel' }).click();
    expect(await focused()).toBe('New document');
    await page.close();
  });
});

describe('the theme', () => {
  test('follows the system until one is chosen, which lasts', async () => {
    const page = await chrome.page(at('/'));
    const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await background();
    await page.emulateMedia({ colorScheme: 'dark' });
    const dark = await background();
    expect(dark).not.toBe(light);
    await page.getByRole('button', { name: 'Theme: system' }).click();
    expect(await background()).toBe(light);
    await page.reload();
    expect(await background()).toBe(light);
    await page.getByRole('button', { name: 'Theme: light' }).click();
    await page.emulateMedia({ colorScheme: 'light' });
    expect(await background()).toBe(dark);
    await page.getByRole('button', { name: 'Theme: dark' }).click();
    await page.close();
  });
});

describe('the connection', () => {
  test('says that the node is gone, and goes on when it is back', async () => {
    const page = await chrome.page(at('/'));
    await page.getByText('Live', { exact: true }).waitFor();
    await page.route('**/v1/live', route => route.abort());
    await page.context().setOffline(true);
    await page.reload().catch(() => undefined);
    await page.context().setOffline(false);
    await page.goto(at('/'));
    await page.getByText('Not connected').waitFor();
    await page.unroute('**/v1/live');
    await page.getByText('Live', { exact: true }).waitFor();
    await page.close();
  });

  test('comes back with what the page shows when the node has started anew', async () => {
    const page = await chrome.page(at('/streams/clicks'));
    await page.locator('table.tail tbody tr').first().waitFor();
    await node.restart();
    await node.send('POST', '/v1/streams/clicks/events', JSON.stringify({ user: 'the next life', amount: 7 }));
    await page.getByRole('button', { name: /the next life/ }).waitFor();
    await page.getByText('Live', { exact: true }).waitFor();
    await expect.poll(() => page.getByRole('alert').count()).toBe(0);
    await page.close();
  });
});

describe('what is built', () => {
  const dist = join(import.meta.dirname, '..', 'dist');
  const packed = (name: string) => readFileSync(join(dist, `${name}.gz`)).length;

  test('loads first in no more than 300 kB', async () => {
    const html = readFileSync(join(dist, 'index.html'), 'utf8');
    const named = [...html.matchAll(/(?:src|href)="\/console\/([^"]+)"/g)].map(match => match[1] ?? '');
    const whole = ['index.html', ...named].reduce((sum, name) => sum + packed(name), 0);
    expect(whole).toBeLessThan(300_000);
    // What home loads besides, as the browser counts it.
    const page = await chrome.page(at('/'));
    await until('a line of events', async () => {
      await node.send('POST', '/v1/streams/clicks/events', '{"user":"u2"}');
      return (await page.locator('.chart canvas').count()) > 0;
    });
    const loaded = await page.evaluate(() => {
      const files = performance.getEntriesByType('resource').filter(entry => entry.name.includes('/console/'));
      return files.reduce((sum, entry) => sum + (entry as PerformanceResourceTiming).encodedBodySize, 0);
    });
    expect(loaded).toBeGreaterThan(whole - packed('index.html') - 1_000);
    expect(loaded).toBeLessThan(300_000);
    await page.close();
  });

  test('is named in the notices, package by package', () => {
    const notices = readFileSync(join(import.meta.dirname, '..', '..', 'THIRD-PARTY-NOTICES.md'), 'utf8');
    const section = notices.slice(notices.indexOf('# In the web console'));
    const names = JSON.parse(readFileSync(join(dist, 'packages.json'), 'utf8')) as string[];
    expect(names.length).toBeGreaterThan(10);
    for (const name of names) expect(section, name).toContain(`${name} `);
  });

  test('runs nothing inline', async () => {
    const response = await fetch(`${node.url}/console/`);
    expect(response.headers.get('content-security-policy')).toMatch(/^default-src 'self';(?!.*unsafe)/);
    expect(await response.text()).not.toMatch(/<script(?![^>]*src=)|<style|onload=|javascript:/);
    const script = readdirSync(join(dist, 'assets')).find(name => /^index-.*\.js$/.test(name));
    const file = await fetch(`${node.url}/console/assets/${script}`);
    expect(file.headers.get('cache-control')).toContain('immutable');
    expect(
      (
        await fetch(`${node.url}/console/assets/${script}`, {
          headers: { 'if-none-match': file.headers.get('etag') ?? '' },
        })
      ).status,
    ).toBe(304);
  });
});
