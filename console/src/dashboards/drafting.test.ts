import { afterEach, expect, test, vi } from 'vitest';
import { Refusal } from '../api.ts';
import { opened } from './drafting.ts';
import { draftOf, overtaken, Shared } from './shared.ts';

afterEach(() => vi.unstubAllGlobals());

/** A node with drafts, and what it was asked for. */
function node() {
  const drafts = new Map<string, { text: string; version: number }>();
  const asked: string[] = [];
  let versions = 100;
  const refuse = (status: number, code: string) => new Response(JSON.stringify({ code, title: 'refused' }), { status });
  vi.stubGlobal('fetch', async (address: string, { method = 'GET', headers, body }: RequestInit = {}) => {
    asked.push(`${method} ${address}`);
    const name = address.split('/')[3] ?? '';
    const seen = Number(((headers as Record<string, string>)?.['if-match'] ?? '"0"').slice(1, -1));
    const there = drafts.get(name);
    if (method === 'GET')
      return there ? new Response(JSON.stringify({ name, ...there })) : refuse(404, 'HW-KERNEL-039');
    if (seen !== (there?.version ?? 0)) return refuse(there ? 409 : 404, there ? 'HW-KERNEL-038' : 'HW-KERNEL-039');
    if (method === 'PUT') {
      versions += 1;
      drafts.set(name, { text: String(body), version: versions });
      return new Response(JSON.stringify({ name, version: versions }));
    }
    drafts.delete(name);
    return new Response('{}');
  });
  return { drafts, asked };
}

test('each change goes over the one before, in the order in which they were made', async () => {
  const { drafts, asked } = node();
  const shared = new Shared('sales', 0);
  await Promise.all([shared.keep('sales', 'one', 3), shared.keep('sales', 'two', 3), shared.keep('sales', 'three', 3)]);
  expect(drafts.get('sales')).toEqual({ text: 'three', version: shared.version });
  expect(asked[0]).toBe('PUT /v1/dashboards/sales/draft?resourceVersion=3');
  await shared.publish();
  expect([asked.at(-1), shared.version, drafts.size]).toEqual(['POST /v1/dashboards/sales/draft/publish', 0, 0]);
});

test('nobody overwrites what they have not seen, unless they say so', async () => {
  const { drafts } = node();
  const [mine, theirs] = [new Shared('sales', 0), new Shared('sales', 0)];
  await mine.keep('sales', 'mine', 0);
  const refused = await theirs.keep('sales', 'theirs', 0).catch(error => error);
  expect([refused instanceof Refusal, overtaken(refused)]).toEqual([true, true]);
  expect(drafts.get('sales')?.text).toBe('mine');
  theirs.seen('sales', (await draftOf('sales'))?.version ?? 0);
  await theirs.keep('sales', 'theirs', 0);
  expect(drafts.get('sales')?.text).toBe('theirs');
  // After a refusal the next request is made all the same.
  await expect(mine.keep('sales', 'mine', 0)).rejects.toThrow();
  await mine.keep('other', 'mine', 0).catch(() => undefined);
  expect(drafts.get('other')?.text).toBe('mine');
});

test('a draft moves with its name, and one that is gone is discarded already', async () => {
  const { drafts } = node();
  const shared = new Shared('', 0);
  await shared.keep('a', 'text', 0);
  await shared.keep('b', 'text', 0);
  expect([...drafts.keys()]).toEqual(['b']);
  drafts.clear();
  await shared.keep('b', null, 0);
  expect([shared.version, await draftOf('b')]).toEqual([0, null]);
});

test('what the node has not goes before what it has, and says when both have changed', () => {
  const resource = {
    apiVersion: 'headwater.dev/v1',
    kind: 'Dashboard',
    metadata: { name: 'sales', generation: 2, resourceVersion: 4 },
    spec: {},
    status: { ready: 'true' as const },
  };
  const theirs = { name: 'sales', version: 9, resourceVersion: 3, who: 'asha', time: '', text: 'theirs' };
  const mine = { text: 'mine', base: 'stored', resourceVersion: 3, version: 9 };
  const begin = { resource, stored: 'stored', theirs: null };
  expect(opened(begin, null).draft).toEqual({ text: 'stored', base: 'stored', resourceVersion: 4, version: 0 });
  expect(opened({ ...begin, theirs }, null)).toEqual({
    draft: { text: 'theirs', base: 'stored', resourceVersion: 3, version: 9 },
    where: 'node',
  });
  expect(opened({ ...begin, theirs }, mine)).toEqual({ draft: mine, where: 'browser' });
  expect(opened({ ...begin, theirs: { ...theirs, version: 10 } }, mine).where).toBe('overtaken');
  expect(opened(begin, mine).where).toBe('overtaken');
  // One of a browser that has kept it before there were drafts on the node.
  expect(opened(begin, { text: 'mine', base: 'stored', resourceVersion: 4 }).where).toBe('browser');
  expect(opened(begin, { text: 'stored', base: 'stored', resourceVersion: 5 }).draft.resourceVersion).toBe(4);
  expect(opened({ resource: null, stored: 'blank', theirs }, null).draft.base).toBe('');
});
