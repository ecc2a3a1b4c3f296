/** Consumer groups of a stream: how far they are behind, and where they read on. */

import { useMutation } from '@tanstack/react-query';
import { useRef, useState } from 'react';
import { address, call, GROUPS, type Group, queries, useGroups } from '../api.ts';
import { course, useTick } from '../figures.ts';
import { count, plural as counted, full } from '../format.ts';
import { Chart } from '../ui/lazy.tsx';
import { Awaited, Empty, Panel, Sure, Trouble } from '../ui/parts.tsx';
import { Table } from '../ui/table.tsx';

/** The groups that read a stream, and all others that could be told to. */
export function Groups({ stream }: { stream: string }) {
  const { data, error } = useGroups();
  useTick();
  if (!data) return <Awaited error={error} />;
  const rows = data.flatMap(group =>
    group.partitions.filter(place => place.stream === stream).map(place => ({ ...place, group })),
  );
  const names = [...new Set(rows.map(row => row.group.name))];
  const lag = (group: string) => () => course('hw_log_group_lag_events', { group, stream });
  return (
    <>
      {names.length > 0 && (
        <Panel title="Records behind">
          <Chart
            label="Records behind, by group"
            write={count}
            lines={names.slice(0, 6).map(name => ({ label: name, values: lag(name) }))}
          />
        </Panel>
      )}
      <Panel>
        <Table
          label="Positions of consumer groups"
          rows={rows}
          id={row => `${row.group.name}/${row.partition}`}
          sort="-lag"
          empty={
            <Empty command={`kcat -b 127.0.0.1:9092 -G my-group ${stream}`}>
              No consumer group of the Kafka side reads this stream. Pipelines and rules keep their own positions.
            </Empty>
          }
          columns={[
            { id: 'group', head: 'Group', by: row => row.group.name, cell: row => row.group.name, one: true },
            { id: 'state', head: 'State', cell: row => row.group.state },
            { id: 'members', head: 'Members', right: true, cell: row => row.group.members },
            { id: 'partition', head: 'Partition', right: true, by: row => row.partition, cell: row => row.partition },
            { id: 'offset', head: 'Position', right: true, cell: row => full(row.offset) },
            { id: 'end', head: 'End', right: true, cell: row => full(row.end) },
            { id: 'lag', head: 'Records behind', right: true, by: row => row.lag, cell: row => full(row.lag) },
          ]}
        />
      </Panel>
      {data.length > 0 && <Offsets stream={stream} groups={data} first={names[0] ?? data[0]?.name ?? ''} />}
    </>
  );
}

/** What the node says of each partition. */
interface Steps {
  partitions: { stream: string; partition: number; before: number | null; after: number; end: number; lag: number }[];
}

const PLACES = {
  earliest: 'the beginning',
  latest: 'the end',
  time: 'a time',
  offset: 'an offset',
  last: 'the last records',
  by: 'ahead or back',
};

type Place = keyof typeof PLACES;

/** What the field beside some places is. */
const FIELDS: Partial<Record<Place, string>> = {
  time: 'Time (UTC)',
  offset: 'Offset',
  last: 'Records of each partition',
  by: 'Records; back with a minus',
};

/** What the node is asked for; null while the field does not say it. */
export function aim(place: Place, value: string): { to: string } | { by: string } | null {
  if (place === 'earliest' || place === 'latest') return { to: place };
  if (place === 'time') return value === '' ? null : { to: `${value.length === 16 ? `${value}:00` : value}Z` };
  if (place === 'offset') return /^\d+$/.test(value) ? { to: value } : null;
  if (place === 'last') return /^[1-9]\d*$/.test(value) ? { to: `-${value}` } : null;
  return /^-?[1-9]\d*$/.test(value) ? { by: value } : null;
}

/** What a change means for whoever reads. */
export function meaning({ partitions }: Steps): string {
  const moves = partitions.map(({ before, after }) => (before === null ? 0 : after - before));
  const back = moves.reduce((sum, move) => sum - Math.min(move, 0), 0);
  const ahead = moves.reduce((sum, move) => sum + Math.max(move, 0), 0);
  const parts = [
    back > 0 ? `reads ${counted(back, 'record')} again` : '',
    ahead > 0 ? `never reads ${counted(ahead, 'record')}` : '',
  ].filter(Boolean);
  return parts.length > 0 ? `It ${parts.join(' and ')}.` : 'It goes on where it is.';
}

