/** What can be said of a chart, a filter and the dashboard, as fields. Each change is a change of the YAML. */

import { useState } from 'react';
import { GRAINS } from '../charts/grain.ts';
import { quoted, type Relation, relationName } from '../rows.ts';
import { Choose, Entry, Later, LaterText, Row } from '../ui/fields.tsx';
import { AGGREGATES, type Aggregate, expression, free, renamed, type Steps, taken } from './draft.ts';
import { axesOf, type Chart, type Dashboard, type Filter, type Measure, SHAPES } from './spec.ts';

/** Changes keys of what a form is about; a value that is undefined takes its key away. */
export type Change = (changes: [at: Steps, value: unknown][]) => void;

const some = (text: string) => text.trim() || undefined;
/** A text that is no number goes into the YAML as it is: the node says what is wrong with it, and nothing is lost. */
const number = (text: string) => (Number.isNaN(Number(text)) ? text : text.trim() ? Number(text) : undefined);

/** Columns of what a chart or filter is about, as far as that is known: of a query it is not. */
function columnsOf(relations: Relation[], from: string): string[] {
  const found = relations.find(relation => relationName(relation) === from || `public.${relation.name}` === from);
  return found?.columns.map(column => quoted(column.name)) ?? [];
}

/** Where rows come from: a relation, or a query. */
function From({ value, set, relations }: { value: string; set: (from: string) => void; relations: Relation[] }) {
  const names = relations.map(relationName);
  const [meant, setMeant] = useState(false);
  const query = meant || (names.length > 0 && !names.includes(value));
  return (
    <>
      <Choose
        label="Data"
        value={query ? '' : value}
        set={name => {
          setMeant(name === '');
          set(name || `SELECT * FROM ${value}`);
        }}
        options={[...names.map((name): [string, string] => [name, name]), ['', 'a query …']]}
      />
      {query && <LaterText label="Query" rows={4} value={value} set={set} />}
    </>
  );
}

/** Some texts, each in a field of its own. */
function Several(props: {
  label: string;
  values: string[];
  set: (values: string[] | undefined) => void;
  among: string[];
}) {
  const { label, values, set, among } = props;
  const put = (index: number, value: string) => {
    const next = values.map((it, at) => (at === index ? value.trim() : it)).filter(Boolean);
    set(next.length > 0 ? next : undefined);
  };
  return (
    <div className="several">
      {values.map((value, index) => (
        <div className="bar" key={value}>
          <Later
            className="wide mono"
            label={`${label} ${index + 1}`}
            value={value}
            among={among}
            set={text => put(index, text)}
          />
          <button type="button" className="btn bare icon" aria-label={`Remove ${value}`} onClick={() => put(index, '')}>
            ×
          </button>
        </div>
      ))}
      <Later
        key={values.length}
        className="wide mono"
        label={`Add ${label.toLowerCase()}`}
        placeholder="add a column or an expression"
        value=""
        among={among}
        set={text => text.trim() && set([...values, text.trim()])}
      />
    </div>
  );
}

function Measures(props: {
  values: Measure[];
  set: (values: Measure[] | undefined) => void;
  rename: (values: Measure[], from: string, to: string) => void;
  among: string[];
}) {
  const { values, set, rename, among } = props;
  const put = (index: number, measure: Measure) => set(values.map((it, at) => (at === index ? measure : it)));
  const names = values.map(({ name }) => name);
  return (
    <div className="several">
      {values.map((measure, index) => {
        const { by, of } = taken(measure.expr);
        const label = `Measure ${index + 1}`;
        return (
          <div className="measure" key={measure.name}>
            <div className="bar">
              <Choose
                label={`${label}: function`}
                value={by}
                set={next =>
                  put(index, { ...measure, expr: expression(next as Aggregate, of || (among[0] ?? '*') || '1') })
                }
                options={AGGREGATES.map((name): [string, string] => [name, name])}
              />
              <Later
                className="wide"
                label={`${label}: name`}
                value={measure.name}
                set={text => {
                  const name = some(text);
                  const next = values.map((it, at) => (at === index ? { ...it, name: name ?? '' } : it));
                  if (name) rename(next, measure.name, name);
                }}
              />
              <button
                type="button"
                className="btn bare icon"
                aria-label={`Remove ${measure.name}`}
                onClick={() => set(values.length > 1 ? values.filter((_, at) => at !== index) : undefined)}
              >
                ×
              </button>
            </div>
            {by !== 'count' && (
              <Later
                className="wide mono"
                label={`${label}: ${by === 'expression' ? 'expression' : 'column'}`}
                value={of}
                among={among}
                set={text => some(text) && put(index, { ...measure, expr: expression(by, text.trim()) })}
              />
            )}
          </div>
        );
      })}
      <div>
        <button
          type="button"
          className="btn"
          onClick={() => set([...values, { name: free('rows', names), expr: 'count(*)' }])}
        >
          Add measure
        </button>
      </div>
    </div>
  );
}

