/** One chart of a dashboard in its frame: asked, drawn, and where a mark of it leads. */

import { type ReactNode, useMemo, useRef, useState } from 'react';
import { type Resource, useKind } from '../api.ts';
import { type Drawing, figure, undrawn } from '../charts/drawing.ts';
import { GRAINS, type Grain, moment, piece } from '../charts/grain.ts';
import { path } from '../router.tsx';
import { isTime, key, numeric, save, saveCsv, shown } from '../rows.ts';
import { Grid } from '../ui/grid.tsx';
import { Picture } from '../ui/lazy.tsx';
import { Empty, Loading, Trouble } from '../ui/parts.tsx';
import { type Drawn, type Source, useChart } from './asking.ts';
import { change, missing, TOTAL, totalsBy, whole } from './beside.ts';
import { asQuery, type Choice, choose } from './choice.ts';
import { type Action, Actions, PointMenu, Popover } from './menu.tsx';
import { PivotTable } from './pivot.tsx';
import { axesOf, type Chart, type Dashboard, filterOf, handed, linked, titleOf } from './spec.ts';

interface Props {
  source: Source;
  chart: Chart;
  choice: Choice;
  /** What the builder adds to the frame. */
  handles?: ReactNode;
}

interface Picked {
  row: number;
  at: { x: number; y: number };
}

/** The chart. */
export function Tile({ source, chart, choice, handles }: Props) {
  const { data, error, isPlaceholderData, isFetching } = useChart(source, chart, choice);
  const dashboards = useKind('Dashboard');
  const [asTable, setAsTable] = useState(false);
  const [picked, setPicked] = useState<Picked | null>(null);
  const [statement, setStatement] = useState(false);
  const image = useRef<(() => Promise<Blob | null>) | null>(null);
  const title = titleOf(chart);
  const drawing = useMemo(() => (data ? drawingOf(chart, data) : null), [chart, data]);
  const unseen = useMemo(() => (drawing ? undrawn(drawing) : ''), [drawing]);
  const levels = choice.drill[chart.id] ?? [];
  const actionsOf = (row: number) => (data ? leads(source.spec, chart, choice, data, row, dashboards ?? []) : []);
  const pick = (row: number, at: Picked['at']) => {
    const actions = actionsOf(row);
    const [only] = actions;
    if (actions.length === 1 && only && 'act' in only) only.act();
    else if (actions.length > 0) setPicked({ row, at });
  };
  const drawn = chart.type !== 'table' && chart.type !== 'pivot' && chart.type !== 'kpi';
  const items: Action[] = [
    ...(drawn ? [{ label: asTable ? 'Show as chart' : 'Show as table', act: () => setAsTable(!asTable) }] : []),
    { label: statement ? 'Hide SQL' : 'Show SQL', act: () => setStatement(!statement) },
    { label: 'Download CSV', act: () => data && saveCsv(chart.id, whole(data)) },
    ...(drawn && !asTable
      ? [
          {
            label: 'Download PNG',
            act: () => void image.current?.().then(blob => blob && save(`${chart.id}.png`, blob)),
          },
        ]
      : []),
  ];
  return (
    <>
      <header>
        <h2 className="clip" title={title}>
          {title}
        </h2>
        {levels.length > 0 && <Levels chart={chart} levels={levels} />}
        <div className="end">
          {isFetching && <span className="busy" role="img" aria-label="asking" />}
          {handles}
          <Popover className="bare icon" label="⋯" name={`More about ${title}`}>
            <Actions actions={items} done={() => undefined} />
          </Popover>
        </div>
      </header>
      {error && <Trouble error={error} />}
      {!data && !error && <Loading />}
      {statement && data && (
        <pre className="code" tabIndex={0}>
          {data.query}
        </pre>
      )}
      {data &&
        !error &&
        [...missing(data, chart.limit), ...(unseen && !asTable ? [unseen] : [])].map(words => (
          <p key={words} className="muted" role="status">
            {words}
          </p>
        ))}
      {data && !error && (
        <div className="tile-body" style={{ opacity: isPlaceholderData ? 0.55 : 1 }}>
          <Body
            chart={chart}
            data={data}
            drawing={drawing}
            asTable={asTable}
            pick={pick}
            leads={row => actionsOf(row).length > 0}
            image={make => {
              image.current = make;
            }}
          />
        </div>
      )}
      {picked && data && (
        <PointMenu
          at={picked.at}
          label={about(chart, data, picked.row)}
          actions={actionsOf(picked.row)}
          close={() => setPicked(null)}
        />
      )}
    </>
  );
}

