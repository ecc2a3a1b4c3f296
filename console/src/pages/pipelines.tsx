/** Pipelines: the list, and one as a graph of source, steps and outputs with what passes through it. */

import { useMemo } from 'react';
import type { Kind, Resource } from '../api.ts';
import { useKind } from '../api.ts';
import { course, rate, rates, useTick, value, valuesOfLabel } from '../figures.ts';
import { count, perSecond, span } from '../format.ts';
import type { Arc, Vertex } from '../graph/graph.tsx';
import { at, items, members, text, write } from '../json.ts';
import { path, useParam } from '../router.tsx';
import { share, stepShare, withFigures } from '../steps.ts';
import { Chart, Graph } from '../ui/lazy.tsx';
import { Badge, Empty, Loading, NameFilter, Page, Panel, Ready, Spark, Tabs, Tile, Tiles } from '../ui/parts.tsx';
import { type Column, Table } from '../ui/table.tsx';
import { type End, pluralOf, targetEnd, writes } from '../wiring.ts';
import { NewButton, nameColumn, stateColumn, Yaml } from './resources.tsx';

/** All pipelines. */
export function PipelinesPage() {
  const all = useKind('Pipeline');
  const [words, setWords] = useParam('q');
  if (!all) return <Loading />;
  return (
    <Page
      title="Pipelines"
      about="Read events, filter, transform and enrich them, aggregate them over event time, and write them on, exactly once."
      actions={<NewButton plural="pipelines" />}
    >
      <div className="bar">
        <NameFilter words={words} onChange={setWords} />
      </div>
      <Panel>
        <PipelinesTable pipelines={all.filter(it => it.metadata.name.includes(words))} />
      </Panel>
    </Page>
  );
}

/** Events and results that a pipeline wrote, each second. */
function written(of: { pipeline: string }): number[] {
  const results = rates('hw_flow_results_total', of);
  return rates('hw_flow_outputs_total', of).map((outputs, index) => outputs + (results[index] ?? 0));
}

const label = (pipeline: Resource) => ({ pipeline: pipeline.metadata.name });

/** How far event time has come, in milliseconds behind now; NaN where there is no watermark. */
function watermarkAge(pipeline: Resource): number {
  const seconds = value('hw_flow_watermark_seconds', label(pipeline));
  return seconds > 0 ? Math.max(0, Date.now() - seconds * 1_000) : Number.NaN;
}

/** Pipelines with their figures. */
export function PipelinesTable({ pipelines, short }: { pipelines: Resource[]; short?: boolean }) {
  useTick();
  const columns: Column<Resource>[] = [
    nameColumn('pipelines'),
    {
      id: 'in',
      head: 'In',
      right: true,
      by: it => rate('hw_flow_events_total', label(it)) || 0,
      cell: it => `${perSecond(rate('hw_flow_events_total', label(it)))} /s`,
    },
    {
      id: 'out',
      head: 'Out',
      right: true,
      by: it => written(label(it)).at(-1) || 0,
      cell: it => `${perSecond(written(label(it)).at(-1) ?? Number.NaN)} /s`,
    },
    {
      id: 'course',
      head: 'Five minutes',
      cell: it => <Spark cell values={rates('hw_flow_events_total', label(it))} />,
    },
    {
      id: 'lag',
      head: 'Behind',
      right: true,
      by: it => value('hw_flow_lag_events', label(it)) || 0,
      cell: it => count(value('hw_flow_lag_events', label(it))),
    },
    {
      id: 'watermark',
      head: 'Watermark',
      right: true,
      by: it => watermarkAge(it) || 0,
      cell: it => age(watermarkAge(it)),
    },
    {
      id: 'late',
      head: 'Late',
      right: true,
      by: it => value('hw_flow_late_total', label(it)) || 0,
      cell: it => count(value('hw_flow_late_total', label(it))),
    },
    {
      id: 'dead',
      head: 'Dead letters',
      right: true,
      by: it => value('hw_flow_dead_letters_total', label(it)) || 0,
      cell: it => count(value('hw_flow_dead_letters_total', label(it))),
    },
    stateColumn,
  ];
  return (
    <Table
      label="Pipelines"
      rows={pipelines}
      id={it => it.metadata.name}
      sort="name"
      empty={
        <Empty command="headwater solution apply clickstream">
          There is no pipeline yet. Solutions bring some; the page Pipelines makes one.
        </Empty>
      }
      columns={short ? columns.filter(({ id }) => id !== 'late' && id !== 'watermark') : columns}
    />
  );
}

