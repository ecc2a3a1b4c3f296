/** What every kind has: a list, a page by its schema, and its YAML to edit. */

import { useState } from 'react';
import {
  address,
  call,
  type Kind,
  queries,
  RESOURCES,
  Refusal,
  type Resource,
  useKinds,
  useOpenApi,
  useResources,
} from '../api.ts';
import { keepUnsaved } from '../editor/unsaved.ts';
import { count } from '../format.ts';
import { at, text } from '../json.ts';
import { go, Link, path, useParam } from '../router.tsx';
import { isSystem } from '../system.ts';
import { Json } from '../ui/json.tsx';
import { Editor } from '../ui/lazy.tsx';
import { Awaited, Badge, Empty, NameFilter, Page, Panel, Ready, Tabs, Time, To, Trouble } from '../ui/parts.tsx';
import { Keys } from '../ui/schema.tsx';
import { type Column, Table } from '../ui/table.tsx';
import { Deeds } from './deeds.tsx';

/** The column of a list that leads to each resource. */
export const nameColumn = (plural: string): Column<Resource> => ({
  id: 'name',
  head: 'Name',
  by: it => it.metadata.name,
  cell: it => <To plural={plural} name={it.metadata.name} />,
  one: true,
});

/** The column of what people are told. */
export const aboutColumn: Column<Resource> = {
  id: 'about',
  head: 'About',
  cell: it => <span className="muted">{text(it.spec.description)}</span>,
};

/** The column of how each is. */
export const stateColumn: Column<Resource> = {
  id: 'state',
  head: 'State',
  by: it => it.status.ready,
  cell: it => <Ready resource={it} />,
};

/** Every kind with how many there are and how many are not ready. */
export function KindsPage() {
  const kinds = useKinds();
  const all = useResources().data ?? [];
  if (!kinds.data) return <Awaited error={kinds.error} />;
  const of = (kind: Kind) => all.filter(it => it.kind === kind.name && !isSystem(it));
  const wrong = (kind: Kind) => of(kind).filter(it => it.status.ready !== 'true').length;
  return (
    <Page title="All resources" about="Everything on this node is a resource: what is wanted, and how it is.">
      <Panel>
        <Table
          label="Kinds"
          rows={kinds.data}
          id={kind => kind.name}
          empty={<Empty>This node knows no kinds.</Empty>}
          columns={[
            {
              id: 'kind',
              head: 'Kind',
              by: kind => kind.name,
              cell: kind => (
                <Link className="name" to={path([kind.plural])}>
                  {kind.name}
                </Link>
              ),
              one: true,
            },
            { id: 'doc', head: 'Is', cell: kind => <span className="muted">{kind.doc}</span> },
            {
              id: 'count',
              head: 'There are',
              right: true,
              by: kind => of(kind).length,
              cell: kind => count(of(kind).length),
            },
            {
              id: 'wrong',
              head: 'Not ready',
              right: true,
              by: wrong,
              cell: kind => (wrong(kind) ? <Badge tone="bad">{wrong(kind)}</Badge> : ''),
            },
          ]}
        />
      </Panel>
    </Page>
  );
}

/** All resources of a kind without a page of its own. */
export function ResourcesPage({ kind }: { kind: Kind }) {
  const [words, setWords] = useParam('q');
  const all = useResources().data?.filter(it => it.kind === kind.name) ?? [];
  return (
    <Page title={`${kind.name}s`} about={kind.doc} actions={<NewButton plural={kind.plural} />}>
      <div className="bar">
        <NameFilter words={words} onChange={setWords} />
      </div>
      <Panel>
        <Table
          label={`${kind.name}s`}
          rows={all.filter(it => it.metadata.name.includes(words))}
          id={it => it.metadata.name}
          sort="name"
          empty={
            <Empty command={`headwater explain ${kind.name.toLowerCase()}`}>
              There is none{all.length ? ' of this name.' : ' yet. New begins with an example.'}
            </Empty>
          }
          columns={[
            nameColumn(kind.plural),
            {
              id: 'about',
              head: 'About',
              cell: it => <span className="muted">{text(it.spec.description) || it.status.message}</span>,
            },
            {
              id: 'created',
              head: 'Created',
              by: it => it.metadata.created ?? '',
              cell: it => <Time at={it.metadata.created} />,
            },
            stateColumn,
          ]}
        />
      </Panel>
    </Page>
  );
}

