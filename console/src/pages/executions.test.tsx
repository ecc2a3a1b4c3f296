import { QueryClientProvider } from '@tanstack/react-query';
import { createRoot } from 'react-dom/client';
import { afterEach, expect, test, vi } from 'vitest';
import { queries } from '../api.ts';
import { ExecutionPage } from './executions.tsx';

afterEach(() => {
  queries.clear();
  vi.unstubAllGlobals();
});

const entered = {
  id: 1,
  previousEventId: 0,
  timestamp: 1,
  type: 'WaitStateEntered',
  stateEnteredEventDetails: { name: 'Review' },
};
const aborted = { id: 2, previousEventId: 1, timestamp: 2, type: 'ExecutionAborted' };

test('the end is read, although a history that was asked for before it came after it', {
  timeout: 60_000,
}, async () => {
  const place = document.createElement('div');
  const histories: string[] = [];
  let executions = 0;
  const holds = (sure: () => void) => vi.waitFor(sure, { timeout: 20_000 });
  const shows = (words: string) => holds(() => expect(place.textContent).toContain(words));
  vi.stubGlobal('fetch', async (address: string) => {
    const answer = (value: unknown) => new Response(JSON.stringify(value));
    if (address.endsWith('/definition')) return new Promise(() => undefined);
    if (!address.includes('/history')) {
      executions += 1;
      const about = { id: 'refund/a', workflow: 'refund', started: '1970-01-01T00:00:01Z' };
      if (executions === 1) return answer({ ...about, state: 'RUNNING' });
      await holds(() => expect(histories.length).toBeGreaterThan(1));
      return answer({ ...about, state: 'ABORTED' });
    }
    histories.push(address);
    if (histories.length === 1) return answer({ events: [entered] });
    if (histories.length > 2) return answer({ events: [aborted] });
    await shows('Aborted');
    return answer({ events: [] });
  });
  const root = createRoot(place);
  root.render(
    <QueryClientProvider client={queries}>
      <ExecutionPage workflow="refund" name="a" />
    </QueryClientProvider>,
  );
  await shows('Review');
  await shows('running');
  // As the live connection has both asked again when a figure changes.
  void queries.invalidateQueries();
  await shows('failed');
  expect(histories.at(-1)).toContain('after=1');
  root.unmount();
});
