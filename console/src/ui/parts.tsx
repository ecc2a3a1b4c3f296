/** Small parts that every page is made of. */

import { type ReactNode, useEffect, useId, useRef, useState } from 'react';
import { Refusal, type Resource } from '../api.ts';
import { span, time } from '../format.ts';
import { Link, path, useParam } from '../router.tsx';
import { Icon } from './icons.tsx';

export type Tone = '' | 'good' | 'bad' | 'warn' | 'accent';

/** A page's frame: title, what it is, what can be done. */
export function Page(props: {
  title: string;
  badge?: ReactNode;
  about?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
}) {
  useEffect(() => {
    document.title = `${props.title} · Headwater`;
  }, [props.title]);
  return (
    <div className="page">
      <header>
        <div>
          <div className="title">
            <h1>{props.title}</h1>
            {props.badge}
          </div>
          {props.about && <p className="about">{props.about}</p>}
        </div>
        {props.actions && <div className="actions">{props.actions}</div>}
      </header>
      {props.children}
    </div>
  );
}

/** The field by which a list is narrowed to names that hold some words. */
export function NameFilter(props: { words: string; onChange: (words: string) => void }) {
  return (
    <input
      className="field grow"
      type="search"
      aria-label="Filter by name"
      placeholder="Filter by name"
      value={props.words}
      onChange={e => props.onChange(e.target.value)}
    />
  );
}

/** A framed part of a page. */
export function Panel(props: { title?: ReactNode; end?: ReactNode; body?: boolean; children: ReactNode }) {
  const id = useId();
  return (
    <section className="panel" aria-labelledby={props.title ? id : undefined}>
      {props.title && (
        <header>
          <h2 id={id}>{props.title}</h2>
          {props.end && <div className="end">{props.end}</div>}
        </header>
      )}
      {props.body ? <div className="body">{props.children}</div> : props.children}
    </section>
  );
}

/** A word with a colour. */
export function Badge({ tone = '', children }: { tone?: Tone; children: ReactNode }) {
  return <span className={`badge ${tone}`}>{children}</span>;
}

/** What a resource's state is called, and its colour. */
export function readiness(resource: Resource): { tone: Tone; word: string } {
  const { ready, reason } = resource.status;
  if (ready === 'true') return { tone: 'good', word: reason ?? 'Ready' };
  if (ready === 'false') return { tone: 'bad', word: reason ?? 'Not ready' };
  return { tone: 'warn', word: reason ?? 'Unknown' };
}

/** A resource's state. */
export function Ready({ resource }: { resource: Resource }) {
  const { tone, word } = readiness(resource);
  return <Badge tone={tone}>{word}</Badge>;
}

/** One figure of a row of tiles. */
export function Tile(props: { label: string; value: ReactNode; unit?: string; tone?: Tone; children?: ReactNode }) {
  return (
    <div className={`tile ${props.tone ?? ''}`}>
      <dt>{props.label}</dt>
      <dd>
        {props.value} {props.unit && <small>{props.unit}</small>}
      </dd>
      {props.children && <dd>{props.children}</dd>}
    </div>
  );
}

/** A row of figures. */
export function Tiles({ children }: { children: ReactNode }) {
  return <dl className="tiles">{children}</dl>;
}

/** The course of a figure, without axes; the figure itself stands beside it as text. */
export function Spark({ values, cell }: { values: number[]; cell?: boolean }) {
  const known = values.filter(Number.isFinite);
  const top = Math.max(...known, 0) || 1;
  const step = 100 / Math.max(known.length - 1, 1);
  const line = known
    .map((value, index) => `${(index * step).toFixed(2)},${(23 - (value / top) * 21).toFixed(2)}`)
    .join('L');
  return (
    <svg
      className={`spark ${cell ? 'cell-spark' : ''}`}
      viewBox="0 0 100 24"
      preserveAspectRatio="none"
      aria-hidden="true"
    >
      {known.length > 1 && <path className="area" d={`M0,24L${line}L100,24Z`} />}
      {known.length > 1 && <path d={`M${line}`} />}
    </svg>
  );
}

/** Nothing to show, and why. */
export function Empty({ children, command }: { children: ReactNode; command?: string }) {
  return (
    <div className="empty">
      <p>{children}</p>
      {command && <Command text={command} />}
    </div>
  );
}

/** Room for what is on its way. */
export function Loading() {
  return (
    <div className="empty" role="status">
      <span className="hidden">Loading</span>
      <div className="skeleton" />
    </div>
  );
}

/** Why something failed, in the node's words. */
export function Trouble({ error }: { error: unknown }) {
  const problems = error instanceof Refusal ? error.all : [{ code: '', title: String(error) }];
  return (
    <div className="problems" role="alert">
      {problems.map((problem, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: problems have no identity and are never reordered
        <div className="problem" key={index}>
          <span>
            {problem.code && <strong>{problem.code} </strong>}
            {problem.title}
          </span>
          {'causes' in problem && problem.causes?.map(cause => <span key={cause}>cause: {cause}</span>)}
          {'help' in problem && problem.help && <span className="muted">help: {problem.help}</span>}
        </div>
      ))}
    </div>
  );
}

