/**
 * JSON without loss: a number that JavaScript would round (an id beyond 2^53, a price with twenty digits) stays the
 * text it was. And careful readers of values whose shape nobody promised.
 */

/** A number as it was written. */
export class Exact {
  constructor(readonly text: string) {}

  toString(): string {
    return this.text;
  }
}

type Reviver = (key: string, value: unknown, context?: { source?: string }) => unknown;

/** The number of a text, or the text where JavaScript would hold another one. */
function numberOf(source: string): number | Exact {
  const value = Number(source);
  return String(value) === source || same(value, source) ? value : new Exact(source);
}

const exact: Reviver = (_key, value, context) =>
  typeof value === 'number' && context?.source !== undefined ? numberOf(context.source) : value;

/** Whether the browser tells a reviver how a number was written; those of 2024 and before may not. */
const TELLS = (() => {
  let told = false;
  const ask: Reviver = (_key, _value, context) => {
    told = context?.source === '1';
  };
  JSON.parse('1', ask as (key: string, value: unknown) => unknown);
  return told;
})();

/** What begins a text that stands for a number; nobody who writes a document knows it. */
const MARK = `number ${Math.random()} `;
/** Digits that JavaScript holds whatever they are. */
const DIGITS_SAFE = 15;

/** The same where nobody tells it: numbers that may change are read as texts. */
export function parseMarked(text: string): unknown {
  const marked = text.replace(/"[^"\\]*(?:\\.[^"\\]*)*"|-?\d[\d.eE+-]*/g, token =>
    token.startsWith('"') || (token.length <= DIGITS_SAFE && !/e/i.test(token)) ? token : `"${MARK}${token}"`,
  );
  return JSON.parse(marked, (_key, value: unknown) =>
    typeof value === 'string' && value.startsWith(MARK) ? numberOf(value.slice(MARK.length)) : value,
  );
}

/** Whether a number and its text mean the same: `1.50` is 1.5, `9007199254740993` is not what JavaScript holds. */
function same(value: number, source: string): boolean {
  return digits(source) === digits(String(value));
}

/** Significant digits and magnitude. */
function digits(text: string): string {
  const [mantissa = '', exponent = '0'] = text.toLowerCase().split('e');
  const [whole = '', fraction = ''] = mantissa.replace('-', '').split('.');
  const all = (whole + fraction).replace(/^0+/, '');
  const kept = all.replace(/0+$/, '');
  return kept === '' ? '0' : `${kept}e${Number(exponent) - fraction.length + all.length - kept.length}`;
}

/** Reads JSON; numbers that would change are [`Exact`]. */
export function parse(text: string): unknown {
  return TELLS ? JSON.parse(text, exact as (key: string, value: unknown) => unknown) : parseMarked(text);
}

/** Writes JSON, exact numbers as they came. */
export function write(value: unknown, indent = 0, level = 0): string {
  if (value instanceof Exact) return value.text;
  const pad = indent ? `\n${' '.repeat(indent * (level + 1))}` : '';
  const end = indent ? `\n${' '.repeat(indent * level)}` : '';
  if (Array.isArray(value)) {
    if (value.length === 0) return '[]';
    return `[${value.map(item => pad + write(item, indent, level + 1)).join(',')}${end}]`;
  }
  if (value !== null && typeof value === 'object') {
    const members = Object.entries(value).filter(([, member]) => member !== undefined);
    if (members.length === 0) return '{}';
    const space = indent ? ' ' : '';
    const lines = members.map(
      ([name, member]) => `${pad}${JSON.stringify(name)}:${space}${write(member, indent, level + 1)}`,
    );
    return `{${lines.join(',')}${end}}`;
  }
  return JSON.stringify(value) ?? 'null';
}

/** An object's members; none for anything else. */
export function members(value: unknown): Record<string, unknown> {
  const is = value !== null && typeof value === 'object' && !Array.isArray(value) && !(value instanceof Exact);
  return is ? (value as Record<string, unknown>) : {};
}

/** An array's items; none for anything else. */
export function items(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

/** A text; empty for anything else. */
export function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** What lies behind some steps. */
export function at(value: unknown, ...steps: string[]): unknown {
  return steps.reduce<unknown>((inner, step) => members(inner)[step], value);
}
