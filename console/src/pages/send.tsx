/** An event to send into a stream, as a client of the node would. */

import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { address, call } from '../api.ts';
import { Trouble } from '../ui/parts.tsx';

interface Sent {
  accepted: number;
  duplicates: number;
  deadLettered: number;
  placed: { partition: number; first: number; last: number }[];
}

/** The form; closed until somebody wants it. */
export function Send({ stream }: { stream: string }) {
  const [event, setEvent] = useState('{\n  "id": 1\n}');
  const [key, setKey] = useState('');
  const send = useMutation({
    // The event goes as it was typed: what reads and writes it again could change a number.
    mutationFn: () =>
      call<Sent>(address(['streams', stream, 'events'], { key }), {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: event,
      }),
  });
  return (
    <details className="panel fold">
      <summary>Send an event</summary>
      <form
        className="body stack"
        onSubmit={submitted => {
          submitted.preventDefault();
          send.mutate();
        }}
      >
        <label>
          <span className="muted">Event, a JSON object, or an array of them</span>
          <textarea
            className="field"
            rows={6}
            value={event}
            spellCheck={false}
            onChange={typed => setEvent(typed.target.value)}
          />
        </label>
        <label>
          <span className="muted">Key, which chooses the partition: `.user` is a field of the event</span>
          <br />
          <input className="field mono" value={key} onChange={typed => setKey(typed.target.value)} />
        </label>
        <div className="bar">
          <button type="submit" className="btn main" disabled={send.isPending || event.trim() === ''}>
            Send
          </button>
          <span className="muted" role="status">
            {send.data && said(send.data)}
          </span>
        </div>
        {send.error && <Trouble error={send.error} />}
      </form>
    </details>
  );
}

/** What became of it. */
function said({ accepted, duplicates, deadLettered, placed }: Sent): string {
  const [first] = placed;
  const at = first ? ` at offset ${first.first} of partition ${first.partition}` : '';
  const parts = [
    accepted > 0 ? `${accepted} durable${at}` : '',
    duplicates > 0 ? `${duplicates} known already` : '',
    deadLettered > 0 ? `${deadLettered} to the dead letters: not as the schema wants it` : '',
  ];
  return parts.filter(Boolean).join(', ');
}
