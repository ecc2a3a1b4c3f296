import { QueryObserver } from '@tanstack/react-query';
import { afterEach, expect, test, vi } from 'vitest';
import type { Resource } from './api.ts';
import { apply, changed, listed, queries, RESOURCES, refusal, tell } from './api.ts';
import { turned } from './editor/enabled.ts';
import { authored } from './editor/text.ts';
import { keepUnsaved, unsaved } from './editor/unsaved.ts';
import { yamlOf } from './editor/yaml.ts';
import type { Sample } from './figures.ts';
import { bytes, count, perSecond, span, time } from './format.ts';
import { Exact } from './json.ts';
import { askFailed, askMoved, caughtUp } from './live.ts';
import { follow } from './ndjson.ts';
import { aim, meaning } from './pages/groups.tsx';
import { path, steps } from './router.tsx';
import { post } from './rows.ts';
import { schemaRows } from './ui/schema.tsx';
import { reads, users, writes } from './wiring.ts';

const resource = (kind: string, name: string, spec: Record<string, unknown> = {}): Resource => ({
  apiVersion: 'headwater.dev/v1',
  kind,
  metadata: { name, generation: 1, resourceVersion: 7, labels: { team: 'a', 'headwater.dev/origin': 'log' } },
  spec,
  status: { ready: 'true' },
});

test('paths hold any name', () => {
  for (const name of ['a.b', 'ü/ä', '100%', '..', 'a b?c#d'])
    expect(steps(path(['streams', name]))).toEqual(['streams', name]);
  expect(steps('/console/%zz')).toEqual(['%zz']);
});

test('figures are short', () => {
  expect([count(1_234), count(12_345_678), count(Number.NaN)]).toEqual(['1,234', '12.3M', '–']);
  expect([perSecond(0), perSecond(1.25), perSecond(1_500)]).toEqual(['0', '1.3', '1,500']);
  expect([bytes(10), bytes(1_536), bytes(200 * 1_048_576)]).toEqual(['10 B', '1.5 KiB', '200 MiB']);
  expect([span(5), span(1_500), span(65_000), span(7_200_000), span(259_200_000)]).toEqual([
    '5 ms',
    '1.5 s',
    '1 min 5 s',
    '2 h 0 min',
    '3 d 0 h',
  ]);
  expect(time('2026-01-02T03:04:05', new Date('2026-05-01T00:00:00'))).toBe('2026-01-02 03:04:05');
});

test('an answer cut anywhere gives whole lines', async () => {
  const text = '{"a":"ü"}\n\n{"b":[1,2]}\n{"c":3}\n';
  const raw = new TextEncoder().encode(text);
  for (let cut = 1; cut < raw.length; cut += 1) {
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(raw.slice(0, cut));
        controller.enqueue(raw.slice(cut));
        controller.close();
      },
    });
    const lines: string[] = [];
    await follow({ body } as Response, more => lines.push(...more));
    expect(lines).toEqual(['{"a":"ü"}', '{"b":[1,2]}', '{"c":3}']);
  }
});

test("a refusal is the node's problem, or says the status", () => {
  const body = JSON.stringify({
    code: 'HW-A-001',
    title: 'first',
    problems: [
      { code: 'HW-A-001', title: 'first' },
      { code: 'HW-A-002', title: 'second' },
    ],
  });
  expect(refusal(body, 400).all.map(({ title }) => title)).toEqual(['first', 'second']);
  expect(refusal('<html>', 502).problem.title).toBe('the node answered with status 502');
});

test('changes come into the list, new, again and gone', () => {
  const [a, b] = [resource('Stream', 'a'), resource('Stream', 'b')];
  const newer = { ...a, spec: { partitions: 2 } };
  expect(changed([a], { type: 'changed', resource: b })).toEqual([a, b]);
  expect(changed([a, b], { type: 'changed', resource: newer })).toEqual([newer, b]);
  expect(changed([a, b], { type: 'deleted', kind: 'Stream', name: 'a' })).toEqual([b]);
  expect(changed([a], { type: 'deleted', kind: 'Table', name: 'a' })).toEqual([a]);
});

