/**
 * Charts that are asked at the same time go to the node in one question, which reads the rows that they have in common
 * once. Each is answered by itself, as soon as it is ready. The question is given up when nobody waits for any of it.
 */

import { type Problem, Refusal, refusal, unreached } from '../api.ts';
import { parse } from '../json.ts';
import { follow } from '../ndjson.ts';
import { posting } from '../rows.ts';
import type { Drawn } from './asking.ts';
import type { Choice } from './choice.ts';
import type { Dashboard } from './spec.ts';

/** What the node is asked for one chart. */
export interface Asked {
  dashboard?: string;
  /** A draft, with no other chart than this one. */
  spec?: Dashboard;
  chart: string;
  filters: Choice['filters'];
  time?: Choice['time'];
  drill: unknown[];
}

interface Waiting {
  asked: Asked;
  resolve: (drawn: Drawn) => void;
  reject: (error: unknown) => void;
}

/** Charts of one question; the node takes no more. */
const CHARTS_MAX = 50;

class Question {
  /** Charts without an answer, by their ids. */
  readonly #waiting = new Map<string, Waiting>();
  #sent: AbortController | null = null;

  /** Whether this chart can be asked with the others. */
  takes(chart: string): boolean {
    return this.#waiting.size < CHARTS_MAX && !this.#waiting.has(chart);
  }

  add(asked: Asked, signal: AbortSignal): Promise<Drawn> {
    return new Promise((resolve, reject) => {
      const one = { asked, resolve, reject };
      this.#waiting.set(asked.chart, one);
      const leave = () => {
        if (this.#waiting.get(asked.chart) !== one) return;
        this.#waiting.delete(asked.chart);
        reject(signal.reason);
        if (this.#waiting.size === 0) this.#sent?.abort();
      };
      signal.addEventListener('abort', leave, { once: true });
    });
  }

  async send(reader: string): Promise<void> {
    const all = [...this.#waiting.values()].map(({ asked }) => asked);
    const [first] = all;
    if (!first) return;
    const { dashboard, spec, time } = first;
    const drafted = spec && { ...spec, charts: all.flatMap(({ spec }) => spec?.charts ?? []) };
    const charts = all.map(({ chart, filters, drill }) => ({ chart, filters, drill }));
    this.#sent = new AbortController();
    try {
      const init = posting({ dashboard, spec: drafted, charts, time }, this.#sent.signal, reader);
      const response = await fetch('/v1/charts/together', init);
      if (!response.ok) throw refusal(await response.text(), response.status);
      await follow(response, lines => {
        for (const line of lines) this.#take(line, response.status);
      });
      throw new Refusal({ code: '', title: 'the answer of the node broke off' }, response.status);
    } catch (error) {
      // Whoever has an answer, or has left, waits no more.
      for (const { reject } of this.#waiting.values()) reject(error instanceof Refusal ? error : unreached());
      this.#waiting.clear();
    }
  }

  #take(line: string, status: number): void {
    const { chart, problem, ...drawn } = parse(line) as Drawn & { chart: string; problem?: Problem };
    const one = this.#waiting.get(chart);
    this.#waiting.delete(chart);
    if (problem) one?.reject(new Refusal(problem, status));
    else one?.resolve(drawn);
  }
}

/** Questions that are not sent yet, by what their charts have in common. */
const open = new Map<string, Question>();

/** Asks a chart, with those that are asked before the page gets its next turn. */
export function askTogether(asked: Asked, reader: string, signal: AbortSignal): Promise<Drawn> {
  const { dashboard, spec, time } = asked;
  const common = JSON.stringify([dashboard, spec && { ...spec, charts: [] }, time, reader]);
  const found = open.get(common);
  if (found?.takes(asked.chart)) return found.add(asked, signal);
  const question = new Question();
  open.set(common, question);
  setTimeout(() => {
    if (open.get(common) === question) open.delete(common);
    void question.send(reader);
  });
  return question.add(asked, signal);
}