function age(ms: number): string {
  return Number.isFinite(ms) ? `${span(ms)} ago` : '–';
}

/** One pipeline. */
export function PipelinePage({ resource, kind }: { resource: Resource; kind: Kind }) {
  const name = resource.metadata.name;
  const of = label(resource);
  useTick();
  const lateness = text(at(resource.spec.time, 'lateness'));
  return (
    <Page title={name} badge={<Ready resource={resource} />} about={resource.status.message}>
      <Tiles>
        <Tile label="Read" value={perSecond(rate('hw_flow_events_total', of))} unit="/s">
          <Spark values={rates('hw_flow_events_total', of)} />
        </Tile>
        <Tile label="Written" value={perSecond(written(of).at(-1) ?? Number.NaN)} unit="/s">
          <Spark values={written(of)} />
        </Tile>
        <Tile label="Behind" value={count(value('hw_flow_lag_events', of))} unit="events">
          <Spark values={course('hw_flow_lag_events', of)} />
        </Tile>
        <Tile label="Watermark" value={age(watermarkAge(resource))} />
        <Tile label={lateness ? `Late, beyond ${lateness}` : 'Late'} value={count(value('hw_flow_late_total', of))}>
          <Spark values={rates('hw_flow_late_total', of)} />
        </Tile>
        <Tile
          label="Dead letters"
          value={count(value('hw_flow_dead_letters_total', of))}
          tone={rate('hw_flow_dead_letters_total', of, 60) > 0 ? 'warn' : ''}
        >
          <Spark values={rates('hw_flow_dead_letters_total', of)} />
        </Tile>
        <Tile label="Commits" value={perSecond(rate('hw_flow_commits_total', of))} unit="/s" />
      </Tiles>
      <Tabs
        tabs={[
          { id: 'graph', label: 'Graph', show: () => <PipelineGraph pipeline={resource} /> },
          {
            id: 'steps',
            label: 'Steps',
            count: items(resource.spec.steps).length,
            show: () => <Steps pipeline={resource} />,
          },
          { id: 'lookups', label: 'Lookups', count: lookupsOf(name).length, show: () => <Lookups pipeline={name} /> },
          { id: 'course', label: 'Course', show: () => <Course pipeline={resource} /> },
          { id: 'yaml', label: 'YAML', show: () => <Yaml resource={resource} kind={kind} /> },
        ]}
      />
    </Page>
  );
}

/** Steps that look something up. */
function lookupsOf(pipeline: string): string[] {
  return valuesOfLabel('hw_flow_lookup_requests_total', 'step', { pipeline });
}

/** A vertex of what a pipeline reads or writes. */
export function endVertex(end: End, look = ''): Vertex {
  const stored = ['Stream', 'Table'].includes(end.kind);
  const plain = ['Stream', 'Table', 'Pipeline', 'Workflow', 'Destination', 'Rule', 'Pipe', 'Schedule'].includes(
    end.kind,
  );
  return {
    id: `${end.kind}/${end.name}`,
    kind: end.kind,
    name: end.name,
    look: `${stored ? 'stream' : ''} ${look}`,
    to: plain ? path([pluralOf(end.kind), end.name]) : undefined,
  };
}

