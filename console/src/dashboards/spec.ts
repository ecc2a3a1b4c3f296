/** A dashboard's spec as the node knows it, and what can be read off it without asking. */

import type { Shape as Drawn } from '../charts/drawing.ts';
import { GRAINS, type Grain } from '../charts/grain.ts';

export type Shape = Drawn | 'table' | 'pivot' | 'kpi';

export interface Measure {
  name: string;
  expr: string;
}

/** A place on the grid. */
export interface Place {
  x: number;
  y: number;
  w: number;
  h: number;
}

export interface Link {
  label?: string;
  url?: string;
  dashboard?: string;
}

export interface Chart {
  id: string;
  title?: string;
  type: Shape;
  from: string;
  where?: string;
  time?: string;
  grain?: string;
  dimensions?: string[];
  measures?: Measure[];
  drill?: string[];
  columns?: Record<string, string>;
  ignores?: string[];
  sort?: string;
  limit?: number;
  totals?: boolean;
  /** `previous`, or a span. */
  compare?: string;
  threshold?: number;
  band?: { lower: string; upper: string };
  bars?: string;
  link?: Link;
  at?: Place;
}

export interface Filter {
  id: string;
  label?: string;
  from: string;
  column: string;
  after?: string[];
  default?: unknown[];
}

/** Charts that are seen together. */
export interface Sheet {
  id: string;
  title?: string;
  charts?: Chart[];
}

export interface Dashboard {
  title?: string;
  description?: string;
  owner?: string;
  range?: string;
  refresh?: string;
  filters?: Filter[];
  charts?: Chart[];
  /** Instead of `charts`. */
  sheets?: Sheet[];
}

export const SHAPES: Record<Shape, string> = {
  line: 'Line',
  area: 'Area',
  bar: 'Bar',
  stackedBar: 'Stacked bar',
  table: 'Table',
  pivot: 'Pivot',
  kpi: 'KPI',
  gauge: 'Gauge',
  pie: 'Pie',
  scatter: 'Scatter',
  heatmap: 'Heat map',
};

/** What a chart or a sheet is called. */
export function titleOf({ id, title }: { id: string; title?: string }): string {
  return title || id;
}

/** The sheets of a dashboard: those that it has, or one without a name. */
export function sheetsOf({ sheets = [], charts }: Dashboard): Sheet[] {
  return sheets.length > 0 ? sheets : [{ id: '', charts }];
}

/** All charts, on whichever sheet they stand. */
export function chartsOf(dashboard: Dashboard): Chart[] {
  return sheetsOf(dashboard).flatMap(({ charts = [] }) => charts);
}

const UNITS: Record<string, number> = { ms: 1, s: 1e3, m: 6e4, h: 36e5, d: 864e5, w: 6048e5 };

/** A span of time in milliseconds; NaN for what is none. */
export function millis(span: string): number {
  const [, number, unit = ''] = /^(\d+)(ms|s|m|h|d|w)$/.exec(span) ?? [];
  return Number(number) * (UNITS[unit] ?? Number.NaN);
}

/** The filter that a chart's column sets, if there is one. */
export function filterOf(dashboard: Dashboard, chart: Chart, column: string): Filter | undefined {
  return dashboard.filters?.find(
    ({ id, column: own }) => !chart.ignores?.includes(id) && (chart.columns?.[id] ?? own) === column,
  );
}

/** The columns that a chart is along and split by, on a level of its drill. */
export function axesOf(chart: Chart, level: number): string[] {
  const own = chart.dimensions ?? [];
  const drilled = chart.drill?.[level];
  if (drilled !== undefined) return [GRAINS.includes(drilled as Grain) ? (chart.time ?? '') : drilled, ...own];
  const cut = chart.grain ? chart.grain !== 'none' : chart.type === 'line' || chart.type === 'area';
  return cut && chart.time ? [chart.time, ...own] : own;
}

/** The filters of another dashboard that columns of a chart set there, each with its column's place. */
export function handed(there: Dashboard, here: Dashboard, chart: Chart, columns: string[]): [id: string, at: number][] {
  return columns.flatMap((column, at): [string, number][] => {
    const id = filterOf(here, chart, column)?.id ?? column;
    return there.filters?.some(filter => filter.id === id) ? [[id, at]] : [];
  });
}

/** An address with a row's values in it, each encoded, so that none can be more than a value. */
export function linked(url: string, value: (column: string) => string): string {
  return url.replace(/\{([^}]*)\}/g, (_, column: string) => encodeURIComponent(value(column)));
}
