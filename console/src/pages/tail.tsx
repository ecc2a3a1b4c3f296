/**
 * A stream's records as they become durable. Rows are bounded, and so is what waits while the reader has paused; what
 * comes faster than eyes read is counted, not drawn.
 */

import { useEffect, useRef, useState } from 'react';
import { address, Refusal, refusal } from '../api.ts';
import { time } from '../format.ts';
import { parse, write } from '../json.ts';
import { useLive } from '../live.ts';
import { follow } from '../ndjson.ts';
import { useParam } from '../router.tsx';
import { Icon } from '../ui/icons.tsx';
import { Json } from '../ui/json.tsx';
import { Empty, Panel, Trouble } from '../ui/parts.tsx';
import { useVisible } from '../visible.ts';

const ROWS = 200;
const DRAW_MS = 200;
/** How long nothing is typed before it is looked for. */
const PAUSE_MS = 250;
const SHOWN = 400;
const KEY = 40;

interface Row {
  partition: number;
  offset: number;
  time: string;
  key?: string;
  headers?: Record<string, string>;
  value?: unknown;
  valueBase64?: string;
}

/** The live tail of one stream. */
export function Tail({ stream }: { stream: string }) {
  const [partition, setPartition] = useParam('partition');
  const [from, setFrom] = useParam('from', '-20');
  const [words, look] = useParam('q');
  const [typed, setTyped] = useState(words);
  const [paused, setPaused] = useState(false);
  const { rows, error, total, again } = useTail(stream, partition, from, words, paused);
  const [open, setOpen] = useState<string | null>(null);
  useEffect(() => {
    // Each change of what is looked for is a reading of its own.
    const timer = setTimeout(() => look(typed), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [typed, look]);
  return (
    <>
      <div className="bar">
        <input
          className="field grow"
          type="search"
          aria-label="Only records that contain"
          placeholder="Only records that contain …"
          value={typed}
          onChange={e => setTyped(e.target.value)}
        />
        <select className="field" aria-label="Begin at" value={from} onChange={e => setFrom(e.target.value)}>
          <option value="-20">last 20 of each partition</option>
          <option value="latest">new records only</option>
          <option value="earliest">from the beginning</option>
          {!['-20', 'latest', 'earliest'].includes(from) && <option value={from}>{from}</option>}
        </select>
        <input
          className="field"
          style={{ width: 110 }}
          inputMode="numeric"
          pattern="[0-9]*"
          aria-label="Partition"
          placeholder="all partitions"
          value={partition}
          onChange={e => setPartition(e.target.value.replace(/\D/g, ''))}
        />
        <button type="button" className="btn" onClick={() => setPaused(!paused)} aria-pressed={paused}>
          <Icon name={paused ? 'run' : 'pause'} /> {paused ? 'Go on' : 'Pause'}
        </button>
        {/* No live region: it would be read aloud with every record. */}
        <span className="muted">{total} read</span>
      </div>
      {error !== null && (
        <>
          <Trouble error={error} />
          <div>
            <button type="button" className="btn" onClick={again}>
              Read again
            </button>
          </div>
        </>
      )}
      <Panel>
        {rows.length === 0 ? (
          <Empty command={`echo '{"id": 1}' | headwater produce ${stream}`}>
            {words ? 'No record read so far contains this.' : 'Waiting for records.'}
          </Empty>
        ) : (
          <div className="scroll">
            <table className="tail">
              <thead>
                <tr>
                  <th scope="col">Time</th>
                  <th scope="col">Place</th>
                  <th scope="col">Key</th>
                  <th scope="col">Value</th>
                </tr>
              </thead>
              <tbody>
                {rows.map(row => {
                  const id = `${row.partition}/${row.offset}`;
                  return <Line key={id} row={row} open={open === id} turn={() => setOpen(open === id ? null : id)} />;
                })}
              </tbody>
            </table>
          </div>
        )}
      </Panel>
    </>
  );
}

function Line({ row, open, turn }: { row: Row; open: boolean; turn: () => void }) {
  const value = row.valueBase64 === undefined ? write(row.value) : `base64 ${row.valueBase64}`;
  return (
    <tr className={open ? 'open' : ''}>
      <td className="nowrap" title={row.time}>
        {time(row.time)}
      </td>
      <td className="nowrap muted">
        {row.partition}/{row.offset}
      </td>
      <td className="nowrap" title={row.key}>
        {row.key === undefined ? <span className="muted">–</span> : row.key.slice(0, KEY)}
      </td>
      <td className="value">
        <button type="button" className="row" aria-expanded={open} onClick={turn}>
          {open ? 'close' : value.slice(0, SHOWN)}
        </button>
        {open && (
          <>
            {row.key !== undefined && row.key.length > KEY && <Json value={{ key: row.key }} />}
            {row.headers && <Json value={{ headers: row.headers }} />}
            <Json value={row.valueBase64 === undefined ? row.value : { base64: row.valueBase64 }} />
          </>
        )}
      </td>
    </tr>
  );
}

/** Follows a stream; what it gives is drawn a few times a second at most. A node that is back is read again. */
function useTail(stream: string, partition: string, from: string, words: string, paused: boolean) {
  const [view, setView] = useState<{ rows: Row[]; total: number }>({ rows: [], total: 0 });
  const [error, setError] = useState<unknown>(null);
  const [reading, setReading] = useState(0);
  const visible = useVisible();
  const live = useLive();
  const held = useRef({ paused, words });
  held.current = { paused, words };
  const again = () => setReading(number => number + 1);
  const broken = useRef(false);
  broken.current = error !== null;

  useEffect(() => {
    if (live === 'live' && broken.current) setReading(number => number + 1);
  }, [live]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: other words are looked for in a new reading
  useEffect(() => {
    if (!visible) return;
    const end = new AbortController();
    let rows: Row[] = [];
    let shown = rows;
    let total = 0;
    setView({ rows, total });
    setError(null);
    const take = (lines: string[]) => {
      total += lines.length;
      const { words } = held.current;
      // Most lines of a fast stream are never seen: only those that are shown are parsed.
      const found = words ? lines.filter(line => line.includes(words)) : lines;
      if (found.length === 0) return;
      const newest = found.slice(-ROWS).map(line => parse(line) as Row);
      // Partitions come in turns; the reader wants one order.
      rows = [...newest.reverse(), ...rows].sort((a, b) => b.time.localeCompare(a.time)).slice(0, ROWS);
    };
    const timer = setInterval(() => {
      // What a reader looks at stands still; the newest rows wait.
      if (!held.current.paused || shown.length === 0) shown = rows;
      const next = { rows: shown, total };
      setView(view => (view.rows === next.rows && view.total === total ? view : next));
    }, DRAW_MS);
    const read = async () => {
      const response = await fetch(address(['streams', stream, 'events'], { from, partition, follow: 'true' }), {
        signal: end.signal,
      });
      if (!response.ok) throw refusal(await response.text(), response.status);
      await follow(response, take);
      throw new Refusal({ code: '', title: 'the node ended the tail' }, 0);
    };
    read().catch(error => {
      if (!end.signal.aborted)
        setError(
          error instanceof Refusal
            ? error
            : new Refusal({ code: '', title: 'the tail broke off', help: 'it is read again once the node is back' }, 0),
        );
    });
    return () => {
      end.abort();
      clearInterval(timer);
    };
  }, [stream, partition, from, words, visible, reading]);
  return { ...view, error, again };
}
