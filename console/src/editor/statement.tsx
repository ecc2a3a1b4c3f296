/** SQL to edit, completed from what the node can be asked. It stands in a shadow root as the YAML editor does. */

import { autocompletion } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands';
import { PostgreSQL, type SQLNamespace, sql } from '@codemirror/lang-sql';
import { bracketMatching, syntaxHighlighting } from '@codemirror/language';
import { setDiagnostics } from '@codemirror/lint';
import { searchKeymap } from '@codemirror/search';
import { Compartment, EditorState } from '@codemirror/state';
import { drawSelection, EditorView, keymap, lineNumbers } from '@codemirror/view';
import { useEffect, useRef } from 'react';
import type { Problem } from '../api.ts';
import type { Relation } from '../rows.ts';
import { colors, look, marks } from './look.ts';

interface Props {
  /** What stands there at first; another text needs another `key`. */
  text: string;
  label: string;
  relations: Relation[];
  /** What the node found wrong with the text as it was asked. */
  problems?: Problem[];
  changed: (text: string) => void;
  /** Told what stands in the editor, of which its caller may not have heard yet. */
  run?: (text: string) => void;
  /** Height at least. */
  least?: string;
}

/** The editor of one statement; Ctrl Enter asks it. */
export default function Statement({ text, label, relations, problems = [], changed, run, least = '150px' }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const language = useRef(new Compartment());
  const begin = useRef(text);
  const told = useRef({ changed, run });
  told.current = { changed, run };

  useEffect(() => {
    const element = host.current;
    if (!element) return;
    const root = element.shadowRoot ?? element.attachShadow({ mode: 'open' });
    const ask = ({ state }: EditorView) => {
      told.current.run?.(state.doc.toString());
      return true;
    };
    const extensions = [
      // Before the default keys, which give Mod-Enter another meaning.
      keymap.of([{ key: 'Mod-Enter', preventDefault: true, run: ask }]),
      lineNumbers(),
      history(),
      drawSelection(),
      bracketMatching(),
      autocompletion(),
      language.current.of(sql({ dialect: PostgreSQL })),
      syntaxHighlighting(colors),
      look(least),
      EditorView.lineWrapping,
      EditorView.contentAttributes.of({ 'aria-label': label, tabindex: '0' }),
      EditorView.updateListener.of(update => {
        if (update.docChanged) told.current.changed(update.state.doc.toString());
      }),
      keymap.of([...defaultKeymap, ...historyKeymap, ...searchKeymap]),
    ];
    const editor = new EditorView({
      state: EditorState.create({ doc: begin.current, extensions }),
      parent: root,
      root,
    });
    view.current = editor;
    return () => {
      editor.destroy();
      view.current = null;
    };
  }, [label, least]);

  useEffect(() => {
    const support = sql({ dialect: PostgreSQL, schema: names(relations), defaultSchema: 'public' });
    view.current?.dispatch({ effects: language.current.reconfigure(support) });
  }, [relations]);

  useEffect(() => {
    const editor = view.current;
    if (editor) editor.dispatch(setDiagnostics(editor.state, marks(editor.state.doc, problems)));
  }, [problems]);

  return <div className="editor low" ref={host} />;
}

/** Relations as the language's completion wants them: a dot within a name is escaped. */
export function names(relations: Relation[]): SQLNamespace {
  const schemas: Record<string, Record<string, string[]>> = {};
  for (const { schema, name, columns } of relations) {
    schemas[schema] ??= {};
    schemas[schema][name.replaceAll('.', '\\.')] = columns.map(column => column.name);
  }
  return schemas;
}
