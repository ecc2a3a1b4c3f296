/** A drawing on a canvas, by the parts of ECharts that it needs. What it shows stands as text in the table beside it. */

import { BarChart, GaugeChart, HeatmapChart, LineChart, PieChart, ScatterChart } from 'echarts/charts';
import {
  GridComponent,
  LegendScrollComponent,
  MarkLineComponent,
  TooltipComponent,
  VisualMapContinuousComponent,
} from 'echarts/components';
import { type ECharts, init, use } from 'echarts/core';
import { CanvasRenderer } from 'echarts/renderers';
import { useEffect, useRef } from 'react';
import { color, useDark } from '../theme.ts';
import { type Drawing, draw, type Look } from './drawing.ts';

use([BarChart, GaugeChart, HeatmapChart, LineChart, PieChart, ScatterChart]);
use([GridComponent, LegendScrollComponent, MarkLineComponent, TooltipComponent, VisualMapContinuousComponent]);
use([CanvasRenderer]);

function look(): Look {
  return {
    text: color('--text'),
    muted: color('--muted'),
    line: color('--line'),
    panel: color('--panel'),
    bad: color('--bad'),
    series: ['--s1', '--s2', '--s3', '--s4', '--s5', '--s6'].map(color),
  };
}

/** The place along the axis of a point on the canvas. */
function near(chart: ECharts, seriesIndex: number, point: [number, number]): number[] {
  const found = chart.convertFromPixel({ seriesIndex }, point);
  return Array.isArray(found) ? [Math.round(found[0] ?? 0)] : [];
}

interface Props {
  drawing: Drawing;
  label: string;
  /** A mark was chosen: the row behind it, and where on the screen. */
  pick?: (row: number, at: { x: number; y: number }) => void;
  /** Told how to make an image of it. */
  image?: (make: (() => Promise<Blob | null>) | null) => void;
}

/** A picture of rows, as large as its frame. */
export default function Picture({ drawing, label, pick, image }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const chart = useRef<ECharts | null>(null);
  const rows = useRef<(number | undefined)[][]>([]);
  const told = useRef({ pick, image });
  told.current = { pick, image };
  const dark = useDark();

  useEffect(() => {
    const element = place.current;
    if (!element) return;
    const drawn = init(element, null, { renderer: 'canvas', useDirtyRect: true });
    chart.current = drawn;
    drawn.on('click', ({ seriesIndex = 0, dataIndex, event }) => {
      const { offsetX = 0, offsetY = 0, event: mouse } = event ?? {};
      // Between two points of a line the nearer one is meant.
      const [along = 0] = dataIndex === undefined ? near(drawn, seriesIndex, [offsetX, offsetY]) : [dataIndex];
      const row = rows.current[seriesIndex]?.[along];
      const { clientX = 0, clientY = 0 } = (mouse ?? {}) as Partial<MouseEvent>;
      if (row !== undefined) told.current.pick?.(row, { x: clientX, y: clientY });
    });
    // The newest size counts, once for each frame of the screen.
    let waiting = 0;
    const observer = new ResizeObserver(() => {
      cancelAnimationFrame(waiting);
      waiting = requestAnimationFrame(() => drawn.resize());
    });
    observer.observe(element);
    told.current.image?.(
      () =>
        new Promise(done => drawn.renderToCanvas({ pixelRatio: 2, backgroundColor: color('--panel') }).toBlob(done)),
    );
    return () => {
      cancelAnimationFrame(waiting);
      observer.disconnect();
      told.current.image?.(null);
      drawn.dispose();
      chart.current = null;
    };
  }, []);

  // biome-ignore lint/correctness/useExhaustiveDependencies: drawn anew when the colours change
  useEffect(() => {
    const made = draw(drawing, look());
    rows.current = made.rows;
    chart.current?.setOption(made.option, { notMerge: true });
  }, [drawing, dark]);

  return <div className={`picture ${pick ? 'picks' : ''}`} ref={place} role="img" aria-label={label} />;
}
