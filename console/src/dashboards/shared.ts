/**
 * Drafts as the node keeps them, for everybody. Who changes one says which version was seen; the node refuses anything
 * else, so that nobody overwrites what they have not seen.
 */

import { useQuery } from '@tanstack/react-query';
import { address, call, Refusal, type Report } from '../api.ts';

/** A draft; its text only where one is asked for. */
export interface Draft {
  name: string;
  version: number;
  /** Of the dashboard that it began with; 0 where there was none. */
  resourceVersion: number;
  who: string;
  time: string;
  text?: string;
}

export const DRAFTS = ['drafts'];

/** All drafts. */
export function useDrafts() {
  return useQuery({
    queryKey: DRAFTS,
    queryFn: () => call<{ items: Draft[] }>(address(['drafts'])).then(answer => answer.items),
    refetchInterval: 5_000,
  });
}

const at = (name: string, ...more: string[]) => ['dashboards', name, 'draft', ...more];
const seen = (version: number): Record<string, string> => (version > 0 ? { 'if-match': `"${version}"` } : {});

/** The draft of a dashboard; null where there is none. */
export async function draftOf(name: string): Promise<Draft | null> {
  try {
    return await call<Draft>(address(at(name)));
  } catch (error) {
    if (error instanceof Refusal && error.status === 404) return null;
    throw error;
  }
}

async function discard(name: string, version: number): Promise<void> {
  try {
    await call(address(at(name)), { method: 'DELETE', headers: seen(version) });
  } catch (error) {
    // Gone is what it was to be.
    if (!(error instanceof Refusal && error.status === 404)) throw error;
  }
}

/** Whether the node refused because somebody else was quicker. */
export function overtaken(error: unknown): boolean {
  return error instanceof Refusal && error.problem.code === 'HW-KERNEL-038';
}

/** A draft that is worked on here: one request at a time, each over the version that the one before has made. */
export class Shared {
  #last: Promise<unknown> = Promise.resolve();

  /** Version 0 is a draft that the node has not. */
  constructor(
    public name: string,
    public version: number,
  ) {}

  /** Makes it this text under this name; null discards it. */
  keep(name: string, text: string | null, resourceVersion: number): Promise<void> {
    return this.#next(async () => {
      const before = { name: this.name, version: this.version };
      const moves = name !== before.name;
      if (text !== null) {
        const headers = { 'content-type': 'application/yaml', ...seen(moves ? 0 : before.version) };
        const to = address(at(name), { resourceVersion });
        const kept = await call<Draft>(to, { method: 'PUT', headers, body: text });
        this.name = name;
        this.version = kept.version;
      }
      if (before.version > 0 && (moves || text === null)) {
        await discard(before.name, before.version);
        if (text === null) this.version = 0;
      }
    });
  }

  /** Goes on from a version that was seen on the node. */
  seen(name: string, version: number): void {
    this.name = name;
    this.version = version;
  }

  /** Applies what was kept last; the draft is gone with that. */
  publish(): Promise<Report> {
    return this.#next(async () => {
      const headers = seen(this.version);
      const report = await call<Report>(address(at(this.name, 'publish')), { method: 'POST', headers });
      this.version = 0;
      return report;
    });
  }

  #next<T>(act: () => Promise<T>): Promise<T> {
    const next = this.#last.then(act, act);
    this.#last = next.catch(() => undefined);
    return next;
  }
}
