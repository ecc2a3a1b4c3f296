/** Tables: the list, and one whose documents can be looked through by key, by an index or by a filter. */

import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useRef, useState } from 'react';
import { address, call, type Document, type Kind, type Resource, useKind, useResources } from '../api.ts';
import { count } from '../format.ts';
import { at, items, text, write } from '../json.ts';
import { useParam } from '../router.tsx';
import { Later } from '../ui/fields.tsx';
import { Empty, Loading, Page, Panel, Ready, Tabs, Time, Trouble } from '../ui/parts.tsx';
import { SchemaView } from '../ui/schema.tsx';
import { Table } from '../ui/table.tsx';
import { users } from '../wiring.ts';
import { DocumentPanel, NewDocument } from './document.tsx';
import { aboutColumn, NewButton, nameColumn, stateColumn, Yaml } from './resources.tsx';
import { wiringTab } from './streams.tsx';

/** All tables. */
export function TablesPage() {
  const all = useKind('Table');
  const resources = useResources().data ?? [];
  if (!all) return <Loading />;
  const used = (it: Resource) => users(resources, { kind: 'Table', name: it.metadata.name });
  return (
    <Page title="Tables" about="Keyed documents, each with a version." actions={<NewButton plural="tables" />}>
      <Panel>
        <Table
          label="Tables"
          rows={all}
          id={it => it.metadata.name}
          sort="name"
          empty={
            <Empty command="headwater solution apply workflow-cost">
              There is no table yet. New begins with an example; a solution brings some.
            </Empty>
          }
          columns={[
            nameColumn('tables'),
            aboutColumn,
            { id: 'key', head: 'Key', cell: it => <code>{text(it.spec.key)}</code> },
            {
              id: 'indexes',
              head: 'Indexes',
              cell: it => (
                <span className="mono">
                  {indexes(it)
                    .map(index => index.name)
                    .join(', ')}
                </span>
              ),
            },
            {
              id: 'schema',
              head: 'Schema',
              cell: it => (it.spec.schema ? 'yes' : <span className="muted">none</span>),
            },
            {
              id: 'writers',
              head: 'Written by',
              right: true,
              by: it => used(it).writers.length,
              cell: it => used(it).writers.length,
            },
            {
              id: 'readers',
              head: 'Read by',
              right: true,
              by: it => used(it).readers.length,
              cell: it => used(it).readers.length,
            },
            stateColumn,
          ]}
        />
      </Panel>
    </Page>
  );
}

function indexes(table: Resource): { name: string; fields: string[] }[] {
  return items(table.spec.indexes).map(index => ({
    name: text(at(index, 'name')),
    fields: items(at(index, 'fields')).map(text),
  }));
}

/** One table. */
export function TablePage({ resource, kind }: { resource: Resource; kind: Kind }) {
  const name = resource.metadata.name;
  const all = useResources().data ?? [];
  const { writers, readers } = users(all, { kind: 'Table', name });
  return (
    <Page title={name} badge={<Ready resource={resource} />} about={text(resource.spec.description)}>
      <Tabs
        tabs={[
          { id: 'documents', label: 'Documents', show: () => <Documents table={resource} /> },
          {
            id: 'schema',
            label: 'Schema',
            show: () => (
              <Panel title="What a document has to look like">
                {resource.spec.schema ? (
                  <SchemaView schema={resource.spec.schema} />
                ) : (
                  <Empty>This table takes documents of any shape.</Empty>
                )}
              </Panel>
            ),
          },
          wiringTab(writers, readers),
          { id: 'yaml', label: 'YAML', show: () => <Yaml resource={resource} kind={kind} /> },
        ]}
      />
    </Page>
  );
}

const PAGE = 50;
const CELL = 120;

