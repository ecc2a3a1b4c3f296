/**
 * Rows as a picture: which column is the axis, which split into series, which are drawn. Pure; ECharts draws what comes
 * out, and each mark knows the row that it came from.
 *
 * Names and values go to a canvas as text. Tooltips are drawn there too, so that nothing of it is ever HTML.
 */

import type { EChartsCoreOption } from 'echarts/core';
import { Exact } from '../json.ts';
import { type Answer, isTime, key, numeric, shown } from '../rows.ts';
import { filled, type Grain, moment } from './grain.ts';

export type Shape = 'line' | 'area' | 'bar' | 'stackedBar' | 'pie' | 'scatter' | 'heatmap' | 'gauge';

/** What is drawn. Columns are named by their place. */
export interface Drawing {
  shape: Shape;
  answer: Answer;
  /** The column along the axis, or whose values are the slices. */
  axis?: number;
  /** Columns whose values make a series each. */
  by: number[];
  /** Columns that are drawn. */
  measures: number[];
  /** How far the axis' times are told. */
  grain?: Grain;
  /** A line, or where a gauge turns red. */
  threshold?: number;
  /** Measures between which a band is filled. */
  band?: { lower: number; upper: number };
  /** A measure drawn as bars behind the lines: what is out of order. */
  bars?: number;
}

/** Colours as the canvas takes them. */
export interface Look {
  text: string;
  muted: string;
  line: string;
  panel: string;
  bad: string;
  series: string[];
}

/** A picture, and the row behind each mark of each series. */
export interface Drawn {
  option: EChartsCoreOption;
  rows: (number | undefined)[][];
}

/** More lines than this cannot be told apart; [`undrawn`] says that some are left out. */
export const SERIES_MAX = 30;

/** Draws rows. */
export function draw(drawing: Drawing, look: Look): Drawn {
  switch (drawing.shape) {
    case 'pie':
      return pie(drawing, look);
    case 'scatter':
      return scatter(drawing, look);
    case 'heatmap':
      return heatmap(drawing, look);
    case 'gauge':
      return gauge(drawing, look);
    default:
      return lines(drawing, look);
  }
}

/** A number for people. */
export function figure(value: unknown): string {
  if (value instanceof Exact && /^-?\d+$/.test(value.text)) return BigInt(value.text).toLocaleString('en-US');
  const number = numeric(value);
  if (!Number.isFinite(number)) return shown(value) || '–';
  const digits = Math.abs(number) >= 1_000 || Number.isInteger(number) ? 0 : Math.abs(number) >= 1 ? 2 : 4;
  return number.toLocaleString('en-US', { maximumFractionDigits: digits });
}

const FONT = 'Inter, ui-sans-serif, system-ui, sans-serif';

/** What all pictures have. */
function base(look: Look) {
  return {
    useUTC: true,
    animation: false,
    color: look.series,
    textStyle: { fontFamily: FONT, fontSize: 11, color: look.muted },
    tooltip: {
      renderMode: 'richText' as const,
      confine: true,
      backgroundColor: look.panel,
      borderColor: look.line,
      textStyle: { color: look.text, fontSize: 12, fontFamily: FONT },
      valueFormatter: figure,
    },
    legend: {
      type: 'scroll' as const,
      top: 0,
      left: 0,
      icon: 'roundRect',
      itemWidth: 10,
      itemHeight: 3,
      textStyle: { color: look.muted },
      pageTextStyle: { color: look.muted },
      pageIconColor: look.text,
      pageIconInactiveColor: look.line,
    },
  };
}

function axisLook(look: Look) {
  return {
    axisLine: { lineStyle: { color: look.line } },
    axisTick: { show: false },
    axisLabel: { color: look.muted, hideOverlap: true },
    splitLine: { lineStyle: { color: look.line } },
  };
}

/** Values of a column in their order, each once. */
function distinct(answer: Answer, column: number): unknown[] {
  const seen = new Map(answer.rows.map(row => [key([row[column]]), row[column]]));
  return [...seen.values()];
}

function isMoment({ answer, axis }: Drawing): boolean {
  return axis !== undefined && isTime(answer.columns[axis]?.type ?? '');
}

/** The values along an axis: times in their order and without gaps, others as the answer has them. */
function ordered(drawing: Drawing, axis: number): unknown[] {
  const values = distinct(drawing.answer, axis);
  if (!isMoment(drawing)) return values;
  if (drawing.grain) return filled(values, drawing.grain);
  return values.sort((a, b) => shown(a).localeCompare(shown(b)));
}

