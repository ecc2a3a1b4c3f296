/**
 * The one live connection: figures and changes of resources as server-sent events of `/v1/live`. The browser connects
 * again by itself; after a gap what the page keeps fresh is asked for anew, and so is what failed. It is also told when
 * a resource becomes ready: what failed for want of it, as a chart while the node started, is asked again then. Of
 * executions and streams it is told figures; when these change, what they speak of is asked again.
 */

import type { Query } from '@tanstack/react-query';
import { useSyncExternalStore } from 'react';
import { ANYWAY_MS, type Change, type Execution, queries, RESOURCES, tell } from './api.ts';
import { push, type Sample } from './figures.ts';
import { parse } from './json.ts';
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

/** How often something is asked that figures speak of: seldom while the connection tells of them, otherwise as given. */
export function useEvery(otherwise_ms: number): number {
  return useLive() === 'live' ? ANYWAY_MS : otherwise_ms;
}

/** Answers to what a reader asked: they stand until they are asked anew, however often the connection comes back. */
const ASKED: unknown[] = ['sql', 'chart', 'filter', 'text', 'draft'];

/** How long it is waited for more resources to become ready. */
const SOON_MS = 300;

let soon: ReturnType<typeof setTimeout> | undefined;

/** Asks again what failed and is still looked at. A statement is asked by its reader's hand alone. */
export function askFailed(): void {
  const predicate = ({ queryKey: [what], state }: Query) => state.status === 'error' && what !== 'sql';
  void queries.refetchQueries({ type: 'active', predicate }, { cancelRefetch: false });
}

/** The same in a moment, once for all that become ready until then. */
function askFailedSoon(): void {
  if (soon !== undefined) return;
  soon = setTimeout(() => {
    soon = undefined;
    askFailed();
  }, SOON_MS);
}

/** After a gap anything may have changed. */
export function caughtUp(): void {
  void queries.invalidateQueries({ predicate: ({ queryKey: [what] }) => !ASKED.includes(what) });
  askFailed();
}

/** The list that is there or on its way may be older than the first connection, which tells what comes after it. */
function begun(): void {
  const again = () => queries.invalidateQueries({ queryKey: RESOURCES });
  void queries.getQueryCache().find({ queryKey: RESOURCES })?.promise?.then(again, again);
  askFailed();
}

/** Figures that change when an execution begins, ends or goes on after its end. */
const COURSE = ['started_total', 'ended_total', 'parked_total', 'running'].map(name => `hw_work_executions_${name}`);

/** What a stream has taken, as far as it is durable. */
const TAKEN = 'hw_log_stream_events_total';

/** Streams of the steps of executions, and of the items of their Map Runs. */
const STEPS = ['headwater.work.history', 'headwater.work.items'];

/** Whether a figure that changed says that the answer of a question has changed. */
type Cause = (changed: Sample, asked: Query) => boolean;

/** What has ended changes no more. */
const ofSteps: Cause = ([name, { stream = '' }], { queryKey: [, id] }) =>
  ((name === TAKEN && STEPS.includes(stream)) || COURSE.includes(name)) &&
  queries.getQueryData<Execution>(['execution', id])?.state === 'RUNNING';

/** By the first word of a question's key. */
const CAUSES: Record<string, Cause> = {
  executions: ([name]) => COURSE.includes(name),
  execution: ofSteps,
  history: ofSteps,
  partitions: ([name, labels], { queryKey: [, stream] }) => name === TAKEN && labels.stream === stream,
};

/** How long answers stand before they are asked for again. */
const STAND_MS = 1_000;

/** Questions, by their hashes, whose answers have changed. */
let moved = new Set<string>();
let asking = false;

/**
 * Asks again what these figures speak of and is looked at, one time after the other; null where it is not known which
 * have changed.
 */
export async function askMoved(changed: Sample[] | null): Promise<void> {
  for (const asked of queries.getQueryCache().getAll()) {
    const cause = CAUSES[String(asked.queryKey[0])];
    if (cause && (changed === null || changed.some(sample => cause(sample, asked)))) moved.add(asked.queryHash);
  }
  if (asking) return;
  asking = true;
  while (moved.size > 0) {
    const now = moved;
    moved = new Set();
    await queries.invalidateQueries({ predicate: ({ queryHash }) => now.has(queryHash) });
    await new Promise(next => setTimeout(next, STAND_MS));
  }
  asking = false;
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
    // was asked a moment ago.
    if (connected) caughtUp();
    else begun();
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
    // All figures at once say nothing of what changed, and come first: something may have between a question and them.
    void askMoved(whole ? null : samples);
  });
  opened.addEventListener('resource', event => {
    if (tell(parse(event.data) as Change)) askFailedSoon();
  });
  opened.addEventListener('lost', () => void queries.invalidateQueries({ queryKey: RESOURCES }));
}
