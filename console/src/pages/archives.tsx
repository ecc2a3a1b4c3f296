/** An archive: its events given out again, and how far that is. */

import { useMutation, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { address, call, type Kind, queries, type Resource, useKind } from '../api.ts';
import { count } from '../format.ts';
import { text } from '../json.ts';
import { Json } from '../ui/json.tsx';
import { Awaited, Badge, Empty, Page, Panel, Ready, Sure, Tabs, Time, To, Trouble } from '../ui/parts.tsx';
import { Table } from '../ui/table.tsx';
import { Yaml } from './resources.tsx';

interface Replay {
  name: string;
  archive: string;
  from: string;
  to: string;
  rules: string[];
  state: string;
  started: string;
  events: number;
  reason: string | null;
}

const REPLAYS = ['replays'];

/** One archive. */
export function ArchivePage({ resource, kind }: { resource: Resource; kind: Kind }) {
  const { name } = resource.metadata;
  return (
    <Page
      title={name}
      badge={<Ready resource={resource} />}
      about={text(resource.spec.description) || resource.status.message}
    >
      <Tabs
        tabs={[
          {
            id: 'replays',
            label: 'Replays',
            show: () => (
              <>
                <Replays archive={name} />
                <Begin archive={name} />
              </>
            ),
          },
          {
            id: 'spec',
            label: 'Spec',
            show: () => (
              <Panel title="Spec" end={<To plural="streams" name={`archive.${name}`} />} body>
                <Json value={resource.spec} />
              </Panel>
            ),
          },
          { id: 'yaml', label: 'YAML', show: () => <Yaml resource={resource} kind={kind} /> },
        ]}
      />
    </Page>
  );
}

function Replays({ archive }: { archive: string }) {
  const { data, error } = useQuery({
    queryKey: REPLAYS,
    refetchInterval: 2_000,
    queryFn: () => call<{ items: Replay[] }>(address(['replays'])).then(({ items }) => items),
  });
  const end = useMutation({
    mutationFn: (name: string) => call(address(['replays', name]), { method: 'DELETE' }),
    onSettled: () => void queries.invalidateQueries({ queryKey: REPLAYS }),
  });
  if (!data) return <Awaited error={error} />;
  return (
    <>
      {end.error && <Trouble error={end.error} />}
      <Panel>
        <Table
          label="Replays"
          rows={data.filter(it => it.archive === archive)}
          id={it => it.name}
          sort="-started"
          empty={<Empty>None of its events were given out again. The form below begins that.</Empty>}
          columns={[
            { id: 'name', head: 'Name', by: it => it.name, cell: it => it.name, one: true },
            { id: 'state', head: 'State', by: it => it.state, cell: it => <State replay={it} /> },
            { id: 'started', head: 'Started', by: it => it.started, cell: it => <Time at={it.started} /> },
            { id: 'from', head: 'Events from', cell: it => <Time at={it.from} /> },
            { id: 'to', head: 'Up to', cell: it => <Time at={it.to} /> },
            { id: 'rules', head: 'For', cell: it => it.rules.join(', ') || 'all rules' },
            { id: 'events', head: 'Given out', right: true, by: it => it.events, cell: it => count(it.events) },
            {
              id: 'end',
              head: 'End',
              cell: it =>
                it.state === 'running' && (
                  <Sure
                    label="End"
                    question="What is out stays out."
                    back="Let it run"
                    busy={end.isPending}
                    act={() => end.mutate(it.name)}
                  />
                ),
            },
          ]}
        />
      </Panel>
    </>
  );
}

function State({ replay: { state, reason } }: { replay: Replay }) {
  const tone = state === 'completed' ? 'good' : state === 'running' ? 'accent' : state === 'failed' ? 'bad' : 'warn';
  return (
    <>
      <Badge tone={tone}>{state}</Badge> {reason && reason !== state && <span className="muted">{reason}</span>}
    </>
  );
}

/** Begins one. Rules act on its events as on new ones, so that it is asked once more. */
function Begin({ archive }: { archive: string }) {
  const [name, setName] = useState('');
  const [from, setFrom] = useState('');
  const [to, setTo] = useState('');
  const [rule, setRule] = useState('');
  const rules = useKind('Rule') ?? [];
  const begin = useMutation({
    mutationFn: () =>
      call(address(['replays']), {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ name, archive, from: `${from}:00Z`, to: `${to}:00Z`, rules: rule ? [rule] : [] }),
      }),
    onSuccess: () => setName(''),
    onSettled: () => void queries.invalidateQueries({ queryKey: REPLAYS }),
  });
  return (
    <Panel title="Give events out again" body>
      <div className="stack">
        <div className="bar">
          <label className="stacked">
            Name
            <input className="field mono" value={name} onChange={event => setName(event.target.value)} />
          </label>
          <label className="stacked">
            From (UTC)
            <input
              className="field"
              type="datetime-local"
              value={from}
              onChange={event => setFrom(event.target.value)}
            />
          </label>
          <label className="stacked">
            Up to (UTC)
            <input className="field" type="datetime-local" value={to} onChange={event => setTo(event.target.value)} />
          </label>
          <label className="stacked">
            For
            <select className="field" value={rule} onChange={event => setRule(event.target.value)}>
              <option value="">all rules</option>
              {rules.map(({ metadata }) => (
                <option key={metadata.name}>{metadata.name}</option>
              ))}
            </select>
          </label>
        </div>
        <div>
          <Sure
            label="Begin"
            question="Rules send these events to their targets once more."
            back="Not now"
            busy={begin.isPending || !name || !from || !to || from >= to}
            act={() => begin.mutate()}
          />
        </div>
        {begin.error && <Trouble error={begin.error} />}
      </div>
    </Panel>
  );
}
