/**
 * YAML to edit. Each pause in typing asks the node what an apply would do; what is wrong is shown at its place. The
 * editor stands in a shadow root, because only there it takes its styles without a style element, which the page's
 * security policy refuses.
 */

import { autocompletion } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap, indentWithTab } from '@codemirror/commands';
import { yaml } from '@codemirror/lang-yaml';
import { bracketMatching, indentOnInput, syntaxHighlighting } from '@codemirror/language';
import { lintGutter, setDiagnostics } from '@codemirror/lint';
import { searchKeymap } from '@codemirror/search';
import { EditorState } from '@codemirror/state';
import { drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers } from '@codemirror/view';
import { useCallback, useEffect, useRef, useState } from 'react';
import { apply, type Problem, queries, Refusal, type Report, type Resource } from '../api.ts';
import { Loading } from '../ui/parts.tsx';
import { colors, look, marks, range } from './look.ts';
import { textKey, useText } from './text.ts';
import { keepUnsaved, unsaved } from './unsaved.ts';
import { Would } from './would.tsx';

const PAUSE_MS = 400;

interface Props {
  /** A resource, or YAML as it is. */
  text: Resource | string;
  /** What is edited; null for something new. */
  at: { plural: string; name: string; version: number } | null;
  /** Where what is typed and not applied is kept. */
  place: string;
  applied: (report: Report) => void;
}

/** The editor with what an apply would do, and the button that does it. */
export default function Editor({ text, ...props }: Props) {
  const [number, setNumber] = useState(0);
  const anew = () => {
    keepUnsaved(props.place, null);
    if (props.at) queries.removeQueries({ queryKey: textKey(props.at.plural, props.at.name) });
    setNumber(number + 1);
  };
  return typeof text === 'string' ? (
    <Text key={number} {...props} text={text} version={0} anew={anew} />
  ) : (
    <Stored key={number} {...props} resource={text} anew={anew} />
  );
}

/** Of a resource it is what its author applied, with all comments. */
function Stored({ resource, ...props }: Omit<Props, 'text'> & { resource: Resource; anew: () => void }) {
  const text = useText(props.at?.plural ?? '', resource);
  // The text is of this one, whatever is changed until it is here.
  const [version] = useState(resource.metadata.resourceVersion ?? 0);
  return text === undefined ? <Loading /> : <Text {...props} text={text} version={version} />;
}

interface TextProps extends Props {
  text: string;
  /** What the text is of. */
  version: number;
  /** Begins with what the node has now. */
  anew: () => void;
}

