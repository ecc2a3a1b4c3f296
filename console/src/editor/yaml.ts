/** A resource as YAML: what a person would keep in git, without what the node adds. */

import { type ScalarTag, stringify } from 'yaml';
import type { Resource } from '../api.ts';
import { Exact } from '../json.ts';

/** A number that JavaScript would round, written as it came. */
const EXACT: ScalarTag = {
  identify: value => value instanceof Exact,
  default: true,
  tag: 'tag:yaml.org,2002:float',
  resolve: text => new Exact(text),
  stringify: ({ value }) => String(value),
};

/** The text. Several lines stay several lines; a number that JavaScript cannot hold stays as it was. */
export function yamlOf({ apiVersion, kind, metadata, spec }: Resource): string {
  const { name, labels, annotations } = metadata as Resource['metadata'] & { annotations?: Record<string, string> };
  const own = Object.fromEntries(Object.entries(labels ?? {}).filter(([key]) => !key.startsWith('headwater.dev/')));
  const kept = {
    apiVersion,
    kind,
    metadata: { name, ...(Object.keys(own).length > 0 && { labels: own }), ...(annotations && { annotations }) },
    spec,
  };
  const customTags = [EXACT];
  return stringify(kept, { customTags, lineWidth: 120, blockQuote: 'literal', aliasDuplicateObjects: false });
}
