/** Where a chart's rows lead to, as fields: an address, or another dashboard. */

import { useState } from 'react';
import { useKind } from '../api.ts';
import { Choose, Entry, Row } from '../ui/fields.tsx';
import { some } from './formparts.tsx';
import { axesOf, type Chart, type Dashboard, type Filter, handed, type Link } from './spec.ts';

/** What stands before the name of a dashboard among the choices. */
const TO = 'dashboard ';

/** The link; a change of where it leads leaves what it is called. */
export function LinkForm(props: { chart: Chart; filters: Filter[]; set: (link: Link | undefined) => void }) {
  const { chart, filters, set } = props;
  const { link } = chart;
  const dashboards = useKind('Dashboard') ?? [];
  const [meant, setMeant] = useState(false);
  const { url, dashboard, label } = link ?? {};
  const address = meant || url !== undefined;
  const named = dashboards.map(({ metadata: { name }, spec }): [string, string] => [
    TO + name,
    `dashboard ${(spec as Dashboard).title ?? name}`,
  ]);
  const there = dashboards.find(({ metadata }) => metadata.name === dashboard)?.spec as Dashboard | undefined;
  // What the text says is what is shown, also where there is no such dashboard by now.
  if (dashboard && !named.some(([value]) => value === TO + dashboard)) named.push([TO + dashboard, TO + dashboard]);
  return (
    <>
      <Row name="Leads to">
        <Choose
          label="Leads to"
          value={address ? 'url' : dashboard ? TO + dashboard : ''}
          set={to => {
            setMeant(to === 'url');
            // An address is none until it is typed.
            if (to !== 'url') set(to ? { label, dashboard: to.slice(TO.length) } : undefined);
          }}
          options={[['', 'nowhere'], ['url', 'an address …'], ...named]}
        />
      </Row>
      {address && (
        <Entry
          name="Address"
          mono
          placeholder="https://shop.example/{column}"
          value={url ?? ''}
          set={text => set(some(text) ? { label, url: text.trim() } : undefined)}
        />
      )}
      {there && <p className="muted">{taking(there, filters, chart)}</p>}
      {link && (
        <Entry
          name="Link text"
          placeholder={dashboard ? `Open ${dashboard}` : 'Open'}
          value={label ?? ''}
          set={text => set({ ...link, label: some(text) })}
        />
      )}
    </>
  );
}

/** What a row takes along to another dashboard, on whichever level of the drill it is. */
function taking(there: Dashboard, filters: Filter[], chart: Chart): string {
  const columns = Array.from({ length: chart.drill?.length || 1 }, (_, level) => axesOf(chart, level)).flat();
  const ids = new Set(handed(there, { filters }, chart, columns).map(([id]) => id));
  const names = (there.filters ?? []).filter(({ id }) => ids.has(id)).map(({ id, label }) => label ?? id);
  return names.length > 0
    ? `Opens it with the row's value of ${names.join(', ')}.`
    : 'No value of the row is a filter there: a column or its filter here needs the id of one.';
}