/**
 * In place of what is not there yet: why it did not come, or that it is on its way. What is there already stays, and so
 * does why it did not come while it is asked for again, as what does not exist is once a second.
 */
export function Awaited({ error }: { error: unknown }) {
  const [last, setLast] = useState(error);
  // A question that begins anew has no error any more.
  if (error && error !== last) setLast(error);
  const known = error || last;
  return known ? <Trouble error={known} /> : <Loading />;
}

/** A button for what cannot be taken back: it asks first, and the keyboard then stands at the way back. */
export function Sure(props: { label: string; question: string; back: string; busy?: boolean; act: () => void }) {
  const { label, question, back, busy, act } = props;
  const [asked, setAsked] = useState(false);
  const opener = useRef<HTMLButtonElement>(null);
  const first = useRef<HTMLButtonElement>(null);
  const before = useRef(asked);
  const id = useId();
  useEffect(() => {
    if (before.current !== asked) (asked ? first : opener).current?.focus();
    before.current = asked;
  });
  if (!asked) {
    return (
      <button type="button" className="btn danger" ref={opener} disabled={busy} onClick={() => setAsked(true)}>
        {label} …
      </button>
    );
  }
  return (
    <span className="bar">
      <span id={id}>{question}</span>
      <button type="button" className="btn" ref={first} aria-describedby={id} onClick={() => setAsked(false)}>
        {back}
      </button>
      <button
        type="button"
        className="btn danger"
        aria-describedby={id}
        onClick={() => {
          setAsked(false);
          act();
        }}
      >
        {label}
      </button>
    </span>
  );
}

/** A command to type, with a button that copies it. */
export function Command({ text }: { text: string }) {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), 1_500);
    return () => clearTimeout(timer);
  }, [copied]);
  // There is no clipboard where a page is not safe, and one may be refused: the command can be marked all the same.
  const copy = () => {
    navigator.clipboard?.writeText(text).then(
      () => setCopied(true),
      () => undefined,
    );
  };
  return (
    <div className="command">
      <code tabIndex={0}>{text}</code>
      <button type="button" className="btn bare icon" onClick={copy} aria-label={`Copy ${text}`}>
        <Icon name={copied ? 'check' : 'copy'} />
      </button>
      <span className="hidden" role="status">
        {copied ? 'Copied' : ''}
      </span>
    </div>
  );
}

/** A time, in full on hover. */
export function Time({ at }: { at: string | number | undefined }) {
  if (at === undefined) return <span className="muted">–</span>;
  const iso = typeof at === 'number' ? new Date(at).toISOString() : at;
  return (
    <time dateTime={iso} title={iso} className="nowrap">
      {time(at)}
    </time>
  );
}

/** How long ago something was. */
export function Ago({ at }: { at: string | undefined }) {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, []);
  if (!at) return <span className="muted">–</span>;
  return (
    <time dateTime={at} title={at} className="nowrap">
      {span(Math.max(0, now - new Date(at).getTime()))} ago
    </time>
  );
}

interface TabsProps {
  tabs: { id: string; label: string; count?: number | string; show: () => ReactNode }[];
  /** Where the URL has the choice. */
  param?: string;
  /** What all of them are, for those who do not see them. */
  label?: string;
}

/** Tabs whose choice is in the URL. */
export function Tabs(props: TabsProps) {
  const first = props.tabs[0]?.id ?? '';
  const [chosen, choose] = useParam(props.param ?? 'tab', first);
  const id = useId();
  const tab = props.tabs.find(tab => tab.id === chosen) ?? props.tabs[0];
  const move = (by: number) => {
    const index = tab ? props.tabs.indexOf(tab) : 0;
    to(props.tabs.at((index + by) % props.tabs.length));
  };
  const to = (next: TabsProps['tabs'][number] | undefined) => {
    if (!next) return;
    choose(next.id);
    document.getElementById(`${id}-${next.id}`)?.focus();
  };
  return (
    <>
      <div className="tabs" role="tablist" aria-label={props.label}>
        {props.tabs.map(({ id: name, label, count }) => (
          <button
            type="button"
            key={name}
            id={`${id}-${name}`}
            role="tab"
            aria-selected={name === tab?.id}
            aria-controls={`${id}-panel`}
            tabIndex={name === tab?.id ? 0 : -1}
            onClick={() => choose(name)}
            onKeyDown={event => {
              if (event.key === 'ArrowRight') move(1);
              else if (event.key === 'ArrowLeft') move(-1);
              else if (event.key === 'Home') to(props.tabs[0]);
              else if (event.key === 'End') to(props.tabs.at(-1));
              else return;
              event.preventDefault();
            }}
          >
            {label}
            {count !== undefined && <span className="count">{count}</span>}
          </button>
        ))}
      </div>
      <div role="tabpanel" id={`${id}-panel`} aria-labelledby={`${id}-${tab?.id}`} key={tab?.id}>
        {tab?.show()}
      </div>
    </>
  );
}

/** A link to a resource. */
export function To({ plural, name, children }: { plural: string; name: string; children?: ReactNode }) {
  return (
    <Link to={path([plural, name])} className="name">
      {children ?? name}
    </Link>
  );
}
