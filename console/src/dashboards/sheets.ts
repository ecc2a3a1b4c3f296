/** Sheets of a dashboard that is being made: changes of its YAML, which leave comments and all charts as they are. Pure. */

import { type Document, isSeq, type YAMLSeq } from 'yaml';
import { edited, free, loose, parsed, type Steps, specOf, WRITTEN } from './draft.ts';
import { room } from './layout.ts';
import { sheetsOf, titleOf } from './spec.ts';

/** Where the charts of a sheet are, below the spec. */
export function under(text: string, sheet: number): Steps {
  return specOf(text).spec.sheets?.length ? ['sheets', sheet] : [];
}

function list(document: Document, at: Steps): YAMLSeq | undefined {
  const found = document.getIn(at, true);
  return isSeq(found) ? found : undefined;
}

/** The text with one more sheet, which is the last; of a dashboard without any, its charts become the first one. */
export function sheetAdded(text: string): { text: string; id: string } {
  const { spec } = specOf(text);
  const taken = (spec.sheets ?? []).map(({ id }) => id);
  if (taken.length > 0) {
    const id = free('sheet', taken);
    return { text: edited(text, [[['spec', 'sheets', taken.length], { id, title: 'New sheet' }]]), id };
  }
  const document = parsed(text);
  const charts = document.getIn(['spec', 'charts'], true);
  document.deleteIn(['spec', 'charts']);
  const sheets = [
    { id: 'sheet', title: 'First sheet' },
    { id: 'sheet-2', title: 'New sheet' },
  ];
  document.setIn(['spec', 'sheets'], document.createNode(sheets));
  if (isSeq(charts) && charts.items.length > 0) document.setIn(['spec', 'sheets', 0, 'charts'], charts);
  return { text: document.toString(WRITTEN), id: 'sheet-2' };
}

/** The text without a sheet and its charts. */
export function sheetRemoved(text: string, sheet: number): string {
  const document = loose(text);
  document.deleteIn(['spec', 'sheets', sheet]);
  return document.toString(WRITTEN);
}

/** The text with a sheet one place further on or back. */
export function sheetShifted(text: string, sheet: number, by: 1 | -1): string {
  const document = loose(text);
  const items = list(document, ['spec', 'sheets'])?.items ?? [];
  if (sheet + by < 0 || sheet + by >= items.length) return text;
  items.splice(sheet + by, 0, ...items.splice(sheet, 1));
  return document.toString(WRITTEN);
}

/** The text with a chart on another sheet, where there is room. */
export function chartMoved(text: string, sheet: number, chart: number, to: number): string {
  const { spec } = specOf(text);
  const sheets = sheetsOf(spec);
  const { charts = [] } = sheets[to] ?? {};
  const at = sheets[sheet]?.charts?.[chart]?.at;
  const document = loose(text);
  const [moved] = list(document, ['spec', 'sheets', sheet, 'charts'])?.items.splice(chart, 1) ?? [];
  if (moved === undefined || !sheets[to]) return text;
  const there = list(document, ['spec', 'sheets', to, 'charts']);
  if (there && there.items.length > 0) there.items.push(moved);
  else document.setIn(['spec', 'sheets', to, 'charts'], document.createNode([moved]));
  const after = document.toString(WRITTEN);
  return at
    ? edited(after, [[['spec', 'sheets', to, 'charts', charts.length, 'at'], room(charts, at.w, at.h)]])
    : after;
}

/** The sheets by their places, as a choice offers them. */
export function sheetOptions(text: string): [string, string][] {
  return sheetsOf(specOf(text).spec).map((sheet, index) => [String(index), titleOf(sheet)]);
}
