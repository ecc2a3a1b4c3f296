/** Event types: who sends what to whom, in which versions. */

import type { Kind, Resource } from '../api.ts';
import { useKind } from '../api.ts';
import { at, items, text } from '../json.ts';
import { Json } from '../ui/json.tsx';
import { Badge, Empty, Loading, Page, Panel, Ready, Tabs } from '../ui/parts.tsx';
import { SchemaView } from '../ui/schema.tsx';
import { Table } from '../ui/table.tsx';
import { NewButton, nameColumn, stateColumn, Yaml } from './resources.tsx';

const words = (value: unknown) => items(value).map(text).join(', ');

/** All event types. */
export function EventTypesPage() {
  const all = useKind('EventType');
  if (!all) return <Loading />;
  return (
    <Page
      title="Event types"
      about="What events of one type say: full or sparse, schema with versions, producers, consumers."
      actions={<NewButton plural="eventtypes" />}
    >
      <Panel>
        <Table
          label="Event types"
          rows={all}
          id={it => it.metadata.name}
          sort="name"
          empty={
            <Empty command="headwater explain eventtype">
              No event type is described yet. New begins with an example.
            </Empty>
          }
          columns={[
            nameColumn('eventtypes'),
            { id: 'type', head: 'Type', by: it => text(it.spec.type), cell: it => <code>{text(it.spec.type)}</code> },
            {
              id: 'source',
              head: 'Source',
              by: it => text(it.spec.source),
              cell: it => <code>{text(it.spec.source)}</code>,
            },
            { id: 'says', head: 'Says', cell: it => text(it.spec.state) || 'full' },
            {
              id: 'versions',
              head: 'Versions',
              right: true,
              by: it => items(it.spec.versions).length,
              cell: it => items(it.spec.versions).length,
            },
            { id: 'producers', head: 'Producers', cell: it => words(it.spec.producers) },
            { id: 'consumers', head: 'Consumers', cell: it => words(it.spec.consumers) },
            { id: 'owner', head: 'Owner', by: it => text(it.spec.owner), cell: it => text(it.spec.owner) },
            stateColumn,
          ]}
        />
      </Panel>
    </Page>
  );
}

/** One event type. */
export function EventTypePage({ resource, kind }: { resource: Resource; kind: Kind }) {
  const { spec } = resource;
  const versions = items(spec.versions);
  const facts: [string, string][] = [
    ['Type', text(spec.type)],
    ['Source', text(spec.source)],
    [
      'Says',
      text(spec.state) === 'sparse'
        ? 'that something happened; consumers ask for the rest'
        : 'everything that a consumer needs',
    ],
    ['The rest', text(spec.details)],
    ['Owner', text(spec.owner)],
    ['Producers', words(spec.producers)],
    ['Consumers', words(spec.consumers)],
    ['Compatibility', text(spec.compatibility) || 'backward'],
  ];
  return (
    <Page title={resource.metadata.name} badge={<Ready resource={resource} />} about={text(spec.description)}>
      <Tabs
        tabs={[
          {
            id: 'type',
            label: 'Type',
            show: () => (
              <div className="cols">
                <Panel title="What it is" body>
                  <dl className="facts">
                    {facts
                      .filter(([, value]) => value)
                      .map(([name, value]) => (
                        <div key={name} style={{ display: 'contents' }}>
                          <dt>{name}</dt>
                          <dd>{value}</dd>
                        </div>
                      ))}
                  </dl>
                </Panel>
                {spec.example !== undefined && (
                  <Panel title="Example" body>
                    <Json value={spec.example} />
                  </Panel>
                )}
              </div>
            ),
          },
          {
            id: 'versions',
            label: 'Versions',
            count: versions.length,
            show: () =>
              [...versions].reverse().map((version, index) => (
                <Panel
                  key={String(at(version, 'version'))}
                  title={`Version ${String(at(version, 'version') ?? versions.length - index)}`}
                  end={index === 0 && <Badge tone="accent">newest</Badge>}
                >
                  <SchemaView schema={at(version, 'schema')} />
                </Panel>
              )),
          },
          { id: 'yaml', label: 'YAML', show: () => <Yaml resource={resource} kind={kind} /> },
        ]}
      />
    </Page>
  );
}
