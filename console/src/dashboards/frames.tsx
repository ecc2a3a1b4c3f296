/** Charts in their frames, each at its place. */

import { useEffect } from 'react';
import { expectPictures } from '../ui/lazy.tsx';
import type { Source } from './asking.ts';
import { Board, standing } from './board.tsx';
import type { Choice } from './choice.ts';
import { type Chart, type Place, titleOf } from './spec.ts';
import { Tile } from './tile.tsx';

/** They; `places` has one for each chart. */
export function Frames(props: { source: Source; charts: Chart[]; places: Place[]; choice: Choice }) {
  const { source, charts, places, choice } = props;
  useEffect(expectPictures, []);
  return (
    <Board
      places={places}
      each={index => {
        const chart = charts[index];
        const place = places[index];
        if (!chart || !place) return null;
        return (
          <section key={chart.id} className="panel tile-frame" aria-label={titleOf(chart)} style={standing(place)}>
            <Tile source={source} chart={chart} choice={choice} />
          </section>
        );
      }}
    />
  );
}
