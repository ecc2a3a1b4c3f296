/**
 * Where the reader is: a path below `/console` and its query. The URL is the only place that remembers a tab, a filter
 * or a page, so that every view can be linked to and the browser's buttons work.
 */

import { type AnchorHTMLAttributes, type MouseEvent, useCallback, useSyncExternalStore } from 'react';

const BASE = '/console';
const moved = new EventTarget();

function subscribe(told: () => void): () => void {
  window.addEventListener('popstate', told);
  moved.addEventListener('moved', told);
  return () => {
    window.removeEventListener('popstate', told);
    moved.removeEventListener('moved', told);
  };
}

const here = () => window.location.pathname + window.location.search;

/** Steps of the path, decoded, and the query. */
export function useLocation(): { steps: string[]; query: URLSearchParams } {
  const url = new URL(useSyncExternalStore(subscribe, here), 'http://console');
  return { steps: steps(url.pathname), query: url.searchParams };
}

/** Steps of a path below `/console`. What cannot be decoded stays as it is. */
export function steps(path: string): string[] {
  const own = path.startsWith(BASE) ? path.slice(BASE.length) : path;
  return own.split('/').filter(Boolean).map(decoded);
}

function decoded(step: string): string {
  try {
    return decodeURIComponent(step);
  } catch {
    return step;
  }
}

/** The path of some steps, with a query. */
export function path(parts: string[], query: Record<string, string> = {}): string {
  const search = new URLSearchParams(query).toString();
  return `${BASE}/${parts.map(encodeURIComponent).join('/')}${search && `?${search}`}`;
}

/** Goes to a path. */
export function go(to: string, replace = false): void {
  if (to === here()) return;
  if (replace) window.history.replaceState(null, '', to);
  else window.history.pushState(null, '', to);
  moved.dispatchEvent(new Event('moved'));
}

/** A link inside the console. */
export function Link({ to, onClick, ...rest }: { to: string } & AnchorHTMLAttributes<HTMLAnchorElement>) {
  const click = (event: MouseEvent<HTMLAnchorElement>) => {
    onClick?.(event);
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    go(to);
    window.scrollTo(0, 0);
  };
  return <a href={to} onClick={click} {...rest} />;
}

/** A parameter of the query as state. Setting it to the fallback takes it out of the URL. */
export function useParam(name: string, fallback = ''): [string, (value: string) => void] {
  const { query } = useLocation();
  const set = useCallback(
    (value: string) => {
      const url = new URL(window.location.href);
      if (value === fallback) url.searchParams.delete(name);
      else url.searchParams.set(name, value);
      go(url.pathname + url.search, true);
    },
    [name, fallback],
  );
  return [query.get(name) ?? fallback, set];
}
