/** A button with a list of things to do. */

import { type ReactNode, useEffect, useRef } from 'react';
import { Link } from '../router.tsx';

/** Something to do: a deed, or a place to go to. */
export type Action = { label: string } & ({ act: () => void } | { to: string } | { href: string });

/** The items of a menu. */
export function Actions({ actions, done }: { actions: Action[]; done: () => void }) {
  return (
    <ul className="actions-list">
      {actions.map(action => (
        <li key={action.label}>
          {'act' in action ? (
            <button
              type="button"
              onClick={() => {
                done();
                action.act();
              }}
            >
              {action.label}
            </button>
          ) : 'to' in action ? (
            <Link to={action.to} onClick={done}>
              {action.label}
            </Link>
          ) : (
            <a href={action.href} target="_blank" rel="noopener noreferrer" onClick={done}>
              {action.label}
            </a>
          )}
        </li>
      ))}
    </ul>
  );
}

/** What opens below its button and closes when something else is meant. */
export function Popover(props: { label: ReactNode; name?: string; className?: string; children: ReactNode }) {
  const place = useRef<HTMLDetailsElement>(null);
  useEffect(() => {
    const away = (event: Event) => {
      const element = place.current;
      if (element?.open && !event.composedPath().includes(element)) element.open = false;
    };
    const leave = (event: KeyboardEvent) => {
      const element = place.current;
      if (event.key !== 'Escape' || !element?.open) return;
      element.open = false;
      element.querySelector('summary')?.focus();
    };
    document.addEventListener('pointerdown', away);
    document.addEventListener('focusin', away);
    document.addEventListener('keydown', leave);
    return () => {
      document.removeEventListener('pointerdown', away);
      document.removeEventListener('focusin', away);
      document.removeEventListener('keydown', leave);
    };
  }, []);
  return (
    <details className="popover" ref={place}>
      <summary className={`btn ${props.className ?? ''}`} aria-label={props.name}>
        {props.label}
      </summary>
      <div className="popped">{props.children}</div>
    </details>
  );
}

/** Actions at a point of the screen: what can be done with the mark that was chosen. */
export function PointMenu(props: {
  at: { x: number; y: number };
  label: string;
  actions: Action[];
  close: () => void;
}) {
  const { at, label, actions, close } = props;
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  return (
    <dialog
      ref={dialog}
      className="point-menu"
      aria-label={label}
      style={{ left: Math.min(at.x, window.innerWidth - 280), top: Math.min(at.y, window.innerHeight - 180) }}
      onClose={close}
      onPointerDown={event => {
        // Beside the list is outside.
        if (event.target === event.currentTarget) dialog.current?.close();
      }}
    >
      <p className="muted clip" title={label}>
        {label}
      </p>
      <Actions actions={actions} done={() => dialog.current?.close()} />
    </dialog>
  );
}
