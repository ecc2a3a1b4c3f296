/** What the forms of charts, filters and dashboards have in common. */

import { useState } from 'react';
import { quoted, type Relation, relationName } from '../rows.ts';
import { Choose, Later, LaterText } from '../ui/fields.tsx';
import type { Steps } from './draft.ts';

/** Changes keys of what a form is about; a value that is undefined takes its key away. */
export type Change = (changes: [at: Steps, value: unknown][]) => void;

/** A text, or nothing where there is none. */
export const some = (text: string) => text.trim() || undefined;
/** A text that is no number goes into the YAML as it is: the node says what is wrong with it, and nothing is lost. */
export const number = (text: string) => (Number.isNaN(Number(text)) ? text : text.trim() ? Number(text) : undefined);

/** Texts with one of them or without it; nothing where none is left. */
export function turned(texts: string[] = [], one: string, on: boolean): string[] | undefined {
  const others = texts.filter(it => it !== one);
  const next = on ? [...others, one] : others;
  return next.length > 0 ? next : undefined;
}

/** Columns of what a chart or filter is about, as far as that is known: of a query it is not. */
export function columnsOf(relations: Relation[], from: string): string[] {
  const found = relations.find(relation => relationName(relation) === from || `public.${relation.name}` === from);
  return found?.columns.map(column => quoted(column.name)) ?? [];
}

/** Where rows come from: a relation, or a query. */
export function From({ value, set, relations }: { value: string; set: (from: string) => void; relations: Relation[] }) {
  const names = relations.map(relationName);
  const [meant, setMeant] = useState(false);
  const query = meant || (names.length > 0 && !names.includes(value));
  return (
    <>
      <Choose
        label="Data"
        value={query ? '' : value}
        set={name => {
          setMeant(name === '');
          set(name || `SELECT * FROM ${value}`);
        }}
        options={[...names.map((name): [string, string] => [name, name]), ['', 'a query …']]}
      />
      {query && <LaterText label="Query" rows={4} value={value} set={set} />}
    </>
  );
}

/** Brings one of some values before the one in front of it: the order of columns, series and levels. */
export function Earlier<T>(props: { values: T[]; index: number; name: string; set: (values: T[]) => void }) {
  const { values, index, name, set } = props;
  const forth = () => {
    const next = [...values];
    next.splice(index - 1, 0, ...next.splice(index, 1));
    set(next);
  };
  return (
    <button
      type="button"
      className="btn bare icon"
      aria-label={`Move ${name} up`}
      disabled={index === 0}
      onClick={forth}
    >
      ↑
    </button>
  );
}

/** Some texts, each in a field of its own. */
export function Several(props: {
  label: string;
  values: string[];
  set: (values: string[] | undefined) => void;
  among: string[];
}) {
  const { label, values, set, among } = props;
  const put = (index: number, value: string) => {
    const next = values.map((it, at) => (at === index ? value.trim() : it)).filter(Boolean);
    set(next.length > 0 ? next : undefined);
  };
  return (
    <div className="several">
      {values.map((value, index) => (
        <div className="bar" key={value}>
          <Later
            className="wide mono"
            label={`${label} ${index + 1}`}
            value={value}
            among={among}
            set={text => put(index, text)}
          />
          <Earlier values={values} index={index} name={value} set={set} />
          <button type="button" className="btn bare icon" aria-label={`Remove ${value}`} onClick={() => put(index, '')}>
            ×
          </button>
        </div>
      ))}
      <Later
        key={values.length}
        className="wide mono"
        label={`Add ${label.toLowerCase()}`}
        placeholder="add a column or an expression"
        value=""
        among={among}
        set={text => text.trim() && set([...values, text.trim()])}
      />
    </div>
  );
}
