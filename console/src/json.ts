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

const exact: Reviver = (_key, value, context) => {
  if (typeof value !== 'number' || context?.source === undefined) return value;
  return String(value) === context.source || same(value, context.source) ? value : new Exact(context.source);
};

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
  return JSON.parse(text, exact as (key: string, value: unknown) => unknown);
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
