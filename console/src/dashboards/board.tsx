/** Charts on their grid. */

import type { CSSProperties, ReactNode, Ref } from 'react';
import type { Place } from './spec.ts';

/** The grid; `each` gives what stands at a place. In the page's order a chart follows those above and left of it. */
export function Board(props: { places: Place[]; each: (index: number) => ReactNode; own?: Ref<HTMLDivElement> }) {
  const order = props.places.map((_, index) => index);
  const at = (index: number) => props.places[index] ?? { x: 0, y: 0, w: 1, h: 1 };
  order.sort((a, b) => at(a).y - at(b).y || at(a).x - at(b).x);
  return (
    <div className="board" ref={props.own}>
      {order.map(index => props.each(index))}
    </div>
  );
}

/** A place as the style sheet takes it. */
export function standing({ x, y, w, h }: Place): CSSProperties {
  return { '--column': `${x + 1} / span ${w}`, '--row': `${y + 1} / span ${h}` } as CSSProperties;
}
