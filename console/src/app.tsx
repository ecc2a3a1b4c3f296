/** The frame around every page, and which page a path shows. */

import { Component, type ReactNode, Suspense, useEffect, useRef, useState } from 'react';
import { type Kind, type Resource, useKinds, useOpenApi, useResources } from './api.ts';
import { count } from './format.ts';
import { GoTo } from './goto.tsx';
import iconUrl from './icon.svg';
import { at } from './json.ts';
import { useLive } from './live.ts';
import { ArchivePage } from './pages/archives.tsx';
import { DashboardPage, DashboardsPage, NewDashboardPage } from './pages/dashboards.tsx';
import { EventTypePage, EventTypesPage } from './pages/event_types.tsx';
import { ExecutionPage, ExecutionsPage } from './pages/executions.tsx';
import { HomePage } from './pages/home.tsx';
import { PipelinePage, PipelinesPage } from './pages/pipelines.tsx';
import { isPrinted, PrintPage } from './pages/print.tsx';
import { PipePage, PipesPage, RulePage, RulesPage, SchedulePage, SchedulesPage } from './pages/reactions.tsx';
import { KindsPage, NewPage, ResourcePage, ResourcesPage } from './pages/resources.tsx';
import { SolutionPage } from './pages/solutions.tsx';
import { SqlPage } from './pages/sql.tsx';
import { StreamPage, StreamsPage } from './pages/streams.tsx';
import { TablePage, TablesPage } from './pages/tables.tsx';
import { WorkflowPage, WorkflowsPage } from './pages/workflows.tsx';
import { Link, path, useLocation } from './router.tsx';
import { isSystem } from './system.ts';
import { choose, chosen, type Theme } from './theme.ts';
import { Icon, type IconName } from './ui/icons.tsx';
import { Awaited, Empty, Loading, Page, Trouble } from './ui/parts.tsx';

const MENU: { title: string; items: { to: string; label: string; icon: IconName; kind?: string }[] }[] = [
  { title: '', items: [{ to: '', label: 'Home', icon: 'home' }] },
  {
    title: 'Data',
    items: [
      { to: 'streams', label: 'Streams', icon: 'stream', kind: 'Stream' },
      { to: 'tables', label: 'Tables', icon: 'table', kind: 'Table' },
      { to: 'eventtypes', label: 'Event types', icon: 'type', kind: 'EventType' },
    ],
  },
  {
    title: 'Analytics',
    items: [
      { to: 'dashboards', label: 'Dashboards', icon: 'chart', kind: 'Dashboard' },
      { to: 'sql', label: 'SQL', icon: 'sql' },
    ],
  },
  {
    title: 'Processing',
    items: [
      { to: 'pipelines', label: 'Pipelines', icon: 'pipeline', kind: 'Pipeline' },
      { to: 'rules', label: 'Rules', icon: 'rule', kind: 'Rule' },
      { to: 'pipes', label: 'Pipes', icon: 'pipe', kind: 'Pipe' },
      { to: 'schedules', label: 'Schedules', icon: 'clock', kind: 'Schedule' },
    ],
  },
  {
    title: 'Workflows',
    items: [
      { to: 'workflows', label: 'Workflows', icon: 'workflow', kind: 'Workflow' },
      { to: 'executions', label: 'Executions', icon: 'run' },
    ],
  },
  { title: 'Node', items: [{ to: 'kinds', label: 'All resources', icon: 'kinds' }] },
];

/** Lists and single resources that have a page of their own; other kinds have the general one. */
const LISTS: Record<string, () => ReactNode> = {
  streams: () => <StreamsPage />,
  pipelines: () => <PipelinesPage />,
  tables: () => <TablesPage />,
  eventtypes: () => <EventTypesPage />,
  rules: () => <RulesPage />,
  pipes: () => <PipesPage />,
  schedules: () => <SchedulesPage />,
  workflows: () => <WorkflowsPage />,
  dashboards: () => <DashboardsPage />,
};

