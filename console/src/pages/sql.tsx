/** SQL: a statement, its rows as a table or a picture. The URL has what was asked; what was asked before stays here. */

import { useQuery } from '@tanstack/react-query';
import { useEffect, useMemo, useState } from 'react';
import { call, type Problem, queries, Refusal } from '../api.ts';
import { type Drawing, type Shape, undrawn } from '../charts/drawing.ts';
import { keepUnsaved, unsaved } from '../editor/unsaved.ts';
import { plural, span } from '../format.ts';
import { useLocation, useParam } from '../router.tsx';
import {
  type Answer,
  ask,
  isNumeric,
  isTime,
  quoted,
  type Relation,
  relationName,
  saveCsv,
  shown,
  useRelations,
} from '../rows.ts';
import { Grid } from '../ui/grid.tsx';
import { Picture, Statement } from '../ui/lazy.tsx';
import { Ago, Empty, Loading, Page, Panel, Tabs, Trouble } from '../ui/parts.tsx';

/** Rows that are asked for. */
const ROWS_MAX = 100_000;
/** A longer statement is not put into the URL: browsers and what lies between would cut it. */
const URL_MAX = 6_000;

/** Where a statement is kept that was typed and not asked. */
const PLACE = 'sql';

interface Asked {
  text: string;
  explain: boolean;
  /** Grows, so that the same statement can be asked again. */
  number: number;
}

/** The page. */
export function SqlPage() {
  const [kept, keep] = useParam('q');
  const [explained, setExplained] = useParam('explain');
  const [start, setStart] = useState({ text: kept || (unsaved(PLACE)?.text ?? past()[0]?.text ?? ''), number: 0 });
  const [text, setText] = useState(start.text);
  const [asked, setAsked] = useState<Asked | null>(kept ? { text: kept, explain: explained !== '', number: 0 } : null);
  const relations = useRelations();
  const key = ['sql', asked];
  const { data, error, fetchStatus } = useQuery({
    queryKey: key,
    enabled: asked !== null,
    gcTime: 0,
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: async ({ signal }) => {
      const begin = performance.now();
      const answer = await ask((asked?.explain ? 'EXPLAIN\n' : '') + asked?.text, ROWS_MAX, signal);
      return { answer, ms: performance.now() - begin };
    },
  });
  const running = fetchStatus === 'fetching';
  const run = (explain: boolean, statement = text) => {
    if (statement.trim() === '') return;
    keep(statement.length > URL_MAX ? '' : statement);
    setExplained(explain ? '1' : '');
    setAsked({ text: statement, explain, number: (asked?.number ?? 0) + 1 });
    remember(statement);
  };
  const cancel = () => void queries.cancelQueries({ queryKey: key });
  const problems = useMemo(() => {
    if (!(error instanceof Refusal) || asked?.text !== text) return [];
    return error.all.filter(it => it.place).map(it => (asked.explain ? lifted(it) : it));
  }, [error, asked, text]);
  const type = (statement: string) => {
    setText(statement);
    keepUnsaved(PLACE, { text: statement, version: 0 });
  };
  const use = (statement: string) => {
    type(statement);
    setStart({ text: statement, number: start.number + 1 });
  };
  const trouble = error instanceof Refusal && asked?.explain ? new Refusal(lifted(error.problem), error.status) : error;
  return (
    <Page title="SQL" about="Streams, tables and datasets in one statement. An event is found once it is acknowledged.">
      <div className="cols wide-left">
        <div className="stack">
          <Statement
            key={start.number}
            text={start.text}
            label="Statement"
            relations={relations.data ?? []}
            problems={problems}
            changed={type}
            run={statement => run(false, statement)}
          />
          <div className="bar">
            <button
              type="button"
              className="btn main"
              disabled={running || text.trim() === ''}
              onClick={() => run(false)}
            >
              Run
            </button>
            <button type="button" className="btn" disabled={running || text.trim() === ''} onClick={() => run(true)}>
              Explain
            </button>
            {running && (
              <button type="button" className="btn" onClick={cancel}>
                Cancel
              </button>
            )}
            <span role="status" className="muted">
              {running ? 'running …' : data ? told(data) : asked && !error ? 'cancelled' : 'Ctrl Enter runs it'}
            </span>
          </div>
          {trouble && <Trouble error={trouble} />}
          {data && asked?.explain && <Plan answer={data.answer} />}
          {data && !asked?.explain && <Result answer={data.answer} />}
        </div>
        <div className="stack">
          <Running />
          <Relations relations={relations.data} error={relations.error} use={use} />
          <History use={use} newest={asked?.number ?? 0} />
        </div>
      </div>
    </Page>
  );
}