test('a list that is older than what was told meanwhile does not undo it', async () => {
  const [old, newer] = [resource('Stream', 'a'), { ...resource('Stream', 'a'), spec: { partitions: 2 } }];
  let answer: (body: string) => void = () => undefined;
  const body = new Promise<string>(done => {
    answer = done;
  });
  vi.stubGlobal('fetch', async () => new Response(await body));
  const asked = queries.fetchQuery({ queryKey: RESOURCES, queryFn: listed });
  tell({ type: 'changed', resource: newer });
  tell({ type: 'changed', resource: resource('Stream', 'b') });
  answer(JSON.stringify({ items: [old, resource('Stream', 'gone')] }));
  tell({ type: 'deleted', kind: 'Stream', name: 'gone' });
  expect(await asked).toEqual([newer, resource('Stream', 'b')]);
  queries.clear();
});

test('what is sent has numbers as they came', async () => {
  const sent: unknown[] = [];
  vi.stubGlobal('fetch', (_: string, { body }: RequestInit) => {
    sent.push(body);
    return Promise.resolve(new Response('{"rows":[]}'));
  });
  await post('/v1/charts', { filters: { id: [new Exact('9007199254740993')] }, time: undefined });
  expect(sent).toEqual(['{"filters":{"id":[9007199254740993]}}']);
});

test('a resource that becomes ready is told from one that was', () => {
  const waits: Resource = { ...resource('Stream', 'a'), status: { ready: 'unknown' } };
  queries.setQueryData(RESOURCES, [waits]);
  expect(tell({ type: 'changed', resource: resource('Stream', 'a') })).toBe(true);
  expect(tell({ type: 'changed', resource: resource('Stream', 'a') })).toBe(false);
  expect(tell({ type: 'changed', resource: waits })).toBe(false);
  expect(tell({ type: 'changed', resource: resource('Table', 'new') })).toBe(true);
  expect(tell({ type: 'deleted', kind: 'Table', name: 'new' })).toBe(false);
  queries.clear();
});

test('after a gap what failed is asked again, and an answer that a reader asked for stands', async () => {
  let refused = true;
  const asked: string[] = [];
  const look = (what: string) => {
    const queryFn = (): Promise<string> => {
      asked.push(what);
      return refused && what.startsWith('failed') ? Promise.reject(new Error(what)) : Promise.resolve(what);
    };
    const observer = new QueryObserver(queries, { queryKey: [what.split(' ')[1], what], queryFn, retry: false });
    return observer.subscribe(() => undefined);
  };
  const ends = ['failed chart', 'failed sql', 'good chart', 'good sql', 'good groups'].map(look);
  await vi.waitFor(() => expect(queries.isFetching()).toBe(0));
  refused = false;
  asked.length = 0;
  askFailed();
  await vi.waitFor(() => expect(queries.isFetching()).toBe(0));
  expect(asked).toEqual(['failed chart']);
  asked.length = 0;
  caughtUp();
  await vi.waitFor(() => expect(queries.isFetching()).toBe(0));
  expect(asked).toEqual(['good groups']);
  for (const end of ends) end();
  queries.clear();
});

test('lists of executions are asked again when some began or ended, one time after the other', async () => {
  vi.useFakeTimers();
  let asked = 0;
  const queryFn = async () => {
    asked += 1;
    return asked;
  };
  const end = new QueryObserver(queries, { queryKey: ['executions', {}], queryFn }).subscribe(() => undefined);
  const after = async (ms: number) => {
    await vi.advanceTimersByTimeAsync(ms);
    return asked;
  };
  expect(await after(10)).toBe(1);
  void askMoved([['hw_flow_events_total', {}, 7]]);
  expect(await after(5_000)).toBe(1);
  const began: Sample[] = [['hw_work_executions_started_total', {}, 1]];
  void askMoved(began);
  expect(await after(10)).toBe(2);
  // What is told while the answers stand is asked once, and is not forgotten.
  void askMoved(began);
  void askMoved(began);
  expect(await after(500)).toBe(2);
  expect(await after(1_000)).toBe(3);
  expect(await after(10_000)).toBe(3);
  end();
  queries.clear();
  vi.useRealTimers();
});

