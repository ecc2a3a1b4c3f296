import { beforeEach, expect, test } from 'vitest';
import { clear, push, type Sample } from './figures.ts';
import type { Graph } from './graph/graph.tsx';
import { share, withFigures } from './steps.ts';

beforeEach(clear);

const box = (id: string, kind: string, name: string) => ({ id, kind, name });
const graph: Graph = {
  vertices: [
    box('Stream/clicks', 'Stream', 'clicks'),
    { ...box('step/0', 'transform', 'shape'), meta: '.n = 1' },
    {
      ...box('steps/step/1', '2 in a row', 'Lookups'),
      inside: [{ vertices: [box('step/1', 'lookup', 'geo')], arcs: [] }],
    },
    box('Table/bans', 'Table', 'bans'),
  ],
  arcs: [
    { from: 'Stream/clicks', to: 'step/0' },
    { from: 'step/0', to: 'steps/step/1' },
    { from: 'steps/step/1', to: 'Table/bans', label: 'when .ban' },
  ],
};

function seconds(samples: (second: number) => Sample[]) {
  for (const second of [0, 1, 2]) push(second * 1_000, samples(second), second === 0);
}

test('each line says how many events pass, and each box what becomes of them', () => {
  const of = (step: string) => ({ pipeline: 'p', step });
  seconds(second => [
    ['hw_flow_step_events_total', of('shape'), second * 100],
    ['hw_flow_step_events_total', of('geo'), second * 90],
    ['hw_flow_step_dropped_total', of('shape'), second * 8],
    ['hw_flow_step_dead_letters_total', of('shape'), second * 2],
    ['hw_flow_step_seconds_total', of('shape'), second * 0.2],
    ['hw_flow_written_total', { pipeline: 'p', stream: 'table.bans' }, second * 5],
  ]);
  const shown = withFigures(graph, 'p');
  expect(shown.arcs.map(arc => arc.label)).toEqual(['100 /s', '90 /s', '5.0 /s · when .ban']);
  const [, shape] = shown.vertices;
  expect(shape?.meta).toBe('20 % of the time · 8.0 dropped/s · 2.0 errors/s · .n = 1');
  expect(shape?.look).toContain('bad');
});

test('without figures the graph is as the spec says', () => {
  const shown = withFigures(graph, 'p');
  expect(shown.arcs.map(arc => arc.label)).toEqual([undefined, undefined, 'when .ban']);
  expect(shown.vertices[1]?.meta).toBe('.n = 1');
});

test('a share of time is rounded, and small ones are not nothing', () => {
  expect([Number.NaN, 0, 0.004, 0.126, 1.3].map(share)).toEqual([
    '',
    '',
    'under 1 % of the time',
    '13 % of the time',
    '100 % of the time',
  ]);
});
