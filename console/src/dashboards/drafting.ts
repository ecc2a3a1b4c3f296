/**
 * The draft that a builder works on. Each pause in the work brings it to the node, where everybody sees it; what is not
 * there yet, as while the node does not answer, is kept by this browser.
 */

import { useCallback, useEffect, useRef, useState } from 'react';
import { queries, RESOURCES, type Resource } from '../api.ts';
import { authored } from '../editor/text.ts';
import { yamlOf } from '../editor/yaml.ts';
import { blank, type Kept, keep, kept, specOf } from './draft.ts';
import { DRAFTS, type Draft, draftOf, overtaken, Shared } from './shared.ts';

const PAUSE_MS = 800;
const UNDO_MAX = 100;

/** The name of a new dashboard until its author has given it one: nobody shares a draft of that. */
const UNNAMED = 'my-dashboard';

/** Where the newest text is: `overtaken` where somebody else has changed the draft since. */
export type Where = 'node' | 'browser' | 'overtaken';

/** What a builder begins with. */
export interface Start {
  /** As it was when its text was asked for; null for a new dashboard. */
  resource: Resource | null;
  /** The text that is published; of a new dashboard one without charts. */
  stored: string;
  /** The draft on the node. */
  theirs: Draft | null;
}

/** Asks for all of that. */
export async function start(plural: string, resource: Resource | null, name: string): Promise<Start> {
  // Without the node's answer there is still what this browser has.
  const [stored, theirs] = await Promise.all([
    resource ? authored(plural, resource).catch(() => null) : null,
    name ? draftOf(name).catch(() => null) : null,
  ]);
  return { resource, stored: stored ?? (resource ? yamlOf(resource) : blank(UNNAMED)), theirs };
}

/** The state to begin with: what this browser has and the node has not goes before what the node has. */
export function opened({ resource, stored, theirs }: Start, mine: Kept | null): { draft: Kept; where: Where } {
  if (mine && mine.text !== mine.base) {
    const same = (mine.version ?? 0) === (theirs?.version ?? 0);
    return { draft: mine, where: same ? 'browser' : 'overtaken' };
  }
  const draft = {
    text: theirs?.text ?? stored,
    base: resource ? stored : '',
    resourceVersion: theirs?.resourceVersion ?? resource?.metadata.resourceVersion ?? 0,
    version: theirs?.version ?? 0,
  };
  return { draft, where: theirs ? 'node' : 'browser' };
}

/**
 * The draft and what can be done with it. `now` is the dashboard as it is by now; `at` is what it is kept under in this
 * browser, and `named` is told the name of a new one that is on the node.
 */
