/** A dashboard to edit: charts on the grid, moved by pointer or keys, and forms beside it. Publishing applies the YAML. */

import { useQuery } from '@tanstack/react-query';
import { type KeyboardEvent, type PointerEvent, useEffect, useMemo, useRef, useState } from 'react';
import type { Kind, Resource } from '../api.ts';
import { go, Link, path, useParam } from '../router.tsx';
import { relationName, save, useRelations } from '../rows.ts';
import { Entry, LaterText } from '../ui/fields.tsx';
import { Awaited, Empty, Loading, Page, Panel, Tabs, Trouble } from '../ui/parts.tsx';
import type { Source } from './asking.ts';
import { Board, standing } from './board.tsx';
import { SHEET, useChoice } from './choice.ts';
import { Controls } from './controls.tsx';
import { added, edited, fresh, placed, specOf } from './draft.ts';
import { type Start, start, useDraft } from './drafting.ts';
import { FilterForms } from './filterforms.tsx';
import { ChartForm, DashboardForm } from './form.tsx';
import type { Change } from './formparts.tsx';
import { COLUMNS, GAP, ROW as HEIGHT, moved, places } from './layout.ts';
import { Actions, Popover } from './menu.tsx';
import { overtaken } from './shared.ts';
import { SheetForms } from './sheetforms.tsx';
import { chartMoved, sheetOptions, under } from './sheets.ts';
import { chartsOf, type Place, SHAPES, type Shape, sheetsOf, titleOf } from './spec.ts';
import { Tile } from './tile.tsx';

/** The parameter that names the draft of a dashboard which is not there yet. */
const DRAFT = 'draft';

interface Props {
  resource: Resource | null;
  kind: Kind;
}

/** The builder of one dashboard, or of a new one. */
export default function Builder(props: Props) {
  return <Opened key={props.resource?.metadata.name ?? ''} {...props} />;
}

/** Begins with the text that was applied, so that its comments stay, and with the draft that somebody has begun. */
function Opened({ resource, kind }: Props) {
  const [named] = useParam(DRAFT);
  const [first] = useState({ resource, name: resource?.metadata.name ?? named });
  const { data, error } = useQuery({
    queryKey: ['draft', first.name],
    queryFn: () => start(kind.plural, first.resource, first.name),
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
  });
  if (error) return <Trouble error={error} />;
  return data ? <Desk begin={data} resource={resource} kind={kind} /> : <Loading />;
}

