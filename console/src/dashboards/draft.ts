/**
 * A dashboard that is being made: YAML as a developer keeps it in git. What the builder changes is changed in the text,
 * so that comments and the order of keys stay. Pure, but for the place where a browser keeps it.
 */

import {
  Document,
  isCollection,
  isMap,
  isNode,
  isScalar,
  isSeq,
  type Node,
  parseDocument,
  type ScalarTag,
  type Tags,
  visit,
} from 'yaml';
import { Exact, parse } from '../json.ts';
import { isNumeric, isTime, quoted, type Relation, relationName } from '../rows.ts';
import { room } from './layout.ts';
import { type Chart, type Dashboard, type Measure, type Place, type Shape, sheetsOf } from './spec.ts';

/** Where in the spec. */
export type Steps = (string | number)[];

/** How texts are written. */
export const WRITTEN = { lineWidth: 120, flowCollectionPadding: false } as const;

/** Integers that JavaScript would round stay as they are written, also where nobody changes them. */
const LONG: ScalarTag = {
  tag: 'tag:yaml.org,2002:int',
  default: true,
  test: /^-?[1-9][0-9]{15,}$/,
  identify: value => value instanceof Exact,
  resolve: parse,
  stringify: ({ value }) => String(value),
};

/** A text, read. */
export function parsed(text: string): Document.Parsed {
  return parseDocument(text, { customTags: (tags: Tags) => [LONG, ...tags] });
}

/** The text of a dashboard without charts. */
export function blank(name: string): string {
  const document = new Document({
    apiVersion: 'headwater.dev/v1',
    kind: 'Dashboard',
    metadata: { name },
    spec: { title: 'New dashboard', charts: [] },
  });
  return document.toString(WRITTEN);
}

/** The spec in a text, or why it cannot be read. */
export function specOf(text: string): { spec: Dashboard; name: string; wrong?: string } {
  const document = parsed(text);
  const [error] = document.errors;
  if (error) return { spec: {}, name: '', wrong: error.message };
  const whole = document.toJS() as { metadata?: { name?: string }; spec?: Dashboard } | null;
  return { spec: whole?.spec ?? {}, name: String(whole?.metadata?.name ?? '') };
}

/** A text whose parts can change their places: what is said once and named elsewhere stands there as well. */
export function loose(text: string): Document {
  const document = parsed(text);
  visit(document, {
    Alias: (_, alias) => {
      const copy = alias.resolve(document)?.clone() as Node | undefined;
      if (copy && 'anchor' in copy) delete copy.anchor;
      return copy;
    },
  });
  return document;
}

/** Whether something is said in a part of a text that is named elsewhere, perhaps. */
function names(document: Document, at: Steps): boolean {
  const part = document.getIn(at, true);
  let found = false;
  if (isNode(part)) {
    visit(part, {
      Node: (_, node) => {
        if (!('anchor' in node) || !node.anchor) return undefined;
        found = true;
        return visit.BREAK;
      },
    });
  }
  return found;
}

/**
 * The text with changes; a value that is undefined takes its key away. What is the same before and after stays as it is
 * written, with its comments.
 */
export function edited(text: string, changes: [at: Steps, value: unknown][]): string {
  const strict = parsed(text);
  const document = changes.some(([at]) => names(strict, at)) ? loose(text) : strict;
  for (const [at, value] of changes) {
    if (value === undefined) document.deleteIn(at);
    else document.setIn(at, changed(document, at.at(-1), document.getIn(at, true), value));
  }
  return document.toString(WRITTEN);
}

/** Keys whose values stand on one line, as people write them. */
const SHORT = ['at', 'measures', 'dimensions', 'drill', 'columns', 'ignores', 'after', 'default', 'link', 'band'];

/** A value as it is written below a key. */
function node(document: Document, key: unknown, value: unknown): Node {
  const made = document.createNode(value, { flow: SHORT.includes(String(key)) }) as Node;
  visit(made, {
    Pair: (_, { key, value }) => {
      if (isScalar(key) && SHORT.includes(String(key.value)) && isCollection(value)) value.flow = true;
    },
  });
  return made;
}

const same = (part: unknown, value: unknown) =>
  isNode(part) && JSON.stringify(part.toJSON()) === JSON.stringify(value ?? null);

