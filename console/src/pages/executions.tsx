/** Executions: the list, and one with its graph, timeline, events, and how to stop it or take it up again. */

import { useMutation, useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { address, call, EXECUTIONS, type Execution, queries, useExecutions, useKind } from '../api.ts';
import { useTick } from '../figures.ts';
import { count, span } from '../format.ts';
import { at, items, members, parse, text } from '../json.ts';
import { useEvery } from '../live.ts';
import { type HistoryEvent, machineGraph, type Visit, visits } from '../machine.ts';
import { Link, path, useParam } from '../router.tsx';
import { Json } from '../ui/json.tsx';
import { Graph } from '../ui/lazy.tsx';
import {
  Awaited,
  Badge,
  Empty,
  Loading,
  Page,
  Panel,
  Sure,
  Tabs,
  Tile,
  Tiles,
  Time,
  type Tone,
  Trouble,
} from '../ui/parts.tsx';
import { Table } from '../ui/table.tsx';

const TONES: Record<Execution['state'], Tone> = {
  RUNNING: 'accent',
  SUCCEEDED: 'good',
  FAILED: 'bad',
  TIMED_OUT: 'bad',
  ABORTED: 'warn',
  PENDING_REDRIVE: 'warn',
};

/** A state's colour. */
export const tone = (state: Execution['state']): Tone => TONES[state] ?? '';

const word = (state: string) => state.charAt(0) + state.slice(1).toLowerCase().replace('_', ' ');

/** An execution's state. */
export function StateBadge({ state }: { state: Execution['state'] }) {
  return <Badge tone={tone(state)}>{word(state)}</Badge>;
}

const took = ({ started, stopped }: Execution) =>
  (stopped ? new Date(stopped).getTime() : Date.now()) - new Date(started).getTime();

/** Executions of all workflows. */
export function ExecutionsPage() {
  const [workflow, setWorkflow] = useParam('workflow');
  const [, setAfter] = useParam('after');
  const workflows = useKind('Workflow') ?? [];
  return (
    <Page title="Executions" about="Runs of workflows, newest first.">
      <Executions workflow={workflow}>
        <select
          className="field"
          aria-label="Workflow"
          value={workflow}
          onChange={event => {
            // A page of one workflow says nothing of another.
            setAfter('');
            setWorkflow(event.target.value);
          }}
        >
          <option value="">every workflow</option>
          {workflows.map(({ metadata: { name } }) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      </Executions>
    </Page>
  );
}

/** A list of executions with a filter for their state. */
export function Executions({ workflow, children }: { workflow: string; children?: React.ReactNode }) {
  const [state, setState] = useParam('state');
  const [after, setAfter] = useParam('after');
  const { data, error } = useExecutions({ workflow, state, after, max: 100 });
  // How long those that run have taken.
  useTick();
  return (
    <>
      <div className="bar">
        {children}
        <select
          className="field"
          aria-label="State"
          value={state}
          onChange={event => {
            setAfter('');
            setState(event.target.value);
          }}
        >
          <option value="">any state</option>
          {Object.keys(TONES).map(name => (
            <option key={name} value={name}>
              {word(name)}
            </option>
          ))}
        </select>
      </div>
      {error && <Trouble error={error} />}
      {!error && !data && <Loading />}
      {!error && data && (
        <Panel>
          <Table
            label="Executions"
            rows={data.items}
            id={it => it.id}
            empty={
              <Empty command={`headwater start workflow/${workflow || 'NAME'}`}>
                No execution{state ? ' in this state' : ' yet'}.
              </Empty>
            }
            columns={[
              {
                id: 'id',
                head: 'Execution',
                cell: it => (
                  <Link className="name" to={path(['executions', ...it.id.split('/')])}>
                    {workflow ? it.id.slice(it.workflow.length + 1) : it.id}
                  </Link>
                ),
                one: true,
              },
              { id: 'state', head: 'State', cell: it => <StateBadge state={it.state} /> },
              { id: 'started', head: 'Started', by: it => it.started, cell: it => <Time at={it.started} /> },
              { id: 'took', head: 'Took', right: true, by: took, cell: it => span(took(it)) },
              { id: 'redrives', head: 'Taken up', right: true, cell: it => it.redrives ?? '' },
            ]}
          />
        </Panel>
      )}
      <div className="bar">
        {after && (
          <button type="button" className="btn" onClick={() => setAfter('')}>
            Newest
          </button>
        )}
        {data?.next && (
          <button type="button" className="btn" onClick={() => setAfter(data.next ?? '')}>
            Older
          </button>
        )}
      </div>
    </>
  );
}

/** Events of one answer, of a page, and of a step when more are wanted. */
const EVENTS_ASKED = 1_000;
const EVENTS_MAX = 5_000;
const EVENTS_SHOWN = 500;

const NO_EVENTS: HistoryEvent[] = [];

interface History {
  events: HistoryEvent[];
  /** When the newest of them were asked for. */
  asked_ms: number;
}

/** How soon a history is read once more after the end. */
const LAST_MS = 1_000;

/** A history with what has come since it was read: events never change. */
async function further(steps: string[], known: HistoryEvent[]): Promise<History> {
  let all = known;
  let asked_ms = Date.now();
  while (all.length < EVENTS_MAX) {
    asked_ms = Date.now();
    const query = { after: all.at(-1)?.id, max: EVENTS_ASKED };
    const { events } = await call<{ events: HistoryEvent[] }>(address([...steps, 'history'], query));
    if (events.length > 0) all = [...all, ...events];
    if (events.length < EVENTS_ASKED) break;
  }
  return { events: all, asked_ms };
}

/** One execution. */
export function ExecutionPage({ workflow, name }: { workflow: string; name: string }) {
  const steps = ['executions', workflow, name];
  const id = `${workflow}/${name}`;
  const ended = (execution: Execution | undefined) => execution !== undefined && execution.state !== 'RUNNING';
  const every = useEvery(1_000);
  const one = useQuery({
    queryKey: ['execution', id],
    refetchInterval: query => (ended(query.state.data) ? false : every),
    queryFn: () => call<Execution>(address(steps)),
  });
  // Another execution may have the name of one that is gone.
  const historyKey = ['history', id, one.data?.started];
  const history = useQuery({
    queryKey: historyKey,
    enabled: one.data !== undefined,
    refetchInterval: query => {
      if (!ended(one.data)) return every;
      // Until one reading began after its end was known: an answer that comes later may have been given before it.
      return (query.state.data?.asked_ms ?? 0) >= one.dataUpdatedAt ? false : LAST_MS;
    },
    queryFn: () => further(steps, queries.getQueryData<History>(historyKey)?.events ?? NO_EVENTS),
  });
  const events = history.data?.events ?? NO_EVENTS;
  const seen = useMemo(() => visits(events), [events]);
  const definition = useQuery({
    queryKey: ['definition', id],
    queryFn: () => call<unknown>(address([...steps, 'definition'])),
  });
  const act = useMutation({
    mutationFn: (verb: 'stop' | 'redrive') =>
      call(address([...steps, verb]), { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' }),
    onSettled: () => {
      void queries.invalidateQueries({ queryKey: ['execution', id] });
      void queries.invalidateQueries({ queryKey: ['history', id] });
      void queries.invalidateQueries({ queryKey: EXECUTIONS });
    },
  });
  if (!one.data) return <Awaited error={one.error} />;
  const execution = one.data;
  const runs = items(members(execution).mapRuns);
  return (
    <Page
      title={name}
      badge={<StateBadge state={execution.state} />}
      about={execution.error && `${execution.error}${execution.cause ? `: ${execution.cause}` : ''}`}
      actions={
        <>
          <Link className="btn" to={path(['workflows', workflow], { tab: 'start', like: name })}>
            Start another
          </Link>
          {execution.state === 'RUNNING' && (
            <Sure
              label="Stop"
              question="What it has done stays done."
              back="Let it run"
              busy={act.isPending}
              act={() => act.mutate('stop')}
            />
          )}
          {['FAILED', 'TIMED_OUT', 'ABORTED'].includes(execution.state) && (
            <button type="button" className="btn main" disabled={act.isPending} onClick={() => act.mutate('redrive')}>
              Redrive
            </button>
          )}
        </>
      }
    >
      {one.error && <Trouble error={one.error} />}
      {act.error && <Trouble error={act.error} />}
      <Tiles>
        <Tile
          label="Workflow"
          value={<Link to={path(['workflows', workflow])}>{workflow}</Link>}
          unit={execution.version ? `version ${execution.version}` : ''}
        />
        <Tile label="Started" value={<Time at={execution.started} />} />
        <Tile label={ended(execution) ? 'Took' : 'Runs for'} value={span(took(execution))} />
        <Tile label="Events" value={`${count(events.length)}${events.length >= EVENTS_MAX ? '+' : ''}`} />
        <Tile label="Redriven" value={execution.redrives ? `${execution.redrives}×` : 'never'} />
      </Tiles>
      {history.error && <Trouble error={history.error} />}
      <Tabs
        tabs={[
          {
            id: 'timeline',
            label: 'Timeline',
            show: () => (
              <div className="stack">
                <Timeline visits={seen} running={!ended(execution)} />
                {definition.data !== undefined && <Machine definition={definition.data} visits={seen} />}
              </div>
            ),
          },
          { id: 'events', label: 'Events', count: events.length, show: () => <Events id={id} events={events} /> },
          {
            id: 'data',
            label: 'Input and output',
            show: () => (
              <div className="cols">
                <Panel title="Input" body>
                  <Json value={execution.input} />
                </Panel>
                <Panel title="Output" body>
                  {execution.output === undefined ? (
                    <span className="muted">none</span>
                  ) : (
                    <Json value={execution.output} />
                  )}
                </Panel>
                {runs.length > 0 && (
                  <Panel title="Map Runs" body>
                    <Json value={runs} />
                  </Panel>
                )}
              </div>
            ),
          },
        ]}
      />
    </Page>
  );
}

function lookOf(visit: Visit): Tone {
  if (visit.failed) return 'bad';
  return visit.exited === undefined ? 'accent' : 'good';
}

const ROWS_MAX = 200;

function Timeline({ visits, running }: { visits: Visit[]; running: boolean }) {
  const begin = visits[0]?.entered ?? 0;
  const now = running ? Date.now() : 0;
  const end = Math.max(now, ...visits.map(visit => visit.exited ?? visit.entered));
  const whole = Math.max(end - begin, 1);
  return (
    <Panel title="Timeline" end={`${span(end - begin)} in all`}>
      {visits.length === 0 ? (
        <Empty>No state was entered yet.</Empty>
      ) : (
        <div className="scroll">
          <table className="timeline">
            <caption className="hidden">States in order of entering</caption>
            <tbody>
              {visits.slice(0, ROWS_MAX).map(visit => {
                const stop = visit.exited ?? end;
                const look = lookOf(visit);
                const left = ((visit.entered - begin) / whole) * 99;
                return (
                  <tr key={visit.event}>
                    <th scope="row">
                      <span className={`dot ${look}`} /> {visit.name} <span className="muted">{visit.type}</span>
                    </th>
                    <td className="track">
                      <div>
                        <span
                          className={`span ${look}`}
                          style={{ left: `${left}%`, width: `${((stop - visit.entered) / whole) * 99}%` }}
                        />
                        <span className="hidden">
                          {look === 'bad' ? 'failed' : look === 'good' ? 'done' : 'running'}
                        </span>
                      </div>
                    </td>
                    <td className="num muted">{span(stop - visit.entered)}</td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
      {visits.length > ROWS_MAX && <p className="empty">{visits.length - ROWS_MAX} more in the events</p>}
    </Panel>
  );
}

function Machine({ definition, visits }: { definition: unknown; visits: Visit[] }) {
  const key = visits.map(visit => `${visit.name}${visit.exited}${visit.failed}`).join();
  // biome-ignore lint/correctness/useExhaustiveDependencies: drawn anew when a visit changes, not with each reading
  const graph = useMemo(() => {
    const look = (state: string) => {
      const own = visits.filter(visit => visit.name === state);
      const last = own.at(-1);
      if (!last) return { look: 'faint' };
      const words = [
        own.length > 1 ? `${own.length}×` : '',
        last.exited === undefined
          ? 'now'
          : span(own.reduce((sum, it) => sum + (it.exited ?? it.entered) - it.entered, 0)),
      ];
      return { look: lookOf(last), meta: words.filter(Boolean).join(', ') };
    };
    return machineGraph(definition, look);
  }, [definition, key]);
  return (
    <Panel title="Its definition, and where it was">
      <Graph graph={graph} label="State machine with the states that were entered" />
    </Panel>
  );
}

/** Details of an event: texts that are JSON as what they mean. */
export function details(event: HistoryEvent): Record<string, unknown> {
  const found = Object.entries(event).find(([key]) => key.endsWith('EventDetails'));
  const shown = Object.entries(members(found?.[1])).filter(([key]) => !key.endsWith('Details') && key !== 'roleArn');
  return Object.fromEntries(
    shown.map(([key, value]) => {
      if (typeof value !== 'string' || !/^[[{"]/.test(value)) return [key, value];
      try {
        return [key, parse(value)];
      } catch {
        return [key, value];
      }
    }),
  );
}

function Events({ id, events }: { id: string; events: HistoryEvent[] }) {
  const [open, setOpen] = useState<number | null>(null);
  const [most, setMost] = useState(EVENTS_SHOWN);
  const name = (event: HistoryEvent) =>
    text(at(event.stateEnteredEventDetails, 'name')) || text(at(event.stateExitedEventDetails, 'name'));
  return (
    <Panel>
      <div className="scroll">
        <table>
          <thead>
            <tr>
              <th scope="col" className="num">
                Number
              </th>
              <th scope="col">Time</th>
              <th scope="col">Event</th>
              <th scope="col">State</th>
            </tr>
          </thead>
          <tbody>
            {events.slice(0, most).map(event => (
              <tr key={event.id}>
                <td className="num muted">{event.id}</td>
                <td>
                  <Time at={event.timestamp * 1_000} />
                </td>
                <td>
                  <button
                    type="button"
                    className="as-link"
                    aria-expanded={open === event.id}
                    onClick={() => setOpen(open === event.id ? null : event.id)}
                  >
                    {event.type}
                  </button>
                  {open === event.id && <Json value={details(event)} />}
                </td>
                <td>{name(event)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {events.length > most && (
        <div className="body">
          <button type="button" className="btn" onClick={() => setMost(most + EVENTS_SHOWN)}>
            Show more
          </button>{' '}
          <span className="muted">{count(events.length - most)} further events</span>
        </div>
      )}
      {events.length >= EVENTS_MAX && (
        <Empty command={`headwater history execution/${id}`}>These are the first {count(EVENTS_MAX)} events.</Empty>
      )}
    </Panel>
  );
}