/** A value of the axis as text. */
function label(drawing: Drawing, value: unknown): string {
  return isMoment(drawing) ? moment(value, drawing.grain) : said(value);
}

/** A value that is no moment. What is nothing and an empty text are two. */
function said(value: unknown): string {
  return value === '' ? 'empty' : shown(value) || '–';
}

interface Series {
  name: string;
  measure: number;
  values: (number | null)[];
  rows: (number | undefined)[];
}

/** Rows by axis and series, with nothing where there is no row: series stand beside each other place by place. */
function matrix(drawing: Drawing): { along: unknown[]; series: Series[] } {
  const { answer, axis, by, measures } = drawing;
  const along = axis === undefined ? [''] : ordered(drawing, axis);
  const places = new Map(along.map((value, place) => [key([value]), place]));
  const series = new Map<string, Series>();
  for (const [index, row] of answer.rows.entries()) {
    const place = axis === undefined ? 0 : places.get(key([row[axis]]));
    const values = by.map(column => row[column]);
    const split = key(values);
    for (const measure of measures) {
      const which = `${measure} ${split}`;
      let one = series.get(which);
      if (!one && series.size < SERIES_MAX) {
        const called = answer.columns[measure]?.name ?? '';
        const own = values.map(said).join(' · ');
        const name = own ? (measures.length > 1 ? `${own} · ${called}` : own) : called;
        one = { name, measure, values: along.map(() => null), rows: along.map(() => undefined) };
        series.set(which, one);
      }
      if (!one || place === undefined) continue;
      const value = numeric(row[measure]);
      one.values[place] = Number.isFinite(value) ? value : null;
      one.rows[place] = index;
    }
  }
  return { along, series: [...series.values()] };
}

/** What is left out of a drawing, in words; empty for nothing. */
export function undrawn(drawing: Drawing): string {
  return [crowded(drawing), timeless(drawing)].filter(Boolean).join('; ');
}

/** An axis of time that is cut has no place for what has no time. */
function timeless(drawing: Drawing): string {
  const { shape, answer, axis, grain } = drawing;
  if (axis === undefined || !grain || shape === 'pie' || !isMoment(drawing)) return '';
  const places = new Set(ordered(drawing, axis).map(value => key([value])));
  const drawn = (row: unknown[]) => places.has(key([row[axis]]));
  return answer.rows.every(drawn) ? '' : 'rows without a time are in the table alone';
}

function crowded({ shape, answer, by, measures }: Drawing): string {
  if (shape === 'pie' || shape === 'scatter' || shape === 'heatmap' || shape === 'gauge') return '';
  const splits = new Set(answer.rows.map(row => key(by.map(column => row[column]))));
  const all = splits.size * measures.length;
  return all > SERIES_MAX ? `${SERIES_MAX} of ${all.toLocaleString('en-US')} series are drawn` : '';
}

/** A series as it is drawn. */
interface Marks {
  option: Record<string, unknown>;
  rows: Series['rows'];
  /** Fills room between others and is nothing by itself. */
  fills?: boolean;
}

/** What lies behind lines; ECharts draws these at 2. */
const BEHIND = 1;