/** What stands below a key, made into a value. */
function changed(document: Document, key: unknown, there: unknown, value: unknown): unknown {
  const plain = typeof value !== 'object' || value === null;
  if (isScalar(there) && plain) {
    there.value = value;
    // One line needs no block, and a block's indicator is no part of it.
    if (there.type?.startsWith('BLOCK') && !String(value).includes('\n')) there.type = undefined;
    return there;
  }
  if (isSeq(there) && there.items.length > 0 && Array.isArray(value)) {
    const { items } = there;
    const left = new Set(items);
    const kept = value.map(one => {
      const found = [...left].find(item => same(item, one));
      left.delete(found);
      return found;
    });
    there.items = value.map((one, at) => {
      // As many as before: one of them is another by now.
      const own = items.length === value.length && left.has(items[at]) ? items[at] : undefined;
      return kept[at] ?? changed(document, key, own, one);
    });
    return there;
  }
  if (isMap(there) && there.items.length > 0 && !plain && !Array.isArray(value)) {
    const next = new Map(Object.entries(value).filter(([, one]) => one !== undefined));
    for (const { key } of [...there.items]) if (!next.has(String(key))) there.delete(key);
    for (const [key, one] of next) there.set(key, changed(document, key, there.get(key, true), one));
    return there;
  }
  const made = node(document, key, value);
  if (isNode(there)) {
    made.commentBefore = there.commentBefore;
    made.comment = there.comment;
  }
  return made;
}

/** Puts a chart behind the others, which stand under `at`. */
export function added(text: string, chart: Chart, at: Steps = []): string {
  const charts = ['spec', ...at, 'charts'];
  const count = chartsAt(text, at).length;
  if (count === 0) return edited(text, [[charts, [chart]]]);
  return edited(text, [[[...charts, count], chart]]);
}

/** The charts under a place in the spec. */
function chartsAt(text: string, at: Steps): Chart[] {
  const charts: unknown = parsed(text).getIn(['spec', ...at, 'charts']);
  return isCollection(charts) ? (charts.toJSON() as Chart[]) : [];
}

/** The places of charts under `under` that have others now. */
export function placed(text: string, before: Place[], after: Place[], under: Steps = []): string {
  const charts = chartsAt(text, under);
  const changes = after.flatMap((at, index): [Steps, unknown][] => {
    const same = charts[index]?.at && JSON.stringify(before[index]) === JSON.stringify(at);
    return same ? [] : [[['spec', ...under, 'charts', index, 'at'], at]];
  });
  return edited(text, changes);
}

/** An id that nothing has yet. */
export function free(stem: string, taken: string[]): string {
  let id = stem;
  for (let number = 2; taken.includes(id); number += 1) id = `${stem}-${number}`;
  return id;
}

/** A chart of a relation that draws something at once, beside others; `taken` are all ids of the dashboard. */
export function fresh(type: Shape, relation: Relation, charts: Chart[], taken = charts.map(({ id }) => id)): Chart {
  const { columns } = relation;
  const time = columns.find(column => isTime(column.type));
  const numbers = columns.filter(column => isNumeric(column.type)).map(column => quoted(column.name));
  const words = columns.filter(column => column.type === 'text').map(column => quoted(column.name));
  const others = [...words, ...columns.map(column => quoted(column.name))];
  const [first = '1'] = others;
  const second = others.find(column => column !== first) ?? first;
  const size = type === 'kpi' || type === 'gauge' ? { w: 3, h: 4 } : { w: 6, h: 7 };
  const count: Measure = { name: 'rows', expr: 'count(*)' };
  const base: Chart = {
    id: free(type.toLowerCase(), taken),
    title: `${relation.name} ${type === 'kpi' || type === 'gauge' ? 'rows' : ''}`.trim(),
    type,
    from: relationName(relation),
    ...(time && { time: quoted(time.name) }),
    measures: [count],
    at: room(charts, size.w, size.h),
  };
  switch (type) {
    case 'line':
    case 'area':
      return time ? base : { ...base, dimensions: [first] };
    case 'bar':
    case 'stackedBar':
      return time ? { ...base, grain: 'auto' } : { ...base, dimensions: [first] };
    case 'table':
      return { ...base, dimensions: columns.slice(0, 8).map(column => quoted(column.name)), measures: undefined };
    case 'pivot':
    case 'heatmap':
      return time ? { ...base, grain: 'auto', dimensions: [first] } : { ...base, dimensions: [first, second] };
    case 'pie':
      return { ...base, dimensions: [first] };
    case 'scatter': {
      const [number] = numbers;
      return {
        ...base,
        dimensions: [first],
        measures: [count, number ? { name: 'average', expr: `avg(${number})` } : { ...count, name: 'rows again' }],
      };
    }
    default:
      return base;
  }
}

