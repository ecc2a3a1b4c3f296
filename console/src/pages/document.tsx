/** A document of a table, to change or to delete, or a new one. Nothing is written over that was not seen here. */

import { useMutation, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { address, call, queries, versioned } from '../api.ts';
import { write } from '../json.ts';
import { Json } from '../ui/json.tsx';
import { Awaited, Panel, Sure, Trouble } from '../ui/parts.tsx';

const JSON_TYPE = { 'content-type': 'application/json' };

const of = (table: string, key: string) => address(['tables', table, 'documents', key]);

/** Pages and single documents of a table are asked anew. */
function changed(table: string): void {
  void queries.invalidateQueries({ queryKey: ['documents', table] });
  void queries.invalidateQueries({ queryKey: ['document', table] });
}

/** One that is there, whichever page it is on. */
export function DocumentPanel({ table, name, close }: { table: string; name: string; close: () => void }) {
  const { data, error } = useQuery({
    queryKey: ['document', table, name],
    refetchInterval: 5_000,
    queryFn: () => versioned<unknown>(of(table, name)),
  });
  const [draft, setDraft] = useState<{ text: string; version: number } | null>(null);
  const put = useMutation({
    // It goes as it was typed: what reads and writes it again could change a number.
    mutationFn: ({ text, version }: { text: string; version: number }) =>
      call(of(table, name), { method: 'PUT', headers: { ...JSON_TYPE, 'if-match': `"${version}"` }, body: text }),
    onSuccess: () => {
      setDraft(null);
      changed(table);
    },
  });
  const remove = useMutation({
    mutationFn: (version: number) =>
      call(of(table, name), { method: 'DELETE', headers: { 'if-match': `"${version}"` } }),
    onSuccess: () => {
      close();
      changed(table);
    },
  });
  const leave = (
    <button type="button" className="btn bare" onClick={close}>
      Close
    </button>
  );
  return (
    <Panel title={name} end={leave} body>
      <div className="stack">
        {!data && <Awaited error={error} />}
        {data && error && <Trouble error={error} />}
        {data && draft === null && (
          <>
            <Json value={data.value} />
            <div className="bar">
              <button
                type="button"
                className="btn"
                onClick={() => setDraft({ text: write(data.value, 2), version: data.version })}
              >
                Edit
              </button>
              <Sure
                label="Delete"
                question="The document goes for good."
                back="Keep it"
                busy={remove.isPending}
                act={() => remove.mutate(data.version)}
              />
              <span className="muted">version {data.version}</span>
            </div>
          </>
        )}
        {draft !== null && (
          <Typing
            text={draft.text}
            set={text => setDraft({ ...draft, text })}
            busy={put.isPending}
            save={() => put.mutate(draft)}
            cancel={() => {
              put.reset();
              setDraft(null);
            }}
          />
        )}
        {put.error && <Trouble error={put.error} />}
        {remove.error && <Trouble error={remove.error} />}
      </div>
    </Panel>
  );
}

/** One that is not there yet. */
export function NewDocument({ table, made, close }: { table: string; made: (key: string) => void; close: () => void }) {
  const [key, setKey] = useState('');
  const [text, setText] = useState('{}');
  const put = useMutation({
    mutationFn: () =>
      call(of(table, key), { method: 'PUT', headers: { ...JSON_TYPE, 'if-none-match': '*' }, body: text }),
    onSuccess: () => {
      changed(table);
      made(key);
    },
  });
  return (
    <Panel title="New document" body>
      <div className="stack">
        <label>
          <span className="muted">Key</span>
          <br />
          <input className="field mono" value={key} onChange={event => setKey(event.target.value)} />
        </label>
        <Typing text={text} set={setText} busy={put.isPending || key === ''} save={() => put.mutate()} cancel={close} />
        {put.error && <Trouble error={put.error} />}
      </div>
    </Panel>
  );
}

interface TypingProps {
  text: string;
  set: (text: string) => void;
  busy: boolean;
  save: () => void;
  cancel: () => void;
}

function Typing({ text, set, busy, save, cancel }: TypingProps) {
  return (
    <>
      <label>
        <span className="muted">Document, a JSON object</span>
        <textarea
          className="field"
          rows={12}
          spellCheck={false}
          value={text}
          onChange={event => set(event.target.value)}
        />
      </label>
      <div className="bar">
        <button type="button" className="btn main" disabled={busy} onClick={save}>
          Save
        </button>
        <button type="button" className="btn" onClick={cancel}>
          Cancel
        </button>
      </div>
    </>
  );
}