/** The graph of a spec: source, steps, outputs, and what branches off. */
function pipelineGraph(pipeline: Resource): { vertices: Vertex[]; arcs: Arc[] } {
  const { spec, metadata } = pipeline;
  const vertices = new Map<string, Vertex>();
  const arcs: Arc[] = [];
  const add = (vertex: Vertex) => {
    if (!vertices.has(vertex.id)) vertices.set(vertex.id, vertex);
    return vertex.id;
  };
  const source = members(spec.source);
  const begin = text(source.stream)
    ? { kind: 'Stream', name: text(source.stream) }
    : { kind: text(source.type), name: text(source.path) || text(source.type) };
  let last = add(endVertex(begin));
  let first = '';
  for (const group of grouped(items(spec.steps))) {
    const made = group.map(({ step, index }) => stepVertex(step, index));
    const [only, ...more] = made;
    if (!only) continue;
    const many = {
      id: `steps/${only.id}`,
      kind: `${made.length} in a row`,
      name: 'Lookups',
      columns: COLUMNS,
      inside: [{ vertices: made, arcs: [] }],
    };
    const id = add(more.length === 0 ? only : many);
    arcs.push({ from: last, to: id });
    first ||= id;
    last = id;
    const aside = text(at(group[0]?.step, 'output', 'stream'));
    if (aside) arcs.push({ from: id, to: add(endVertex({ kind: 'Stream', name: aside })), label: 'results' });
  }
  for (const output of items(spec.outputs)) {
    const when = text(at(output, 'when'));
    arcs.push({ from: last, to: add(endVertex(targetEnd(output))), label: when ? `when ${when}` : undefined });
  }
  const aside = (name: string, label: string) => {
    arcs.push({ from: first || last, to: add(endVertex({ kind: 'Stream', name }, 'aside')), label, look: 'aside' });
  };
  const letters = writes(pipeline).at(-1) ?? { kind: 'Stream', name: `${metadata.name}.dead` };
  aside(text(at(spec.errors, 'stream')) || letters.name, 'dead letters');
  const late = text(at(spec.late, 'stream'));
  if (late) aside(late, 'late');
  const retry = text(at(spec.retry, 'stream'));
  if (retry) aside(retry, 'to try again');
  return { vertices: [...vertices.values()], arcs };
}

const COLUMNS = 2;

/** Steps one by one, but lookups that follow each other together. */
function grouped(steps: unknown[]): { step: unknown; index: number }[][] {
  const groups: { step: unknown; index: number }[][] = [];
  const asks = (step: unknown) => ['lookup', 'score'].includes(text(at(step, 'type')));
  for (const [index, step] of steps.entries()) {
    const last = groups.at(-1);
    if (last && asks(step) && asks(last[0]?.step)) last.push({ step, index });
    else groups.push([{ step, index }]);
  }
  return groups;
}

function stepVertex(step: unknown, index: number): Vertex {
  return {
    id: `step/${index}`,
    kind: text(at(step, 'type')),
    name: text(at(step, 'id')) || `step ${index + 1}`,
    meta: stepMeta(step),
  };
}

function stepMeta(step: unknown): string {
  const lookup = at(step, 'lookup', 'type');
  if (lookup) return `${text(lookup)} ${text(at(step, 'lookup', 'table')) || text(at(step, 'key'))}`;
  const windows = items(at(step, 'windows')).map(String).join(' ');
  return (
    text(at(step, 'when')) ||
    windows ||
    text(at(step, 'size')) ||
    text(at(step, 'gap')) ||
    text(at(step, 'key')) ||
    firstLine(text(at(step, 'program')))
  );
}

function firstLine(program: string): string {
  return program.split('\n').find(line => line.trim() && !line.startsWith('#')) ?? '';
}

