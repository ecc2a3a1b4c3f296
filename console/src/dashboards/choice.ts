/** What the reader of a dashboard has chosen. It is in the URL alone, so that a link shows what its sender saw. */

import { useMemo } from 'react';
import { parse, write } from '../json.ts';
import { go, useLocation } from '../router.tsx';
import { chartsOf, type Dashboard } from './spec.ts';

/** The choices, as the node takes them with each chart. */
export interface Choice {
  filters: Record<string, unknown[]>;
  /** Left out for the dashboard's own range. */
  time?: { last?: string; from?: string; to?: string };
  /** Levels that lie behind the reader, by chart. */
  drill: Record<string, unknown[]>;
  /** How often it is asked anew; empty for never. */
  every: string;
  /** Who reads, if it is not who runs the node. */
  reader: string;
}

const FILTER = 'f.';
const DRILL = 'd.';
const TIME = 't';
const EVERY = 'every';
const READER = 'as';
/** Which sheet is seen; the first one without it. */
export const SHEET = 'sheet';

/** A list of values in the URL; nothing for what is none. */
function list(text: string): unknown[] | undefined {
  try {
    const value = parse(text);
    return Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Reads the choices off a query; filters that are not in it have their defaults. */
export function read(query: URLSearchParams, dashboard: Dashboard): Choice {
  const filters: Choice['filters'] = {};
  for (const { id, default: own = [] } of dashboard.filters ?? []) {
    const values = list(query.get(FILTER + id) ?? '') ?? own;
    if (values.length > 0) filters[id] = values;
  }
  const drill: Choice['drill'] = {};
  for (const { id, drill: levels = [] } of chartsOf(dashboard)) {
    // A link may be older than the levels.
    const values = (list(query.get(DRILL + id) ?? '') ?? []).slice(0, Math.max(0, levels.length - 1));
    if (values.length > 0) drill[id] = values;
  }
  const text = query.get(TIME) ?? '';
  const [from, to] = text.split('..');
  const time = text === '' ? undefined : text === 'all' ? {} : to ? { from, to } : { last: text };
  return { filters, time, drill, every: query.get(EVERY) ?? dashboard.refresh ?? '', reader: query.get(READER) ?? '' };
}

/** Changes parts of the query. */
function change(changes: Record<string, string | null>): void {
  const url = new URL(window.location.href);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null) url.searchParams.delete(name);
    else url.searchParams.set(name, value);
  }
  go(url.pathname + url.search);
}

/** How the choices are changed. */
export const choose = {
  filter: (id: string, values: unknown[]) => change({ [FILTER + id]: write(values) }),
  drill: (chart: string, values: unknown[]) => change({ [DRILL + chart]: values.length > 0 ? write(values) : null }),
  /** A span, `all`, two moments, or nothing for the dashboard's own range. */
  time: (text: string) => change({ [TIME]: text || null }),
  every: (span: string) => change({ [EVERY]: span }),
  /** Back to what the dashboard shows first. */
  nothing: () => {
    const url = new URL(window.location.href);
    const own = [...url.searchParams.keys()].filter(name => name.startsWith(FILTER) || name.startsWith(DRILL));
    change(Object.fromEntries([...own, TIME, EVERY].map(name => [name, null])));
  },
};

/** The choices of the page. */
export function useChoice(dashboard: Dashboard): Choice {
  const { query } = useLocation();
  const text = query.toString();
  return useMemo(() => read(new URLSearchParams(text), dashboard), [text, dashboard]);
}

/** The query that another dashboard begins with. */
export function asQuery(filters: Record<string, unknown[]>, time: Choice['time'], reader = ''): Record<string, string> {
  const query = Object.fromEntries(Object.entries(filters).map(([id, values]) => [FILTER + id, write(values)]));
  if (reader) query[READER] = reader;
  if (!time) return query;
  return { ...query, [TIME]: time.last ?? (time.from ? `${time.from}..${time.to}` : 'all') };
}
