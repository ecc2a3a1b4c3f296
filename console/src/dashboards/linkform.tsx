/** Where a chart's rows lead to, as fields: an address, or another dashboard. */

import { useState } from 'react';
import { useKind } from '../api.ts';
import { Choose, Entry, Row } from '../ui/fields.tsx';
import { some } from './formparts.tsx';
import type { Dashboard, Link } from './spec.ts';

/** What stands before the name of a dashboard among the choices. */
const TO = 'dashboard ';

/** The link; a change of where it leads leaves what it is called. */
export function LinkForm({ link, set }: { link: Link | undefined; set: (link: Link | undefined) => void }) {
  const dashboards = useKind('Dashboard') ?? [];
  const [meant, setMeant] = useState(false);
  const { url, dashboard, label } = link ?? {};
  const address = meant || url !== undefined;
  const named = dashboards.map(({ metadata: { name }, spec }): [string, string] => [
    TO + name,
    `dashboard ${(spec as Dashboard).title ?? name}`,
  ]);
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
