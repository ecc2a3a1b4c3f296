/** Light or dark: what the system says, unless the reader chose. The choice is `color-scheme` on the root element. */

import { useSyncExternalStore } from 'react';

export type Theme = 'system' | 'light' | 'dark';

const KEY = 'headwater.theme';
const dark = window.matchMedia('(prefers-color-scheme: dark)');
const listeners = new Set<() => void>();

/** What the reader chose. */
export function chosen(): Theme {
  try {
    const kept = window.localStorage.getItem(KEY);
    return kept === 'light' || kept === 'dark' ? kept : 'system';
  } catch {
    // A browser that keeps nothing goes by the system.
    return 'system';
  }
}

/** Chooses, and remembers it in this browser. */
export function choose(theme: Theme): void {
  try {
    if (theme === 'system') window.localStorage.removeItem(KEY);
    else window.localStorage.setItem(KEY, theme);
  } catch {
    // There it is not remembered.
  }
  show();
}

/** Applies the choice; called once before anything is drawn. */
export function show(): void {
  document.documentElement.style.colorScheme = chosen() === 'system' ? '' : chosen();
  for (const told of listeners) told();
}

dark.addEventListener('change', () => {
  for (const told of listeners) told();
});

const isDark = () => (chosen() === 'system' ? dark.matches : chosen() === 'dark');

/** Whether the page is dark now. */
export function useDark(): boolean {
  return useSyncExternalStore(told => {
    listeners.add(told);
    return () => listeners.delete(told);
  }, isDark);
}

/** A colour of the style sheet as the browser resolves it, for drawing on a canvas. */
export function color(name: string): string {
  const probe = document.createElement('span');
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}
