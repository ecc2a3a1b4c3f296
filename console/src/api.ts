/** The node's REST addresses, as the console uses them. Every refusal is a [`Refusal`] with the node's own problem. */

import { QueryClient, useQuery } from '@tanstack/react-query';
import { parse } from './json.ts';

/** A problem as the node tells it (RFC 9457). */
export interface Problem {
  code: string;
  title: string;
  place?: { path?: string; line?: number; column?: number };
  causes?: string[];
  help?: string;
}

/** A request that the node refused, or that did not reach it. */
export class Refusal extends Error {
  constructor(
    readonly problem: Problem,
    readonly status: number,
    readonly all: Problem[] = [problem],
  ) {
    super(problem.title);
  }
}

/** A resource of any kind. */
export interface Resource {
  apiVersion: string;
  kind: string;
  metadata: {
    name: string;
    generation: number;
    /** Changes with every write; what the log made has none. */
    resourceVersion?: number;
    created?: string;
    labels?: Record<string, string>;
  };
  spec: Record<string, unknown>;
  status: { ready: 'true' | 'false' | 'unknown'; reason?: string; message?: string; observedGeneration?: number };
}

/** A kind of resources. */
export interface Kind {
  name: string;
  plural: string;
  doc: string;
  example?: string;
}

/** An execution of a workflow. */
export interface Execution {
  id: string;
  workflow: string;
  state: 'RUNNING' | 'SUCCEEDED' | 'FAILED' | 'TIMED_OUT' | 'ABORTED' | 'PENDING_REDRIVE';
  started: string;
  stopped?: string;
  version?: number;
  input?: unknown;
  output?: unknown;
  error?: string;
  cause?: string;
  redrives?: number;
}

/** What the executions of a workflow come to. */
export interface ExecutionCounts {
  workflow: string;
  states: Partial<Record<Execution['state'], number>>;
  /** When the newest began. */
  started: string;
}

/** A consumer group and how far it is. */
export interface Group {
  name: string;
  state: string;
  /** How many. */
  members: number;
  partitions: { stream: string; partition: number; offset: number; end: number; lag: number }[];
}

/** One partition's ends. */
export interface Partition {
  partition: number;
  start: number;
  end: number;
  records: number;
}

/** One document of a table. */
export interface Document {
  key: string;
  version: number;
  updated: string;
  value: unknown;
}

/** How often a node that is busy, or not ready yet, is asked again before that is said. */
const TRIES_MAX = 4;

/** Whether a refusal says that the same question may be answered in a moment. */
function passes(error: unknown): boolean {
  return error instanceof Refusal && error.status === 503;
}

export const queries = new QueryClient({
  defaultOptions: {
    queries: {
      // The node may be this very machine: whether the browser is online says nothing about it.
      networkMode: 'always',
      retry: (failures, error) => passes(error) && failures < TRIES_MAX,
      retryDelay: failures => 500 * 2 ** failures,
      staleTime: 5_000,
      refetchOnWindowFocus: false,
      refetchOnReconnect: false,
    },
    mutations: { networkMode: 'always' },
  },
});

/** Asks the node. */
export async function call<T>(address: string, init?: RequestInit): Promise<T> {
  return (await versioned<T>(address, init)).value;
}

/** The same with the version that the answer's ETag says; 0 without one. */
export async function versioned<T>(address: string, init?: RequestInit): Promise<{ value: T; version: number }> {
  let response: Response;
  let body: string;
  try {
    response = await fetch(address, init);
    body = await response.text();
  } catch (error) {
    if (init?.signal?.aborted) throw error;
    throw unreached();
  }
  if (!response.ok) throw refusal(body, response.status);
  const version = Number(response.headers.get('etag')?.replaceAll('"', '') ?? 0);
  return { value: (body ? parse(body) : undefined) as T, version };
}

/** What is told when nobody answers. */
export function unreached(): Refusal {
  const help = 'is it running? `headwater up` starts one';
  return new Refusal({ code: '', title: 'the node does not answer', help }, 0);
}

/** What the node said when it refused. */
export function refusal(body: string, status: number): Refusal {
  try {
    const problem = JSON.parse(body) as Problem & { problems?: Problem[] };
    if (problem.title) return new Refusal(problem, status, problem.problems ?? [problem]);
  } catch {
    // Not a problem object: told below.
  }
  return new Refusal({ code: '', title: `the node answered with status ${status}` }, status);
}

/** An address of steps and query parameters; parameters without a value are left out. */
export function address(steps: string[], query: Record<string, string | number | undefined> = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query))
    if (value !== undefined && value !== '') search.set(name, String(value));
  const text = search.toString();
  return `/v1/${steps.map(encodeURIComponent).join('/')}${text && `?${text}`}`;
}

/** Sends YAML: with `dryRun` nothing changes, and what is wrong is refused with its places. */
export function apply(yaml: string, at: { plural: string; name: string; version: number } | null, dryRun: boolean) {
  const query = { file: 'editor', ...(dryRun && { 'dry-run': 'true' }) };
  const headers: Record<string, string> = { 'content-type': 'application/yaml' };
  if (at === null) return versioned<Report>(address(['apply'], query), { method: 'POST', headers, body: yaml });
  // What the log made has no version yet; applying adopts it.
  if (at.version > 0) headers['if-match'] = `"${at.version}"`;
  return versioned<Report>(address([at.plural, at.name], query), { method: 'PUT', headers, body: yaml });
}

