/** Rules, pipes and schedules: from an event, a change or a moment to targets. */

import { type ReactNode, useMemo } from 'react';
import type { Kind, Resource } from '../api.ts';
import { useKind } from '../api.ts';
import { rate, rates, useTick, value } from '../figures.ts';
import { count, perSecond } from '../format.ts';
import type { Arc, Graph as Shape, Vertex } from '../graph/graph.tsx';
import { at, items, text, write } from '../json.ts';
import { Json } from '../ui/json.tsx';
import { Graph } from '../ui/lazy.tsx';
import { Badge, Empty, Loading, Page, Panel, Ready, Spark, Tabs, Tile, Tiles } from '../ui/parts.tsx';
import { type Column, Table } from '../ui/table.tsx';
import { reads, writes } from '../wiring.ts';
import { Deeds } from './deeds.tsx';
import { endVertex } from './pipelines.tsx';
import { NewButton, nameColumn, Yaml } from './resources.tsx';

/** The label of a resource's figures. */
const label = ({ kind, metadata: { name } }: Resource) => ({ subscription: `${kind.toLowerCase()}/${name}` });

function ends(list: { kind: string; name: string }[]): string {
  return list.map(({ kind, name }) => `${kind.toLowerCase()} ${name}`).join(', ');
}

function List(props: { kind: string; plural: string; title: string; about: string; columns: Column<Resource>[] }) {
  const all = useKind(props.kind);
  useTick();
  if (!all) return <Loading />;
  const total = (name: string, head: string): Column<Resource> => ({
    id: name,
    head,
    right: true,
    by: it => value(`hw_bus_${name}`, label(it)) || 0,
    cell: it => count(value(`hw_bus_${name}`, label(it))),
  });
  return (
    <Page title={props.title} about={props.about} actions={<NewButton plural={props.plural} />}>
      <Panel>
        <Table
          label={props.title}
          rows={all}
          id={it => it.metadata.name}
          sort="name"
          empty={
            <Empty command={`headwater explain ${props.kind.toLowerCase()}`}>
              There are no {props.plural} yet. New begins with an example.
            </Empty>
          }
          columns={[
            nameColumn(props.plural),
            ...props.columns,
            { id: 'targets', head: 'Targets', cell: it => ends(writes(it)) },
            {
              id: 'rate',
              head: 'Delivered',
              right: true,
              by: it => rate('hw_bus_delivered_total', label(it)) || 0,
              cell: it => `${perSecond(rate('hw_bus_delivered_total', label(it)))} /s`,
            },
            total('pending_deliveries', 'Wait'),
            total('dead_letters_total', 'Dead letters'),
            { id: 'state', head: 'State', by: it => it.status.ready, cell: it => <State resource={it} /> },
          ]}
        />
      </Panel>
    </Page>
  );
}

function State({ resource }: { resource: Resource }) {
  return resource.spec.enabled === false ? <Badge>Not enabled</Badge> : <Ready resource={resource} />;
}

const source: Column<Resource> = {
  id: 'source',
  head: 'Source',
  cell: it => ends(reads(it)) || <code>{text(it.spec.schedule)}</code>,
};
const behind: Column<Resource> = {
  id: 'behind',
  head: 'Behind',
  right: true,
  by: it => value('hw_bus_lag_events', label(it)) || 0,
  cell: it => count(value('hw_bus_lag_events', label(it))),
};
const matched: Column<Resource> = {
  id: 'matched',
  head: 'Matched',
  right: true,
  by: it => value('hw_bus_matched_total', label(it)) || 0,
  cell: it => count(value('hw_bus_matched_total', label(it))),
};

/** All rules. */
export function RulesPage() {
  const pattern: Column<Resource> = {
    id: 'pattern',
    head: 'Pattern',
    cell: it => <code>{it.spec.pattern ? write(it.spec.pattern).slice(0, 80) : ''}</code>,
  };
  return (
    <List
      kind="Rule"
      plural="rules"
      title="Rules"
      about="Send the events of a stream that match a pattern, or the moments of a schedule, to targets."
      columns={[source, pattern, matched, behind]}
    />
  );
}

/** All pipes. */
export function PipesPage() {
  return (
    <List
      kind="Pipe"
      plural="pipes"
      title="Pipes"
      about="Take the events of one stream, or the changes of one table, through filters and an optional enrichment to one target."
      columns={[source, matched, behind]}
    />
  );
}

/** All schedules. */
export function SchedulesPage() {
  return (
    <List
      kind="Schedule"
      plural="schedules"
      title="Schedules"
      about="Send an event to targets at times of an expression, in a time zone, once or again and again."
      columns={[
        { id: 'expression', head: 'When', cell: it => <code>{text(it.spec.expression)}</code> },
        { id: 'timezone', head: 'Time zone', cell: it => text(it.spec.timezone) || 'UTC' },
        { id: 'next', head: 'Next', cell: it => next(it), one: true },
      ]}
    />
  );
}

/** When a schedule is due next, as its status says. */
function next(schedule: Resource): string {
  return (
    schedule.status.message
      ?.match(/^next (\S+?);/)?.[1]
      ?.replace('T', ' ')
      .replace('Z', ' UTC') ?? '–'
  );
}

