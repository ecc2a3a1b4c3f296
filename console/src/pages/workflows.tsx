/** Workflows: the list, and one with its state machine, its executions, and a start. */

import { useMutation, useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { address, call, type Execution, type Kind, type Resource, useExecutions, useKind } from '../api.ts';
import { keepUnsaved, unsaved } from '../editor/unsaved.ts';
import { count } from '../format.ts';
import { at, members, parse, text, write } from '../json.ts';
import { machineGraph } from '../machine.ts';
import { go, path, useParam } from '../router.tsx';
import { Graph } from '../ui/lazy.tsx';
import { Empty, Loading, Page, Panel, Ready, Tabs, Time, To, Trouble } from '../ui/parts.tsx';
import { Table } from '../ui/table.tsx';
import { Executions, tone } from './executions.tsx';
import { NewButton, Yaml } from './resources.tsx';

/** All workflows. */
export function WorkflowsPage() {
  const all = useKind('Workflow');
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
            {
              id: 'name',
              head: 'Name',
              by: it => it.metadata.name,
              cell: it => <To plural="workflows" name={it.metadata.name} />,
              one: true,
            },
            { id: 'about', head: 'About', cell: it => <span className="muted">{text(it.spec.description)}</span> },
            { id: 'type', head: 'Type', cell: it => text(it.spec.type) || 'standard' },
            {
              id: 'states',
              head: 'States',
              right: true,
              by: it => stateCount(definitionOf(it)),
              cell: it => count(stateCount(definitionOf(it))),
            },
            { id: 'latest', head: 'Latest executions', cell: it => <Outcomes workflow={it.metadata.name} /> },
            { id: 'last', head: 'Last started', cell: it => <LastStarted workflow={it.metadata.name} /> },
            { id: 'state', head: 'State', by: it => it.status.ready, cell: it => <Ready resource={it} /> },
          ]}
        />
      </Panel>
    </Page>
  );
}

/** A definition, written as an object or as text. */
export function definitionOf(workflow: Resource): unknown {
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

/** The executions that a row tells of its own workflow, however many others have run since. */
function useLatest(workflow: string) {
  return useExecutions({ workflow, max: LATEST }).data?.items;
}

const LATEST = 24;

function LastStarted({ workflow }: { workflow: string }) {
  return <Time at={useLatest(workflow)?.[0]?.started} />;
}

/** How the latest executions ended, the newest on the right. */
function Outcomes({ workflow }: { workflow: string }) {
  const executions = useLatest(workflow);
  if (!executions) return <span className="muted">…</span>;
  if (executions.length === 0) return <span className="muted">none</span>;
  const ended = (state: Execution['state']) => executions.filter(execution => execution.state === state).length;
  const words = `${ended('SUCCEEDED')} succeeded, ${ended('FAILED') + ended('TIMED_OUT')} failed, ${ended('RUNNING')} running`;
  return (
    <span className="outcomes" role="img" aria-label={words} title={words}>
      {[...executions].reverse().map(({ id, state }) => (
        <span key={id} className={tone(state)} />
      ))}
    </span>
  );
}

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
