/**
 * The one live connection: figures and changes of resources as server-sent events of `/v1/live`. The browser connects
 * again by itself; after a gap the resources are asked for anew.
 */

import { useSyncExternalStore } from 'react';
import { queries, RESOURCES, type Resource } from './api.ts';
import { push, type Sample } from './figures.ts';

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

/** Connects; called once. */
export function connect(): void {
  const source = new EventSource('/v1/live');
  const anew = () => void queries.invalidateQueries({ queryKey: RESOURCES });
  source.addEventListener('open', () => {
    if (state === 'lost') void queries.invalidateQueries();
    become('live');
  });
  source.addEventListener('error', () => {
    become('lost');
    // A refusal ends the browser's own tries.
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, 3_000);
  });
  source.addEventListener('figures', event => {
    const { at, whole, samples } = JSON.parse(event.data) as { at: number; whole: boolean; samples: Sample[] };
    push(at, samples, whole);
  });
  source.addEventListener('resource', event => {
    const change = JSON.parse(event.data) as Change;
    queries.setQueryData<Resource[]>(RESOURCES, list => list && changed(list, change));
  });
  source.addEventListener('lost', anew);
}