/** One resource of a kind without a page of its own. */
export function ResourcePage({ resource, kind }: { resource: Resource; kind: Kind }) {
  const { metadata, status } = resource;
  return (
    <Page
      title={metadata.name}
      badge={<Ready resource={resource} />}
      about={text(resource.spec.description) || status.message}
    >
      <Deeds resource={resource} kind={kind} />
      <Tabs
        tabs={[
          {
            id: 'spec',
            label: 'Spec',
            show: () => (
              <div className="cols">
                <Panel title="Spec" body>
                  <Json value={resource.spec} />
                </Panel>
                <Panel title="About" body>
                  <dl className="facts">
                    <dt>Kind</dt>
                    <dd>{kind.name}</dd>
                    <dt>Generation</dt>
                    <dd>
                      {metadata.generation}
                      {status.observedGeneration !== undefined &&
                        status.observedGeneration !== metadata.generation &&
                        ` (${status.observedGeneration} carried out)`}
                    </dd>
                    <dt>Created</dt>
                    <dd>
                      <Time at={metadata.created} />
                    </dd>
                    {Object.entries(metadata.labels ?? {}).map(([name, value]) => (
                      <div key={name} style={{ display: 'contents' }}>
                        <dt>{name}</dt>
                        <dd>{value}</dd>
                      </div>
                    ))}
                    <dt>State</dt>
                    <dd>
                      {status.reason} {status.message}
                    </dd>
                  </dl>
                </Panel>
              </div>
            ),
          },
          { id: 'yaml', label: 'YAML', show: () => <Yaml resource={resource} kind={kind} /> },
        ]}
      />
    </Page>
  );
}

/** Leads to an empty editor. */
export function NewButton({ plural }: { plural: string }) {
  return (
    <Link className="btn main" to={path([plural], { new: '1' })}>
      New
    </Link>
  );
}

/** A new resource, from the kind's example. */
export function NewPage({ kind }: { kind: Kind }) {
  const skeleton = `apiVersion: headwater.dev/v1\nkind: ${kind.name}\nmetadata:\n  name: \nspec:\n`;
  return (
    <Page title={`New ${kind.name}`} about={kind.doc}>
      <div className="cols wide-left">
        <Editor
          text={kind.example ?? skeleton}
          at={null}
          place={kind.plural}
          applied={report => {
            const made = report.resources.find(it => it.kind === kind.name);
            void queries.invalidateQueries({ queryKey: RESOURCES });
            if (made) go(path([kind.plural, made.name]));
          }}
        />
        <KindKeys kind={kind} />
      </div>
    </Page>
  );
}

/** A resource's YAML to edit, the keys beside it, and its deletion. */
export function Yaml({ resource, kind }: { resource: Resource; kind: Kind }) {
  const { name, resourceVersion: version = 0 } = resource.metadata;
  return (
    <div className="cols wide-left">
      <Editor
        text={resource}
        at={{ plural: kind.plural, name, version }}
        place={`${kind.plural}/${name}`}
        applied={() => void queries.invalidateQueries({ queryKey: RESOURCES })}
      />
      <div className="stack">
        <KindKeys kind={kind} />
        <Delete kind={kind} name={name} />
      </div>
    </div>
  );
}

function KindKeys({ kind }: { kind: Kind }) {
  const api = useOpenApi();
  const schema = at(api.data, 'components', 'schemas', kind.name, 'properties', 'spec');
  return (
    <Panel title={`Keys of a ${kind.name}`}>
      {api.error && <Trouble error={api.error} />}
      {schema !== undefined && <Keys schema={schema} root={api.data} />}
    </Panel>
  );
}

/** Asks what would go before anything goes. */
function Delete({ kind, name }: { kind: Kind; name: string }) {
  const [would, setWould] = useState<string[] | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  /** Whether what names it goes as well. */
  const [cascade, setCascade] = useState(false);
  const ask = async (dryRun: boolean, all: boolean, then: (gone: string[]) => void) => {
    setBusy(true);
    setError(null);
    const query = { 'dry-run': dryRun ? 'true' : '', cascade: all ? 'true' : '' };
    try {
      const { deleted } = await call<{ deleted: unknown[] }>(address([kind.plural, name], query), { method: 'DELETE' });
      then(deleted.map(it => (typeof it === 'string' ? it : JSON.stringify(it))));
    } catch (refused) {
      setError(refused);
    }
    setBusy(false);
  };
  const look = (all: boolean) => {
    setCascade(all);
    setWould(null);
    void ask(true, all, setWould);
  };
  const carryOut = () =>
    void ask(false, cascade, () => {
      keepUnsaved(`${kind.plural}/${name}`, null);
      void queries.invalidateQueries({ queryKey: RESOURCES });
      go(path([kind.plural]));
    });
  const named = error instanceof Refusal && error.problem.code === NAMED && !cascade;
  return (
    <Panel title="Delete" body>
      <div className="stack">
        {error !== null && <Trouble error={error} />}
        {would === null ? (
          <div className="bar">
            <button type="button" className="btn danger" disabled={busy} onClick={() => look(false)}>
              Delete …
            </button>
            {named && (
              <button type="button" className="btn danger" disabled={busy} onClick={() => look(true)}>
                Delete what names it as well …
              </button>
            )}
          </div>
        ) : (
          <>
            <p>This goes, with all that it holds:</p>
            <ul className="mono">
              {would.map(id => (
                <li key={id}>{id}</li>
              ))}
            </ul>
            <div className="bar">
              <button type="button" className="btn danger" disabled={busy} onClick={carryOut}>
                Delete {name}
              </button>
              <button type="button" className="btn" onClick={() => setWould(null)}>
                Keep it
              </button>
            </div>
          </>
        )}
      </div>
    </Panel>
  );
}

/** The code of a deletion that is refused because others name the resource. */
const NAMED = 'HW-KERNEL-013';
