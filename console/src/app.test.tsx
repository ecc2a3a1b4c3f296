import { QueryClientProvider, useIsFetching } from '@tanstack/react-query';
import { createRoot } from 'react-dom/client';
import { afterEach, expect, test, vi } from 'vitest';
import { queries, RESOURCES, tell } from './api.ts';
import { App } from './app.tsx';
import { go, path } from './router.tsx';

afterEach(() => {
  queries.clear();
  vi.unstubAllGlobals();
});

const answer = (value: unknown) => new Response(JSON.stringify(value));
const holds = (sure: () => void) => vi.waitFor(sure, { timeout: 20_000 });

const MISSING = 'There is no Stream of this name';
const kinds = () => answer({ kinds: [{ name: 'Stream', plural: 'streams', doc: '' }] });
const made = {
  apiVersion: 'headwater.dev/v1',
  kind: 'Stream',
  metadata: { name: 'made', generation: 1 },
  spec: {},
  status: { ready: 'true' as const },
};

/** Whether the list is on its way. It is told at once with the console: what that shows is drawn by then. */
function Asking() {
  return <output>{useIsFetching({ queryKey: RESOURCES }) > 0 ? 'asking' : 'idle'}</output>;
}

/** The console at an address, before a node that answers what is named and nothing else. */
function shown(at: string, answers: Record<string, () => Response | Promise<Response>>) {
  vi.stubGlobal('fetch', async (address: string) => answers[address]?.() ?? new Promise(() => undefined));
  window.history.replaceState(null, '', `/console${at}`);
  const place = document.createElement('div');
  document.body.append(place);
  const root = createRoot(place);
  root.render(
    <QueryClientProvider client={queries}>
      <App />
      <Asking />
    </QueryClientProvider>,
  );
  return {
    place,
    page: () => place.querySelector('main')?.textContent,
    asking: () => place.querySelector('output')?.textContent,
    leave: () => {
      root.unmount();
      place.remove();
    },
  };
}

test('what was made a moment ago is not said to be missing while the list is on its way', {
  timeout: 60_000,
}, async () => {
  const lists = [Promise.resolve(answer({ items: [] }))];
  let come = (_: Response) => {};
  const { page, leave } = shown('/kinds', {
    '/v1/kinds': kinds,
    '/v1/all': () => lists.shift() ?? new Promise(done => (come = done)),
  });
  await holds(() => expect(page()).toContain('All resources'));
  await holds(() => expect(queries.getQueryData(RESOURCES)).toEqual([]));
  // As the page of a new one does.
  void queries.invalidateQueries({ queryKey: RESOURCES });
  go(path(['streams', 'made']));
  await holds(() => expect(page()).toBe('Loading'));
  come(answer({ items: [made] }));
  await holds(() => expect(page()).toContain('Live tail'));
  leave();
});

test('what is missing is said to be until it is there, however often the list is asked for again', {
  timeout: 60_000,
}, async () => {
  const lists = [Promise.resolve(answer({ items: [] }))];
  let come = (_: Response) => {};
  const { page, asking, leave } = shown('/streams/made', {
    '/v1/kinds': kinds,
    '/v1/all': () => lists.shift() ?? new Promise(done => (come = done)),
  });
  await holds(() => expect(page()).toContain(MISSING));
  // As the live connection does when it comes back.
  void queries.invalidateQueries({ queryKey: RESOURCES });
  await holds(() => expect(asking()).toBe('asking'));
  expect(page()).toContain(MISSING);
  come(answer({ items: [] }));
  await holds(() => expect(asking()).toBe('idle'));
  expect(page()).toContain(MISSING);
  tell({ type: 'changed', resource: made });
  await holds(() => expect(page()).toContain('Live tail'));
  leave();
});

test('what is not found is not gone to, and the words stay', { timeout: 60_000 }, async () => {
  const { place, leave } = shown('/kinds', {});
  // The console listens in a moment after it is drawn.
  await holds(() => {
    window.dispatchEvent(new KeyboardEvent('keydown', { key: 'k', ctrlKey: true }));
    expect(place.querySelector('dialog')?.open).toBe(true);
  });
  const field = place.querySelector<HTMLInputElement>('dialog input');
  const press = (key: string) => field?.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
  const type = (words: string) => {
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value')?.set?.call(field, words);
    field?.dispatchEvent(new Event('input', { bubbles: true }));
  };
  type('pipeline enrich');
  await holds(() => expect(place.querySelectorAll('[role=option]').length).toBe(0));
  press('Enter');
  expect(place.querySelector('dialog')?.open).toBe(true);
  type('sql');
  await holds(() => expect(place.querySelectorAll('[role=option]').length).toBe(1));
  press('Enter');
  await holds(() => expect(window.location.pathname).toBe('/console/sql'));
  leave();
});
