/**
 * What passes through a pipeline's steps and between them, in words for its graph.
 *
 * What it is not: the shape of the graph, which follows from the spec alone.
 */

import { rate, value } from './figures.ts';
import { perSecond, span } from './format.ts';
import type { Arc, Graph, Vertex } from './graph/graph.tsx';

/** A share of the thread's time is taken over so many seconds: it is an estimate. */
const SHARE_S = 60;
const STATEFUL = ['aggregate', 'window', 'session', 'dedupe'];

/** A pipeline's graph with what passes through it now. */
export function withFigures(graph: Graph, pipeline: string): Graph {
  const steps = new Map(graph.vertices.map(vertex => [vertex.id, stepsOf(vertex)]));
  return {
    vertices: graph.vertices.map(vertex => vertexWith(vertex, pipeline)),
    arcs: graph.arcs.map(arc => arcWith(arc, pipeline, steps.get(arc.to)?.[0])),
  };
}

/** The steps in a box: itself, or those inside. */
function stepsOf(vertex: Vertex): string[] {
  if (vertex.inside) return vertex.inside.flatMap(part => part.vertices.map(inner => inner.name));
  return vertex.id.startsWith('step/') ? [vertex.name] : [];
}

function arcWith(arc: Arc, pipeline: string, step: string | undefined): Arc {
  const passes = step
    ? rate('hw_flow_step_events_total', { pipeline, step })
    : rate('hw_flow_written_total', { pipeline, stream: streamOf(arc.to) });
  if (!Number.isFinite(passes)) return arc;
  return { ...arc, label: [`${perSecond(passes)} /s`, arc.label].filter(Boolean).join(' · ') };
}

/** The stream that a box of a stream or table stands for. */
function streamOf(id: string): string {
  const [kind, ...name] = id.split('/');
  return kind === 'Table' ? `table.${name.join('/')}` : name.join('/');
}

function vertexWith(vertex: Vertex, pipeline: string): Vertex {
  if (vertex.inside) {
    const inside = vertex.inside.map(part => ({
      ...part,
      vertices: part.vertices.map(inner => vertexWith(inner, pipeline)),
    }));
    return { ...vertex, inside };
  }
  if (vertex.kind === 'Stream')
    return { ...vertex, meta: `${perSecond(rate('hw_log_stream_events_total', { stream: vertex.name }))} /s` };
  if (!vertex.id.startsWith('step/')) return vertex;
  const step = stepWords(vertex, pipeline);
  const asked = askedWords(vertex, pipeline);
  const bad = step.bad || asked.bad;
  return {
    ...vertex,
    meta: [...asked.words, ...step.words, vertex.meta].filter(Boolean).join(' · '),
    look: `${vertex.look ?? ''} ${bad ? 'bad' : ''}`,
  };
}

interface Words {
  words: string[];
  bad: boolean;
}

/** What a step makes of its events, how long it takes, and how far event time has come at it. */
function stepWords(vertex: Vertex, pipeline: string): Words {
  const of = { pipeline, step: vertex.name };
  const words = [
    share(stepShare(of)),
    each(rate('hw_flow_step_dropped_total', of), 'dropped/s'),
    each(rate('hw_flow_step_late_total', of, SHARE_S), 'late/s'),
    each(rate('hw_flow_step_dead_letters_total', of, SHARE_S), 'errors/s'),
  ];
  const seconds = STATEFUL.includes(vertex.kind) ? value('hw_flow_watermark_seconds', { pipeline }) : Number.NaN;
  if (seconds > 0) words.push(`watermark ${span(Math.max(0, Date.now() - seconds * 1_000))} ago`);
  return { words, bad: rate('hw_flow_step_dead_letters_total', of, SHARE_S) > 0 };
}

/** What a step asks. */
function askedWords(vertex: Vertex, pipeline: string): Words {
  if (vertex.kind !== 'lookup' && vertex.kind !== 'score') return { words: [], bad: false };
  const of = { pipeline, step: vertex.name };
  if (value('hw_flow_lookup_breaker_open', of) > 0) return { words: ['left alone after failures'], bad: true };
  const asked = ['hits', 'misses', 'at_once'].map(what => rate(`hw_flow_lookup_${what}_total`, of));
  const all = asked.reduce((sum, one) => sum + one, 0);
  const failures = rate('hw_flow_lookup_failures_total', of, SHARE_S);
  return { words: [Number.isFinite(all) ? `${perSecond(all)} /s` : '', each(failures, 'failures/s')], bad: false };
}

/** The part of its thread's time that a step takes, from 0 to 1; NaN where it is not known. */
export function stepShare(of: { pipeline: string; step: string }): number {
  return rate('hw_flow_step_seconds_total', of, SHARE_S);
}

/** `12 % of the time`, empty where it is not worth a word. */
export function share(part: number): string {
  if (!(part > 0)) return '';
  return part < 0.01 ? 'under 1 % of the time' : `${Math.min(100, Math.round(part * 100))} % of the time`;
}

function each(per_s: number, what: string): string {
  return per_s > 0 ? `${perSecond(per_s)} ${what}` : '';
}
