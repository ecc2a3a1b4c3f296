/** Workflows: the list, and one with its state machine, its executions, and a start. */

import { useMutation, useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import {
  address,
  call,
  type Execution,
  type ExecutionCounts,
  type Kind,
  type Resource,
  useExecutionCounts,
  useKind,
} from '../api.ts';
import { keepUnsaved, unsaved } from '../editor/unsaved.ts';
import { count } from '../format.ts';
import { at, members, parse, text, write } from '../json.ts';
import { machineGraph } from '../machine.ts';
import { go, path, useParam } from '../router.tsx';
import { Graph } from '../ui/lazy.tsx';
import { Empty, Loading, Page, Panel, Ready, Tabs, Time, Trouble } from '../ui/parts.tsx';
import { Table } from '../ui/table.tsx';
import { Executions, tone } from './executions.tsx';
import { aboutColumn, NewButton, nameColumn, stateColumn, Yaml } from './resources.tsx';

/** All workflows. */
export function WorkflowsPage() {
  const all = useKind('Workflow');
  const counts = useExecutionCounts().data;
  if (!all) return <Loading />;
  return (
    <Page
      title="Workflows"
      about="State machines in the Amazon States Language, whose executions are durable."
      actions={<NewButton plural="workflows" />}
    >
      <Panel>
        <Table
          label="Workflows"
          rows={all}
          id={it => it.metadata.name}
          sort="name"
          empty={
            <Empty command="headwater solution apply workflow-cost">
              There is no workflow yet. New begins with an example; a solution brings one.
            </Empty>
          }
          columns={[
            nameColumn('workflows'),
            aboutColumn,
            { id: 'type', head: 'Type', cell: it => text(it.spec.type) || 'standard' },
            {
              id: 'states',
              head: 'States',
              right: true,
              by: it => stateCount(definitionOf(it)),
              cell: it => count(stateCount(definitionOf(it))),
            },
            {
              id: 'outcomes',
              head: 'Executions',
              cell: it => <Outcomes counts={counts} workflow={it.metadata.name} />,
            },
            {
              id: 'last',
              head: 'Last started',
              by: it => counts?.get(it.metadata.name)?.started ?? '',
              cell: it => <Time at={counts?.get(it.metadata.name)?.started} />,
            },
            stateColumn,
          ]}
        />
      </Panel>
    </Page>
  );
}

/** A definition, written as an object or as text. */
function definitionOf(workflow: Resource): unknown {
  if (workflow.spec.definition) return workflow.spec.definition;
  try {
    return parse(text(workflow.spec.text));
  } catch {
    return {};
  }
}

function stateCount(definition: unknown): number {
  return Object.values(members(at(definition, 'States'))).reduce<number>((sum, state) => {
    const branches = at(state, 'Branches');
    const parts = [...(Array.isArray(branches) ? branches : []), at(state, 'ItemProcessor') ?? at(state, 'Iterator')];
    return sum + 1 + parts.reduce<number>((inner, part) => inner + (part ? stateCount(part) : 0), 0);
  }, 0);
}

/** How many executions are in each state. */
function Outcomes({ counts, workflow }: { counts: Map<string, ExecutionCounts> | undefined; workflow: string }) {
  if (!counts) return <span className="muted">…</span>;
  const of = (state: Execution['state']) => counts.get(workflow)?.states[state] ?? 0;
  const states = STATES.filter(state => of(state) > 0);
  if (states.length === 0) return <span className="muted">none</span>;
  const failed = of('FAILED') + of('TIMED_OUT');
  const words = `${count(of('SUCCEEDED'))} succeeded, ${count(failed)} failed, ${count(of('RUNNING'))} running`;
  return (
    <span className="outcomes" role="img" aria-label={words} title={words}>
      {states.map(state => (
        <span key={state} className={tone(state)} style={{ flexGrow: of(state) }} />
      ))}
    </span>
  );
}

const STATES: Execution['state'][] = ['SUCCEEDED', 'RUNNING', 'PENDING_REDRIVE', 'ABORTED', 'TIMED_OUT', 'FAILED'];

/** One workflow. */
export function WorkflowPage({ resource, kind }: { resource: Resource; kind: Kind }) {
  const name = resource.metadata.name;
  const graph = useMemo(() => machineGraph(definitionOf(resource)), [resource]);
  return (
    <Page title={name} badge={<Ready resource={resource} />} about={text(resource.spec.description)}>
      <Tabs
        tabs={[
          {
            id: 'machine',
            label: 'State machine',
            show: () => (
              <Panel>
                <Graph graph={graph} label={`State machine of ${name}`} />
              </Panel>
            ),
          },
          { id: 'executions', label: 'Executions', show: () => <Executions workflow={name} /> },
          {
            id: 'start',
            label: 'Start',
            show: () => <Start workflow={name} express={resource.spec.type === 'express'} />,
          },
          { id: 'yaml', label: 'YAML', show: () => <Yaml resource={resource} kind={kind} /> },
        ]}
      />
    </Page>
  );
}

function Start({ workflow, express }: { workflow: string; express: boolean }) {
  // The execution whose input it begins with, if one is named.
  const [like] = useParam('like');
  const other = useQuery({
    queryKey: ['execution', `${workflow}/${like}`],
    enabled: like !== '',
    queryFn: () => call<Execution>(address(['executions', workflow, like])),
  });
  const place = `start/${workflow}/${like}`;
  const [typed, setTyped] = useState(() => unsaved(place)?.text);
  const setInput = (text: string) => {
    setTyped(text);
    keepUnsaved(place, { text, version: 0 });
  };
  const [name, setName] = useState('');
  const input = typed ?? write(other.data?.input ?? {}, 2);
  const start = useMutation({
    // The input goes as it was typed: what reads and writes it again could change a number.
    mutationFn: () =>
      call<Execution>(address(['workflows', workflow, 'executions'], express ? { sync: 'true' } : {}), {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: `{${name ? `"name":${JSON.stringify(name)},` : ''}"input":${input || '{}'}}`,
      }),
    onSuccess: execution => {
      keepUnsaved(place, null);
      if (!express) go(path(['executions', ...execution.id.split('/')]));
    },
  });
  return (
    <Panel title="Start an execution" body>
      <form
        className="stack"
        onSubmit={event => {
          event.preventDefault();
          start.mutate();
        }}
      >
        <label>
          <span className="muted">Input, a JSON value</span>
          <textarea
            className="field"
            rows={8}
            value={input}
            spellCheck={false}
            onChange={event => setInput(event.target.value)}
          />
        </label>
        <label>
          <span className="muted">Name, an idempotency key; drawn if empty</span>
          <br />
          <input className="field mono" value={name} onChange={event => setName(event.target.value)} />
        </label>
        <div>
          <button type="submit" className="btn main" disabled={start.isPending}>
            Start
          </button>
        </div>
        {other.error && <Trouble error={other.error} />}
        {start.error && <Trouble error={start.error} />}
        {express && start.data && <p className="note good">Ended as {start.data.state}</p>}
      </form>
    </Panel>
  );
}
