/** What can be said of a chart and of the dashboard, as fields. Each change is a change of the YAML. */

import { GRAINS } from '../charts/grain.ts';
import type { Relation } from '../rows.ts';
import { Check, Choose, Entry, Later, Row } from '../ui/fields.tsx';
import { AGGREGATES, type Aggregate, expression, free, renamed, taken } from './draft.ts';
import { Narrowed } from './filterforms.tsx';
import { type Change, columnsOf, Earlier, From, number, Several, some } from './formparts.tsx';
import { LinkForm } from './linkform.tsx';
import { axesOf, type Chart, type Dashboard, type Filter, type Measure, SHAPES } from './spec.ts';

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
              <Earlier values={values} index={index} name={measure.name} set={set} />
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
    return <Check name="Totals" checked={totals} set={on => set('totals')(on || undefined)} />;
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
  /** Those of the dashboard. */
  filters: Filter[];
  relations: Relation[];
  change: Change;
  remove: () => void;
  /** The dashboard's sheets by their places, which of them the chart is on, and how it gets to another. */
  sheets: [place: string, title: string][];
  sheet: number;
  send: (sheet: number) => void;
}) {
  const { chart, filters, relations, change, remove, sheets, sheet, send } = props;
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
      {filters.length > 0 && <Narrowed filters={filters} chart={chart} set={set} among={columns} />}
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
      <LinkForm chart={chart} filters={filters} set={set('link')} />
      <div>
        <button type="button" className="btn danger" onClick={remove}>
          Remove chart
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
      <Entry name="Owner" value={spec.owner ?? ''} set={text => set('owner')(some(text))} />
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