/** A solution on the node's shelf. */
export interface Solution {
  name: string;
  title: string;
  about: string;
  /** Without a value: what the node finds or makes by itself. */
  parameters: { name: string; about: string; value: string | null }[];
  /** As `Kind/name`. */
  resources: string[];
}

/** Applies a solution with other values of its parameters; with `dryRun` nothing changes. */
export function applySolution(name: string, values: Record<string, string>, dryRun: boolean) {
  const to = address(['solutions', name, 'apply'], dryRun ? { 'dry-run': 'true' } : {});
  const headers = { 'content-type': 'application/json' };
  return call<Report>(to, { method: 'POST', headers, body: JSON.stringify({ values }) });
}

/** What an apply did, or would do. */
export interface Report {
  resources: { kind: string; name: string; outcome: string }[];
  actions: { verb: string; object: string; detail?: string }[];
  warnings?: { code: string; title: string; help?: string }[];
}

export const RESOURCES = ['resources'];

/** A change of a resource as the node tells it. */
export type Change = { type: 'changed'; resource: Resource } | { type: 'deleted'; kind: string; name: string };

/** The place of the resource that a change is about; -1 where the list has it not. */
function placeOf(list: Resource[], change: Change): number {
  const [kind, name] =
    change.type === 'deleted' ? [change.kind, change.name] : [change.resource.kind, change.resource.metadata.name];
  return list.findIndex(resource => resource.kind === kind && resource.metadata.name === name);
}

/** The list with one change made. */
export function changed(list: Resource[], change: Change): Resource[] {
  const index = placeOf(list, change);
  if (change.type === 'deleted') return index < 0 ? list : list.toSpliced(index, 1);
  return index < 0 ? [...list, change.resource] : list.with(index, change.resource);
}

/** Changes that were told while the list was on its way: it may be older than they are. */
let meanwhile: Change[] = [];

/** The list of all resources, no older than what was told since it was asked for. */
export async function listed(): Promise<Resource[]> {
  meanwhile = [];
  const { items } = await call<{ items: Resource[] }>('/v1/all');
  return meanwhile.reduce(changed, items);
}

/** Takes a change into the list; whether a resource has become ready by it. */
export function tell(change: Change): boolean {
  if (queries.isFetching({ queryKey: RESOURCES }) > 0) meanwhile.push(change);
  const list = queries.getQueryData<Resource[]>(RESOURCES);
  if (list === undefined) return false;
  queries.setQueryData<Resource[]>(RESOURCES, changed(list, change));
  const before = list[placeOf(list, change)];
  return change.type === 'changed' && change.resource.status.ready === 'true' && before?.status.ready !== 'true';
}

/** Every resource of the node; kept fresh by the live connection. */
export function useResources() {
  return useQuery({ queryKey: RESOURCES, queryFn: listed, staleTime: Number.POSITIVE_INFINITY });
}

/** Resources of one kind. */
export function useKind(kind: string): Resource[] | undefined {
  return useResources().data?.filter(resource => resource.kind === kind);
}

/** The kinds that the node knows. */
export function useKinds() {
  return useQuery({
    queryKey: ['kinds'],
    queryFn: () => call<{ kinds: Kind[] }>('/v1/kinds').then(answer => answer.kinds),
    staleTime: Number.POSITIVE_INFINITY,
  });
}

/** The solutions that the node is shipped with. */
export function useSolutions() {
  return useQuery({
    queryKey: ['solutions'],
    queryFn: () => call<{ solutions: Solution[] }>('/v1/solutions').then(answer => answer.solutions),
    staleTime: Number.POSITIVE_INFINITY,
  });
}

/** The node's description of itself. */
export function useOpenApi() {
  return useQuery({
    queryKey: ['openapi'],
    queryFn: () => call<Record<string, unknown>>('/openapi.json'),
    staleTime: Number.POSITIVE_INFINITY,
  });
}

export const GROUPS = ['groups'];

/** Consumer groups, each with its positions. */
export function useGroups() {
  return useQuery({
    queryKey: GROUPS,
    refetchInterval: 3_000,
    queryFn: async () => {
      const { groups } = await call<{ groups: Group[] }>(address(['groups'], { positions: 'true' }));
      // Of very many groups the node tells the positions of the first only.
      return groups.map(group => ({ ...group, partitions: group.partitions ?? [] }));
    },
  });
}

export const EXECUTIONS = ['executions'];

/** How often what the live connection tells of is asked without a cause. */
export const ANYWAY_MS = 30_000;

/** Executions, newest first; asked again when some began or ended. */
export function useExecutions(query: { workflow?: string; state?: string; after?: string; max?: number }) {
  return useQuery({
    queryKey: [...EXECUTIONS, query],
    refetchInterval: ANYWAY_MS,
    queryFn: () => call<{ items: Execution[]; next: string | null }>(address(['executions'], query)),
  });
}

/** What the executions of each workflow come to, by its name; asked again as these are. */
export function useExecutionCounts() {
  return useQuery({
    queryKey: [...EXECUTIONS, 'counts'],
    refetchInterval: ANYWAY_MS,
    queryFn: async () => {
      const { items } = await call<{ items: ExecutionCounts[] }>(address(['executions', 'counts']));
      return new Map(items.map(counts => [counts.workflow, counts]));
    },
  });
}
