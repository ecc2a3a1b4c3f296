/**
 * The node's figures over the last five minutes, one value a second. A counter's rate is its growth over some seconds.
 *
 * What it is not: a database. It begins with the page and forgets what is older; `SERIES_MAX` bounds it.
 */

import { useSyncExternalStore } from 'react';

/** Seconds that are remembered. */
export const HISTORY = 300;
const SERIES_MAX = 20_000;

type Labels = Record<string, string>;
export type Sample = [name: string, labels: Labels, value: number];

interface Series {
  labels: Labels;
  values: number[];
}

const byName = new Map<string, Map<string, Series>>();
let times: number[] = [];
let count = 0;
let version = 0;
const listeners = new Set<() => void>();

/** Takes what changed since the last second; what is not named stayed as it was. `whole` means that nothing is left out. */
export function push(at_ms: number, samples: Sample[], whole: boolean): void {
  if (whole && times.length > 0 && at_ms < (times.at(-1) ?? 0)) clear();
  times.push(at_ms);
  const gone = times.length > HISTORY ? times.length - HISTORY : 0;
  if (gone) times = times.slice(gone);
  for (const [name, family] of byName) {
    for (const [key, { values }] of family) {
      // What is not there any more has no value.
      values.push(whole ? Number.NaN : (values.at(-1) ?? Number.NaN));
      if (gone) values.splice(0, gone);
      // Nor does it take the room of what will be there.
      if (whole && values.every(Number.isNaN)) {
        family.delete(key);
        count -= 1;
      }
    }
    if (family.size === 0) byName.delete(name);
  }
  for (const [name, labels, value] of samples) {
    const series = find(name, labels);
    if (series) series.values[series.values.length - 1] = value;
  }
  version += 1;
  for (const told of listeners) told();
}

/** Forgets everything, as when the node began anew. */
export function clear(): void {
  byName.clear();
  times = [];
  count = 0;
}

function find(name: string, labels: Labels): Series | null {
  let family = byName.get(name);
  if (!family) {
    family = new Map();
    byName.set(name, family);
  }
  const key = Object.entries(labels).sort().flat().join('\0');
  const known = family.get(key);
  if (known) return known;
  if (count >= SERIES_MAX) return null;
  count += 1;
  const series = { labels, values: new Array<number>(times.length).fill(Number.NaN) };
  family.set(key, series);
  return series;
}

function matching(name: string, labels: Labels): Series[] {
  const wanted = Object.entries(labels);
  const all = [...(byName.get(name)?.values() ?? [])];
  return all.filter(series => wanted.every(([label, value]) => series.labels[label] === value));
}

/** Whether figures have come in. */
export function known(): boolean {
  return times.length > 0;
}

/** Times of the history, in milliseconds. */
export function history(): number[] {
  return times;
}

/** How far apart rows of figures are. */
const ROW_MS = 30_000;

/** The places of times that are shown as rows, the newest first: those at which another half minute began, so that rows
 * do not move while they are read. */
export function readable(times: number[]): number[] {
  const piece = (at: number) => Math.floor((times[at] ?? 0) / ROW_MS);
  const places = times.map((_, at) => at);
  return places.filter(at => at === 0 || piece(at) !== piece(at - 1)).reverse();
}

/** The newest value, added up over the series with these labels that have one; NaN where none has. */
export function value(name: string, labels: Labels = {}): number {
  const newest = matching(name, labels).map(series => series.values.at(-1) ?? Number.NaN);
  return sum(newest);
}

/** What is known of some values, added up; NaN where nothing is. */
export function sum(values: number[]): number {
  const present = values.filter(value => !Number.isNaN(value));
  return present.length === 0 ? Number.NaN : present.reduce((all, value) => all + value, 0);
}

/** Growth per second over the last seconds; NaN until there are two values. */
export function rate(name: string, labels: Labels = {}, span_s = 5): number {
  return rates(name, labels, span_s).at(-1) ?? Number.NaN;
}

/** Growth per second at each time of the history. */
export function rates(name: string, labels: Labels = {}, span_s = 5): number[] {
  const values = course(name, labels);
  return values.map((newest, index) => {
    let back = Math.max(0, index - span_s);
    while (back < index && Number.isNaN(values[back] ?? Number.NaN)) back += 1;
    const seconds = ((times[index] ?? 0) - (times[back] ?? 0)) / 1_000;
    const grown = newest - (values[back] ?? Number.NaN);
    // One value alone has not grown yet.
    if (Number.isNaN(newest) || seconds <= 0) return Number.NaN;
    // A counter that fell began anew.
    return grown > 0 ? grown / seconds : 0;
  });
}

/** What counts dead letters: of pipelines, of rules and their like, of datasets, of forecasts. */
export const LETTERS = ['flow', 'bus', 'lake', 'watch'].map(part => `hw_${part}_dead_letters_total`);

/** Growth per second of several figures together, at each time of the history. */
export function ratesOf(names: string[], span_s = 5): number[] {
  const all = names.map(name => rates(name, {}, span_s));
  return times.map((_, index) => sum(all.map(each => each[index] ?? Number.NaN)));
}

/** Values at each time of the history, added up. */
export function course(name: string, labels: Labels = {}): number[] {
  const found = matching(name, labels);
  return times.map((_, index) => sum(found.map(series => series.values[index] ?? Number.NaN)));
}

/** Values of one label, of the series with these other labels. */
export function valuesOfLabel(name: string, label: string, labels: Labels = {}): string[] {
  const found = matching(name, labels).map(series => series.labels[label]);
  return [...new Set(found.filter(found => found !== undefined))].sort();
}

/** Renders the caller anew with each second. */
export function useTick(): number {
  return useSyncExternalStore(
    told => {
      listeners.add(told);
      return () => listeners.delete(told);
    },
    () => version,
  );
}
