import { expect, test } from 'vitest';
import { condition, type HistoryEvent, machineGraph, visits } from './machine.ts';

const definition = {
  StartAt: 'A',
  States: {
    A: { Type: 'Choice', Choices: [{ Variable: '$.n', NumericGreaterThan: 3, Next: 'P' }], Default: 'F' },
    P: {
      Type: 'Parallel',
      Branches: [{ StartAt: 'X', States: { X: { Type: 'Pass', End: true } } }],
      Catch: [{ ErrorEquals: ['States.ALL'], Next: 'F' }],
      Next: 'A',
    },
    F: { Type: 'Fail' },
  },
};

test('a definition is drawn with choices, errors, ways back and inner machines', () => {
  const { vertices, arcs } = machineGraph(definition);
  expect(vertices.map(({ name }) => name)).toEqual(['Start', 'A', 'P', 'F']);
  expect(vertices[2]?.inside?.[0]?.vertices.map(({ name }) => name)).toEqual(['X']);
  expect(arcs.map(({ from, to, label }) => `${from.replace('\0start', '*')}>${to} ${label ?? ''}`.trim())).toEqual([
    '*>A',
    'A>P $.n > 3',
    'A>F otherwise',
    'P>A',
    'P>F on States.ALL',
  ]);
});

test('what is no definition is drawn as nothing', () => {
  expect(machineGraph({ States: { A: 5 }, StartAt: 'B' }).arcs).toEqual([]);
  expect(machineGraph(null).vertices).toHaveLength(1);
});

test('conditions are short in both languages', () => {
  expect(condition({ Condition: '{% $x > 1 %}' })).toBe('$x > 1');
  expect(
    condition({ And: [{ Variable: '$.a', IsPresent: true }, { Not: { Variable: '$.b', StringEquals: 'x' } }] }),
  ).toBe('$.a IsPresent and not $.b = "x"');
});

const event = (id: number, previousEventId: number, type: string, details: object = {}): HistoryEvent => ({
  id,
  previousEventId,
  type,
  timestamp: id,
  ...details,
});
const entered = (name: string) => ({ stateEnteredEventDetails: { name } });
const exited = (name: string) => ({ stateExitedEventDetails: { name } });

test('two branches in states of one name are told apart by the chain of events', () => {
  const found = visits([
    event(1, 0, 'ExecutionStarted'),
    event(2, 1, 'ParallelStateEntered', entered('Both')),
    event(3, 2, 'ParallelStateStarted'),
    event(4, 3, 'WaitStateEntered', entered('W')),
    event(5, 3, 'WaitStateEntered', entered('W')),
    event(6, 5, 'WaitStateExited', exited('W')),
    event(7, 4, 'WaitStateExited', exited('W')),
    event(8, 7, 'ParallelStateSucceeded'),
    event(9, 8, 'ParallelStateExited', exited('Both')),
    event(10, 9, 'ExecutionSucceeded'),
  ]);
  expect(found.map(({ name, entered, exited, failed }) => [name, entered, exited, failed])).toEqual([
    ['Both', 2_000, 9_000, false],
    ['W', 4_000, 7_000, false],
    ['W', 5_000, 6_000, false],
  ]);
});

test('a failed branch ends with its parallel state, and what runs has no end', () => {
  const events = [
    event(1, 0, 'ExecutionStarted'),
    event(2, 1, 'ParallelStateEntered', entered('Both')),
    event(3, 2, 'ParallelStateStarted'),
    event(4, 3, 'TaskStateEntered', entered('Pay')),
    event(5, 4, 'TaskScheduled'),
    event(6, 5, 'TaskFailed'),
    event(7, 2, 'ParallelStateFailed'),
    event(8, 7, 'ParallelStateExited', exited('Both')),
    event(9, 8, 'WaitStateEntered', entered('Later')),
  ];
  const found = visits(events);
  expect(found.find(({ name }) => name === 'Both')).toMatchObject({ exited: 8_000, failed: true });
  expect(found.find(({ name }) => name === 'Later')?.exited).toBeUndefined();
  const after = visits([...events, event(10, 9, 'ExecutionAborted')]);
  expect(after.find(({ name }) => name === 'Later')).toMatchObject({ exited: 10_000, failed: true });
});
