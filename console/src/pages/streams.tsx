/** Streams: the list, and one stream with its live tail, schema, partitions, readers and consumer groups. */

import { useQuery } from '@tanstack/react-query';
import { address, call, type Kind, type Partition, type Resource, useGroups, useKind, useResources } from '../api.ts';
import { rate, rates, useTick, value } from '../figures.ts';
import { count, plural as counted, full, perSecond } from '../format.ts';
import { at, text } from '../json.ts';
import { useEvery } from '../live.ts';
import { useParam } from '../router.tsx';
import { isSystem } from '../system.ts';
import { Awaited, Empty, Loading, NameFilter, Page, Panel, Ready, Spark, Tabs, Tile, Tiles, To } from '../ui/parts.tsx';
import { SchemaView } from '../ui/schema.tsx';
import { Table } from '../ui/table.tsx';
import { pluralOf, users } from '../wiring.ts';
import { Groups } from './groups.tsx';
import { aboutColumn, NewButton, nameColumn, stateColumn, Yaml } from './resources.tsx';
import { Send } from './send.tsx';
import { Tail } from './tail.tsx';

const EVENTS = 'hw_log_stream_events_total';

/** All streams. */
export function StreamsPage() {
  const all = useKind('Stream');
  const [words, setWords] = useParam('q');
  const [system, setSystem] = useParam('system');
  useTick();
  if (!all) return <Loading />;
  const found = all.filter(it => (system === '1' || !isSystem(it)) && it.metadata.name.includes(words));
  const of = (it: Resource) => ({ stream: it.metadata.name });
  return (
    <Page
      title="Streams"
      about="Named, partitioned, retained sequences of events."
      actions={<NewButton plural="streams" />}
    >
      <div className="bar">
        <NameFilter words={words} onChange={setWords} />
        <label className="check">
          <input type="checkbox" checked={system === '1'} onChange={e => setSystem(e.target.checked ? '1' : '')} />
          Show the node's own ({all.filter(isSystem).length})
        </label>
      </div>
      <Panel>
        <Table
          label="Streams"
          rows={found}
          id={it => it.metadata.name}
          sort="name"
          empty={
            <Empty command={all.length ? undefined : 'headwater solution apply clickstream'}>
              {all.length
                ? 'No stream of that name.'
                : 'There is no stream yet. New begins with an example; a solution brings some.'}
            </Empty>
          }
          columns={[
            nameColumn('streams'),
            aboutColumn,
            {
              id: 'events',
              head: 'Events ever',
              right: true,
              by: it => value(EVENTS, of(it)) || 0,
              cell: it => count(value(EVENTS, of(it))),
            },
            {
              id: 'rate',
              head: 'Per second',
              right: true,
              by: it => rate(EVENTS, of(it)) || 0,
              cell: it => perSecond(rate(EVENTS, of(it))),
            },
            { id: 'course', head: 'Five minutes', cell: it => <Spark cell values={rates(EVENTS, of(it))} /> },
            { id: 'kept', head: 'Kept', cell: it => kept(it), one: true },
            {
              id: 'schema',
              head: 'Schema',
              cell: it => (it.spec.schema ? 'yes' : <span className="muted">none</span>),
            },
            stateColumn,
          ]}
        />
      </Panel>
    </Page>
  );
}

/** How long and how much a stream keeps, in words. */
export function kept(stream: Resource): string {
  const cleanup = text(stream.spec.cleanup) || 'delete';
  const bounds = [text(at(stream.spec.retention, 'time')), text(at(stream.spec.retention, 'size'))]
    .filter(Boolean)
    .join(', ');
  if (cleanup === 'compact') return 'newest of each key';
  return bounds || (stream.spec.retention || stream.metadata.generation === 0 ? '–' : '7d');
}

