/** What stands above the charts: filters, the time that is shown, how often it is asked anew. */

import { useEffect, useState } from 'react';
import { queries } from '../api.ts';
import { key, shown } from '../rows.ts';
import { Loading, Trouble } from '../ui/parts.tsx';
import { type Source, useValues } from './asking.ts';
import { type Choice, choose } from './choice.ts';
import { Popover } from './menu.tsx';
import type { Filter } from './spec.ts';

/** Values that the node offers at once. */
const VALUES_MAX = 200;

/** The row of controls. */
export function Controls({ source, choice }: { source: Source; choice: Choice }) {
  const { filters = [], range } = source.spec;
  const changed = Object.keys(choice.drill).length > 0 || choice.time !== undefined || filtered(source, choice);
  return (
    <div className="bar controls">
      {filters.map(filter => (
        <FilterControl key={filter.id} source={source} filter={filter} choice={choice} />
      ))}
      {changed && (
        <button type="button" className="btn bare" onClick={choose.nothing}>
          Reset
        </button>
      )}
      <span className="push" />
      <TimeControl choice={choice} own={range} />
      <RefreshControl choice={choice} own={source.spec.refresh} />
    </div>
  );
}

function filtered({ spec }: Source, choice: Choice): boolean {
  return (spec.filters ?? []).some(
    ({ id, default: own = [] }) => JSON.stringify(choice.filters[id] ?? []) !== JSON.stringify(own),
  );
}

/** A value as a reader sees it. */
const named = (value: unknown) => (value === null ? 'nothing' : shown(value) || 'empty');

/** Whether a value is one of some; nothing and an empty text are two. */
const among = (values: unknown[], value: unknown) => values.some(other => key([other]) === key([value]));

function FilterControl({ source, filter, choice }: { source: Source; filter: Filter; choice: Choice }) {
  return (
    <Picker
      source={source}
      filter={filter}
      choice={choice}
      chosen={choice.filters[filter.id] ?? []}
      set={values => choose.filter(filter.id, values)}
      name={filter.label ?? filter.id}
    />
  );
}

interface PickerProps {
  source: Source;
  filter: Filter;
  /** What narrows the values that are offered. */
  choice: Choice;
  chosen: unknown[];
  set: (values: unknown[]) => void;
  /** What the values are called that are chosen. */
  name: string;
}

/** Values of a filter to choose from. */
export function Picker(props: PickerProps) {
  const { chosen, name } = props;
  const [first] = chosen;
  const says = chosen.length === 0 ? 'all' : chosen.length === 1 ? named(first) : `${chosen.length} values`;
  return (
    <Popover
      className={chosen.length > 0 ? 'on' : ''}
      label={
        <>
          <span className="muted">{name}</span> <span className="clip">{says}</span>
        </>
      }
    >
      <Values {...props} />
    </Popover>
  );
}

function Values({ source, filter, choice, chosen, set, name }: PickerProps) {
  const [words, setWords] = useState('');
  const [search, setSearch] = useState('');
  const [open, setOpen] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setSearch(words), 200);
    return () => clearTimeout(timer);
  }, [words]);
  const { data, error } = useValues(source, filter, search, choice, open);
  const offered = data?.rows.map(([value]) => value ?? null) ?? [];
  // What is chosen stays in sight, although what is offered may have changed.
  const rest = chosen.filter(value => !among(offered, value));
  const has = (value: unknown) => among(chosen, value);
  const turn = (value: unknown) => set(has(value) ? chosen.filter(it => !among([value], it)) : [...chosen, value]);
  return (
    <div className="values" ref={element => (element ? watch(element, setOpen) : undefined)}>
      <input
        className="field wide"
        type="search"
        aria-label={`Search ${name}`}
        placeholder="Search"
        value={words}
        onChange={event => setWords(event.target.value)}
      />
      {error && <Trouble error={error} />}
      {open && !data && !error && <Loading />}
      <fieldset className="value-list">
        <legend className="hidden">{name}</legend>
        {[...rest, ...offered].map(value => (
          <label key={`${typeof value} ${shown(value)}`} className="check">
            <input type="checkbox" checked={has(value)} onChange={() => turn(value)} />
            <span className="clip">{named(value)}</span>
          </label>
        ))}
        {data && offered.length === 0 && <span className="muted">no such value</span>}
        {offered.length >= VALUES_MAX && <span className="muted">more: search for a part of it</span>}
      </fieldset>
      <button type="button" className="btn" disabled={chosen.length === 0} onClick={() => set([])}>
        Clear
      </button>
    </div>
  );
}

