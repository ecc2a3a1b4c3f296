/** Which streams a node keeps for itself or on behalf of another resource. */

import type { Resource } from './api.ts';

/** Whether nobody applied it and its name says whose it is. */
export function isSystem({ kind, metadata: { name, generation } }: Resource): boolean {
  return kind === 'Stream' && generation === 0 && /^(headwater|table|archive)\.|\.(dead|late|retry)$/.test(name);
}