/** One stream. */
export function StreamPage({ resource, kind }: { resource: Resource; kind: Kind }) {
  const name = resource.metadata.name;
  useTick();
  const all = useResources().data ?? [];
  const { writers, readers } = users(all, { kind: 'Stream', name });
  const groups = useGroups();
  const mine = groups.data?.filter(group => group.partitions.some(place => place.stream === name)) ?? [];
  return (
    <Page title={name} badge={<Ready resource={resource} />} about={text(resource.spec.description)}>
      <Tiles>
        <Tile label="Per second" value={perSecond(rate(EVENTS, { stream: name }))} unit="events">
          <Spark values={rates(EVENTS, { stream: name })} />
        </Tile>
        <Tile label="Events ever" value={count(value(EVENTS, { stream: name }))} />
        <Tile label="Kept" value={kept(resource)} />
        <Tile label="Written by" value={count(writers.length)} unit={writers.length === 1 ? 'resource' : 'resources'} />
        <Tile
          label="Read by"
          value={count(readers.length + mine.length)}
          unit={mine.length ? `with ${counted(mine.length, 'group')}` : ''}
        />
      </Tiles>
      <Tabs
        tabs={[
          {
            id: 'tail',
            label: 'Live tail',
            show: () => (
              <>
                {!isSystem(resource) && <Send stream={name} />}
                <Tail stream={name} />
              </>
            ),
          },
          { id: 'schema', label: 'Schema', show: () => <Schema stream={resource} /> },
          { id: 'partitions', label: 'Partitions', show: () => <Partitions stream={name} /> },
          {
            id: 'groups',
            label: 'Consumer groups',
            count: mine.length,
            show: () => <Groups stream={name} />,
          },
          wiringTab(writers, readers),
          { id: 'yaml', label: 'YAML', show: () => <Yaml resource={resource} kind={kind} /> },
        ]}
      />
    </Page>
  );
}

/** The tab that shows which resources write and read something. */
export function wiringTab(writers: Resource[], readers: Resource[]) {
  return {
    id: 'users',
    label: 'Wiring',
    count: writers.length + readers.length,
    show: () => (
      <div className="cols">
        <Users title="Written by" list={writers} />
        <Users title="Read by" list={readers} />
      </div>
    ),
  };
}

/** Resources that read or write something. */
function Users({ title, list }: { title: string; list: Resource[] }) {
  return (
    <Panel title={title}>
      {list.length === 0 && <Empty>No resource; clients may, all the same.</Empty>}
      <ul className="rows">
        {list.map(it => (
          <li key={`${it.kind}/${it.metadata.name}`} className="bar">
            <span className="muted">{it.kind}</span>
            <To plural={pluralOf(it.kind)} name={it.metadata.name} />
            <span className="end">
              <Ready resource={it} />
            </span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

function Schema({ stream }: { stream: Resource }) {
  const schema = at(stream.spec.schema, 'json');
  if (!schema) {
    return (
      <Panel>
        <Empty>This stream takes events of any shape. A schema in its spec says what they have to look like.</Empty>
      </Panel>
    );
  }
  const onMismatch = text(at(stream.spec.schema, 'onMismatch')) || 'refuse';
  const letters = text(at(stream.spec.schema, 'deadLetter'));
  return (
    <Panel
      title="What an event has to look like"
      end={
        <span>
          others: {onMismatch} {letters && <To plural="streams" name={letters} />}
        </span>
      }
    >
      <SchemaView schema={schema} />
    </Panel>
  );
}

function Partitions({ stream }: { stream: string }) {
  const { data, error } = useQuery({
    queryKey: ['partitions', stream],
    refetchInterval: useEvery(1_000),
    queryFn: () => call<{ partitions: Partition[] }>(address(['streams', stream, 'partitions'])),
  });
  if (!data) return <Awaited error={error} />;
  const most = Math.max(1, ...data.partitions.map(({ records }) => records));
  return (
    <Panel>
      <Table
        label="Partitions"
        rows={data.partitions}
        id={({ partition }) => String(partition)}
        empty={<Empty>No partitions.</Empty>}
        columns={[
          { id: 'partition', head: 'Partition', cell: it => it.partition },
          { id: 'start', head: 'First offset', right: true, cell: it => full(it.start) },
          { id: 'end', head: 'End offset', right: true, cell: it => full(it.end) },
          { id: 'records', head: 'Records', right: true, cell: it => full(it.records) },
          {
            id: 'share',
            head: 'Share',
            cell: it => <meter max={most} value={it.records} aria-label={`Records of partition ${it.partition}`} />,
          },
        ]}
      />
    </Panel>
  );
}