/** What is drawn behind the lines of a chart: a band between two of its measures, and one as bars. */
function Behind({ chart, set }: { chart: Chart; set: (key: string) => (value: unknown) => void }) {
  const names = (chart.measures ?? []).map(({ name }) => name);
  const options = (none: string): [string, string][] => [
    ['', none],
    ...names.map((name): [string, string] => [name, name]),
  ];
  const { lower = '', upper = '' } = chart.band ?? {};
  const other = (name: string) => names.find(it => it !== name) ?? name;
  return (
    <>
      <Row name="Band">
        <div className="bar">
          <Choose
            label="Band: lower edge"
            value={lower}
            set={name => set('band')(name ? { lower: name, upper: upper || other(name) } : undefined)}
            options={options('no band')}
          />
          {lower && (
            <Choose
              label="Band: upper edge"
              value={upper}
              set={name => set('band')(name ? { lower, upper: name } : undefined)}
              options={options('no band')}
            />
          )}
        </div>
      </Row>
      <Row name="Bars">
        <Choose
          label="Bars"
          value={chart.bars ?? ''}
          set={name => set('bars')(some(name))}
          options={options('no bars behind the lines')}
        />
      </Row>
    </>
  );
}

/** What a KPI can be compared with, beside what its text says. */
const EARLIER: Record<string, string> = {
  '': 'nothing',
  previous: 'the time right before',
  '24h': 'a day before',
  '7d': 'a week before',
  '365d': 'a year before',
};

/** What stands beside a chart's rows. */
function Beside({ chart, set }: { chart: Chart; set: (key: string) => (value: unknown) => void }) {
  const { type, totals = false, compare = '' } = chart;
  if (type === 'table' || type === 'pivot') {
    return (
      <label className="check">
        <input
          type="checkbox"
          checked={totals}
          onChange={event => set('totals')(event.target.checked ? true : undefined)}
        />
        Totals
      </label>
    );
  }
  if (type !== 'kpi') return null;
  return (
    <Row name="Compared with">
      <Choose
        label="Compared with"
        value={compare}
        set={text => set('compare')(some(text))}
        options={Object.entries(EARLIER[compare] ? EARLIER : { ...EARLIER, [compare]: `${compare} before` })}
      />
    </Row>
  );
}

/** One chart. */
export function ChartForm(props: {
  chart: Chart;
  relations: Relation[];
  change: Change;
  remove: () => void;
  /** The dashboard's sheets by their places, which of them the chart is on, and how it gets to another. */
  sheets: [place: string, title: string][];
  sheet: number;
  send: (sheet: number) => void;
}) {
  const { chart, relations, change, remove, sheets, sheet, send } = props;
  const columns = columnsOf(relations, chart.from);
  const set = (key: string) => (value: unknown) => change([[[key], value]]);
  const axes = [...(chart.drill ?? []), ...axesOf(chart, 0)];
  const shown = [...new Set([...axes, ...(chart.measures ?? []).map(({ name }) => name)])];
  const sorts: [string, string][] = shown.flatMap((name): [string, string][] => [
    [name, `${name}, smallest first`],
    [`-${name}`, `${name}, largest first`],
  ]);
  // What the text says is what is shown, also where the chart has no such column by now.
  if (chart.sort && !sorts.some(([value]) => value === chart.sort)) sorts.push([chart.sort, chart.sort]);
  return (
    <div className="form">
      <Entry name="Title" value={chart.title ?? ''} set={text => set('title')(some(text))} />
      {sheets.length > 1 && (
        <Row name="Sheet">
          <Choose label="Sheet" value={String(sheet)} set={place => send(Number(place))} options={sheets} />
        </Row>
      )}
      <Row name="Type">
        <Choose label="Type" value={chart.type} set={set('type')} options={Object.entries(SHAPES)} />
      </Row>
      <Row name="Data">
        <From key={chart.id} value={chart.from} set={set('from')} relations={relations} />
      </Row>
      <Entry
        name="Time"
        mono
        placeholder="the column with a row's time"
        value={chart.time ?? ''}
        among={columns}
        set={text => set('time')(some(text))}
      />
      <Row name="Cut by">
        <Choose
          label="Cut by"
          value={chart.grain ?? ''}
          set={value => set('grain')(some(value))}
          options={[
            ['', 'as usual for its type'],
            ['auto', 'by the time that is shown'],
            ['none', 'nothing'],
            ...GRAINS.map((grain): [string, string] => [grain, grain]),
          ]}
        />
      </Row>
      <Row name="Dimensions">
        <Several label="Dimension" values={chart.dimensions ?? []} set={set('dimensions')} among={columns} />
      </Row>
      <Row name="Measures">
        <Measures
          values={chart.measures ?? []}
          set={set('measures')}
          rename={(values, from, to) => change([[['measures'], values], ...renamed(chart, from, to)])}
          among={columns}
        />
      </Row>
      <Entry
        name="Only where"
        mono
        placeholder="amount > 0"
        value={chart.where ?? ''}
        set={text => set('where')(some(text))}
      />
      <Row name="Drill down">
        <Several
          label="Level"
          values={chart.drill ?? []}
          set={set('drill')}
          among={chart.time ? [...GRAINS, ...columns] : columns}
        />
      </Row>
      <Row name="Sort">
        <Choose
          label="Sort"
          value={chart.sort ?? ''}
          set={value => set('sort')(some(value))}
          options={[['', 'along the axis'], ...sorts]}
        />
      </Row>
      <Entry
        name="Rows at most"
        placeholder="10000"
        value={chart.limit === undefined ? '' : String(chart.limit)}
        set={text => set('limit')(number(text))}
      />
      <Entry
        name="Threshold"
        value={chart.threshold === undefined ? '' : String(chart.threshold)}
        set={text => set('threshold')(number(text))}
      />
      <Beside chart={chart} set={set} />
      {(chart.type === 'line' || chart.type === 'area') && <Behind chart={chart} set={set} />}
      <Entry
        name="Link"
        mono
        placeholder={chart.link?.dashboard ? `dashboard ${chart.link.dashboard}` : 'https://shop.example/{column}'}
        value={chart.link?.url ?? ''}
        set={text => set('link')(some(text) && { ...chart.link, dashboard: undefined, url: text.trim() })}
      />
      <div>
        <button type="button" className="btn danger" onClick={remove}>
          Remove chart
        </button>
      </div>
    </div>
  );
}