function Documents({ table }: { table: Resource }) {
  const name = table.metadata.name;
  const [filter, setFilter] = useParam('filter');
  const [index, setIndex] = useParam('index');
  const [equals, setEquals] = useParam('equals');
  const [after, setAfter] = useParam('after');
  const [open, setOpen] = useParam('row');
  const [descending, setDescending] = useParam('descending');
  const [making, setMaking] = useState(false);
  // Where the keyboard stood before a panel opened.
  const opener = useRef<HTMLButtonElement>(null);
  const maker = useRef<HTMLButtonElement>(null);
  const query = { index, equals: index ? equals : '', after, filter, descending, max: PAGE };
  const { data, error, isPlaceholderData } = useQuery({
    queryKey: ['documents', name, query],
    queryFn: ({ signal }) =>
      call<{ documents: Document[]; next: string | null; scanned: number }>(
        address(['tables', name, 'documents'], query),
        { signal },
      ),
    placeholderData: keepPreviousData,
    refetchInterval: 5_000,
  });
  const all = indexes(table);
  const again = (set: (value: string) => void) => (value: string) => {
    setAfter('');
    set(value);
  };
  const columns = columnsOf(data?.documents ?? []);
  return (
    <>
      <form className="bar" onSubmit={event => event.preventDefault()}>
        <Later
          value={filter}
          set={again(setFilter)}
          label="Filter"
          placeholder="Filter: status = 'COMPLETE' AND size(jobs) > 1"
        />
        <select
          className="field"
          aria-label="Order"
          value={index}
          onChange={event => again(setIndex)(event.target.value)}
        >
          <option value="">by key</option>
          {all.map(it => (
            <option key={it.name} value={it.name}>
              by {it.name} ({it.fields.join(', ')})
            </option>
          ))}
        </select>
        {index && (
          <Later
            value={equals}
            set={again(setEquals)}
            label="First field of the index is"
            placeholder={`${all.find(it => it.name === index)?.fields[0] ?? 'field'} is`}
          />
        )}
        <label className="check">
          <input
            type="checkbox"
            checked={descending !== ''}
            onChange={event => again(setDescending)(event.target.checked ? 'true' : '')}
          />{' '}
          largest first
        </label>
        <button type="button" className="btn" ref={maker} aria-expanded={making} onClick={() => setMaking(!making)}>
          New document
        </button>
      </form>
      {making && (
        <NewDocument
          table={name}
          close={() => {
            setMaking(false);
            maker.current?.focus();
          }}
          made={key => {
            setMaking(false);
            setOpen(key);
          }}
        />
      )}
      {error && <Trouble error={error} />}
      {!error && !data && <Loading />}
      {!error && data && (
        <Panel>
          {data.documents.length === 0 ? (
            <Empty>
              {filter || equals || after
                ? data.next
                  ? 'None on this page; there are more.'
                  : 'No document like this.'
                : 'This table has no documents. New document makes one; a pipeline or a client may as well.'}
            </Empty>
          ) : (
            <section
              className="scroll"
              aria-label="Documents"
              tabIndex={0}
              style={{ opacity: isPlaceholderData ? 0.6 : 1 }}
            >
              <table>
                <thead>
                  <tr>
                    <th scope="col">Key</th>
                    {columns.map(column => (
                      <th scope="col" key={column}>
                        {column}
                      </th>
                    ))}
                    <th scope="col" className="num">
                      Version
                    </th>
                    <th scope="col">Updated</th>
                  </tr>
                </thead>
                <tbody>
                  {data.documents.map(it => (
                    <tr key={it.key}>
                      <td className="one">
                        <button
                          type="button"
                          className="as-link"
                          aria-expanded={it.key === open}
                          onClick={event => {
                            opener.current = event.currentTarget;
                            setOpen(it.key === open ? '' : it.key);
                          }}
                        >
                          {it.key}
                        </button>
                      </td>
                      {columns.map(column => (
                        <td key={column} className="one mono">
                          {shown(at(it.value, column))}
                        </td>
                      ))}
                      <td className="num">{it.version}</td>
                      <td>
                        <Time at={it.updated} />
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </section>
          )}
        </Panel>
      )}
      <div className="bar">
        {after && (
          <button type="button" className="btn" onClick={() => setAfter('')}>
            First page
          </button>
        )}
        {data?.next && (
          <button type="button" className="btn" onClick={() => setAfter(data.next ?? '')}>
            Next page
          </button>
        )}
        {data && <span className="muted">{count(data.scanned)} looked at</span>}
      </div>
      {open && (
        <DocumentPanel
          key={open}
          table={name}
          name={open}
          close={() => {
            setOpen('');
            opener.current?.focus();
          }}
        />
      )}
    </>
  );
}

const COLUMNS = 6;

/** First members of the documents, most frequent first. */
export function columnsOf(documents: Document[]): string[] {
  const seen = new Map<string, number>();
  for (const { value, key } of documents) {
    for (const [name, member] of Object.entries(value !== null && typeof value === 'object' ? value : {})) {
      if (member !== key) seen.set(name, (seen.get(name) ?? 0) + 1);
    }
  }
  return [...seen]
    .sort((a, b) => b[1] - a[1])
    .slice(0, COLUMNS)
    .map(([name]) => name);
}

function shown(value: unknown): string {
  if (value === undefined) return '';
  const words = typeof value === 'string' ? value : write(value);
  return words.length > CELL ? `${words.slice(0, CELL)}…` : words;
}
