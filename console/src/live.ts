/**
 * The one live connection: figures and changes of resources as server-sent events of `/v1/live`. The browser connects
 * again by itself; after a gap the resources are asked for anew.
 */

import { useSyncExternalStore } from 'react';
import { queries, RESOURCES, type Resource } from './api.ts';
import { push, type Sample } from './figures.ts';
import { isVisible, onVisible } from './visible.ts';

const AGAIN_MS = 3_000;

export type State = 'connecting' | 'live' | 'lost';

let state: State = 'connecting';
const listeners = new Set<() => void>();

function become(next: State): void {
  if (state === next) return;
  state = next;
  for (const told of listeners) told();
}

/** How the connection is. */
export function useLive(): State {
  return useSyncExternalStore(
    told => {
      listeners.add(told);
      return () => listeners.delete(told);
    },
    () => state,
  );
}

/** A change as the node tells it. */
type Change = { type: 'changed'; resource: Resource } | { type: 'deleted'; kind: string; name: string };

/** The list with one change made. */
export function changed(list: Resource[], change: Change): Resource[] {
  const [kind, name] =
    change.type === 'deleted' ? [change.kind, change.name] : [change.resource.kind, change.resource.metadata.name];
  const index = list.findIndex(resource => resource.kind === kind && resource.metadata.name === name);
  if (change.type === 'deleted') return index < 0 ? list : list.toSpliced(index, 1);
  return index < 0 ? [...list, change.resource] : list.with(index, change.resource);
}

let source: EventSource | null = null;
/** Whether there has been a connection. */
let connected = false;

/** Keeps the connection as long as the page is looked at; called once. */
export function connect(): void {
  const turn = () => {
    if (isVisible()) open();
    else close();
  };
  onVisible(turn);
  turn();
}

function close(): void {
  source?.close();
  source = null;
  become('connecting');
}

function open(): void {
  if (source) return;
  const opened = new EventSource('/v1/live');
  source = opened;
  opened.addEventListener('open', () => {
    // Between two connections anything may have changed. Before the first one it is what that alone keeps fresh: the rest
    // was asked a moment ago, and charts are not asked twice for it.
    if (connected) void queries.invalidateQueries();
    else if (queries.getQueryData(RESOURCES) !== undefined) void queries.invalidateQueries({ queryKey: RESOURCES });
    connected = true;
    become('live');
  });
  opened.addEventListener('error', () => {
    become('lost');
    // A refusal ends the browser's own tries.
    if (opened.readyState !== EventSource.CLOSED) return;
    source = null;
    setTimeout(() => isVisible() && open(), AGAIN_MS);
  });
  opened.addEventListener('figures', event => {
    const { at, whole, samples } = JSON.parse(event.data) as { at: number; whole: boolean; samples: Sample[] };
    push(at, samples, whole);
  });
  opened.addEventListener('resource', event => {
    const change = JSON.parse(event.data) as Change;
    queries.setQueryData<Resource[]>(RESOURCES, list => list && changed(list, change));
  });
  opened.addEventListener('lost', () => void queries.invalidateQueries({ queryKey: RESOURCES }));
}
