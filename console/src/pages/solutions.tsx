/** Solutions on the node's shelf: what each is made of, what of it is there, and the button that starts it. */

import { useState } from 'react';
import { applySolution, type Report, type Resource, type Solution, useResources, useSolutions } from '../api.ts';
import { Would } from '../editor/would.tsx';
import { plural as counted } from '../format.ts';
import { Link, path } from '../router.tsx';
import { Awaited, Badge, Command, Empty, Loading, Page, Panel, Ready, To, Trouble } from '../ui/parts.tsx';
import { Table } from '../ui/table.tsx';
import { pluralOf } from '../wiring.ts';

/** The solutions as cards. */
export function Gallery({ all }: { all: Resource[] }) {
  const shelf = useSolutions();
  return (
    <Panel title="Solutions" end="shipped with this node">
      {shelf.error && <Trouble error={shelf.error} />}
      {shelf.isPending && <Loading />}
      <ul className="gallery">
        {shelf.data?.map(solution => (
          <Card key={solution.name} solution={solution} all={all} />
        ))}
      </ul>
    </Panel>
  );
}

function Card({ solution, all }: { solution: Solution; all: Resource[] }) {
  const { name, title, about, resources } = solution;
  const there = partsOf(solution, all).length;
  const start = useStart(name);
  return (
    <li className="card">
      <h3>
        <Link to={path(['solutions', name])}>{title}</Link> <Applied there={there} of={resources.length} />
      </h3>
      <p className="muted">{about}</p>
      <p className="muted">{counted(resources.length, 'resource')}</p>
      <div className="bar">
        {there < resources.length && (
          <button
            type="button"
            className="btn main"
            disabled={start.busy}
            aria-label={`Start ${name}`}
            onClick={() => void start.send({}, false)}
          >
            Start
          </button>
        )}
        <Link to={path(['solutions', name])} className="btn">
          {there === 0 ? 'What is in it' : 'Open'}
        </Link>
      </div>
      {start.error !== undefined && <Trouble error={start.error} />}
    </li>
  );
}

function Applied({ there, of }: { there: number; of: number }) {
  if (there === 0) return null;
  if (there === of) return <Badge tone="good">Applied</Badge>;
  return (
    <Badge tone="warn">
      {there} of {of}
    </Badge>
  );
}

/** One solution. */
export function SolutionPage({ name }: { name: string }) {
  const shelf = useSolutions();
  const resources = useResources();
  if (!shelf.data || !resources.data) return <Awaited error={shelf.error ?? resources.error} />;
  const solution = shelf.data.find(it => it.name === name);
  if (!solution) {
    return (
      <Page title={name}>
        <Empty>
          This node has no solution of this name. <Link to={path([])}>All solutions</Link>
        </Empty>
      </Page>
    );
  }
  const there = partsOf(solution, resources.data);
  const dashboards = there.filter(it => it.kind === 'Dashboard');
  return (
    <Page
      title={solution.title}
      about={solution.about}
      badge={<Applied there={there.length} of={solution.resources.length} />}
      actions={dashboards.map(({ metadata, spec }) => (
        <Link key={metadata.name} to={path(['dashboards', metadata.name])} className="btn">
          {typeof spec.title === 'string' ? spec.title : metadata.name}
        </Link>
      ))}
    >
      <div className="cols wide-left">
        <Panel title="What it is made of">
          <Parts solution={solution} there={there} />
        </Panel>
        <div className="stack">
          <Start solution={solution} />
          <Panel title="On the command line" body>
            <Command text={`headwater solution show ${name}`} />
            <Command text={`headwater solution diff ${name}${server()}`} />
          </Panel>
        </div>
      </div>
    </Page>
  );
}

function Parts({ solution, there }: { solution: Solution; there: Resource[] }) {
  const rows = solution.resources.map(id => {
    const [kind = '', name = ''] = id.split('/');
    return { id, kind, name, resource: there.find(it => it.kind === kind && it.metadata.name === name) };
  });
  return (
    <Table
      label="Resources of the solution"
      rows={rows}
      id={row => row.id}
      sort="kind"
      empty={<Empty>It has no resources.</Empty>}
      columns={[
        { id: 'kind', head: 'Kind', by: row => row.kind, cell: row => row.kind },
        {
          id: 'name',
          head: 'Name',
          by: row => row.name,
          cell: row => (row.resource ? <To plural={pluralOf(row.kind)} name={row.name} /> : row.name),
          one: true,
        },
        {
          id: 'state',
          head: 'State',
          by: row => row.resource?.status.ready ?? '',
          cell: row => (row.resource ? <Ready resource={row.resource} /> : <Badge>Not applied</Badge>),
        },
      ]}
    />
  );
}

/** Its parameters, what an apply would do, and the button that does it. */
function Start({ solution }: { solution: Solution }) {
  const { name, parameters } = solution;
  const [values, setValues] = useState<Record<string, string>>({});
  const start = useStart(name);
  const set = (of: string, value: string) =>
    setValues(before => {
      const { [of]: _, ...others } = before;
      // What is empty is what the node decides.
      return value === '' ? others : { ...others, [of]: value };
    });
  return (
    <Panel title="Start it" body>
      <form
        className="stack"
        onSubmit={event => {
          event.preventDefault();
          void start.send(values, false);
        }}
      >
        {parameters.map(({ name, about, value }) => (
          <label key={name} className="stack tight">
            <span>
              <code>{name}</code> <span className="muted">{about}</span>
            </span>
            <input
              className="field mono"
              placeholder={value ?? 'found or made on this machine'}
              value={values[name] ?? ''}
              onChange={event => set(name, event.target.value)}
            />
          </label>
        ))}
        <div className="bar">
          <button type="submit" className="btn main" disabled={start.busy}>
            Start
          </button>
          <button type="button" className="btn" disabled={start.busy} onClick={() => void start.send(values, true)}>
            What would change
          </button>
          <span role="status" className="muted">
            {start.busy && 'asking the node …'}
          </span>
        </div>
      </form>
      {start.error !== undefined && <Trouble error={start.error} />}
      {start.report && <Would report={start.report} done={start.done} />}
    </Panel>
  );
}

interface Started {
  busy: boolean;
  done: boolean;
  error?: unknown;
  report?: Report;
}

/** Applying a solution, and how that goes. */
function useStart(name: string) {
  const [state, setState] = useState<Started>({ busy: false, done: false });
  const send = async (values: Record<string, string>, dryRun: boolean) => {
    setState({ busy: true, done: false });
    try {
      setState({ busy: false, done: !dryRun, report: await applySolution(name, values, dryRun) });
    } catch (error) {
      setState({ busy: false, done: false, error });
    }
  };
  return { ...state, send };
}

/** What of a solution the node has. */
function partsOf({ resources }: Solution, all: Resource[]): Resource[] {
  const ids = new Set(resources);
  return all.filter(it => ids.has(`${it.kind}/${it.metadata.name}`));
}

/** What has to be added so that a command reaches this very node. */
function server(): string {
  return window.location.port === '8080' ? '' : ` --server ${window.location.origin}`;
}