/** The graph: where events come from, what they pass, where they go. */
function reactionGraph(resource: Resource): Shape {
  const { kind, spec, metadata } = resource;
  const vertices: Vertex[] = [];
  const arcs: Arc[] = [];
  const add = (vertex: Vertex) => {
    if (!vertices.some(({ id }) => id === vertex.id)) vertices.push(vertex);
    return vertex.id;
  };
  const filters = items(spec.filter).length;
  const when = text(spec.expression) || text(spec.schedule);
  const sources = reads(resource).map(end => add(endVertex(end)));
  const meta =
    when ||
    (spec.pattern ? write(spec.pattern) : filters ? `${filters} filter${filters > 1 ? 's' : ''}` : 'every event');
  const own = add({ id: 'own', kind, name: metadata.name, meta, look: 'accent' });
  for (const from of sources) arcs.push({ from, to: own });
  let last = own;
  if (spec.enrichment) {
    const type = text(at(spec.enrichment, 'type'));
    const asked = text(at(spec.enrichment, type)) || type;
    last = add({ id: 'enrichment', kind: `asks a ${type}`, name: asked });
    arcs.push({ from: own, to: last });
  }
  for (const end of writes(resource)) arcs.push({ from: last, to: add(endVertex(end)) });
  const dead = { kind: 'Stream', name: text(spec.deadLetter) || `${metadata.name}.dead` };
  arcs.push({ from: last, to: add(endVertex(dead, 'aside')), label: 'dead letters', look: 'aside' });
  return { vertices, arcs };
}

function One({
  resource,
  kind,
  first,
  children,
}: {
  resource: Resource;
  kind: Kind;
  first: { id: string; label: string };
  children: ReactNode;
}) {
  const of = label(resource);
  useTick();
  const graph = useMemo(() => reactionGraph(resource), [resource]);
  return (
    <Page
      title={resource.metadata.name}
      badge={<State resource={resource} />}
      about={text(resource.spec.description) || resource.status.message}
    >
      <Deeds resource={resource} kind={kind} />
      <Tiles>
        {resource.kind !== 'Schedule' && (
          <Tile
            label="Matched"
            value={perSecond(rate('hw_bus_matched_total', of))}
            unit={`/s, ${count(value('hw_bus_matched_total', of))} in all`}
          >
            <Spark values={rates('hw_bus_matched_total', of)} />
          </Tile>
        )}
        <Tile
          label="Delivered"
          value={perSecond(rate('hw_bus_delivered_total', of))}
          unit={`/s, ${count(value('hw_bus_delivered_total', of))} in all`}
        >
          <Spark values={rates('hw_bus_delivered_total', of)} />
        </Tile>
        {resource.kind !== 'Schedule' && (
          <Tile label="Behind" value={count(value('hw_bus_lag_events', of))} unit="events" />
        )}
        <Tile label="Wait for their target" value={count(value('hw_bus_pending_deliveries', of))} />
        <Tile label="Tries made again" value={count(value('hw_bus_retries_total', of))} />
        <Tile
          label="Dead letters"
          value={count(value('hw_bus_dead_letters_total', of))}
          tone={value('hw_bus_dead_letters_total', of) > 0 ? 'warn' : ''}
        />
        {resource.kind === 'Schedule' && <Tile label="Next" value={next(resource)} />}
      </Tiles>
      <Tabs
        tabs={[
          {
            id: 'graph',
            label: 'Graph',
            show: () => (
              <Panel>
                <Graph graph={graph} right label={`What ${resource.metadata.name} connects`} />
              </Panel>
            ),
          },
          { ...first, show: () => children },
          { id: 'yaml', label: 'YAML', show: () => <Yaml resource={resource} kind={kind} /> },
        ]}
      />
    </Page>
  );
}

function Parts({ parts }: { parts: [string, unknown][] }) {
  const known = parts.filter(([, value]) => value !== undefined && !(Array.isArray(value) && value.length === 0));
  return (
    <div className="cols">
      {known.map(([title, value]) => (
        <Panel key={title} title={title} body>
          {typeof value === 'string' ? <code>{value}</code> : <Json value={value} />}
        </Panel>
      ))}
      {known.length === 0 && <Empty>Every event passes.</Empty>}
    </div>
  );
}

/** One rule. */
export function RulePage({ resource, kind }: { resource: Resource; kind: Kind }) {
  const { pattern, schedule, targets } = resource.spec;
  return (
    <One resource={resource} kind={kind} first={{ id: 'pattern', label: 'Pattern and targets' }}>
      <Parts
        parts={[
          ['Pattern', pattern],
          ['Schedule', schedule],
          ['Targets', targets],
        ]}
      />
    </One>
  );
}

/** One pipe. */
export function PipePage({ resource, kind }: { resource: Resource; kind: Kind }) {
  const { source, filter, enrichment, target } = resource.spec;
  return (
    <One resource={resource} kind={kind} first={{ id: 'filter', label: 'Filter and target' }}>
      <Parts
        parts={[
          ['Source', source],
          ['Filters', filter],
          ['Enrichment', enrichment],
          ['Target', target],
        ]}
      />
    </One>
  );
}

/** One schedule. */
export function SchedulePage({ resource, kind }: { resource: Resource; kind: Kind }) {
  const { expression, timezone, flexibleWindow, start, end, missed, targets } = resource.spec;
  return (
    <One resource={resource} kind={kind} first={{ id: 'targets', label: 'Times and targets' }}>
      <Parts
        parts={[
          ['Times', { expression, timezone, flexibleWindow, start, end, missed }],
          ['Targets', targets],
        ]}
      />
    </One>
  );
}