function lines(drawing: Drawing, look: Look): Drawn {
  const { shape, band, bars, threshold } = drawing;
  const { along, series } = matrix(drawing);
  const special = new Set([band?.lower, band?.upper, bars].filter(it => it !== undefined));
  const plain = series.filter(it => !special.has(it.measure));
  const bar = shape === 'bar' || shape === 'stackedBar';
  const drawn: Marks[] = plain.map((one, index) => ({
    option: {
      name: one.name,
      type: bar ? 'bar' : 'line',
      data: one.values,
      ...(shape === 'stackedBar' && { stack: 'all' }),
      ...(shape === 'area' && { areaStyle: { opacity: 0.18 }, ...(plain.length > 1 && { stack: 'all' }) }),
      ...(bar
        ? { barMaxWidth: 48, itemStyle: { borderRadius: shape === 'bar' ? [3, 3, 0, 0] : 0 } }
        : { symbolSize: alone(one.values), lineStyle: { width: 1.7 }, triggerLineEvent: true }),
      ...(index === 0 &&
        threshold !== undefined && {
          markLine: {
            silent: true,
            symbol: 'none',
            lineStyle: { color: look.bad, type: 'dashed' },
            label: { color: look.bad, formatter: figure(threshold), position: 'insideEndTop' },
            data: [{ yAxis: threshold }],
          },
        }),
    },
    rows: one.rows,
  }));
  const lower = series.find(it => it.measure === band?.lower);
  const upper = series.find(it => it.measure === band?.upper);
  if (lower && upper) drawn.push(...banded(lower, upper, look));
  for (const one of series.filter(it => it.measure === bars)) {
    const values = one.values.map(value => (value === 0 ? null : value));
    drawn.push({
      option: {
        name: one.name,
        type: 'bar',
        data: values,
        itemStyle: { color: look.bad, opacity: 0.5 },
        barMaxWidth: 12,
        // Hours in succession are one stretch.
        ...(!bar && { barCategoryGap: 0 }),
        z: BEHIND,
      },
      rows: one.rows,
    });
  }
  const many = plain.length > 1 || special.size > 0;
  return {
    option: {
      ...base(look),
      tooltip: { ...base(look).tooltip, trigger: 'axis', axisPointer: { type: bar ? 'shadow' : 'line' } },
      legend: { ...base(look).legend, show: many, data: drawn.filter(it => !it.fills).map(it => it.option.name) },
      grid: { left: 4, right: 12, top: many ? 28 : 12, bottom: 2, containLabel: true },
      xAxis: {
        type: 'category',
        data: along.map(value => label(drawing, value)),
        boundaryGap: bar || bars !== undefined,
        ...axisLook(look),
        splitLine: { show: false },
      },
      yAxis: { type: 'value', ...axisLook(look), axisLine: { show: false } },
      series: drawn.map(it => it.option),
    },
    rows: drawn.map(it => it.rows),
  };
}

/** A band: its edges as dashed lines, and what is between them filled. */
function banded(lower: Series, upper: Series, look: Look): Marks[] {
  // What is filled is a line that is not seen and, stacked on it, the room up to the other one.
  const room = upper.values.map((high, place) => {
    const low = lower.values[place];
    return high === null || low === null || low === undefined ? null : high - low;
  });
  const hidden = { type: 'line', stack: 'band', stackStrategy: 'all', symbol: 'none', lineStyle: { opacity: 0 } };
  const silent = { silent: true, tooltip: { show: false }, z: BEHIND };
  const [below, above] = [`below ${lower.name}`, `${lower.name} to ${upper.name}`];
  const areaStyle = { color: look.muted, opacity: 0.14 };
  return [
    { option: { ...hidden, ...silent, name: below, data: lower.values }, rows: lower.rows, fills: true },
    { option: { ...hidden, ...silent, name: above, data: room, areaStyle }, rows: upper.rows, fills: true },
    ...[lower, upper].map(({ name, values, rows }) => ({
      option: {
        name,
        type: 'line',
        data: values,
        symbol: 'none',
        itemStyle: { color: look.muted },
        lineStyle: { width: 1, type: 'dashed' },
      },
      rows,
    })),
  ];
}

/** A point without neighbours has no line to be seen by. */
function alone(values: (number | null)[]) {
  const there = (place: number) => values[place] !== null && values[place] !== undefined;
  return (_: unknown, { dataIndex }: { dataIndex: number }) => (there(dataIndex - 1) || there(dataIndex + 1) ? 0 : 5);
}

function pie(drawing: Drawing, look: Look): Drawn {
  const { answer, axis, measures } = drawing;
  const [measure = 0] = measures;
  const data = answer.rows.map(row => ({
    name: axis === undefined ? '' : label(drawing, row[axis]),
    value: numeric(row[measure]),
  }));
  return {
    option: {
      ...base(look),
      tooltip: { ...base(look).tooltip, trigger: 'item' },
      series: [
        {
          type: 'pie',
          name: answer.columns[measure]?.name,
          radius: ['45%', '74%'],
          center: ['50%', '56%'],
          data,
          label: { show: false },
          itemStyle: { borderColor: look.panel, borderWidth: 1 },
        },
      ],
    },
    rows: [data.map((_, row) => row)],
  };
}

