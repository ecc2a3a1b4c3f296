/** Home: what runs, how fast, what is wrong, and what could be started. */

import { type Resource, useExecutions, useResources } from '../api.ts';
import { course, LETTERS, rate, rates, ratesOf, sum, useTick, value, valuesOfLabel } from '../figures.ts';
import { bytes, count, plural as counted, perSecond } from '../format.ts';
import { Link, path } from '../router.tsx';
import { isSystem } from '../system.ts';
import { Chart } from '../ui/lazy.tsx';
import { Badge, Empty, Loading, Page, Panel, readiness, Spark, Tile, Tiles, Time, To, Trouble } from '../ui/parts.tsx';
import { pluralOf } from '../wiring.ts';
import { StateBadge } from './executions.tsx';
import { PipelinesTable } from './pipelines.tsx';
import { Gallery } from './solutions.tsx';

/** The page. */
export function HomePage() {
  const resources = useResources();
  const all = resources.data;
  if (!all && resources.error) return <Trouble error={resources.error} />;
  return (
    <Page title="Home">
      <Rates />
      <div className="cols wide-left">
        <div className="stack">
          <Streams all={all ?? []} />
          <Panel title="Pipelines" end={<Link to={path(['pipelines'])}>All pipelines</Link>}>
            {all ? <PipelinesTable pipelines={all.filter(it => it.kind === 'Pipeline')} short /> : <Loading />}
          </Panel>
        </div>
        <div className="stack">
          <Problems all={all} />
          <Latest />
        </div>
      </div>
      <Gallery all={all ?? []} />
    </Page>
  );
}

function Rates() {
  useTick();
  const letters = sum(LETTERS.map(name => value(name)));
  const more = ratesOf(LETTERS, 60).at(-1) ?? Number.NaN;
  const cpu = rates('hw_process_cpu_seconds_total');
  return (
    <Tiles>
      <Tile label="Events appended" value={perSecond(rate('hw_log_stream_events_total'))} unit="/s">
        <Spark values={rates('hw_log_stream_events_total')} />
      </Tile>
      <Tile label="Read by pipelines" value={perSecond(rate('hw_flow_events_total'))} unit="/s">
        <Spark values={rates('hw_flow_events_total')} />
      </Tile>
      <Tile label="Behind" value={count(value('hw_flow_lag_events'))} unit="events">
        <Spark values={course('hw_flow_lag_events')} />
      </Tile>
      <Tile label="Executions running" value={count(value('hw_work_executions_running'))}>
        <Spark values={course('hw_work_executions_running')} />
      </Tile>
      <Tile label="Dead letters" value={count(letters)} tone={more > 0 ? 'warn' : ''}>
        <Spark values={ratesOf(LETTERS)} />
      </Tile>
      <Tile label="Memory" value={bytes(value('hw_process_resident_bytes'))}>
        <Spark values={course('hw_process_resident_bytes')} />
      </Tile>
      <Tile
        label="CPU"
        value={Number.isFinite(cpu.at(-1) ?? Number.NaN) ? ((cpu.at(-1) ?? 0) * 100).toFixed(0) : '–'}
        unit="% of a core"
      >
        <Spark values={cpu} />
      </Tile>
    </Tiles>
  );
}

const LINES = 5;

/** The busiest streams, most events over five minutes first, so that lines do not change places each second. */
function Streams({ all }: { all: Resource[] }) {
  useTick();
  const system = new Set(all.filter(isSystem).map(it => it.metadata.name));
  const names = valuesOfLabel('hw_log_stream_events_total', 'stream').filter(name => !system.has(name));
  const grown = new Map(
    names.map(name => [name, Math.round(rate('hw_log_stream_events_total', { stream: name }, 300) * 10)]),
  );
  const busiest = names
    .filter(name => (grown.get(name) ?? 0) > 0)
    .sort((a, b) => (grown.get(b) ?? 0) - (grown.get(a) ?? 0));
  const lines = busiest
    .slice(0, LINES)
    .sort()
    .map(name => ({ label: name, values: () => rates('hw_log_stream_events_total', { stream: name }) }));
  return (
    <Panel title="Events appended each second" end={<Link to={path(['streams'])}>All streams</Link>}>
      {lines.length > 0 ? (
        <Chart lines={lines} write={perSecond} label="Events appended each second, by stream" />
      ) : (
        <Empty>No events came in since this page was opened.</Empty>
      )}
    </Panel>
  );
}

function Problems({ all }: { all: Resource[] | undefined }) {
  if (!all) return <Loading />;
  const wrong = all
    .filter(it => it.status.ready !== 'true')
    .sort((a, b) => a.status.ready.localeCompare(b.status.ready));
  const own = all.filter(it => !isSystem(it)).length;
  return (
    <Panel title="Problems" end={wrong.length > 0 && <Badge tone="bad">{wrong.length}</Badge>}>
      {wrong.length === 0 ? (
        <div className="body bar">
          <span className="dot good" />{' '}
          {own === 0
            ? 'Nothing is applied yet: start a solution below, or make a stream under Streams.'
            : `All ${counted(own, 'resource')} are ready.`}
        </div>
      ) : (
        <ul className="rows">
          {wrong.slice(0, 20).map(it => {
            const { tone, word } = readiness(it);
            return (
              <li key={`${it.kind}/${it.metadata.name}`}>
                <div className="bar">
                  <Badge tone={tone}>{word}</Badge>
                  <span>
                    <span className="muted">{it.kind}</span> <To plural={pluralOf(it.kind)} name={it.metadata.name} />
                  </span>
                </div>
                {it.status.message && <p className="muted">{it.status.message}</p>}
              </li>
            );
          })}
        </ul>
      )}
    </Panel>
  );
}

function Latest() {
  const { data, error } = useExecutions({ max: 6 });
  return (
    <Panel title="Latest executions" end={<Link to={path(['executions'])}>All executions</Link>}>
      {error && <Trouble error={error} />}
      {data?.items.length === 0 && <Empty>No workflow has run yet.</Empty>}
      <ul className="rows">
        {data?.items.map(({ id, workflow, state, started }) => (
          <li key={id} className="bar">
            <StateBadge state={state} />
            <Link to={path(['executions', ...id.split('/')])} className="name clip" title={id}>
              {workflow}
            </Link>
            <span className="muted end">
              <Time at={started} />
            </span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
