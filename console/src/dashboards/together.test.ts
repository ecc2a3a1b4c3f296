import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Chart } from './spec.ts';
import { askTogether } from './together.ts';

/** A question that has reached the node, which answers as a test says. */
interface Arrived {
  body: { spec?: { charts: Chart[] }; time?: unknown; charts: { chart: string }[] };
  reader: string | undefined;
  signal: AbortSignal;
  say: (...lines: unknown[]) => void;
  end: () => void;
}

let arrived: Arrived[];
let refusal: Response | null;

beforeEach(() => {
  arrived = [];
  refusal = null;
  vi.stubGlobal('fetch', async (address: string, init: RequestInit) => {
    expect(address).toBe('/v1/charts/together');
    if (refusal) return refusal;
    let body: ReadableStreamDefaultController<Uint8Array> | undefined;
    const stream = new ReadableStream<Uint8Array>({
      start: controller => {
        body = controller;
      },
    });
    const signal = init.signal as AbortSignal;
    signal.addEventListener('abort', () => body?.error(signal.reason));
    arrived.push({
      body: JSON.parse(init.body as string),
      reader: (init.headers as Record<string, string>)['headwater-principal'],
      signal,
      say: (...lines) => {
        for (const line of lines) body?.enqueue(new TextEncoder().encode(`${JSON.stringify(line)}\n`));
      },
      end: () => body?.close(),
    });
    return new Response(stream);
  });
});

afterEach(() => {
  vi.unstubAllGlobals();
});

const ask = (chart: string, more: object = {}, reader = '', signal = new AbortController().signal) =>
  askTogether({ dashboard: 'shop', chart, filters: {}, drill: [], ...more }, reader, signal);

/** The questions that are under way once the page has had its turn. */
const questions = (number: number) => vi.waitFor(() => expect(arrived.length).toBe(number));

const drawn = (query: string) => ({ query, grain: null, axes: 0, columns: [], rows: [] });

test('charts that are asked at once are one question, and each is answered as soon as it is ready', async () => {
  const [a, b] = [ask('a', { filters: { country: ['CH'] } }), ask('b', { drill: ['x'] })];
  await questions(1);
  const [question] = arrived;
  expect(question?.body).toEqual({
    dashboard: 'shop',
    charts: [
      { chart: 'a', filters: { country: ['CH'] }, drill: [] },
      { chart: 'b', filters: {}, drill: ['x'] },
    ],
  });
  question?.say({ chart: 'b', ...drawn('second') });
  expect(await b).toEqual(drawn('second'));
  question?.say({ chart: 'a', problem: { code: 'HW-LAKE-041', title: 'no such column' } });
  await expect(a).rejects.toMatchObject({ problem: { code: 'HW-LAKE-041' } });
  question?.end();
});

test('what differs in more than the chart is another question', async () => {
  const all = [
    ask('a'),
    ask('b', {}, 'asha'),
    ask('c', { time: { last: '1d' } }),
    ask('a', { filters: { x: [1] } }),
    ask('d'),
  ];
  await questions(4);
  expect(arrived.map(({ body, reader }) => [body.charts.map(it => it.chart).join(), reader, body.time])).toEqual([
    ['a', undefined, undefined],
    ['b', 'asha', undefined],
    ['c', undefined, { last: '1d' }],
    ['a,d', undefined, undefined],
  ]);
  for (const { body, say } of arrived) say(...body.charts.map(({ chart }) => ({ chart, ...drawn(chart) })));
  await Promise.all(all);
  const many = Array.from({ length: 51 }, (_, n) => ask(`c${n}`));
  await questions(6);
  expect(arrived.slice(4).map(({ body }) => body.charts.length)).toEqual([50, 1]);
  for (const { body, say } of arrived.slice(4)) say(...body.charts.map(({ chart }) => ({ chart, ...drawn(chart) })));
  await Promise.all(many);
});

test('a draft goes with the charts that are asked', async () => {
  const chart = (id: string): Chart => ({ id, type: 'kpi', from: 'orders' });
  const draft = (id: string) => ({ dashboard: undefined, spec: { title: 'Shop', charts: [chart(id)] } });
  const all = [ask('a', draft('a')), ask('b', draft('b'))];
  await questions(1);
  expect(arrived[0]?.body.spec).toEqual({ title: 'Shop', charts: [chart('a'), chart('b')] });
  arrived[0]?.say({ chart: 'a', ...drawn('a') }, { chart: 'b', ...drawn('b') });
  await Promise.all(all);
});

test('a question is given up when nobody waits for any of it', async () => {
  const [one, other, third] = [new AbortController(), new AbortController(), new AbortController()];
  const [a, b] = [ask('a', {}, '', one.signal), ask('b', {}, '', other.signal)];
  const left = ask('c', {}, '', third.signal);
  third.abort();
  await expect(left).rejects.toBe(third.signal.reason);
  await questions(1);
  expect(arrived[0]?.body.charts.map(it => it.chart)).toEqual(['a', 'b']);
  one.abort();
  await expect(a).rejects.toBe(one.signal.reason);
  expect(arrived[0]?.signal.aborted).toBe(false);
  other.abort();
  await expect(b).rejects.toBe(other.signal.reason);
  expect(arrived[0]?.signal.aborted).toBe(true);
  // Nobody waits for the first one any more: the same chart is asked anew.
  const again = ask('a');
  await questions(2);
  arrived[1]?.say({ chart: 'a', ...drawn('again') });
  expect(await again).toEqual(drawn('again'));
});

test('all that wait are told when the node refuses or breaks off', async () => {
  const told = Promise.allSettled([ask('a'), ask('b')]);
  await questions(1);
  arrived[0]?.say({ chart: 'a', ...drawn('a') });
  arrived[0]?.end();
  expect(await told).toMatchObject([
    { value: drawn('a') },
    { reason: { problem: { title: 'the answer of the node broke off' } } },
  ]);
  refusal = new Response(JSON.stringify({ code: 'HW-KERNEL-012', title: 'there is no Dashboard' }), { status: 404 });
  const both = await Promise.allSettled([ask('a'), ask('b')]);
  for (const one of both) expect(one).toMatchObject({ reason: { status: 404, problem: { code: 'HW-KERNEL-012' } } });
  vi.stubGlobal('fetch', () => Promise.reject(new TypeError('no network')));
  await expect(ask('a')).rejects.toMatchObject({ status: 0, problem: { title: 'the node does not answer' } });
});
