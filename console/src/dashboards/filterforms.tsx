/** The filters of a dashboard as fields. */

import { quoted, type Relation, relationName } from '../rows.ts';
import { Entry, Row } from '../ui/fields.tsx';
import type { Source } from './asking.ts';
import { read } from './choice.ts';
import { Picker } from './controls.tsx';
import { free } from './draft.ts';
import { type Change, columnsOf, From, some } from './formparts.tsx';

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
              <label key={id} className="check">
                <input
                  type="checkbox"
                  checked={filter.after?.includes(id) ?? false}
                  onChange={event => {
                    const after = (filter.after ?? []).filter(it => it !== id);
                    const next = event.target.checked ? [...after, id] : after;
                    set('after')(next.length > 0 ? next : undefined);
                  }}
                />
                offers what {label ?? id} leaves
              </label>
            ))}
            <div>
              <button type="button" className="btn" onClick={() => change([[['filters', index], undefined]])}>
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