const SINGLES: Record<string, (resource: Resource, kind: Kind) => ReactNode> = {
  streams: (resource, kind) => <StreamPage resource={resource} kind={kind} />,
  pipelines: (resource, kind) => <PipelinePage resource={resource} kind={kind} />,
  tables: (resource, kind) => <TablePage resource={resource} kind={kind} />,
  eventtypes: (resource, kind) => <EventTypePage resource={resource} kind={kind} />,
  rules: (resource, kind) => <RulePage resource={resource} kind={kind} />,
  pipes: (resource, kind) => <PipePage resource={resource} kind={kind} />,
  schedules: (resource, kind) => <SchedulePage resource={resource} kind={kind} />,
  archives: (resource, kind) => <ArchivePage resource={resource} kind={kind} />,
  workflows: (resource, kind) => <WorkflowPage resource={resource} kind={kind} />,
  dashboards: (resource, kind) => <DashboardPage key={resource.metadata.name} resource={resource} kind={kind} />,
};

/** The whole console, or a page of it without a frame. */
export function App() {
  const { steps, query } = useLocation();
  const [first, name, ...more] = steps;
  if (isPrinted(query) && first === 'dashboards' && name !== undefined && more.length === 0) {
    return (
      <Boundary>
        <Suspense fallback={<Loading />}>
          <PrintPage name={name} />
        </Suspense>
      </Boundary>
    );
  }
  return <Shell steps={steps} />;
}

function Shell({ steps }: { steps: string[] }) {
  const [open, setOpen] = useState(false);
  useEffect(() => {
    const key = (event: KeyboardEvent) => {
      if (event.key !== 'k' || !(event.metaKey || event.ctrlKey)) return;
      event.preventDefault();
      setOpen(true);
    };
    window.addEventListener('keydown', key);
    return () => window.removeEventListener('keydown', key);
  }, []);
  const main = useRef<HTMLElement>(null);
  const place = steps.join('/');
  const before = useRef(place);
  useEffect(() => {
    // A new page is read from its beginning.
    if (before.current !== place) main.current?.focus({ preventScroll: true });
    before.current = place;
  }, [place]);
  return (
    <div className="shell">
      <a className="skip" href="#main">
        Skip to content
      </a>
      <Side first={steps[0] ?? ''} />
      <div>
        <Top steps={steps} search={() => setOpen(true)} />
        <main id="main" ref={main} tabIndex={-1}>
          <Boundary key={place}>
            <Suspense fallback={<Loading />}>
              <Route steps={steps} />
            </Suspense>
          </Boundary>
        </main>
      </div>
      {open && <GoTo close={() => setOpen(false)} />}
    </div>
  );
}

function Route({ steps }: { steps: string[] }) {
  const [first, second, third, ...rest] = steps;
  const { query } = useLocation();
  if (first === undefined) return <HomePage />;
  if (first === 'kinds' && second === undefined) return <KindsPage />;
  if (first === 'sql' && second === undefined) return <SqlPage />;
  if (first === 'executions') {
    if (second === undefined) return <ExecutionsPage />;
    if (third !== undefined) return <ExecutionPage workflow={second} name={[third, ...rest].join('/')} />;
  }
  if (third !== undefined) return <Nowhere />;
  if (first === 'solutions' && second !== undefined) return <SolutionPage key={second} name={second} />;
  return <OfKind plural={first} name={second} fresh={query.has('new')} />;
}

/** Pages of one kind: the list, a new one, or one resource. */
function OfKind({ plural, name, fresh }: { plural: string; name: string | undefined; fresh: boolean }) {
  const kinds = useKinds();
  const resources = useResources();
  if (!kinds.data || !resources.data) return <Awaited error={kinds.error ?? resources.error} />;
  const kind = kinds.data.find(kind => kind.plural === plural);
  if (!kind) return <Nowhere />;
  if (name === undefined) {
    if (fresh) return plural === 'dashboards' ? <NewDashboardPage kind={kind} /> : <NewPage kind={kind} />;
    return LISTS[plural]?.() ?? <ResourcesPage kind={kind} />;
  }
  const resource = resources.data.find(it => it.kind === kind.name && it.metadata.name === name);
  if (!resource) return <Missing kind={kind} name={name} asking={resources.isFetching} />;
  return SINGLES[plural]?.(resource, kind) ?? <ResourcePage resource={resource} kind={kind} />;
}

/**
 * In place of a resource that is not in the list. What was made a moment ago may be in the list that was on its way
 * when the reader came: that one is waited for. What is said then stands however often the list is asked for again,
 * until the resource is there.
 */