test('what figures speak of is asked again when they change', async () => {
  vi.useFakeTimers();
  const asked: string[] = [];
  let state = 'RUNNING';
  const look = (queryKey: string[], answer: () => unknown) => {
    const queryFn = async () => {
      asked.push(queryKey.join(' '));
      return answer();
    };
    return new QueryObserver(queries, { queryKey, queryFn }).subscribe(() => undefined);
  };
  const ends = [
    look(['execution', 'pay/a'], () => ({ state })),
    look(['history', 'pay/a'], () => []),
    look(['partitions', 'carts'], () => []),
    look(['partitions', 'orders'], () => []),
  ];
  await vi.advanceTimersByTimeAsync(10);
  const after = async (changed: Sample[] | null) => {
    asked.length = 0;
    void askMoved(changed);
    await vi.advanceTimersByTimeAsync(2_000);
    return asked.toSorted();
  };
  const taken = (stream: string): Sample => ['hw_log_stream_events_total', { stream }, 1];
  expect(await after([taken('orders')])).toEqual(['partitions orders']);
  expect(await after([['hw_log_syncs_total', {}, 1]])).toEqual([]);
  state = 'SUCCEEDED';
  expect(await after([taken('headwater.work.history')])).toEqual(['execution pay/a', 'history pay/a']);
  // It has ended now.
  expect(await after([taken('headwater.work.history')])).toEqual([]);
  // Where it is not known what has changed, everything may have.
  expect((await after(null)).length).toBe(ends.length);
  for (const end of ends) end();
  queries.clear();
  vi.useRealTimers();
});

test('where a group reads on is asked as the node reads it, once it is said', () => {
  expect([aim('earliest', ''), aim('latest', '7')]).toEqual([{ to: 'earliest' }, { to: 'latest' }]);
  expect(aim('time', '2026-11-23T08:00')).toEqual({ to: '2026-11-23T08:00:00Z' });
  expect(aim('time', '2026-11-23T08:00:05')).toEqual({ to: '2026-11-23T08:00:05Z' });
  expect([aim('offset', '0'), aim('last', '10'), aim('by', '-5')]).toEqual([{ to: '0' }, { to: '-10' }, { by: '-5' }]);
  // The last none would be read as the offset 0.
  expect([aim('time', ''), aim('offset', '-1'), aim('last', '0'), aim('by', '1.5')]).toEqual([null, null, null, null]);
});

test('what it means for a group is told in records', () => {
  const of = (...steps: [number | null, number][]) =>
    meaning({
      partitions: steps.map(([before, after], partition) => ({
        stream: 's',
        partition,
        before,
        after,
        end: after,
        lag: 0,
      })),
    });
  expect(of([10, 4], [5, 5])).toBe('It reads 6 records again.');
  expect(of([10, 4], [5, 6])).toBe('It reads 6 records again and never reads 1 record.');
  expect(of([null, 4], [5, 5])).toBe('It goes on where it is.');
});

test('who reads and writes what', () => {
  const pipeline = resource('Pipeline', 'p', {
    source: { type: 'stream', stream: 'in' },
    steps: [
      { type: 'lookup', lookup: { type: 'table', table: 'users' } },
      { type: 'window', output: { stream: 'sums' } },
    ],
    outputs: [
      { type: 'stream', stream: 'out' },
      { type: 'table', table: 'kept', key: '.id' },
    ],
  });
  const rule = resource('Rule', 'r', {
    pattern: {},
    targets: [
      { type: 'log', note: 'seen' },
      { type: 'workflow', workflow: 'w' },
    ],
  });
  const names = (ends: { kind: string; name: string }[]) => ends.map(({ kind, name }) => `${kind} ${name}`);
  expect(names(reads(pipeline))).toEqual(['Stream in', 'Table users']);
  expect(names(writes(pipeline))).toEqual(['Stream out', 'Table kept', 'Stream sums', 'Stream p.dead']);
  expect(names(reads(rule))).toEqual(['Stream bus.default']);
  expect(names(writes(rule))).toEqual(['log seen', 'Workflow w']);
  expect(users([pipeline, rule], { kind: 'Table', name: 'users' }).readers).toEqual([pipeline]);
  expect(reads(resource('Pipeline', 'odd', { source: 5, steps: 'x' }))).toEqual([]);
});

test('a resource as YAML has what a person wrote, lines as lines, numbers as numbers', () => {
  const yaml = yamlOf(
    resource('Pipeline', 'p', {
      program: 'a = 1\nb = 2\n',
      max: new Exact('9007199254740993'),
      prices: [new Exact('0.12345678901234567890'), new Exact('-1e-400'), 1.5],
    }),
  );
  expect(yaml).toBe(`apiVersion: headwater.dev/v1
kind: Pipeline
metadata:
  name: p
  labels:
    team: a
spec:
  program: |
    a = 1
    b = 2
  max: 9007199254740993
  prices:
    - 0.12345678901234567890
    - -1e-400
    - 1.5
`);
});

