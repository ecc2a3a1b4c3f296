/**
 * Whether this page is looked at. A browser holds six connections to a node for all of its pages together, so that a
 * page in the background gives up those that never end.
 */

import { useSyncExternalStore } from 'react';

/** Calls back when that changes. */
export function onVisible(told: () => void): () => void {
  document.addEventListener('visibilitychange', told);
  return () => document.removeEventListener('visibilitychange', told);
}

/** Whether it is looked at now. */
export const isVisible = () => !document.hidden;

/** The same, rendering anew with each change. */
export function useVisible(): boolean {
  return useSyncExternalStore(onVisible, isVisible);
}
