/**
 * What resources read and write, as their specs say it: the edges of every graph, and who uses a stream or table.
 *
 * What it is not: the node's own check of references, which `apply` does.
 */

import type { Resource } from './api.ts';
import { at, items, members, text } from './json.ts';

/** One end of an edge: a kind and a name. */
export interface End {
  kind: string;
  name: string;
}

/** What a target or output goes to. */
export function targetEnd(target: unknown): End {
  const type = text(at(target, 'type'));
  const names: Record<string, [string, string]> = {
    stream: ['Stream', 'stream'],
    table: ['Table', 'table'],
    pipeline: ['Pipeline', 'pipeline'],
    reconcile: ['Pipeline', 'pipeline'],
    workflow: ['Workflow', 'workflow'],
    destination: ['Destination', 'destination'],
  };
  const [kind, key] = names[type] ?? ['', ''];
  return kind
    ? { kind, name: text(at(target, key)) }
    : { kind: type || 'target', name: text(at(target, 'note')) || text(at(target, 'task')) || type };
}

/** What a resource reads. */
export function reads(resource: Resource): End[] {
  const { kind, spec } = resource;
  if (kind === 'Rule') return spec.schedule ? [] : [{ kind: 'Stream', name: text(spec.source) || 'bus.default' }];
  if (kind === 'Archive') return [{ kind: 'Stream', name: text(spec.source) || 'bus.default' }];
  if (kind !== 'Pipeline' && kind !== 'Pipe') return [];
  const source = members(spec.source);
  const ends: End[] = [];
  if (text(source.stream)) ends.push({ kind: 'Stream', name: text(source.stream) });
  if (text(source.table)) ends.push({ kind: 'Table', name: text(source.table) });
  for (const step of items(spec.steps)) {
    const table = text(at(step, 'lookup', 'table'));
    if (table && !ends.some(end => end.kind === 'Table' && end.name === table))
      ends.push({ kind: 'Table', name: table });
  }
  return ends;
}

/** What a resource writes. */
export function writes(resource: Resource): End[] {
  const { kind, spec, metadata } = resource;
  const ends: End[] = [];
  if (kind === 'Pipeline') {
    ends.push(...items(spec.outputs).map(targetEnd));
    ends.push(
      ...items(spec.steps)
        .filter(step => at(step, 'output'))
        .map(step => ({ kind: 'Stream', name: text(at(step, 'output', 'stream')) })),
    );
    ends.push({ kind: 'Stream', name: text(at(spec.errors, 'stream')) || `${metadata.name}.dead` });
  }
  if (kind === 'Rule' || kind === 'Schedule') ends.push(...items(spec.targets).map(targetEnd));
  if (kind === 'Pipe') ends.push(targetEnd(spec.target));
  if (kind === 'Archive') ends.push({ kind: 'Stream', name: `archive.${metadata.name}` });
  return ends.filter(
    (end, index) => end.name && ends.findIndex(other => other.kind === end.kind && other.name === end.name) === index,
  );
}

/** Who writes and who reads something. */
export function users(all: Resource[], end: End): { writers: Resource[]; readers: Resource[] } {
  const is = (other: End) => other.kind === end.kind && other.name === end.name;
  return { writers: all.filter(it => writes(it).some(is)), readers: all.filter(it => reads(it).some(is)) };
}

const PLURALS: Record<string, string> = { EventType: 'eventtypes' };

/** A kind's plural in addresses. */
export function pluralOf(kind: string): string {
  return PLURALS[kind] ?? `${kind.toLowerCase()}s`;
}