afterEach(() => vi.unstubAllGlobals());

test("an editor begins with the author's text, as long as it is of the state that is shown", async () => {
  const answers = (headers: Record<string, string>, status = 200, body = '# why\na: 1\n') =>
    vi.stubGlobal('fetch', (address: string, init: RequestInit) => {
      expect([address, init.headers]).toEqual(['/v1/pipelines/p', { accept: 'application/yaml' }]);
      return Promise.resolve(new Response(body, { status, headers }));
    });
  const ask = () => authored('pipelines', resource('Pipeline', 'p'));
  answers({ etag: '"7"', 'headwater-text': 'author' });
  expect(await ask()).toBe('# why\na: 1\n');
  answers({ etag: '"7"', 'headwater-text': 'generated' });
  expect(await ask()).toBe(null);
  answers({ etag: '"8"', 'headwater-text': 'author' });
  expect(await ask()).toBe(null);
  answers({}, 404, '{"code":"HW-KERNEL-012","title":"there is no `Pipeline/p`"}');
  await expect(ask()).rejects.toThrow('there is no `Pipeline/p`');
});

test('what is typed is kept by its place until it is applied, of the places that were typed at last', () => {
  const typed = { text: 'a: 1', version: 3 };
  keepUnsaved('streams/a', typed);
  expect([unsaved('streams/a'), unsaved('streams/b')]).toEqual([typed, undefined]);
  keepUnsaved('streams/a', null);
  expect(unsaved('streams/a')).toBeUndefined();
  for (let number = 0; number < 30; number += 1) keepUnsaved(`streams/${number}`, typed);
  expect([unsaved('streams/9'), unsaved('streams/10')]).toEqual([undefined, typed]);
});

test('an apply goes on from a version, and tells the one that it made', async () => {
  const asked: unknown[] = [];
  vi.stubGlobal('fetch', (address: string, { headers }: RequestInit) => {
    asked.push([address, headers]);
    return Promise.resolve(new Response('{"resources":[],"actions":[]}', { headers: { etag: '"4"' } }));
  });
  const { version } = await apply('kind: Stream', { plural: 'streams', name: 'a', version: 3 }, false);
  expect(version).toBe(4);
  expect(asked).toEqual([['/v1/streams/a?file=editor', { 'content-type': 'application/yaml', 'if-match': '"3"' }]]);
});

test('a resource rests and goes on, and what its author wrote beside that stays', async () => {
  const answers = (text: string) => {
    const headers = { etag: '"7"', 'headwater-text': 'author' };
    vi.stubGlobal('fetch', () => Promise.resolve(new Response(text, { headers })));
  };
  answers('# why\nkind: Rule\nspec:\n  pattern: {}\n');
  const resting = await turned('rules', resource('Rule', 'r'), false);
  expect(resting).toBe('# why\nkind: Rule\nspec:\n  pattern: {}\n  enabled: false\n');
  answers(resting);
  expect(await turned('rules', resource('Rule', 'r'), true)).toBe('# why\nkind: Rule\nspec:\n  pattern: {}\n');
});

test('a schema is shown by its keys, references followed, circles left', () => {
  const schema = {
    properties: {
      a: { $ref: '#/$defs/A', description: 'here' },
      b: { anyOf: [{ $ref: '#/$defs/B' }, { type: 'null' }] },
      c: { type: ['string', 'null'] },
    },
    required: ['a'],
    $defs: {
      A: { type: 'object', properties: { x: { type: 'integer', minimum: 1 } } },
      B: { oneOf: [{ const: 'p' }, { const: 'q' }] },
    },
  };
  expect(schemaRows(schema).map(({ path, type, required, about }) => [path, type, required, about])).toEqual([
    ['a', 'object', true, 'here'],
    ['a.x', 'integer', false, '(minimum 1)'],
    ['b', '"p" | "q"', false, ''],
    ['c', 'string', false, ''],
  ]);
  const circle = { properties: { a: { $ref: '#' } } };
  expect(schemaRows(circle).length).toBeLessThan(20);
});
