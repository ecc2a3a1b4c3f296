/** A resource as YAML: what a person would keep in git, without what the node adds. */

import { stringify } from 'yaml';
import type { Resource } from '../api.ts';
import { Exact } from '../json.ts';

/** The text. Several lines stay several lines; a number that JavaScript cannot hold stays as it was. */
export function yamlOf({ apiVersion, kind, metadata, spec }: Resource): string {
  const { name, labels, annotations } = metadata as Resource['metadata'] & { annotations?: Record<string, string> };
  const own = Object.fromEntries(Object.entries(labels ?? {}).filter(([key]) => !key.startsWith('headwater.dev/')));
  const kept = {
    apiVersion,
    kind,
    metadata: { name, ...(Object.keys(own).length > 0 && { labels: own }), ...(annotations && { annotations }) },
    spec: bare(spec),
  };
  return stringify(kept, { lineWidth: 120, blockQuote: 'literal', aliasDuplicateObjects: false });
}

/** Exact integers as bigints, which are written in full. */
function bare(value: unknown): unknown {
  if (value instanceof Exact) return /^-?\d+$/.test(value.text) ? BigInt(value.text) : Number(value.text);
  if (Array.isArray(value)) return value.map(bare);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, bare(member)]));
}
