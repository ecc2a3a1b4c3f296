/** How editors look, and where problems stand in their text. */

import { HighlightStyle } from '@codemirror/language';
import type { Diagnostic } from '@codemirror/lint';
import type { Text } from '@codemirror/state';
import { EditorView } from '@codemirror/view';
import { tags } from '@lezer/highlight';
import type { Problem } from '../api.ts';

/** The editor in the console's colours, at least so high. */
export const look = (least: string) =>
  EditorView.theme({
    '&': {
      color: 'var(--text)',
      backgroundColor: 'var(--panel)',
      fontSize: '12.5px',
      minHeight: least,
      maxHeight: '70vh',
    },
    // The frame around it shows the focus.
    '&.cm-focused': { outline: 'none' },
    '.cm-scroller': { fontFamily: 'var(--mono)', lineHeight: '1.55', minHeight: least },
    '.cm-content': { caretColor: 'var(--text)', padding: '8px 0' },
    '.cm-gutters': { backgroundColor: 'var(--panel)', color: 'var(--muted)', border: 'none' },
    '.cm-activeLine': { backgroundColor: 'light-dark(rgb(0 0 0 / 3%), rgb(255 255 255 / 3%))' },
    '.cm-activeLineGutter': { backgroundColor: 'transparent', color: 'var(--text)' },
    '.cm-cursor': { borderLeftColor: 'var(--text)' },
    '.cm-selectionBackground, &.cm-focused .cm-selectionBackground': {
      backgroundColor: 'light-dark(#cfdcfb, #29407a) !important',
    },
    '.cm-tooltip': {
      backgroundColor: 'var(--raised)',
      color: 'var(--text)',
      border: '1px solid var(--line-strong)',
      borderRadius: '6px',
      maxWidth: '520px',
    },
    '.cm-lintRange-error': {
      backgroundImage: 'none',
      textDecoration: 'underline wavy var(--bad) 1px',
      textUnderlineOffset: '3px',
    },
    '.cm-diagnostic-error': { borderLeft: '3px solid var(--bad)' },
    '.cm-matchingBracket': { backgroundColor: 'var(--accent-soft) !important' },
    '.cm-panels': { backgroundColor: 'var(--raised)', color: 'var(--text)' },
  });

/** Colours of what is written. */
export const colors = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: 'light-dark(#1f4fc0, #9bbcff)' },
  { tag: tags.string, color: 'light-dark(#1b6b3a, #7fd0a0)' },
  { tag: [tags.number, tags.bool, tags.null, tags.keyword], color: 'light-dark(#8a2fa8, #d8a0ea)' },
  { tag: [tags.comment, tags.meta], color: 'var(--muted)' },
]);

/** Where a problem stands in the text: from its place to the end of the word. */
export function range(text: Text, { place }: Problem): { from: number; to: number } {
  const line = text.line(Math.min(Math.max(place?.line ?? 1, 1), text.lines));
  const from = Math.min(line.from + Math.max((place?.column ?? 1) - 1, 0), line.to);
  const word = /^[\w.$-]+/.exec(text.sliceString(from, line.to))?.[0].length ?? 0;
  return { from, to: Math.max(from + word, Math.min(from + 1, line.to)) };
}

/** Problems as marks in the text, in their order. */
export function marks(text: Text, problems: Problem[]): Diagnostic[] {
  const found = problems.map(
    (problem): Diagnostic => ({
      ...range(text, problem),
      severity: 'error',
      message: [`${problem.code} ${problem.title}`, problem.help].filter(Boolean).join('\n'),
    }),
  );
  return found.sort((a, b) => a.from - b.from);
}