/** Tells when the popover around an element opens: a filter asks for its values only then. */
function watch(element: HTMLElement, told: (open: boolean) => void): () => void {
  const around = element.closest('details');
  if (!around) return () => undefined;
  const look = () => told(around.open);
  around.addEventListener('toggle', look);
  return () => around.removeEventListener('toggle', look);
}

const SPANS = ['15m', '1h', '6h', '24h', '7d', '30d', '90d', '365d'];
const WORDS: Record<string, string> = { m: 'minutes', h: 'hours', d: 'days', s: 'seconds', w: 'weeks' };

/** `7d` as words. */
function spoken(span: string): string {
  const [, number, unit = ''] = /^(\d+)([a-z]+)$/.exec(span) ?? [];
  return number ? `${number} ${number === '1' ? WORDS[unit]?.slice(0, -1) : WORDS[unit]}` : span;
}

function TimeControl({ choice, own }: { choice: Choice; own: string | undefined }) {
  const { time } = choice;
  const [from, setFrom] = useState('');
  const [to, setTo] = useState('');
  const brief = (at = '') => at.slice(0, 16).replace('T', ' ');
  const last = time ? time.last : own;
  const says = time?.from ? `${brief(time.from)} – ${brief(time.to)} UTC` : last ? `last ${spoken(last)}` : 'all times';
  const utc = (local: string) => `${local}:00Z`;
  return (
    <Popover
      label={
        <>
          <span className="muted">Time</span> {says}
        </>
      }
    >
      <div className="values">
        <ul className="actions-list columns">
          {own && !SPANS.includes(own) && (
            <li>
              <button type="button" onClick={() => choose.time('')}>
                Last {spoken(own)}
              </button>
            </li>
          )}
          {SPANS.map(span => (
            <li key={span}>
              <button type="button" aria-pressed={last === span} onClick={() => choose.time(span)}>
                Last {spoken(span)}
              </button>
            </li>
          ))}
          <li>
            <button type="button" aria-pressed={!last && !time?.from} onClick={() => choose.time('all')}>
              All times
            </button>
          </li>
        </ul>
        <label className="stacked">
          From (UTC)
          <input className="field" type="datetime-local" value={from} onChange={event => setFrom(event.target.value)} />
        </label>
        <label className="stacked">
          Up to (UTC)
          <input className="field" type="datetime-local" value={to} onChange={event => setTo(event.target.value)} />
        </label>
        <button
          type="button"
          className="btn"
          disabled={!from || !to || from >= to}
          onClick={() => choose.time(`${utc(from)}..${utc(to)}`)}
        >
          Show
        </button>
      </div>
    </Popover>
  );
}

const EVERY = ['5s', '10s', '30s', '1m', '5m', '15m', '1h'];

function RefreshControl({ choice, own }: { choice: Choice; own: string | undefined }) {
  const spans = own && !EVERY.includes(own) ? [own, ...EVERY] : EVERY;
  return (
    <>
      <label className="check">
        Refresh
        <select className="field" value={choice.every} onChange={event => choose.every(event.target.value)}>
          <option value="">never</option>
          {spans.map(span => (
            <option key={span} value={span}>
              every {spoken(span)}
            </option>
          ))}
        </select>
      </label>
      <button type="button" className="btn" onClick={() => void queries.invalidateQueries({ queryKey: ['chart'] })}>
        Refresh now
      </button>
    </>
  );
}