function Text({ text, version, at, place, applied, anew }: TextProps) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const [first] = useState(() => unsaved(place) ?? { text, version });
  const begin = first.text;
  /** What the text goes on from: nothing newer, which nobody here has seen, is written over. */
  const base = useRef(first.version);
  const [changed, setChanged] = useState(at === null || begin !== text);
  const [state, setState] = useState<{ report?: Report; error?: unknown; busy?: boolean; done?: boolean }>({});
  const asked = useRef(0);
  const target = useRef(at);
  target.current = at;

  const show = useCallback((problems: Problem[]) => {
    const editor = view.current;
    if (!editor) return;
    editor.dispatch(setDiagnostics(editor.state, marks(editor.state.doc, problems)));
  }, []);

  const send = useCallback(
    async (dryRun: boolean) => {
      const editor = view.current;
      if (!editor) return;
      asked.current += 1;
      const mine = asked.current;
      const sent = editor.state.doc.toString();
      setState({ busy: true });
      try {
        const to = target.current && { ...target.current, version: base.current };
        const { value: report, version: made } = await apply(sent, to, dryRun);
        if (!dryRun) {
          // What was typed while it was on its way is not applied yet.
          const now = view.current?.state.doc.toString() ?? sent;
          base.current = made;
          keepUnsaved(place, now === sent ? null : { text: now, version: made });
          setChanged(now !== sent);
          applied(report);
        }
        // Only the newest question counts.
        if (mine !== asked.current) return;
        show([]);
        setState({ report, done: !dryRun });
      } catch (error) {
        if (mine !== asked.current) return;
        show(error instanceof Refusal ? error.all.filter(problem => problem.place) : []);
        setState({ error });
      }
    },
    [show, applied, place],
  );
  const sender = useRef(send);
  sender.current = send;

  useEffect(() => {
    const element = host.current;
    if (!element) return;
    const root = element.shadowRoot ?? element.attachShadow({ mode: 'open' });
    let timer: ReturnType<typeof setTimeout> | undefined;
    const typed = EditorView.updateListener.of(update => {
      if (!update.docChanged) return;
      setChanged(true);
      keepUnsaved(place, { text: update.state.doc.toString(), version: base.current });
      clearTimeout(timer);
      timer = setTimeout(() => void sender.current(true), PAUSE_MS);
    });
    const save = () => {
      void sender.current(false);
      return true;
    };
    const extensions = [
      lineNumbers(),
      lintGutter(),
      history(),
      drawSelection(),
      indentOnInput(),
      bracketMatching(),
      highlightActiveLine(),
      autocompletion(),
      yaml(),
      syntaxHighlighting(colors),
      look('320px'),
      typed,
      EditorView.lineWrapping,
      EditorView.contentAttributes.of({ 'aria-label': 'YAML', tabindex: '0' }),
      // Escape, then Tab, leaves the editor.
      keymap.of([
        { key: 'Mod-s', preventDefault: true, run: save },
        ...defaultKeymap,
        ...historyKeymap,
        ...searchKeymap,
        indentWithTab,
      ]),
    ];
    const editor = new EditorView({ state: EditorState.create({ doc: begin, extensions }), parent: root, root });
    view.current = editor;
    // Who closes or reloads the page is asked by the browser.
    const leave = (event: BeforeUnloadEvent) => {
      if (unsaved(place)) event.preventDefault();
    };
    window.addEventListener('beforeunload', leave);
    return () => {
      window.removeEventListener('beforeunload', leave);
      clearTimeout(timer);
      editor.destroy();
      view.current = null;
    };
  }, [begin, place]);

  const goTo = (problem: Problem) => {
    const editor = view.current;
    if (!editor) return;
    editor.dispatch({ selection: { anchor: range(editor.state.doc, problem).from }, scrollIntoView: true });
    editor.focus();
  };
  const problems = state.error instanceof Refusal ? state.error.all : [];
  const overtaken = at !== null && at.version > base.current && !state.busy;
  return (
    <div className="stack">
      {overtaken && (
        <div className="note warn bar" role="status">
          <span>Somebody else has changed it since.</span>
          <button type="button" className="btn" onClick={anew}>
            Show theirs
          </button>
          {changed && (
            <button
              type="button"
              className="btn danger"
              onClick={() => {
                base.current = at.version;
                void send(true);
              }}
            >
              Go on with mine
            </button>
          )}
        </div>
      )}
      <div className="editor" ref={host} />
      <div className="bar">
        <button
          type="button"
          className="btn main"
          disabled={!changed || state.busy === true}
          onClick={() => void send(false)}
        >
          Apply
        </button>
        <button type="button" className="btn" onClick={() => void send(true)}>
          Check
        </button>
        {changed && (at !== null || unsaved(place) !== undefined) && (
          <button type="button" className="btn" onClick={anew}>
            Start over
          </button>
        )}
        <span role="status" className="muted">
          {state.busy
            ? 'asking the node …'
            : state.done
              ? 'applied'
              : changed
                ? 'Ctrl S applies; nothing changes before'
                : 'unchanged'}
        </span>
      </div>
      {state.error !== undefined && (
        <div className="problems" role="alert">
          {(problems.length > 0 ? problems : [{ code: '', title: String(state.error) }]).map((problem: Problem) => (
            <div
              className="problem"
              key={`${problem.code}${problem.place?.line}:${problem.place?.column}${problem.title}`}
            >
              <span>
                <strong>{problem.code}</strong> {problem.title}
              </span>
              {problem.place?.line !== undefined && (
                <button type="button" onClick={() => goTo(problem)}>
                  line {problem.place.line}, column {problem.place.column ?? 1}
                </button>
              )}
              {problem.help && <span className="muted">help: {problem.help}</span>}
            </div>
          ))}
        </div>
      )}
      {state.report && <Would report={state.report} done={state.done === true} />}
    </div>
  );
}