function PipelineGraph({ pipeline }: { pipeline: Resource }) {
  const now = useTick();
  const shape = useMemo(() => pipelineGraph(pipeline), [pipeline]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: figures are new with each second
  const graph = useMemo(() => withFigures(shape, pipeline.metadata.name), [shape, now]);
  return (
    <Panel title="From source to outputs" end="rates of the last five seconds">
      <Graph graph={graph} right label={`Graph of the pipeline ${pipeline.metadata.name}`} />
    </Panel>
  );
}

function Steps({ pipeline }: { pipeline: Resource }) {
  const steps = items(pipeline.spec.steps);
  if (steps.length === 0) return <Empty>This pipeline has no steps: events go on as they come.</Empty>;
  return (
    <>
      <StepFigures pipeline={pipeline.metadata.name} steps={steps} />
      {steps.map((step, index) => {
        const { id, type, program, when, ...rest } = members(step);
        const code = text(program) || text(when);
        return (
          <Panel key={text(id) || index} title={text(id) || `step ${index + 1}`} end={<Badge>{text(type)}</Badge>} body>
            <pre className="code" tabIndex={0}>
              {code || write(rest, 2)}
            </pre>
          </Panel>
        );
      })}
    </>
  );
}

interface StepRow {
  place: number;
  id: string;
  type: string;
}

/** What each step has done with its events. */
function StepFigures({ pipeline, steps }: { pipeline: string; steps: unknown[] }) {
  useTick();
  const of = (step: StepRow) => ({ pipeline, step: step.id });
  const each = (name: string, head: string): Column<StepRow> => ({
    id: name,
    head,
    right: true,
    by: step => rate(`hw_flow_step_${name}`, of(step)) || 0,
    cell: step => `${perSecond(rate(`hw_flow_step_${name}`, of(step)))} /s`,
  });
  const total = (name: string, head: string): Column<StepRow> => ({
    id: name,
    head,
    right: true,
    by: step => value(`hw_flow_step_${name}`, of(step)) || 0,
    cell: step => count(value(`hw_flow_step_${name}`, of(step))),
  });
  const rows = steps.map((step, place) => ({ place, id: text(at(step, 'id')), type: text(at(step, 'type')) }));
  return (
    <Panel title="What passes through" end="time by a sample of events">
      <Table
        label="Figures of the steps"
        rows={rows}
        id={step => step.id}
        sort="place"
        empty={<Empty>This pipeline has no steps.</Empty>}
        columns={[
          { id: 'place', head: '#', by: step => step.place, cell: step => step.place + 1 },
          { id: 'step', head: 'Step', by: step => step.id, cell: step => <span className="name">{step.id}</span> },
          { id: 'type', head: 'Type', by: step => step.type, cell: step => step.type },
          each('events_total', 'In'),
          each('passed_total', 'On'),
          total('dropped_total', 'Dropped'),
          total('late_total', 'Late'),
          total('failed_total', 'Without answer'),
          total('dead_letters_total', 'Dead letters'),
          total('results_total', 'Results'),
          {
            id: 'share',
            head: 'Time',
            right: true,
            by: step => stepShare(of(step)) || 0,
            cell: step => share(stepShare(of(step))) || '–',
          },
        ]}
      />
    </Panel>
  );
}

function Lookups({ pipeline }: { pipeline: string }) {
  useTick();
  const of = (step: string) => ({ pipeline, step });
  const figure = (name: string, head: string): Column<string> => ({
    id: name,
    head,
    right: true,
    by: step => value(`hw_flow_lookup_${name}`, of(step)) || 0,
    cell: step => count(value(`hw_flow_lookup_${name}`, of(step))),
  });
  return (
    <Panel>
      <Table
        label="Lookups"
        rows={lookupsOf(pipeline)}
        id={step => step}
        sort="step"
        empty={<Empty>This pipeline looks nothing up.</Empty>}
        columns={[
          { id: 'step', head: 'Step', by: step => step, cell: step => <span className="name">{step}</span>, one: true },
          figure('at_once_total', 'From memory'),
          figure('hits_total', 'Cache hits'),
          figure('misses_total', 'Misses'),
          figure('requests_total', 'Requests'),
          figure('failures_total', 'Failures'),
          figure('timeouts_total', 'Timeouts'),
          figure('in_flight', 'Under way'),
          figure('cached', 'Cached'),
        ]}
      />
    </Panel>
  );
}

function Course({ pipeline }: { pipeline: Resource }) {
  const of = label(pipeline);
  return (
    <div className="cols">
      <Panel title="Events each second">
        <Chart
          label="Events each second"
          write={perSecond}
          lines={[
            { label: 'read', values: () => rates('hw_flow_events_total', of) },
            { label: 'written', values: () => written(of) },
            { label: 'dropped', values: () => rates('hw_flow_dropped_total', of) },
          ]}
        />
      </Panel>
      <Panel title="Records behind">
        <Chart
          label="Records behind"
          write={count}
          lines={[{ label: 'behind', values: () => course('hw_flow_lag_events', of) }]}
        />
      </Panel>
      <Panel title="What went wrong, each second">
        <Chart
          label="What went wrong, each second"
          write={perSecond}
          lines={[
            { label: 'dead letters', values: () => rates('hw_flow_dead_letters_total', of) },
            { label: 'late', values: () => rates('hw_flow_late_total', of) },
            { label: 'failed lookups', values: () => rates('hw_flow_lookups_failed_total', of) },
          ]}
        />
      </Panel>
      <Panel title="Events that wait">
        <Chart
          label="Events that wait"
          write={count}
          lines={[{ label: 'waiting', values: () => course('hw_flow_waiting_events', of) }]}
        />
      </Panel>
    </div>
  );
}
