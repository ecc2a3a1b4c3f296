/** A JSON value as a tree that opens and closes. Everything is text: nothing in a value is ever read as HTML. */

import { Exact, write } from '../json.ts';

const OPEN_LINES = 24;
const ITEMS_MAX = 500;

/** A value; what is small is open. */
export function Json({ value, depth = 0 }: { value: unknown; depth?: number }) {
  return (
    <div className="json">
      <Value value={value} depth={depth} />
    </div>
  );
}

function Value({ value, name, depth }: { value: unknown; name?: string; depth: number }) {
  const label = name !== undefined && <span className="k">{name}: </span>;
  const inner = entries(value);
  if (!inner || inner.length === 0) {
    return (
      <div>
        {label}
        <Leaf value={value} />
      </div>
    );
  }
  const children = inner
    .slice(0, ITEMS_MAX)
    .map(([key, member]) => <Value key={key} name={key} value={member} depth={depth + 1} />);
  const rest = inner.length > ITEMS_MAX && <div className="muted">… {inner.length - ITEMS_MAX} more</div>;
  if (depth === 0) {
    return (
      <>
        {children}
        {rest}
      </>
    );
  }
  const open = write(value, 2).split('\n').length <= OPEN_LINES && depth < 4;
  return (
    <details open={open}>
      <summary>
        {label}
        <span className="muted">{Array.isArray(value) ? `[${inner.length}]` : `{${inner.length}}`}</span>
      </summary>
      <div className="inner">
        {children}
        {rest}
      </div>
    </details>
  );
}

function entries(value: unknown): [string, unknown][] | null {
  if (value === null || typeof value !== 'object' || value instanceof Exact) return null;
  return Object.entries(value);
}

function Leaf({ value }: { value: unknown }) {
  if (typeof value === 'string') return <span className="s">{JSON.stringify(value)}</span>;
  if (typeof value === 'number' || value instanceof Exact) return <span className="n">{String(value)}</span>;
  return <span className="b">{write(value)}</span>;
}
