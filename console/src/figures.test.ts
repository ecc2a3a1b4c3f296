import { beforeEach, expect, test } from 'vitest';
import {
  clear,
  course,
  HISTORY,
  history,
  LETTERS,
  push,
  rate,
  rates,
  ratesOf,
  readable,
  type Sample,
  value,
  valuesOfLabel,
} from './figures.ts';

beforeEach(clear);

test('what is not told stays as it was; sums go over labels', () => {
  push(
    1_000,
    [
      ['n', { of: 'a' }, 1],
      ['n', { of: 'b' }, 10],
    ],
    true,
  );
  push(2_000, [['n', { of: 'a' }, 2]], false);
  expect(value('n', { of: 'a' })).toBe(2);
  expect(value('n')).toBe(12);
  expect(course('n')).toEqual([11, 12]);
  expect(valuesOfLabel('n', 'of')).toEqual(['a', 'b']);
  expect(value('other')).toBeNaN();
});

test('a rate is growth over the last seconds, and never below nothing', () => {
  for (const [second, n] of [0, 10, 30, 60, 0, 5].entries()) push(second * 1_000, [['n', {}, n]], second === 0);
  expect(rates('n', {}, 1)).toEqual([Number.NaN, 10, 20, 30, 0, 5]);
  expect(rate('n', {}, 2)).toBe(0);
});

test('dead letters are those of pipelines, rules, datasets and forecasts together', () => {
  const letters = (n: number): Sample[] => ['flow', 'lake'].map(part => [`hw_${part}_dead_letters_total`, {}, n]);
  push(0, letters(0), true);
  push(1_000, [...letters(2), ['hw_watch_dead_letters_total', {}, 5]], false);
  push(2_000, [['hw_watch_dead_letters_total', {}, 6]], false);
  expect(ratesOf(LETTERS, 1)).toEqual([Number.NaN, 4, 1]);
});

test('what is gone has no value, and the history is bounded', () => {
  push(
    0,
    [
      ['gone', {}, 1],
      ['here', {}, 1],
    ],
    true,
  );
  push(1_000, [['here', {}, 1]], true);
  expect(value('here')).toBe(1);
  expect(value('gone')).toBeNaN();
  expect(course('gone')).toEqual([1, Number.NaN]);
  for (let second = 2; second < HISTORY + 50; second += 1) push(second * 1_000, [], false);
  expect(history()).toHaveLength(HISTORY);
  expect(course('here')).toHaveLength(HISTORY);
});

test('a sum goes on without what is gone, which is forgotten in time', () => {
  const a: Sample = ['n', { of: 'a' }, 1];
  const b: Sample = ['n', { of: 'b' }, 10];
  push(0, [a, b], true);
  push(1_000, [b], true);
  expect([value('n'), course('n')]).toEqual([10, [11, 10]]);
  for (let second = 2; second <= HISTORY; second += 1) push(second * 1_000, [b], true);
  expect(valuesOfLabel('n', 'of')).toEqual(['b']);
});

test('rows of figures begin with each half minute, the newest first, and stay as more comes', () => {
  const times = [29_000, 30_500, 31_500, 59_999, 60_000, 61_000];
  expect(readable(times).map(at => times[at])).toEqual([60_000, 30_500, 29_000]);
  expect(readable([...times, 62_000])).toEqual(readable(times));
  expect(readable([])).toEqual([]);
});
