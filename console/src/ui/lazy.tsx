/** What is large and not on every page: loaded when first shown. */

import { type ComponentProps, lazy, Suspense } from 'react';
import { Loading } from './parts.tsx';

const ChartLater = lazy(() => import('./chart.tsx'));
const GraphLater = lazy(() => import('../graph/graph.tsx'));
const EditorLater = lazy(() => import('../editor/editor.tsx'));
const StatementLater = lazy(() => import('../editor/statement.tsx'));
const BuilderLater = lazy(() => import('../dashboards/builder.tsx'));
const loadPicture = () => import('../charts/picture.tsx');
const PictureLater = lazy(loadPicture);

/** Fetches what draws rows while the node is still asked for them. That it cannot be had is said where it is shown. */
export function expectPictures(): void {
  loadPicture().catch(() => undefined);
}

/** Figures over time. */
export function Chart(props: ComponentProps<typeof ChartLater>) {
  return (
    <Suspense fallback={<div className="chart" />}>
      <ChartLater {...props} />
    </Suspense>
  );
}

/** Boxes and lines. */
export function Graph(props: ComponentProps<typeof GraphLater>) {
  return (
    <Suspense fallback={<Loading />}>
      <GraphLater {...props} />
    </Suspense>
  );
}

/** A resource as YAML. */
export function Editor(props: ComponentProps<typeof EditorLater>) {
  return (
    <Suspense fallback={<Loading />}>
      <EditorLater {...props} />
    </Suspense>
  );
}

/** A statement of SQL. */
export function Statement(props: ComponentProps<typeof StatementLater>) {
  return (
    <Suspense fallback={<div className="editor low" />}>
      <StatementLater {...props} />
    </Suspense>
  );
}

/** Rows as a picture. */
export function Picture(props: ComponentProps<typeof PictureLater>) {
  return (
    <Suspense fallback={<div className="picture" />}>
      <PictureLater {...props} />
    </Suspense>
  );
}

/** A dashboard to edit. */
export function Builder(props: ComponentProps<typeof BuilderLater>) {
  return (
    <Suspense fallback={<Loading />}>
      <BuilderLater {...props} />
    </Suspense>
  );
}