/** What else of a chart changes when one of its measures is called otherwise: all that names it. */
export function renamed({ sort, band, bars, link }: Chart, from: string, to: string): [at: Steps, value: unknown][] {
  const put = (name: string) => (name === from ? to : name);
  const changes: [Steps, unknown][] = [];
  if (sort === from || sort === `-${from}`) changes.push([['sort'], sort.startsWith('-') ? `-${to}` : to]);
  if (band?.lower === from || band?.upper === from) {
    changes.push([['band'], { lower: put(band.lower), upper: put(band.upper) }]);
  }
  if (bars === from) changes.push([['bars'], to]);
  const url = link?.url?.replaceAll(`{${from}}`, () => `{${to}}`);
  if (url !== link?.url) changes.push([['link', 'url'], url]);
  return changes;
}

/** What changes when a filter is taken away: all that names it, and then the filter. */
export function unfiltered(spec: Dashboard, index: number): [at: Steps, value: unknown][] {
  const { filters = [] } = spec;
  const gone = filters[index]?.id ?? '';
  const changes: [Steps, unknown][] = [];
  const listed = (at: Steps, ids: string[] = []) => {
    const left = ids.filter(id => id !== gone);
    if (left.length < ids.length) changes.push([at, left.length > 0 ? left : undefined]);
  };
  for (const [at, { after }] of filters.entries()) listed(['filters', at, 'after'], after);
  for (const [sheet, { charts = [] }] of sheetsOf(spec).entries()) {
    for (const [at, { ignores, columns = {} }] of charts.entries()) {
      const chart = [...(spec.sheets?.length ? ['sheets', sheet] : []), 'charts', at];
      listed([...chart, 'ignores'], ignores);
      const { [gone]: own, ...others } = columns;
      if (own !== undefined) changes.push([[...chart, 'columns'], Object.keys(others).length > 0 ? others : undefined]);
    }
  }
  return [...changes, [['filters', index], undefined]];
}

export const AGGREGATES = ['count', 'count distinct', 'sum', 'avg', 'min', 'max', 'expression'] as const;
export type Aggregate = (typeof AGGREGATES)[number];

/** A measure as a function of a column, or as the expression that it is. */
export function taken(expr: string): { by: Aggregate; of: string } {
  if (/^count\(\s*\*\s*\)$/i.test(expr)) return { by: 'count', of: '' };
  const distinct = /^count\(\s*distinct\s+([\w".]+)\s*\)$/i.exec(expr);
  if (distinct?.[1]) return { by: 'count distinct', of: distinct[1] };
  const [, by, of] = /^(sum|avg|min|max)\(\s*([\w".]+)\s*\)$/i.exec(expr) ?? [];
  return by && of ? { by: by.toLowerCase() as Aggregate, of } : { by: 'expression', of: expr };
}

/** The expression of a function of a column. */
export function expression(by: Aggregate, of: string): string {
  switch (by) {
    case 'count':
      return 'count(*)';
    case 'count distinct':
      return `count(DISTINCT ${of})`;
    case 'expression':
      return of;
    default:
      return `${by}(${of})`;
  }
}

/** A draft: its text, the text that was published, and which version of the dashboard that was. */
export interface Kept {
  text: string;
  base: string;
  resourceVersion: number;
  /** Of the node's draft that it goes on from; 0 where the node has none. */
  version?: number;
}

const key = (name: string) => `headwater.dashboard.${name}`;

/** What this browser keeps: a text that the node has not. */
export function kept(name: string): Kept | null {
  try {
    return JSON.parse(window.localStorage.getItem(key(name)) ?? 'null') as Kept | null;
  } catch {
    return null;
  }
}

/** Keeps it, or forgets it. */
export function keep(name: string, draft: Kept | null): void {
  try {
    if (draft) window.localStorage.setItem(key(name), JSON.stringify(draft));
    else window.localStorage.removeItem(key(name));
  } catch {
    // A browser that keeps nothing has the draft as long as the page stands.
  }
}
