/** Ctrl K: go to any page or resource by typing a part of its name. */

import { type KeyboardEvent, useEffect, useId, useRef, useState } from 'react';
import { useKinds, useResources } from './api.ts';
import { go, path } from './router.tsx';

const SHOWN = 50;
/** Pages that are no kind's. */
const PAGES = ['executions', 'kinds', 'sql'];

/** The dialog. */
export function GoTo({ close }: { close: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [words, setWords] = useState('');
  const [index, setIndex] = useState(0);
  const id = useId();
  const resources = useResources().data ?? [];
  const kinds = useKinds().data ?? [];
  useEffect(() => {
    const element = dialog.current;
    if (element && !element.open) element.showModal();
  }, []);

  const plurals = new Map(kinds.map(kind => [kind.name, kind.plural]));
  const all = [
    ...PAGES.map(name => ({ name, kind: 'page', to: path([name]) })),
    ...kinds.map(kind => ({ name: kind.plural, kind: 'all', to: path([kind.plural]) })),
    ...resources.map(({ kind, metadata: { name } }) => ({ name, kind, to: path([plurals.get(kind) ?? kind, name]) })),
  ];
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  const found = all
    .filter(({ name, kind }) => wanted.every(word => `${kind} ${name}`.toLowerCase().includes(word)))
    .sort((a, b) => a.name.length - b.name.length || a.name.localeCompare(b.name))
    .slice(0, SHOWN);
  const chosen = Math.min(index, found.length - 1);

  useEffect(() => {
    document.getElementById(`${id}-${chosen}`)?.scrollIntoView({ block: 'nearest' });
  }, [id, chosen]);

  const leave = (to: string) => {
    // Closed before it is taken away, so that the browser brings the focus back to where it was.
    dialog.current?.close();
    go(to);
  };
  // What is not found may be in a list that is on its way.
  const enter = () => {
    const to = found[chosen]?.to;
    if (to) leave(to);
  };
  const key = (event: KeyboardEvent) => {
    if (event.key === 'ArrowDown') setIndex(Math.min(chosen + 1, found.length - 1));
    else if (event.key === 'ArrowUp') setIndex(Math.max(chosen - 1, 0));
    else if (event.key === 'Enter') enter();
    else return;
    event.preventDefault();
  };
  return (
    <dialog ref={dialog} className="goto" onClose={close} aria-label="Go to">
      <input
        type="text"
        role="combobox"
        aria-expanded="true"
        aria-controls={`${id}-list`}
        aria-activedescendant={found[chosen] && `${id}-${chosen}`}
        aria-label="Name of a page or resource"
        placeholder="Go to a stream, pipeline, workflow, …"
        value={words}
        onChange={event => {
          setWords(event.target.value);
          setIndex(0);
        }}
        onKeyDown={key}
      />
      {/* biome-ignore lint/a11y/noNoninteractiveElementToInteractiveRole: a list of choices is what a combobox opens */}
      <ul id={`${id}-list`} role="listbox" aria-label="Found">
        {found.map(({ name, kind, to }, at) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the field above has the keyboard, arrows and Enter
          // biome-ignore lint/a11y/noNoninteractiveElementToInteractiveRole: its choices
          // biome-ignore lint/a11y/useFocusableInteractive: the field keeps the focus, as a combobox does
          <li key={to} id={`${id}-${at}`} role="option" aria-selected={at === chosen} onClick={() => leave(to)}>
            <span>{name}</span>
            <span className="kind">{kind}</span>
          </li>
        ))}
      </ul>
    </dialog>
  );
}