interface RunningQuery {
  id: number;
  principal: string;
  via: string;
  query: string;
  started: string;
  rows: number;
}

/** The statements that run now, whoever asked; nothing where there are none. */
function Running() {
  const [error, setError] = useState<unknown>(null);
  const { data, refetch } = useQuery({
    queryKey: ['queries'],
    refetchInterval: 2_000,
    queryFn: () => call<{ items: RunningQuery[] }>('/v1/queries').then(answer => answer.items),
  });
  const stop = (id: number) => {
    setError(null);
    call(`/v1/queries/${id}`, { method: 'DELETE' }).then(() => void refetch(), setError);
  };
  if (!data || data.length === 0) return null;
  return (
    <Panel title="Running">
      {error !== null && <Trouble error={error} />}
      <ul className="rows">
        {data.map(it => (
          <li key={it.id}>
            <code className="clip" title={it.query}>
              {it.query.replace(/\s+/g, ' ')}
            </code>{' '}
            <span className="muted">
              {it.principal} by {it.via}, <Ago at={it.started} />, {plural(Number(it.rows), 'row')}
            </span>{' '}
            <button type="button" className="btn bare" aria-label={`Stop query ${it.id}`} onClick={() => stop(it.id)}>
              Stop
            </button>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

function told({ answer, ms }: { answer: Answer; ms: number }): string {
  const rows = plural(answer.rows.length, 'row');
  return `${answer.rows.length === ROWS_MAX ? `the first ${rows}` : rows} in ${span(ms)}`;
}

/** A problem of an explained statement, which stands one line lower there. */
function lifted(problem: Problem): Problem {
  const { place } = problem;
  return place?.line === undefined ? problem : { ...problem, place: { ...place, line: place.line - 1 } };
}

function Plan({ answer }: { answer: Answer }) {
  return (
    <Panel title="Plan">
      {answer.rows.map(([kind, plan]) => (
        <div className="body" key={shown(kind)}>
          <h3>{shown(kind).replaceAll('_', ' ')}</h3>
          <pre className="code" tabIndex={0}>
            {shown(plan)}
          </pre>
        </div>
      ))}
    </Panel>
  );
}

function Result({ answer }: { answer: Answer }) {
  const csv = (
    <button type="button" className="btn bare" onClick={() => saveCsv('rows', answer)}>
      Download CSV
    </button>
  );
  return (
    <Tabs
      tabs={[
        {
          id: 'table',
          label: 'Table',
          count: answer.rows.length.toLocaleString('en-US'),
          show: () => (
            <Panel title="Answer" end={csv}>
              {answer.rows.length === 0 ? <Empty>No rows.</Empty> : <Grid label="Rows" answer={answer} />}
            </Panel>
          ),
        },
        { id: 'chart', label: 'Chart', show: () => <Drawn answer={answer} /> },
      ]}
    />
  );
}

const SHAPES: Partial<Record<Shape, string>> = {
  line: 'Line',
  area: 'Area',
  bar: 'Bar',
  stackedBar: 'Stacked bar',
  pie: 'Pie',
  scatter: 'Scatter',
  heatmap: 'Heat map',
};

/** The rows as a picture; which column is what is in the URL. */
function Drawn({ answer }: { answer: Answer }) {
  const { columns } = answer;
  const numbers = columns.map((_, at) => at).filter(at => isNumeric(columns[at]?.type ?? ''));
  const others = columns.map((_, at) => at).filter(at => !numbers.includes(at));
  const time = columns.findIndex(column => isTime(column.type));
  const [shape, setShape] = useParam('as', time < 0 ? 'bar' : 'line');
  const [x, setX] = useParam('x', String(time < 0 ? (others[0] ?? 0) : time));
  const [y, setY] = useParam(
    'y',
    numbers
      .filter(at => String(at) !== x)
      .slice(0, 4)
      .join(','),
  );
  const [by, setBy] = useParam('by');
  const measures = y.split(',').filter(Boolean).map(Number);
  const drawing = useMemo((): Drawing => {
    const split = by === '' ? [] : [Number(by)];
    return {
      shape: shape as Shape,
      answer,
      axis: Number(x),
      by: split,
      measures: y.split(',').filter(Boolean).map(Number),
    };
  }, [shape, answer, x, y, by]);
  const unseen = useMemo(() => undrawn(drawing), [drawing]);
  const option = (at: number) => (
    <option key={at} value={String(at)}>
      {columns[at]?.name}
    </option>
  );
  const every = columns.map((_, at) => at);
  return (
    <Panel title="Chart">
      <div className="body stack">
        <div className="bar">
          <select className="field" aria-label="Kind of chart" value={shape} onChange={e => setShape(e.target.value)}>
            {Object.entries(SHAPES).map(([id, name]) => (
              <option key={id} value={id}>
                {name}
              </option>
            ))}
          </select>
          <label className="check">
            along
            <select className="field" value={x} onChange={e => setX(e.target.value)}>
              {every.map(option)}
            </select>
          </label>
          <label className="check">
            a series for each
            <select className="field" value={by} onChange={e => setBy(e.target.value)}>
              <option value="">–</option>
              {others.map(option)}
            </select>
          </label>
          <fieldset className="checks">
            <legend className="hidden">Drawn columns</legend>
            {numbers.map(at => (
              <label className="check" key={at}>
                <input
                  type="checkbox"
                  checked={measures.includes(at)}
                  onChange={e =>
                    setY((e.target.checked ? [...measures, at] : measures.filter(it => it !== at)).join(','))
                  }
                />
                {columns[at]?.name}
              </label>
            ))}
          </fieldset>
        </div>
        {measures.length === 0 ? (
          <Empty>No column of numbers is chosen.</Empty>
        ) : (
          <>
            {unseen && (
              <p className="muted" role="status">
                {unseen}
              </p>
            )}
            <div className="frame">
              <Picture drawing={drawing} label={`Chart of ${measures.map(at => columns[at]?.name).join(', ')}`} />
            </div>
          </>
        )}
      </div>
    </Panel>
  );
}

function Relations(props: { relations: Relation[] | undefined; error: unknown; use: (statement: string) => void }) {
  const [words, setWords] = useState('');
  const { relations, error, use } = props;
  const found = (relations ?? []).filter(it => `${it.schema}.${it.name}`.includes(words));
  return (
    <Panel title="What can be asked">
      {error ? <Trouble error={error} /> : !relations ? <Loading /> : null}
      {relations && (
        <>
          <div className="body">
            <input
              className="field wide"
              type="search"
              aria-label="Filter relations"
              placeholder="Filter"
              value={words}
              onChange={event => setWords(event.target.value)}
            />
          </div>
          <section className="relations" aria-label="Relations" tabIndex={0}>
            {found.length === 0 && <Empty>There is none{words ? ' of this name' : ' yet'}.</Empty>}
            {found.map(it => (
              <details key={`${it.schema}.${it.name}`}>
                <summary className="mono">{relationName(it)}</summary>
                <ul>
                  {it.columns.map(column => (
                    <li key={column.name}>
                      <code>{quoted(column.name)}</code> <span className="muted">{column.type}</span>
                    </li>
                  ))}
                </ul>
                <button
                  type="button"
                  className="btn"
                  onClick={() => use(`SELECT *\nFROM ${relationName(it)}\nLIMIT 100`)}
                >
                  Write a statement
                </button>
              </details>
            ))}
          </section>
        </>
      )}
    </Panel>
  );
}

const HISTORY = 'headwater.sql';
const HISTORY_MAX = 50;

interface Past {
  text: string;
  at: string;
}

/** Statements of this browser, newest first. */
function past(): Past[] {
  try {
    const kept: unknown = JSON.parse(window.localStorage.getItem(HISTORY) ?? '[]');
    return Array.isArray(kept) ? (kept as Past[]) : [];
  } catch {
    return [];
  }
}

function remember(text: string): void {
  const kept = [{ text, at: new Date().toISOString() }, ...past().filter(it => it.text !== text)];
  try {
    window.localStorage.setItem(HISTORY, JSON.stringify(kept.slice(0, HISTORY_MAX)));
  } catch {
    // A browser that keeps nothing has no history.
  }
}

function History({ use, newest }: { use: (statement: string) => void; newest: number }) {
  const { query } = useLocation();
  const [all, setAll] = useState(past);
  // biome-ignore lint/correctness/useExhaustiveDependencies: read anew when something was asked
  useEffect(() => setAll(past()), [newest, query.get('q')]);
  const forget = () => {
    window.localStorage.removeItem(HISTORY);
    setAll([]);
  };
  return (
    <Panel
      title="Asked before"
      end={
        all.length > 0 && (
          <button type="button" className="btn bare" onClick={forget}>
            Forget
          </button>
        )
      }
    >
      {all.length === 0 ? (
        <Empty>Statements stay in this browser.</Empty>
      ) : (
        <section className="relations" aria-label="Statements" tabIndex={0}>
          <ul className="rows">
            {all.map(it => (
              <li key={it.text}>
                <button type="button" className="as-link mono clip" title={it.at} onClick={() => use(it.text)}>
                  {it.text.replace(/\s+/g, ' ')}
                </button>
              </li>
            ))}
          </ul>
        </section>
      )}
    </Panel>
  );
}