function Missing({ kind, name, asking }: { kind: Kind; name: string; asking: boolean }) {
  const [sure, setSure] = useState(false);
  if (!sure && !asking) setSure(true);
  if (!sure && asking) return <Loading />;
  return (
    <Page title={name}>
      <Empty>
        There is no {kind.name} of this name. <Link to={path([kind.plural])}>All {kind.plural}</Link>
      </Empty>
    </Page>
  );
}

function Nowhere() {
  return (
    <Page title="Nothing here">
      <Empty>
        The console has no such page. <Link to={path([])}>Home</Link>
      </Empty>
    </Page>
  );
}

function Side({ first }: { first: string }) {
  const resources = useResources().data ?? [];
  const api = useOpenApi().data;
  const version = at(api, 'info', 'version');
  return (
    <div className="side">
      <Link to={path([])} className="brand">
        <img src={iconUrl} alt="" />
        Headwater
      </Link>
      <nav aria-label="Pages">
        {MENU.map(({ title, items }) => (
          <div key={title || 'top'}>
            {title && <h2>{title}</h2>}
            <ul>
              {items.map(({ to, label, icon, kind }) => {
                const own = kind === undefined ? [] : resources.filter(it => it.kind === kind && !isSystem(it));
                const bad = own.filter(it => it.status.ready === 'false').length;
                return (
                  <li key={to}>
                    <Link to={path(to ? [to] : [])} aria-current={first === to ? 'page' : undefined}>
                      <Icon name={icon} />
                      {label}
                      {bad > 0 ? (
                        <span className="count bad">{bad} failing</span>
                      ) : (
                        own.length > 0 && <span className="count">{count(own.length)}</span>
                      )}
                    </Link>
                  </li>
                );
              })}
            </ul>
          </div>
        ))}
      </nav>
      <div className="foot">
        <a href="/openapi.json">REST interface</a>
        <a href="/metrics">Figures for Prometheus</a>
        {typeof version === 'string' && <span>Version {version}</span>}
      </div>
    </div>
  );
}

const LIVE = { live: 'Live', connecting: 'Connecting', lost: 'Not connected' };
const THEMES: Record<Theme, { next: Theme; icon: IconName }> = {
  system: { next: 'light', icon: 'system' },
  light: { next: 'dark', icon: 'sun' },
  dark: { next: 'system', icon: 'moon' },
};

function Top({ steps, search }: { steps: string[]; search: () => void }) {
  const live = useLive();
  const [theme, setTheme] = useState(chosen);
  const turn = () => {
    const { next } = THEMES[theme];
    choose(next);
    setTheme(next);
  };
  const known = MENU.flatMap(({ items }) => items).find(({ to }) => to === (steps[0] ?? ''));
  return (
    <header className="top">
      <nav aria-label="Where you are">
        <ol className="crumbs">
          {steps.map((step, index) => (
            <li key={steps.slice(0, index + 1).join('/')}>
              {index === steps.length - 1 ? (
                <span aria-current="page">{index === 0 ? (known?.label ?? step) : step}</span>
              ) : (
                // An execution's workflow has its page elsewhere.
                <Link to={index === 1 ? path(['workflows', step]) : path([step])}>
                  {index === 0 ? (known?.label ?? step) : step}
                </Link>
              )}
            </li>
          ))}
        </ol>
      </nav>
      <div className="tools">
        <span className={`state ${live}`} role="status">
          {LIVE[live]}
        </span>
        <button type="button" className="btn bare" onClick={search}>
          <Icon name="search" /> Go to <kbd>Ctrl K</kbd>
        </button>
        <button
          type="button"
          className="btn bare icon"
          onClick={turn}
          aria-label={`Theme: ${theme}`}
          title={`Theme: ${theme}`}
        >
          <Icon name={THEMES[theme].icon} />
        </button>
      </div>
    </header>
  );
}

/** A page that failed by a bug, or whose parts the node has not any more, says so; the rest of the console goes on. */
class Boundary extends Component<{ children: ReactNode }, { error: unknown }> {
  override state = { error: null };

  static getDerivedStateFromError(error: unknown) {
    return { error };
  }

  override render() {
    if (this.state.error === null) return this.props.children;
    return (
      <div className="stack">
        <Trouble error={this.state.error} />
        <div className="bar">
          <button type="button" className="btn" onClick={() => window.location.reload()}>
            Load the page again
          </button>
          <span className="muted">The address keeps the tab, the filters and what was chosen.</span>
        </div>
      </div>
    );
  }
}
