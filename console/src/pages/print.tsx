/**
 * A dashboard to be looked at and no more, as reports have a picture of it: no frame, no controls, nothing that moves.
 * The node reckons with its measures (`crates/bus/src/report.rs`).
 */

import { useResources } from '../api.ts';
import { useChoice } from '../dashboards/choice.ts';
import { Frames } from '../dashboards/frames.tsx';
import { places, settled } from '../dashboards/layout.ts';
import { type Chart, type Dashboard, type Sheet, sheetsOf, titleOf } from '../dashboards/spec.ts';
import { minute } from '../format.ts';
import { useLocation } from '../router.tsx';
import { Awaited, Empty } from '../ui/parts.tsx';

/** Whether an address asks for a page to be printed. */
export function isPrinted(query: URLSearchParams): boolean {
  return query.get('view') === 'print';
}

/** The page. */
export function PrintPage({ name }: { name: string }) {
  const { data, error } = useResources();
  if (!data) return <Awaited error={error} />;
  const resource = data.find(it => it.kind === 'Dashboard' && it.metadata.name === name);
  if (!resource) return <Empty>There is no Dashboard of this name.</Empty>;
  return <Printed name={name} generation={resource.metadata.generation} spec={resource.spec as Dashboard} />;
}

function Printed(source: { name: string; generation: number; spec: Dashboard }) {
  const { query } = useLocation();
  const choice = useChoice(source.spec);
  const { title = source.name } = source.spec;
  const ids = query.get('charts')?.split(',');
  const chosen = ({ charts = [] }: Sheet) => {
    const known = (id: string) => charts.find(chart => chart.id === id);
    return ids ? ids.map(known).filter((chart): chart is Chart => chart !== undefined) : charts;
  };
  const sheets = sheetsOf(source.spec).map(sheet => ({ ...sheet, charts: chosen(sheet) }));
  const { from, to } = choice.time ?? {};
  return (
    <main className="print">
      <header>
        <h1>{title}</h1>
        {from && to && (
          <span className="muted">
            {minute(from)} – {minute(to)} UTC
          </span>
        )}
      </header>
      {sheets
        .filter(({ charts }) => charts.length > 0)
        .map(sheet => (
          <section key={sheet.id} aria-label={sheet.id ? titleOf(sheet) : undefined}>
            {sheet.id && <h2>{titleOf(sheet)}</h2>}
            <Frames source={source} charts={sheet.charts} places={settled(places(sheet.charts))} choice={choice} />
          </section>
        ))}
    </main>
  );
}
