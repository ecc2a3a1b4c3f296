/** A resource that rests or goes on: `enabled` in the text that its author applied, whose comments stay. */

import type { Resource } from '../api.ts';
import { edited } from '../dashboards/draft.ts';
import { authored } from './text.ts';
import { yamlOf } from './yaml.ts';

/** The text with that turned. What is enabled does not have to say so. */
export async function turned(plural: string, resource: Resource, enabled: boolean): Promise<string> {
  const text = (await authored(plural, resource)) ?? yamlOf(resource);
  return edited(text, [[['spec', 'enabled'], enabled ? undefined : false]]);
}
