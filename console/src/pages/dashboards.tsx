/** Dashboards: the list, and one with its charts. */

import { type Kind, type Resource, useKind } from '../api.ts';
import type { Source } from '../dashboards/asking.ts';
import { SHEET, useChoice } from '../dashboards/choice.ts';
import { Controls } from '../dashboards/controls.tsx';
import { Frames } from '../dashboards/frames.tsx';
import { places } from '../dashboards/layout.ts';
import { useDrafts } from '../dashboards/shared.ts';
import { chartsOf, type Dashboard, type Sheet, sheetsOf, titleOf } from '../dashboards/spec.ts';
import { text } from '../json.ts';
import { Link, path, useLocation } from '../router.tsx';
import { Builder } from '../ui/lazy.tsx';
import { Badge, Empty, Loading, Page, Panel, Ready, Tabs, Time, To } from '../ui/parts.tsx';
import { Table } from '../ui/table.tsx';
import { aboutColumn, stateColumn, Yaml } from './resources.tsx';

/** All dashboards. */
export function DashboardsPage() {
  const all = useKind('Dashboard');
  if (!all) return <Loading />;
  return (
    <Page
      title="Dashboards"
      about="Charts over streams, tables and datasets."
      actions={
        <Link className="btn main" to={path(['dashboards'], { new: '1' })}>
          New
        </Link>
      }
    >
      <Panel>
        <Table
          label="Dashboards"
          rows={all}
          id={it => it.metadata.name}
          sort="title"
          empty={<Empty>There is no dashboard yet. New makes one without a line of code.</Empty>}
          columns={[
            {
              id: 'title',
              head: 'Title',
              by: it => text(it.spec.title) || it.metadata.name,
              cell: it => (
                <To plural="dashboards" name={it.metadata.name}>
                  {text(it.spec.title) || it.metadata.name}
                </To>
              ),
              one: true,
            },
            { id: 'name', head: 'Name', by: it => it.metadata.name, cell: it => <code>{it.metadata.name}</code> },
            aboutColumn,
            {
              id: 'charts',
              head: 'Charts',
              right: true,
              by: it => chartsOf(it.spec as Dashboard).length,
              cell: it => chartsOf(it.spec as Dashboard).length,
            },
            stateColumn,
          ]}
        />
      </Panel>
      <Drafts all={all} />
    </Page>
  );
}

/** What somebody works on: drafts on the node, also of dashboards that are not there yet. */
function Drafts({ all }: { all: Resource[] }) {
  const drafts = useDrafts().data ?? [];
  if (drafts.length === 0) return null;
  const to = (name: string) =>
    all.some(it => it.metadata.name === name)
      ? path(['dashboards', name], { mode: 'edit' })
      : path(['dashboards'], { new: '1', draft: name });
  return (
    <Panel title="Drafts">
      <Table
        label="Drafts"
        name="drafts"
        rows={drafts}
        id={it => it.name}
        sort="name"
        empty={null}
        columns={[
          {
            id: 'name',
            head: 'Draft of',
            by: it => it.name,
            cell: it => <Link to={to(it.name)}>{it.name}</Link>,
            one: true,
          },
          { id: 'who', head: 'Changed by', by: it => it.who, cell: it => it.who },
          { id: 'time', head: 'At', by: it => it.time, cell: it => <Time at={it.time} /> },
        ]}
      />
    </Panel>
  );
}

/** A dashboard that is not there yet. */
export function NewDashboardPage({ kind }: { kind: Kind }) {
  return <Builder resource={null} kind={kind} />;
}

/** One dashboard: its charts, its builder or its YAML. */
export function DashboardPage({ resource, kind }: { resource: Resource; kind: Kind }) {
  const { query } = useLocation();
  const mode = query.get('mode');
  const reader = query.get('as');
  const sheet = query.get(SHEET);
  const { name } = resource.metadata;
  if (mode === 'edit') return <Builder resource={resource} kind={kind} />;
  const spec = resource.spec as Dashboard;
  const actions = (
    <>
      <Link className="btn" to={path(['dashboards', name], mode === 'yaml' ? {} : { mode: 'yaml' })}>
        {mode === 'yaml' ? 'Charts' : 'YAML'}
      </Link>
      <Link className="btn" to={path(['dashboards', name], { mode: 'edit', ...(sheet && { [SHEET]: sheet }) })}>
        Edit
      </Link>
    </>
  );
  return (
    <Page
      title={spec.title ?? name}
      badge={
        <>
          {resource.status.ready !== 'true' && <Ready resource={resource} />}
          {reader && <Badge>as {reader}</Badge>}
        </>
      }
      about={spec.description}
      actions={actions}
    >
      {mode === 'yaml' ? (
        <Yaml resource={resource} kind={kind} />
      ) : (
        <View source={{ name, generation: resource.metadata.generation, spec }} />
      )}
    </Page>
  );
}

function View({ source }: { source: Source }) {
  const choice = useChoice(source.spec);
  const sheets = sheetsOf(source.spec);
  const [only] = sheets;
  if (chartsOf(source.spec).length === 0) return <Empty>This dashboard has no charts. Edit adds them.</Empty>;
  const show = ({ charts = [] }: Sheet) =>
    charts.length > 0 ? (
      <Frames source={source} charts={charts} places={places(charts)} choice={choice} />
    ) : (
      <Empty>This sheet has no charts. Edit adds them.</Empty>
    );
  return (
    <>
      <Controls source={source} choice={choice} />
      {sheets.length > 1 ? (
        <Tabs
          param={SHEET}
          label="Sheets"
          tabs={sheets.map(sheet => ({ id: sheet.id, label: titleOf(sheet), show: () => show(sheet) }))}
        />
      ) : (
        only && show(only)
      )}
    </>
  );
}