/** The levels behind the reader, each a way back. */
function Levels({ chart, levels }: { chart: Chart; levels: unknown[] }) {
  const say = (value: unknown, level: number) => {
    const grain = chart.drill?.[level] ?? '';
    return (GRAINS.includes(grain as Grain) ? moment(value, grain as Grain) : shown(value)) || '–';
  };
  return (
    <nav aria-label={`Levels of ${titleOf(chart)}`} className="levels">
      <button type="button" className="as-link" onClick={() => choose.drill(chart.id, [])}>
        All
      </button>
      {levels.map((value, level) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a level is known by its depth
        <span key={level}>
          {' / '}
          <button type="button" className="as-link" onClick={() => choose.drill(chart.id, levels.slice(0, level + 1))}>
            {say(value, level)}
          </button>
        </span>
      ))}
    </nav>
  );
}

/** What a row is about, in words. */
function about(chart: Chart, { columns, rows, axes, grain }: Drawn, row: number): string {
  const values = rows[row]?.slice(0, axes) ?? [];
  const said = values.map((value, at) =>
    isTime(columns[at]?.type ?? '') ? moment(value, at === 0 && grain ? grain : undefined) : shown(value) || '–',
  );
  return said.join(' · ') || titleOf(chart);
}

/** Where a row leads to: a finer level, a filter, a shorter time, an address. */
export function leads(
  dashboard: Dashboard,
  chart: Chart,
  choice: Choice,
  { columns, rows, axes, grain }: Drawn,
  row: number,
  dashboards: Resource[],
): Action[] {
  const actions: Action[] = [];
  const levels = choice.drill[chart.id] ?? [];
  const names = axesOf(chart, levels.length);
  const values = rows[row] ?? [];
  const [first] = values;
  const deeper = chart.drill?.[levels.length + 1];
  if (deeper !== undefined && first !== undefined) {
    actions.push({ label: `Drill down by ${deeper}`, act: () => choose.drill(chart.id, [...levels, first]) });
  }
  for (const [at, name] of names.slice(0, axes).entries()) {
    const filter = filterOf(dashboard, chart, name);
    const value = values[at] ?? null;
    if (!filter) continue;
    const only = choice.filters[filter.id];
    if (only && key(only) === key([value])) {
      actions.push({ label: `Any ${filter.label ?? filter.id}`, act: () => choose.filter(filter.id, []) });
    } else {
      actions.push({
        label: `Only ${filter.label ?? filter.id}: ${shown(value) || '–'}`,
        act: () => choose.filter(filter.id, [value]),
      });
    }
  }
  if (grain && deeper === undefined && typeof first === 'string') {
    const { from, to } = piece(first, grain);
    actions.push({ label: `Look at ${moment(first, grain)}`, act: () => choose.time(`${from}..${to}`) });
  }
  const { link } = chart;
  if (link?.url && /^(https?:\/\/|\/(?![/\\]))/.test(link.url)) {
    const column = (name: string) => values[columns.findIndex(it => it.name === name)];
    actions.push({ label: link.label ?? 'Open', href: linked(link.url, name => shown(column(name))) });
  }
  if (link?.dashboard) {
    const spec = dashboards.find(it => it.metadata.name === link.dashboard)?.spec as Dashboard | undefined;
    const theirs = new Set(spec?.filters?.map(({ id }) => id));
    const kept = Object.fromEntries(Object.entries(choice.filters).filter(([id]) => theirs.has(id)));
    const columns = names.slice(0, axes);
    for (const [id, at] of handed(spec ?? {}, dashboard, chart, columns)) kept[id] = [values[at] ?? null];
    const to = path(['dashboards', link.dashboard], asQuery(kept, choice.time, choice.reader));
    actions.push({ label: link.label ?? `Open ${link.dashboard}`, to });
  }
  return actions;
}