export function useDraft(
  begin: Start,
  plural: string,
  now: Resource | null,
  at: string,
  named: (name: string) => void,
) {
  const [first] = useState(() => opened(begin, kept(at)));
  const [draft, setDraft] = useState(first.draft);
  const [where, setWhere] = useState(first.where);
  const [before, setBefore] = useState<string[]>([]);
  const newest = useRef(draft);
  const sent = useRef(begin.theirs && first.where === 'node' ? draft.text : draft.base);
  const brought = useRef(first.where === 'node');
  const [shared] = useState(() => new Shared(begin.resource?.metadata.name ?? at, draft.version ?? 0));
  const nameOf = useCallback((text: string) => begin.resource?.metadata.name ?? specOf(text).name, [begin]);

  const set = useCallback((next: Kept) => {
    newest.current = next;
    setDraft(next);
  }, []);
  const put = (text: string, undone = before) => {
    set({ ...newest.current, text });
    setBefore(undone);
    keep(at, newest.current);
    // What is taken back in time is what the node has, and is not brought once more.
    if (where !== 'overtaken') setWhere(brought.current && text === sent.current ? 'node' : 'browser');
  };

  const mounted = useRef(true);

  const bring = useCallback(async () => {
    const { text, base, resourceVersion } = newest.current;
    const name = nameOf(text);
    try {
      await shared.keep(name, text === base ? null : text, resourceVersion);
    } catch (error) {
      setWhere(overtaken(error) ? 'overtaken' : 'browser');
      throw error;
    }
    sent.current = text;
    brought.current = true;
    set({ ...newest.current, version: shared.version });
    // A new dashboard may have got a name, or another one.
    const key = begin.resource ? at : name;
    if (key !== at) keep(at, null);
    keep(key, newest.current.text === text ? null : newest.current);
    setWhere(newest.current.text === text ? 'node' : 'browser');
    // Whoever has left stands on another page by now.
    if (mounted.current && !begin.resource && shared.version > 0) named(name);
    void queries.invalidateQueries({ queryKey: DRAFTS });
  }, [shared, nameOf, set, at, begin, named]);
  /** What is given up is not brought any more. */
  const leaving = useRef(false);
  const bringer = useRef(bring);
  bringer.current = bring;

  const name = nameOf(draft.text);
  const shareable = name !== '' && (begin.resource !== null || name !== UNNAMED);
  const due = where !== 'overtaken' && shareable && draft.text !== sent.current;
  useEffect(() => {
    if (!due) return;
    // A refusal is told by where the text is; publishing tries again, and so does the next change.
    const timer = setTimeout(() => {
      if (!leaving.current && newest.current.text === draft.text) bringer.current().catch(() => undefined);
    }, PAUSE_MS);
    return () => clearTimeout(timer);
  }, [draft.text, due]);
  const last = useRef(due);
  last.current = due;
  useEffect(() => {
    mounted.current = true;
    return () => {
      mounted.current = false;
      if (last.current && !leaving.current) bringer.current().catch(() => undefined);
    };
  }, []);

  const published = async () => {
    const text = now ? ((await authored(plural, now).catch(() => null)) ?? yamlOf(now)) : blank(UNNAMED);
    return { text, base: now ? text : '', resourceVersion: now?.metadata.resourceVersion ?? 0, version: 0 };
  };
  const settle = (next: Kept) => {
    sent.current = next.text;
    keep(at, null);
    set(next);
    setBefore([]);
    setWhere(next.version ? 'node' : 'browser');
  };
  const leave = async (act: () => Promise<void>) => {
    leaving.current = true;
    try {
      await act();
    } finally {
      leaving.current = false;
    }
  };
  const told = (asked: Promise<unknown>) =>
    asked.catch(error => {
      if (overtaken(error)) setWhere('overtaken');
      throw error;
    });
  return {
    draft,
    where,
    canUndo: before.length > 0,
    change: (text: string) => {
      if (text !== newest.current.text) put(text, [...before, newest.current.text].slice(-UNDO_MAX));
    },
    undo: () => {
      const text = before.at(-1);
      if (text !== undefined) put(text, before.slice(0, -1));
    },
    /** Begins anew with what is published. */
    discard: () =>
      leave(async () => {
        await told(shared.keep(shared.name, null, 0));
        settle(await published());
        void queries.invalidateQueries({ queryKey: DRAFTS });
      }),
    /** Answers the name of the dashboard. */
    publish: async () => {
      await bring();
      await told(shared.publish());
      keep(at, null);
      void queries.invalidateQueries({ queryKey: DRAFTS });
      await queries.invalidateQueries({ queryKey: RESOURCES });
      return shared.name;
    },
    /** Gives up the own text for the one on the node. */
    take: () =>
      leave(async () => {
        const name = nameOf(newest.current.text);
        const theirs = await draftOf(name);
        shared.seen(name, theirs?.version ?? 0);
        const own = await published();
        settle(
          theirs
            ? { ...own, text: theirs.text ?? '', resourceVersion: theirs.resourceVersion, version: theirs.version }
            : own,
        );
      }),
    /** Puts the own text over it, having seen that there is another one. */
    insist: async () => {
      const name = nameOf(newest.current.text);
      shared.seen(name, (await draftOf(name))?.version ?? 0);
      await bring();
    },
  };
}
