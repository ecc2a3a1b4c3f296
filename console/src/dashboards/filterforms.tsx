/** The filters of a dashboard as fields, and how they narrow a chart. */

import { quoted, type Relation, relationName } from '../rows.ts';
import { Check, Entry, Row } from '../ui/fields.tsx';
import type { Source } from './asking.ts';
import { read } from './choice.ts';
import { Picker } from './controls.tsx';
import { free, unfiltered } from './draft.ts';
import { type Change, columnsOf, From, some, turned } from './formparts.tsx';
import type { Chart, Filter } from './spec.ts';

/** The filters of the dashboard. */
export function FilterForms(props: { source: Source; relations: Relation[]; change: Change }) {
  const { source, relations, change } = props;
  const { filters = [] } = source.spec;
  // What a reader sees who has chosen nothing yet.
  const first = read(new URLSearchParams(), source.spec);
  const add = () => {
    const [relation] = relations;
    if (!relation) return;
    const column = quoted((relation.columns.find(it => it.type === 'text') ?? relation.columns[0])?.name ?? 'key');
    const id = free(
      column.replace(/\W/g, '') || 'filter',
      filters.map(filter => filter.id),
    );
    const filter = { id, from: relationName(relation), column };
    change(filters.length === 0 ? [[['filters'], [filter]]] : [[['filters', filters.length], filter]]);
  };
  return (
    <div className="form">
      {filters.map((filter, index) => {
        const set = (key: string) => (value: unknown) => change([[['filters', index, key], value]]);
        return (
          <fieldset key={filter.id} className="group">
            <legend>{filter.label ?? filter.id}</legend>
            <Entry name="Label" value={filter.label ?? ''} set={text => set('label')(some(text))} />
            <Row name="Data">
              <From value={filter.from} set={set('from')} relations={relations} />
            </Row>
            <Entry
              name="Column"
              mono
              value={filter.column}
              among={columnsOf(relations, filter.from)}
              set={text => some(text) && set('column')(text.trim())}
            />
            <Picker
              source={source}
              filter={filter}
              choice={first}
              chosen={filter.default ?? []}
              set={values => set('default')(values.length > 0 ? values : undefined)}
              name="Chosen at first"
            />
            {filters.slice(0, index).map(({ id, label }) => (
              <Check
                key={id}
                name={`offers what ${label ?? id} leaves`}
                checked={filter.after?.includes(id) ?? false}
                set={on => set('after')(turned(filter.after, id, on))}
              />
            ))}
            <div>
              <button type="button" className="btn" onClick={() => change(unfiltered(source.spec, index))}>
                Remove filter
              </button>
            </div>
          </fieldset>
        );
      })}
      <div>
        <button type="button" className="btn" onClick={add} disabled={relations.length === 0}>
          Add filter
        </button>
      </div>
    </div>
  );
}

/** Which filters narrow a chart, and where it has their values. */
export function Narrowed(props: {
  filters: Filter[];
  chart: Chart;
  set: (key: string) => (value: unknown) => void;
  among: string[];
}) {
  const { filters, chart, set, among } = props;
  const columns = chart.columns ?? {};
  const put = (id: string, column: string | undefined) => {
    const next = { ...columns, [id]: column };
    set('columns')(Object.values(next).some(it => it !== undefined) ? next : undefined);
  };
  return (
    <Row name="Filters">
      {filters.map(({ id, label, column }) => {
        const name = label ?? id;
        const ignored = chart.ignores?.includes(id) ?? false;
        return (
          <div key={id} className="several">
            <Check
              name={`narrowed by ${name}`}
              checked={!ignored}
              set={on => set('ignores')(turned(chart.ignores, id, !on))}
            />
            {!ignored && (
              <Entry
                name={`Column of ${name}`}
                mono
                placeholder={column}
                value={columns[id] ?? ''}
                among={among}
                set={text => put(id, some(text))}
              />
            )}
          </div>
        );
      })}
    </Row>
  );
}
