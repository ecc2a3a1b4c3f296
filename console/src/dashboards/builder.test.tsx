import { QueryClientProvider } from '@tanstack/react-query';
import { createRoot } from 'react-dom/client';
import { afterEach, expect, test, vi } from 'vitest';
import { queries } from '../api.ts';
import Builder from './builder.tsx';

afterEach(() => {
  queries.clear();
  vi.unstubAllGlobals();
});

test('charts are offered once it is known what they can be about', { timeout: 60_000 }, async () => {
  let come = (_: Response) => {};
  vi.stubGlobal('fetch', (address: string) =>
    address === '/v1/sql/relations' ? new Promise<Response>(done => (come = done)) : new Promise(() => undefined),
  );
  window.history.replaceState(null, '', '/console/dashboards?new=1');
  const place = document.createElement('div');
  const root = createRoot(place);
  root.render(
    <QueryClientProvider client={queries}>
      <Builder resource={null} kind={{ name: 'Dashboard', plural: 'dashboards', doc: '' }} />
    </QueryClientProvider>,
  );
  const holds = (sure: () => void) => vi.waitFor(sure, { timeout: 20_000 });
  const kpi = () => [...place.querySelectorAll('button')].find(button => button.textContent === 'KPI');
  await holds(() => expect(place.textContent).toContain('Add chart'));
  expect(kpi()).toBeUndefined();
  const columns = [{ name: 'amount', type: 'double' }];
  come(new Response(JSON.stringify({ items: [{ schema: 'public', name: 'orders', columns }] })));
  await holds(() => expect(kpi()).toBeDefined());
  kpi()?.click();
  await holds(() => expect(place.textContent).toContain('Chart: orders rows'));
  root.unmount();
});
