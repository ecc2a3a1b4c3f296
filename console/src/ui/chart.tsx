/**
 * Figures over the last minutes as lines. The newest values stand below as text, and those before them in a table that
 * opens, so that nobody needs the picture.
 */

import { useEffect, useRef, useState } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { history, readable, useTick } from '../figures.ts';
import { time } from '../format.ts';
import { color, useDark } from '../theme.ts';

export interface Line {
  label: string;
  values: () => number[];
}

const COLORS = ['--s1', '--s2', '--s3', '--s4', '--s5', '--s6'];
/** A figure of nearly nothing is drawn low, not as if it were much. */
const TOP_MIN = 4;

/** A gap is drawn where there is no value. */
const known = (value: number) => (Number.isFinite(value) ? value : null);

const AXIS = '11px Inter, ui-sans-serif, system-ui, sans-serif';

/** Lines over time; up to six. */
export default function Chart({
  lines,
  write,
  label,
}: {
  lines: Line[];
  write: (value: number) => string;
  label: string;
}) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const dark = useDark();
  const shown = lines.slice(0, COLORS.length);
  const names = shown.map(line => line.label).join('\n');
  useTick();
  const times = history();
  const data: uPlot.AlignedData = [times.map(ms => ms / 1_000), ...shown.map(line => line.values().map(known))];
  const newest = useRef(data);
  newest.current = data;

  // biome-ignore lint/correctness/useExhaustiveDependencies: drawn anew when the lines' names or the colours change
  useEffect(() => {
    const element = place.current;
    if (!element) return;
    const axis = {
      stroke: color('--muted'),
      font: AXIS,
      grid: { stroke: color('--line'), width: 1 },
      ticks: { show: false },
    };
    const series = names.split('\n').map((name, index) => {
      const stroke = color(COLORS[index] ?? '--s1');
      return { label: name, stroke, width: 1.5, points: { show: false } };
    });
    const options: uPlot.Options = {
      width: element.clientWidth,
      height: element.clientHeight,
      cursor: { y: false, drag: { x: false, y: false } },
      legend: { show: false },
      scales: { y: { range: (_plot, _low, high) => [0, Math.max((high ?? 0) * 1.1, TOP_MIN)] } },
      axes: [
        {
          ...axis,
          size: 26,
          space: 70,
          values: (_plot, ticks) => ticks.map(tick => new Date(tick * 1_000).toLocaleTimeString('en-GB')),
        },
        { ...axis, size: 52, space: 36, values: (_plot, ticks) => ticks.map(write) },
      ],
      series: [{}, ...series],
    };
    const drawn = new uPlot(options, newest.current, element);
    plot.current = drawn;
    const observer = new ResizeObserver(() =>
      drawn.setSize({ width: element.clientWidth, height: element.clientHeight }),
    );
    observer.observe(element);
    return () => {
      observer.disconnect();
      drawn.destroy();
      plot.current = null;
    };
  }, [names, dark]);

  useEffect(() => {
    plot.current?.setData(newest.current);
  });

  return (
    <>
      <div className="chart" ref={place} role="img" aria-label={label} />
      <ul className="legend" aria-label={`${label}, now`}>
        {shown.map((line, index) => (
          <li key={line.label}>
            <i className={`c${index}`} />
            {line.label} <b>{write(data[index + 1]?.at(-1) ?? Number.NaN)}</b>
          </li>
        ))}
      </ul>
      <Values label={label} names={shown.map(line => line.label)} times={times} data={data} write={write} />
    </>
  );
}

/** The same as a table, made only while it is open. */
function Values(props: {
  label: string;
  names: string[];
  times: number[];
  /** Behind the times. */
  data: uPlot.AlignedData;
  write: (value: number) => string;
}) {
  const { label, names, times, data, write } = props;
  const [open, setOpen] = useState(false);
  return (
    <details className="values" onToggle={event => setOpen(event.currentTarget.open)}>
      <summary>As a table</summary>
      {open && (
        <section className="scroll" aria-label={`${label}, each half minute`} tabIndex={0}>
          <table>
            <thead>
              <tr>
                <th scope="col">Time</th>
                {names.map(name => (
                  <th scope="col" className="num" key={name}>
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {readable(times).map(row => (
                <tr key={times[row]}>
                  <td className="one" title={new Date(times[row] ?? 0).toISOString()}>
                    {time(times[row] ?? 0)}
                  </td>
                  {names.map((name, at) => (
                    <td className="num" key={name}>
                      {write(data[at + 1]?.[row] ?? Number.NaN)}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
    </details>
  );
}
