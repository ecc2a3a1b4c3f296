/** Fields of forms. */

import { type ReactNode, useId, useState } from 'react';

interface LaterProps {
  value: string;
  set: (value: string) => void;
  label: string;
  placeholder?: string;
  /** Words that may be meant. */
  among?: string[];
  className?: string;
}

/** What is typed, which falls back when the value changes elsewhere. */
function useDraft(value: string): [string, (draft: string) => void] {
  const [draft, setDraft] = useState(value);
  const [seen, setSeen] = useState(value);
  if (seen !== value) {
    setSeen(value);
    setDraft(value);
  }
  return [draft, setDraft];
}

/** A field that takes effect with Enter or when it is left, not with each letter. */
export function Later({ value, set, label, placeholder, among, className = 'grow mono' }: LaterProps) {
  const [draft, setDraft] = useDraft(value);
  const id = useId();
  const done = () => {
    if (draft !== value) set(draft);
  };
  return (
    <>
      <input
        className={`field ${className}`}
        aria-label={label}
        placeholder={placeholder}
        list={among && id}
        value={draft}
        onChange={event => setDraft(event.target.value)}
        onBlur={done}
        onKeyDown={event => {
          if (event.key === 'Enter') done();
        }}
      />
      {among && (
        <datalist id={id}>
          {among.map(word => (
            <option key={word} value={word} />
          ))}
        </datalist>
      )}
    </>
  );
}

/** The same for several lines; Enter stays Enter. */
export function LaterText(props: { value: string; set: (value: string) => void; label: string; rows: number }) {
  const [draft, setDraft] = useDraft(props.value);
  return (
    <textarea
      className="field"
      aria-label={props.label}
      rows={props.rows}
      spellCheck={false}
      value={draft}
      onChange={event => setDraft(event.target.value)}
      onBlur={() => {
        if (draft !== props.value) props.set(draft);
      }}
    />
  );
}

/** One of some words. */
export function Choose(props: {
  label: string;
  value: string;
  set: (value: string) => void;
  options: [value: string, label: string][];
}) {
  return (
    <select
      className="field"
      aria-label={props.label}
      value={props.value}
      onChange={event => props.set(event.target.value)}
    >
      {props.options.map(([value, label]) => (
        <option key={value} value={value}>
          {label}
        </option>
      ))}
    </select>
  );
}

/** A field under its name. */
export function Row({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="form-row">
      <span className="muted" aria-hidden="true">
        {name}
      </span>
      {children}
    </div>
  );
}

/** A field under its name that takes effect when it is left. */
export function Entry({
  name,
  mono,
  ...rest
}: Omit<LaterProps, 'label' | 'className'> & { name: string; mono?: boolean }) {
  return (
    <Row name={name}>
      <Later label={name} className={mono ? 'wide mono' : 'wide'} {...rest} />
    </Row>
  );
}

/** Whether something holds. */
export function Check({ name, checked, set }: { name: string; checked: boolean; set: (checked: boolean) => void }) {
  return (
    <label className="check">
      <input type="checkbox" checked={checked} onChange={event => set(event.target.checked)} />
      {name}
    </label>
  );
}
