/**
 * A definition in the Amazon States Language as a graph, and an execution's history as what its states went through.
 *
 * What it is not: an interpreter. It draws what the definition says and what the history tells.
 */

import type { Arc, Graph, Vertex } from './graph/graph.tsx';
import { at, items, members, text } from './json.ts';

/** One visit of a state. */
export interface Visit {
  name: string;
  type: string;
  entered: number;
  /** Milliseconds; missing while it is in the state. */
  exited?: number;
  failed: boolean;
  /** The number of the event that entered it. */
  event: number;
}

/** One event of a history. */
export interface HistoryEvent {
  id: number;
  previousEventId: number;
  timestamp: number;
  type: string;
  [details: string]: unknown;
}

/** The graph of a definition; `look` adds classes and words by a state's name. */
export function machineGraph(
  definition: unknown,
  look: (state: string) => { look?: string; meta?: string } = () => ({}),
  scope = '',
): Graph {
  const states = Object.entries(members(at(definition, 'States')));
  const id = (name: string) => `${scope}${name}`;
  // Where an inner machine begins is told by its place.
  const vertices: Vertex[] = scope ? [] : [{ id: id('\0start'), kind: '', name: 'Start', look: 'round' }];
  const arcs: Arc[] = [];
  const known = new Set(states.map(([name]) => name));
  const line = (from: string, to: unknown, label?: string, style?: string) => {
    if (typeof to !== 'string' || !known.has(to)) return;
    const arc: Arc = { from: id(from), to: id(to), label };
    if (style) arc.look = style;
    arcs.push(arc);
  };
  const start = text(at(definition, 'StartAt'));
  if (!scope && known.has(start)) arcs.push({ from: id('\0start'), to: id(start) });
  for (const [name, state] of states) {
    const type = text(at(state, 'Type'));
    const parts = [...items(at(state, 'Branches')), at(state, 'ItemProcessor') ?? at(state, 'Iterator')].filter(
      Boolean,
    );
    const said = look(name);
    vertices.push({
      id: id(name),
      kind: type,
      name,
      meta: said.meta ?? stateMeta(state),
      look: `${said.look ?? ''} ${['Succeed', 'Fail'].includes(type) ? 'round' : ''}`,
      ...(parts.length > 0 && {
        inside: parts.map((part, index) => machineGraph(part, look, `${id(name)}\0${index}\0`)),
      }),
    });
    line(name, at(state, 'Next'));
    for (const choice of items(at(state, 'Choices'))) line(name, at(choice, 'Next'), condition(choice));
    line(name, at(state, 'Default'), 'otherwise');
    for (const caught of items(at(state, 'Catch')))
      line(name, at(caught, 'Next'), `on ${items(at(caught, 'ErrorEquals')).map(text).join(', ')}`, 'aside');
  }
  return { vertices, arcs };
}

function stateMeta(state: unknown): string {
  const resource = text(at(state, 'Resource'));
  if (resource)
    return text(at(state, 'Arguments', 'FunctionName')) || resource.replace(/^arn:[^:]*:[^:]*:[^:]*:[^:]*:/, '');
  const seconds =
    at(state, 'Seconds') ?? at(state, 'SecondsPath') ?? at(state, 'Timestamp') ?? at(state, 'TimestampPath');
  if (seconds !== undefined) return typeof seconds === 'number' ? `${seconds} s` : String(seconds);
  return text(at(state, 'Error')) || text(at(state, 'Comment'));
}

const COMPARED = /^(String|Numeric|Boolean|Timestamp|Is)/;
const SIGNS: Record<string, string> = {
  Equals: '=',
  LessThan: '<',
  GreaterThan: '>',
  LessThanEquals: '≤',
  GreaterThanEquals: '≥',
};

/** A choice's condition in short. */
export function condition(choice: unknown): string {
  const jsonata = text(at(choice, 'Condition'));
  if (jsonata) return jsonata.replace(/^\{%\s*|\s*%\}$/g, '');
  for (const [word, sign] of [
    ['And', ' and '],
    ['Or', ' or '],
  ] as const) {
    const parts = items(at(choice, word));
    if (parts.length > 0) return parts.map(condition).join(sign);
  }
  if (at(choice, 'Not')) return `not ${condition(at(choice, 'Not'))}`;
  const operator = Object.keys(members(choice)).find(key => COMPARED.test(key)) ?? '';
  const variable = text(at(choice, 'Variable'));
  const short = operator.replace(/^(String|Numeric|Boolean|Timestamp)/, '').replace(/Path$/, '');
  return `${variable} ${SIGNS[short] ?? operator} ${operator.startsWith('Is') ? '' : JSON.stringify(at(choice, operator))}`.trim();
}

/** Every visit of a state, in order of entering. A state that several branches or items are in is paired by the chain of events. */
export function visits(events: HistoryEvent[]): Visit[] {
  const byId = new Map(events.map(event => [event.id, event]));
  const found = new Map<number, Visit>();
  const entry = (event: HistoryEvent | undefined): number | undefined => {
    let [here, steps] = [event, 0];
    // Back along the chain to the entry that is still open.
    while (here && steps < 10_000) {
      const visit = found.get(here.id);
      if (visit && visit.exited === undefined) return here.id;
      here = byId.get(here.previousEventId);
      steps += 1;
    }
    return undefined;
  };
  for (const event of [...events].sort((a, b) => a.id - b.id)) {
    const name = text(at(event.stateEnteredEventDetails, 'name'));
    const ms = event.timestamp * 1_000;
    if (event.type.endsWith('StateEntered') && name) {
      found.set(event.id, {
        name,
        type: event.type.replace('StateEntered', ''),
        entered: ms,
        failed: false,
        event: event.id,
      });
    } else if (event.type.endsWith('StateExited')) {
      const left = text(at(event.stateExitedEventDetails, 'name'));
      let from = entry(byId.get(event.previousEventId));
      // What was still open inside ended with it: a failed branch has no exit of its own.
      while (from !== undefined && found.get(from)?.name !== left) {
        const inner = found.get(from);
        if (inner) Object.assign(inner, { exited: ms, failed: true });
        from = entry(byId.get(byId.get(from)?.previousEventId ?? 0));
      }
      const visit = from === undefined ? undefined : found.get(from);
      if (visit) visit.exited = ms;
    } else if (/Failed$|TimedOut$|Aborted$/.test(event.type)) {
      const from = entry(byId.get(event.previousEventId));
      const visit = from === undefined ? undefined : found.get(from);
      if (visit && !/^(Execution|Task|Lambda|Activity)/.test(event.type)) visit.failed = true;
      if (/^Execution/.test(event.type)) {
        for (const open of found.values())
          if (open.exited === undefined) Object.assign(open, { exited: ms, failed: open.type !== 'Succeed' });
      }
    } else if (event.type === 'ExecutionSucceeded') {
      for (const open of found.values()) if (open.exited === undefined) open.exited = ms;
    }
  }
  return [...found.values()];
}
