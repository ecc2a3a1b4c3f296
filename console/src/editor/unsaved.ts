/**
 * Texts that were typed and are not applied, as long as the console stands: who leaves a tab or a page and comes back
 * goes on where they were. Not in the browser's storage, because the text of a Secret may be among them.
 */

/** A text, and the version that it goes on from; 0 for something new. */
interface Typed {
  text: string;
  version: number;
}

const TYPED_MAX = 20;
const all = new Map<string, Typed>();

/** What was typed at a place. */
export function unsaved(place: string): Typed | undefined {
  return all.get(place);
}

/** Keeps it, or forgets it; the oldest go where there are too many. */
export function keepUnsaved(place: string, typed: Typed | null): void {
  all.delete(place);
  if (typed) all.set(place, typed);
  const [oldest] = all.keys();
  if (all.size > TYPED_MAX && oldest !== undefined) all.delete(oldest);
}
