/** Answers to SQL: asking, and rows as text. */

import { useQuery } from '@tanstack/react-query';
import { call } from './api.ts';
import { Exact, write } from './json.ts';

/** A column of an answer. */
export interface Column {
  name: string;
  type: string;
}

/** Rows, each with a value for every column. */
export interface Answer {
  columns: Column[];
  rows: unknown[][];
}

/** What a statement can name. */
export interface Relation {
  schema: string;
  name: string;
  columns: Column[];
}

/** A request with a JSON body; as a principal, if one is named. */
export function posting(body: unknown, signal?: AbortSignal, reader = ''): RequestInit {
  // A header is bytes: UTF-8, as the node reads it.
  const bytes = Array.from(new TextEncoder().encode(reader), byte => String.fromCharCode(byte)).join('');
  const headers = { 'content-type': 'application/json', ...(bytes && { 'headwater-principal': bytes }) };
  return { method: 'POST', headers, body: write(body), signal };
}

/** Sends it. */
export function post<T>(address: string, body: unknown, signal?: AbortSignal, reader = ''): Promise<T> {
  return call<T>(address, posting(body, signal, reader));
}

/** Asks a statement. Whoever aborts ends the query in the node as well. */
export function ask(query: string, maxRows: number, signal: AbortSignal): Promise<Answer> {
  return post('/v1/sql', { query, maxRows }, signal);
}

/** What can be asked. */
export function useRelations() {
  return useQuery({
    queryKey: ['relations'],
    queryFn: () => call<{ items: Relation[] }>('/v1/sql/relations').then(answer => answer.items),
    staleTime: 30_000,
  });
}

/** A name as SQL wants it: in double quotes unless it is plain. */
export function quoted(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

/** How a relation is named; datasets need no schema. */
export function relationName({ schema, name }: Relation): string {
  return schema === 'public' ? quoted(name) : `${schema}.${quoted(name)}`;
}

/** Whether values of a type stand at the right. */
export function isNumeric(type: string): boolean {
  return /^(smallint|integer|bigint|real|double|decimal)/.test(type);
}

/** Whether a type is a moment. */
export function isTime(type: string): boolean {
  return /^(timestamp|date)/.test(type);
}

/** A value as text. */
export function shown(value: unknown): string {
  if (value === null || value === undefined) return '';
  return typeof value === 'string' ? value : write(value);
}

/** Values as one text that tells them from others; what is nothing is not an empty text. */
export const key = (values: unknown[]) => JSON.stringify(values.map(value => (value == null ? null : shown(value))));

/** A value as a number, for drawing alone; NaN where it is none. */
export function numeric(value: unknown): number {
  if (typeof value === 'number') return value;
  if (value instanceof Exact) return Number(value.text);
  return typeof value === 'string' && value.trim() !== '' ? Number(value) : Number.NaN;
}

/** A text that a spreadsheet would carry out as a formula, kept from it by an apostrophe; a number stays one. */
function harmless(text: string): string {
  return /^[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text;
}

/** Rows as RFC 4180 wants them. Their texts may be anybody's. */
export function csv({ columns, rows }: Answer): string {
  const field = (text: string) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const line = (fields: string[]) => `${fields.map(harmless).map(field).join(',')}\r\n`;
  return line(columns.map(column => column.name)) + rows.map(row => line(row.map(shown))).join('');
}

const SAVED_MS = 60_000;

/** Hands a file to the browser. */
export function save(name: string, content: Blob): void {
  const url = URL.createObjectURL(content);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  // Some browsers begin to read it later.
  setTimeout(() => URL.revokeObjectURL(url), SAVED_MS);
}

/** Hands rows to the browser as a file. */
export function saveCsv(name: string, answer: Answer): void {
  save(`${name}.csv`, new Blob([csv(answer)], { type: 'text/csv' }));
}