const signed = (value: number) => (value > 0 ? `+${full(value)}` : full(value));

/** Sets where a group reads on. What would be set is shown before that can be done. */
function Offsets({ stream, groups, first }: { stream: string; groups: Group[]; first: string }) {
  const [chosen, choose] = useState('');
  const [place, setPlace] = useState<Place>('earliest');
  const [value, setValue] = useState('');
  const ask = useRef<HTMLButtonElement>(null);
  // The group that is first may be another one with the next answer: what was asked for stays.
  const group = groups.some(({ name }) => name === chosen) ? chosen : first;
  const wanted = aim(place, value);
  const send = (dryRun: boolean) => {
    choose(group);
    const query = { stream, ...wanted, ...(dryRun && { 'dry-run': 'true' }) };
    return call<Steps>(address(['groups', group, 'offsets'], query), { method: 'POST' });
  };
  const would = useMutation({ mutationFn: () => send(true) });
  const set = useMutation({
    mutationFn: () => send(false),
    onSuccess: () => {
      would.reset();
      ask.current?.focus();
    },
    onSettled: () => void queries.invalidateQueries({ queryKey: GROUPS }),
  });
  // What was shown is of what was asked.
  const other = (change: () => void) => {
    would.reset();
    set.reset();
    change();
  };
  const field = FIELDS[place];
  return (
    <Panel title="Set where a group reads on" body>
      <div className="stack">
        <form
          className="stack"
          onSubmit={event => {
            event.preventDefault();
            set.reset();
            if (wanted) would.mutate();
          }}
        >
          <div className="bar">
            <label className="stacked">
              Group
              <select className="field" value={group} onChange={event => other(() => choose(event.target.value))}>
                {groups.map(({ name }) => (
                  <option key={name}>{name}</option>
                ))}
              </select>
            </label>
            <label className="stacked">
              Reads on at
              <select
                className="field"
                value={place}
                onChange={event =>
                  other(() => {
                    setPlace(event.target.value as Place);
                    setValue('');
                  })
                }
              >
                {Object.entries(PLACES).map(([id, words]) => (
                  <option key={id} value={id}>
                    {words}
                  </option>
                ))}
              </select>
            </label>
            {field && (
              <label className="stacked">
                {field}
                <input
                  className="field"
                  type={place === 'time' ? 'datetime-local' : 'text'}
                  inputMode={place === 'time' ? undefined : 'numeric'}
                  value={value}
                  onChange={event => other(() => setValue(event.target.value.trim()))}
                />
              </label>
            )}
          </div>
          <div className="bar">
            <button type="submit" className="btn" ref={ask} disabled={would.isPending || !wanted}>
              What would be set
            </button>
            <span className="muted" role="status">
              {set.data && `Set in ${counted(set.data.partitions.length, 'partition')}`}
            </span>
          </div>
        </form>
        {would.error && <Trouble error={would.error} />}
        {would.data && (
          <div className="stack">
            <Table
              label="What would be set"
              name="set"
              rows={would.data.partitions}
              id={step => String(step.partition)}
              sort="partition"
              empty={null}
              columns={[
                { id: 'partition', head: 'Partition', right: true, by: it => it.partition, cell: it => it.partition },
                { id: 'before', head: 'Now', right: true, cell: it => (it.before === null ? '–' : full(it.before)) },
                { id: 'after', head: 'Then', right: true, cell: it => full(it.after) },
                {
                  id: 'move',
                  head: 'Difference',
                  right: true,
                  cell: it => (it.before === null ? '–' : signed(it.after - it.before)),
                },
                { id: 'lag', head: 'Then behind', right: true, cell: it => full(it.lag) },
              ]}
            />
            <div>
              <Sure
                label="Set offsets"
                question={meaning(would.data)}
                back="Leave them"
                busy={set.isPending}
                act={() => set.mutate()}
              />
            </div>
          </div>
        )}
        {set.error && <Trouble error={set.error} />}
      </div>
    </Panel>
  );
}
