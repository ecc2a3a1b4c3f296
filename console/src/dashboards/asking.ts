/** Charts and filters as the node answers them. A question that nobody waits for any more is ended in the node as well. */

import { keepPreviousData, useQuery } from '@tanstack/react-query';
import type { Problem } from '../api.ts';
import type { Grain } from '../charts/grain.ts';
import { type Answer, post } from '../rows.ts';
import type { Choice } from './choice.ts';
import { type Chart, type Dashboard, type Filter, millis } from './spec.ts';
import { askTogether } from './together.ts';

/** A dashboard of the node, or one that is being made. */
export interface Source {
  /** The name of what is applied; nothing for a draft. */
  name?: string;
  /** Changes whenever the same question would be answered otherwise. */
  generation: number;
  spec: Dashboard;
}

/** A chart's measures over rows that it shows apart. */
export interface Total extends Answer {
  /** The axes that are kept, by their places; none of the grand total. */
  by: number[];
  /** Whether there are more of them. */
  cut?: boolean;
  /** Why there are no rows. */
  problem?: Problem;
}

/** Rows, and how the node came to them. */
export interface Drawn extends Answer {
  query: string;
  grain: Grain | null;
  axes: number;
  totals?: Total[];
  /** Its measure at an earlier time. */
  before?: Answer & { from: string; to: string; problem?: Problem };
}

/** Of a draft the node gets no more than the question is about: another chart's mistake is no hindrance. */
function whose({ name, spec }: Source, chart?: Chart) {
  const own = { ...spec, sheets: undefined, charts: chart ? [chart] : [] };
  return name === undefined ? { spec: own } : { dashboard: name };
}

/** How often a span asks; never for none. */
function interval(every: string): number | false {
  const ms = millis(every);
  return Number.isFinite(ms) && ms > 0 ? ms : false;
}

/** Only filters that a question depends on: what others are set to does not make it another one. */
function among(filters: Choice['filters'], counts: (id: string) => boolean): Choice['filters'] {
  return Object.fromEntries(Object.entries(filters).filter(([id]) => counts(id)));
}

/** What the node is asked for the rows of a chart. */
export function ofChart(source: Source, chart: Chart, choice: Choice) {
  return {
    ...whose(source, chart),
    chart: chart.id,
    filters: among(choice.filters, id => !chart.ignores?.includes(id)),
    time: choice.time,
    drill: choice.drill[chart.id] ?? [],
  };
}

/** What it is asked for the values of a filter. */
export function ofFilter(source: Source, { id, after }: Filter, search: string, choice: Choice) {
  return { ...whose(source), filter: id, search, filters: among(choice.filters, other => !!after?.includes(other)) };
}

/** The rows of a chart. */
export function useChart(source: Source, chart: Chart, choice: Choice) {
  const asked = ofChart(source, chart, choice);
  return useQuery({
    queryKey: ['chart', source.generation, chart, asked, choice.reader],
    queryFn: ({ signal }) => askTogether(asked, choice.reader, signal),
    placeholderData: keepPreviousData,
    refetchInterval: interval(choice.every),
    staleTime: 2_000,
  });
}

/** Values that a filter can take. */
export function useValues(source: Source, filter: Filter, search: string, choice: Choice, open: boolean) {
  const asked = ofFilter(source, filter, search, choice);
  return useQuery({
    queryKey: ['filter', source.generation, asked, choice.reader],
    queryFn: ({ signal }) => post<Drawn>('/v1/charts/values', asked, signal, choice.reader),
    placeholderData: keepPreviousData,
    enabled: open,
    staleTime: 30_000,
  });
}