function scatter(drawing: Drawing, look: Look): Drawn {
  const { answer, by, measures } = drawing;
  const [x = 0, y = 0, size] = measures;
  const sizes = size === undefined ? [] : answer.rows.map(row => numeric(row[size])).filter(Number.isFinite);
  const largest = Math.max(...sizes, 1);
  const own = (row: unknown[]) => by.map(column => shown(row[column])).join(' · ');
  const data = answer.rows.map(row => ({
    name: own(row),
    value: [numeric(row[x]), numeric(row[y])],
    symbolSize: size === undefined ? 8 : 6 + 26 * Math.sqrt(Math.max(0, numeric(row[size])) / largest),
  }));
  const named = (column: number) => ({ name: answer.columns[column]?.name, nameTextStyle: { color: look.muted } });
  return {
    option: {
      ...base(look),
      tooltip: { ...base(look).tooltip, trigger: 'item' },
      legend: { show: false },
      grid: { left: 4, right: 16, top: 26, bottom: 18, containLabel: true },
      xAxis: { type: 'value', scale: true, ...axisLook(look), ...named(x), nameLocation: 'middle', nameGap: 22 },
      yAxis: { type: 'value', scale: true, ...axisLook(look), ...named(y) },
      series: [{ type: 'scatter', data, itemStyle: { opacity: 0.75 } }],
    },
    rows: [data.map((_, row) => row)],
  };
}

function heatmap(drawing: Drawing, look: Look): Drawn {
  const { answer, axis = 0, by, measures } = drawing;
  const [measure = 0] = measures;
  const [down = axis] = by;
  const across = ordered(drawing, axis);
  const rows = distinct(answer, down);
  const place = (all: unknown[]) => new Map(all.map((value, at) => [key([value]), at]));
  const [x, y] = [place(across), place(rows)];
  const cells = answer.rows.map(row => [x.get(key([row[axis]])), y.get(key([row[down]])), numeric(row[measure])]);
  // What has no place along the axis is told of beside the picture.
  const there = [...cells.keys()].filter(row => cells[row]?.[0] !== undefined);
  const data = there.map(row => cells[row] ?? []);
  const values = data.map(([, , value]) => value ?? Number.NaN).filter(it => Number.isFinite(it));
  // Where cells are narrow, lines between them would be all that is seen.
  const itemStyle = { borderColor: look.panel, borderWidth: across.length > 24 ? 0 : 1 };
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return {
    option: {
      ...base(look),
      legend: { show: false },
      tooltip: { ...base(look).tooltip, trigger: 'item' },
      grid: { left: 4, right: 12, top: 8, bottom: 34, containLabel: true },
      xAxis: { type: 'category', data: across.map(value => label(drawing, value)), ...axisLook(look) },
      yAxis: { type: 'category', data: rows.map(said), ...axisLook(look) },
      visualMap: {
        min: Number.isFinite(least) ? least : 0,
        max: Number.isFinite(most) ? most : 1,
        orient: 'horizontal',
        left: 'center',
        bottom: 0,
        itemHeight: 90,
        itemWidth: 8,
        textStyle: { color: look.muted },
        formatter: figure,
        inRange: { color: [look.line, look.series[0] ?? look.text] },
      },
      series: [{ type: 'heatmap', name: answer.columns[measure]?.name, data, itemStyle }],
    },
    rows: [there],
  };
}

function gauge(drawing: Drawing, look: Look): Drawn {
  const { answer, measures, threshold } = drawing;
  const [measure = 0, limit] = measures;
  const own = answer.rows[0]?.[measure];
  // A sum of nothing is no number, which a gauge cannot point at.
  const value = Number.isFinite(numeric(own)) ? numeric(own) : 0;
  const whole = limit === undefined ? Number.NaN : numeric(answer.rows[0]?.[limit]);
  const top = Number.isFinite(whole) ? whole : round(Math.max(value, threshold ?? 0) * 1.25);
  const over = threshold !== undefined && value > threshold;
  const tone = over ? look.bad : look.series[0];
  return {
    option: {
      ...base(look),
      legend: { show: false },
      tooltip: { show: false },
      series: [
        {
          type: 'gauge',
          min: 0,
          max: top,
          startAngle: 205,
          endAngle: -25,
          radius: '92%',
          center: ['50%', '60%'],
          progress: { show: true, width: 12, itemStyle: { color: tone } },
          axisLine: { lineStyle: { width: 12, color: [[1, look.line]] } },
          axisTick: { show: false },
          splitLine: { show: false },
          axisLabel: { color: look.muted, distance: 4, formatter: figure, fontSize: 10 },
          splitNumber: 1,
          pointer: { show: false },
          detail: {
            formatter: () => figure(own),
            color: over ? look.bad : look.text,
            fontSize: 22,
            offsetCenter: [0, '-6%'],
          },
          title: { color: look.muted, offsetCenter: [0, '52%'], fontSize: 11 },
          data: [{ value, name: answer.columns[measure]?.name }],
        },
      ],
    },
    rows: [[0]],
  };
}

/** The next number that reads well. */
function round(value: number): number {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return Math.ceil(value / power) * power;
}