/** The filters of the dashboard. */
export function FilterForms(props: { filters: Filter[]; relations: Relation[]; change: Change }) {
  const { filters, relations, change } = props;
  const add = () => {
    const [relation] = relations;
    if (!relation) return;
    const column = quoted((relation.columns.find(it => it.type === 'text') ?? relation.columns[0])?.name ?? 'key');
    const id = free(
      column.replace(/\W/g, '') || 'filter',
      filters.map(filter => filter.id),
    );
    const filter = { id, from: relationName(relation), column };
    change(filters.length === 0 ? [[['filters'], [filter]]] : [[['filters', filters.length], filter]]);
  };
  return (
    <div className="form">
      {filters.map((filter, index) => {
        const set = (key: string) => (value: unknown) => change([[['filters', index, key], value]]);
        return (
          <fieldset key={filter.id} className="group">
            <legend>{filter.label ?? filter.id}</legend>
            <Entry name="Label" value={filter.label ?? ''} set={text => set('label')(some(text))} />
            <Row name="Data">
              <From value={filter.from} set={set('from')} relations={relations} />
            </Row>
            <Entry
              name="Column"
              mono
              value={filter.column}
              among={columnsOf(relations, filter.from)}
              set={text => some(text) && set('column')(text.trim())}
            />
            {filters.slice(0, index).map(({ id, label }) => (
              <label key={id} className="check">
                <input
                  type="checkbox"
                  checked={filter.after?.includes(id) ?? false}
                  onChange={event => {
                    const after = (filter.after ?? []).filter(it => it !== id);
                    const next = event.target.checked ? [...after, id] : after;
                    set('after')(next.length > 0 ? next : undefined);
                  }}
                />
                offers what {label ?? id} leaves
              </label>
            ))}
            <div>
              <button type="button" className="btn" onClick={() => change([[['filters', index], undefined]])}>
                Remove filter
              </button>
            </div>
          </fieldset>
        );
      })}
      <div>
        <button type="button" className="btn" onClick={add} disabled={relations.length === 0}>
          Add filter
        </button>
      </div>
    </div>
  );
}

/** The dashboard itself. */
export function DashboardForm({ spec, change }: { spec: Dashboard; change: Change }) {
  const set = (key: string) => (value: unknown) => change([[[key], value]]);
  return (
    <div className="form">
      <Entry name="Title" value={spec.title ?? ''} set={text => set('title')(some(text))} />
      <Entry name="Description" value={spec.description ?? ''} set={text => set('description')(some(text))} />
      <Entry
        name="Looks back"
        placeholder="all times"
        among={['1h', '24h', '7d', '30d', '365d']}
        value={spec.range ?? ''}
        set={text => set('range')(some(text))}
      />
      <Entry
        name="Refresh every"
        placeholder="never"
        among={['10s', '30s', '1m', '5m']}
        value={spec.refresh ?? ''}
        set={text => set('refresh')(some(text))}
      />
    </div>
  );
}