interface BodyProps {
  chart: Chart;
  data: Drawn;
  drawing: Drawing | null;
  asTable: boolean;
  pick: (row: number, at: Picked['at']) => void;
  leads: (row: number) => boolean;
  image: (make: (() => Promise<Blob | null>) | null) => void;
}

function Body({ chart, data, drawing, asTable, pick, leads, image }: BodyProps) {
  const grain = data.grain ?? undefined;
  if (data.rows.length === 0) return <Empty>Nothing at this time, with these filters.</Empty>;
  if (chart.type === 'kpi') return <Kpi chart={chart} answer={data} />;
  if (chart.type === 'pivot') {
    return <PivotTable answer={data} grain={grain} label={titleOf(chart)} pick={pick} />;
  }
  if (chart.type === 'table' || asTable || !drawing) {
    const cell = (row: number, column: number) => {
      const value = data.rows[row]?.[column];
      const { type = '' } = data.columns[column] ?? {};
      const said =
        isTime(type) && column === 0 && grain
          ? moment(value, grain)
          : column >= data.axes && typeof value === 'number'
            ? figure(value)
            : shown(value);
      if (column > 0 || !leads(row)) return said;
      return (
        <button
          type="button"
          className="as-link"
          onClick={event => {
            const box = event.currentTarget.getBoundingClientRect();
            pick(row, { x: box.left, y: box.bottom });
          }}
        >
          {said || '–'}
        </button>
      );
    };
    const total = totalsBy(data, [])([]);
    const foot = (column: number) =>
      column >= data.axes ? figure(total?.[column - data.axes]) : column === 0 && TOTAL;
    return <Grid label={titleOf(chart)} answer={data} cell={cell} foot={total && foot} fill />;
  }
  return <Picture drawing={drawing} label={`${titleOf(chart)}, also as a table`} pick={pick} image={image} />;
}

/** How a chart's columns are drawn. */
function drawingOf(chart: Chart, data: Drawn): Drawing | null {
  const { type: shape } = chart;
  if (shape === 'table' || shape === 'pivot' || shape === 'kpi') return null;
  const measures = data.columns.map((_, at) => at).filter(at => at >= data.axes);
  const column = (name: string | undefined) => data.columns.findIndex((it, at) => at >= data.axes && it.name === name);
  const axes = data.columns.slice(0, data.axes).map((_, at) => at);
  const [lower, upper, bars] = [column(chart.band?.lower), column(chart.band?.upper), column(chart.bars)];
  return {
    shape,
    answer: data,
    axis: shape === 'scatter' ? undefined : axes[0],
    by: shape === 'scatter' ? axes : axes.slice(1),
    measures,
    grain: data.grain ?? undefined,
    threshold: chart.threshold,
    ...(lower >= 0 && upper >= 0 && { band: { lower, upper } }),
    ...(bars >= 0 && { bars }),
  };
}

function Kpi({ chart, answer }: { chart: Chart; answer: Drawn }) {
  const value = answer.rows[0]?.at(-1);
  const over = chart.threshold !== undefined && numeric(value) > chart.threshold;
  return (
    <div className={`kpi ${over ? 'bad' : ''}`}>
      <strong>{figure(value)}</strong>
      <span className="muted">
        {answer.columns.at(-1)?.name}
        {chart.threshold !== undefined && ` · ${over ? 'above' : 'within'} ${figure(chart.threshold)}`}
      </span>
      {answer.before && !answer.before.problem && <Earlier value={value} before={answer.before} />}
    </div>
  );
}

const PERCENT = { maximumFractionDigits: 1, signDisplay: 'exceptZero' } as const;

/** The value at an earlier time, and how far from it the present one is. */
function Earlier({ value, before }: { value: unknown; before: NonNullable<Drawn['before']> }) {
  const earlier = before.rows[0]?.[0];
  const percent = change(value, earlier);
  return (
    <span className="muted" title={`from ${moment(before.from)} to ${moment(before.to)} UTC`}>
      {percent !== undefined && <b>{percent.toLocaleString('en-US', PERCENT)} %</b>} before: {figure(earlier)}
    </span>
  );
}
