/** The text that an editor begins with: what the author of a resource applied, or what is made of its value. */

import { useQuery } from '@tanstack/react-query';
import { address, type Resource, refusal } from '../api.ts';
import { yamlOf } from './yaml.ts';

/** The author's text of a resource as it is shown here; null where the node keeps none, or shows another state by now. */
export async function authored(plural: string, { metadata }: Resource): Promise<string | null> {
  const headers = { accept: 'application/yaml' };
  const response = await fetch(address([plural, metadata.name]), { headers });
  const text = await response.text();
  if (!response.ok) throw refusal(text, response.status);
  const same = response.headers.get('etag') === `"${metadata.resourceVersion ?? 0}"`;
  return same && response.headers.get('headwater-text') === 'author' ? text : null;
}

/** What it is asked under. */
export const textKey = (plural: string, name: string) => ['text', plural, name];

/** The text, asked for once for as long as the editor stands; undefined until it is there. */
export function useText(plural: string, resource: Resource): string | undefined {
  const { data, error } = useQuery({
    queryKey: textKey(plural, resource.metadata.name),
    queryFn: async () => (await authored(plural, resource)) ?? yamlOf(resource),
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
  });
  return error ? yamlOf(resource) : data;
}