function Desk({ begin, resource, kind }: Props & { begin: Start }) {
  const name = resource?.metadata.name ?? '';
  const version = resource?.metadata.resourceVersion ?? 0;
  const [named, setNamed] = useParam(DRAFT);
  const desk = useDraft(begin, kind.plural, resource, resource ? name : named, setNamed);
  const { draft, where, change: put, undo } = desk;
  const [selected, setSelected] = useState('');
  const [live, setLive] = useState<Place[] | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const [said, setSaid] = useState('');
  const known = useRelations();
  const relations = known.data ?? [];
  const board = useRef<HTMLDivElement>(null);
  const { spec, name: called, wrong } = useMemo(() => specOf(draft.text), [draft.text]);
  const source: Source = useMemo(() => ({ generation: 0, spec }), [spec]);
  const choice = useChoice(spec);
  const sheets = sheetsOf(spec);
  const [shown, show] = useParam(SHEET, sheets[0]?.id);
  const here = Math.max(
    0,
    sheets.findIndex(({ id }) => id === shown),
  );
  const at = under(draft.text, here);
  const charts = sheets[here]?.charts ?? [];
  const all = live ?? places(charts);
  const chosen = charts.findIndex(({ id }) => id === selected);
  const dirty = draft.text !== draft.base;

  const change =
    (...under: (string | number)[]): Change =>
    changes =>
      put(
        edited(
          draft.text,
          changes.map(([at, value]) => [['spec', ...under, ...at], value]),
        ),
      );
  const attempt = async (act: () => Promise<unknown>) => {
    setBusy(true);
    setError(null);
    try {
      await act();
    } catch (refused) {
      // That somebody was quicker is said with what can be done about it.
      if (!overtaken(refused)) setError(refused);
    }
    setBusy(false);
  };
  const discard = () =>
    attempt(async () => {
      await desk.discard();
      if (!resource) setNamed('');
    });
  const publish = () => attempt(async () => go(path([kind.plural, await desk.publish()])));

  const add = (type: Shape) => {
    const from = charts.at(-1)?.from;
    const relation = relations.find(it => relationName(it) === from) ?? relations[0];
    if (!relation) return;
    const taken = chartsOf(spec).map(({ id }) => id);
    const chart = fresh(type, relation, charts, taken);
    put(added(draft.text, chart, at));
    setSelected(chart.id);
  };
  const remove = (index: number) => {
    put(edited(draft.text, [[['spec', ...at, 'charts', index], undefined]]));
    setSelected('');
  };
  const send = (index: number, sheet: number) => {
    put(chartMoved(draft.text, here, index, sheet));
    show(sheets[sheet]?.id ?? '');
  };
  const settle = (index: number, next: Place[]) => {
    put(placed(draft.text, places(charts), next, at));
    setLive(null);
    const own = next[index];
    if (own) setSaid(`column ${own.x + 1}, row ${own.y + 1}, ${own.w} wide, ${own.h} high`);
  };
  const keys = (index: number, resize: boolean) => (event: KeyboardEvent) => {
    const [dx, dy] = STEPS[event.key] ?? [0, 0];
    if (dx === 0 && dy === 0) return;
    event.preventDefault();
    const now = places(charts);
    const at = now[index];
    if (at) settle(index, moved(now, index, shifted(at, dx, dy, resize)));
  };
  const drag = (index: number, resize: boolean) => (event: PointerEvent<HTMLButtonElement>) => {
    const width = board.current?.clientWidth ?? 0;
    const now = places(charts);
    const at = now[index];
    if (!at || event.button !== 0) return;
    const handle = event.currentTarget;
    handle.setPointerCapture(event.pointerId);
    const [x, y] = [event.clientX, event.clientY];
    let next = now;
    const move = ({ clientX, clientY }: globalThis.PointerEvent) => {
      const dx = Math.round((clientX - x) / ((width + GAP) / COLUMNS));
      const dy = Math.round((clientY - y) / (HEIGHT + GAP));
      next = moved(now, index, shifted(at, dx, dy, resize));
      setLive(next);
    };
    const end = () => {
      handle.removeEventListener('pointermove', move);
      settle(index, next);
    };
    handle.addEventListener('pointermove', move);
    handle.addEventListener('lostpointercapture', end, { once: true });
  };

  useEffect(() => {
    const key = (event: globalThis.KeyboardEvent) => {
      const typing = (event.target as HTMLElement).closest('input, textarea, .editor');
      if (event.key !== 'z' || !(event.ctrlKey || event.metaKey) || typing) return;
      event.preventDefault();
      undo();
    };
    window.addEventListener('keydown', key);
    return () => window.removeEventListener('keydown', key);
  });

  const stale = resource !== null && draft.resourceVersion !== version;
  const chart = charts[chosen];
  const grid = (
    <>
      {charts.length === 0 && (
        <Panel>
          <Empty>Add a chart: it begins with all of a relation's rows.</Empty>
        </Panel>
      )}
      <Board
        own={board}
        places={all}
        each={index => {
          const own = charts[index];
          const place = all[index];
          if (!own || !place) return null;
          const title = titleOf(own);
          return (
            <section
              key={own.id}
              className={`panel tile-frame edited ${index === chosen ? 'chosen' : ''}`}
              aria-label={title}
              style={standing(place)}
            >
              <Tile
                source={source}
                chart={own}
                choice={choice}
                handles={
                  <>
                    <button
                      type="button"
                      className="btn bare icon grip"
                      aria-label={`Move ${title}`}
                      title="Drag, or use the arrow keys"
                      onPointerDown={drag(index, false)}
                      onKeyDown={keys(index, false)}
                    >
                      ✥
                    </button>
                    <button
                      type="button"
                      className="btn bare"
                      aria-pressed={index === chosen}
                      aria-label={`Edit ${title}`}
                      onClick={() => setSelected(index === chosen ? '' : own.id)}
                    >
                      Edit
                    </button>
                  </>
                }
              />
              <button
                type="button"
                className="grip corner"
                aria-label={`Resize ${title}`}
                title="Drag, or use the arrow keys"
                onPointerDown={drag(index, true)}
                onKeyDown={keys(index, true)}
              />
            </section>
          );
        }}
      />
    </>
  );
  return (
    <Page
      title={spec.title ?? called}
      badge={
        <>
          <span className={`badge ${dirty ? 'warn' : ''}`}>{dirty ? 'Draft' : 'Published'}</span>
          {dirty && (
            <span className="muted">{where === 'node' ? 'everybody sees it' : 'in this browser alone so far'}</span>
          )}
        </>
      }
      actions={
        <>
          <Popover label="Add chart">
            {/* A chart begins with the rows of a relation. */}
            {known.data ? (
              <Actions
                actions={Object.entries(SHAPES).map(([type, label]) => ({ label, act: () => add(type as Shape) }))}
                done={() => undefined}
              />
            ) : (
              <Awaited error={known.error} />
            )}
          </Popover>
          <button type="button" className="btn" disabled={!desk.canUndo} onClick={undo}>
            Undo
          </button>
          <button type="button" className="btn" disabled={!dirty || busy} onClick={discard}>
            Discard draft
          </button>
          <button
            type="button"
            className="btn main"
            disabled={!dirty || busy || wrong !== undefined || where === 'overtaken'}
            onClick={publish}
          >
            Publish
          </button>
          <Link className="btn" to={path(resource ? [kind.plural, name] : [kind.plural])}>
            Leave
          </Link>
        </>
      }
    >
      {stale && (
        <p className="note" role="status">
          This draft began with an older state of the dashboard: publishing it will be refused. Discard it to begin
          anew.
        </p>
      )}
      {where === 'overtaken' && (
        <div className="note warn" role="alert">
          <p>Somebody else has changed, published or discarded this draft since. Yours is kept in this browser.</p>
          <button type="button" className="btn" disabled={busy} onClick={() => attempt(desk.take)}>
            Take theirs
          </button>{' '}
          <button type="button" className="btn" disabled={busy} onClick={() => attempt(desk.insist)}>
            Put mine over it
          </button>
        </div>
      )}
      {error !== null && <Trouble error={error} />}
      {wrong !== undefined && <Trouble error={wrong} />}
      <p className="hidden" role="status">
        {said}
      </p>
      <div className="builder">
        <div className="stack">
          <Controls source={source} choice={choice} />
          {sheets.length > 1 ? (
            <Tabs
              param={SHEET}
              label="Sheets"
              tabs={sheets.map(sheet => ({ id: sheet.id, label: titleOf(sheet), show: () => grid }))}
            />
          ) : (
            grid
          )}
        </div>
        <div className="stack">
          {chart ? (
            <Panel
              title={`Chart: ${titleOf(chart)}`}
              end={
                <button type="button" className="btn bare" onClick={() => setSelected('')}>
                  Close
                </button>
              }
              body
            >
              <ChartForm
                key={chart.id}
                chart={chart}
                filters={spec.filters ?? []}
                relations={relations}
                change={change(...at, 'charts', chosen)}
                remove={() => remove(chosen)}
                sheets={sheetOptions(draft.text)}
                sheet={here}
                send={sheet => send(chosen, sheet)}
              />
            </Panel>
          ) : (
            <>
              <Panel title="Dashboard" body>
                {!resource && (
                  <div className="form">
                    <Entry
                      name="Name"
                      mono
                      value={called}
                      set={text => put(edited(draft.text, [[['metadata', 'name'], text.trim()]]))}
                    />
                  </div>
                )}
                <DashboardForm spec={spec} change={change()} />
              </Panel>
              <Panel title="Sheets" body>
                <SheetForms spec={spec} text={draft.text} put={put} show={show} />
              </Panel>
              <Panel title="Filters" body>
                <FilterForms source={source} relations={relations} change={change()} />
              </Panel>
              <Panel
                title="YAML"
                end={
                  <button
                    type="button"
                    className="btn bare"
                    onClick={() => save(`${called}.yaml`, new Blob([draft.text], { type: 'application/yaml' }))}
                  >
                    Download
                  </button>
                }
                body
              >
                <LaterText label="YAML" rows={18} value={draft.text} set={put} />
              </Panel>
            </>
          )}
        </div>
      </div>
    </Page>
  );
}

const STEPS: Record<string, [dx: number, dy: number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

function shifted({ x, y, w, h }: Place, dx: number, dy: number, resize: boolean): Place {
  return resize ? { x, y, w: Math.min(w + dx, COLUMNS - x), h: h + dy } : { x: x + dx, y: y + dy, w, h };
}
