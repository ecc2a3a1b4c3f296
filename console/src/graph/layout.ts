/**
 * Places boxes in layers so that edges go one way: longest path for the layer, barycentres for the order in it. Edges
 * that go back are turned round for the layout; edges over several layers are led past what lies between.
 *
 * # Source
 * Sugiyama, Tagawa, Toda: Methods for Visual Understanding of Hierarchical System Structures, 1981.
 */

interface Box {
  id: string;
  width: number;
  height: number;
}

export interface Line {
  from: string;
  to: string;
}

export interface Point {
  x: number;
  y: number;
}

interface Placed {
  /** Upper left corners. */
  places: Map<string, Point>;
  /** For each line, in order: where it goes between its ends. */
  bends: Point[][];
  width: number;
  height: number;
}

const GAP_DOWN = 52;
const GAP_RIGHT = 84;
const GAP_BESIDE = 28;
const SWEEPS = 8;
const DUMMY = 12;
/** How much more a line between like cells is drawn straight than one from a box into a long line. */
const STRAIGHT = 6;

const dummy = (id: string) => id.startsWith('\0\0');

interface Cell {
  id: string;
  across: number;
  along: number;
  dummy: boolean;
}

/** Places all boxes; `right` lets layers follow each other from left to right instead of downwards. */
export function layout(boxes: Box[], lines: Line[], right = false): Placed {
  const forward = withoutCycles(boxes, lines);
  const rank = ranks(boxes, forward);
  const layers: Cell[][] = [];
  const put = (layer: number, cell: Cell) => {
    layers[layer] ??= [];
    layers[layer].push(cell);
  };
  for (const { id, width, height } of boxes) {
    put(rank.get(id) ?? 0, { id, across: right ? height : width, along: right ? width : height, dummy: false });
  }
  const hops: [string, string][] = [];
  const chains = forward.map(({ from, to }, index) => {
    const chain: string[] = [];
    let last = from;
    for (let layer = (rank.get(from) ?? 0) + 1; layer < (rank.get(to) ?? 0); layer += 1) {
      const id = `\0\0${index}-${layer}`;
      put(layer, { id, across: DUMMY, along: 0, dummy: true });
      chain.push(id);
      hops.push([last, id]);
      last = id;
    }
    hops.push([last, to]);
    return chain;
  });
  for (let layer = 0; layer < layers.length; layer += 1) layers[layer] ??= [];
  order(layers, hops);
  return positions(layers, lines, forward, chains, hops, right);
}

/** Lines with those that close a cycle turned round. A line to itself stays out of the layout. */
function withoutCycles(boxes: Box[], lines: Line[]): Line[] {
  const state = new Map<string, 'open' | 'done'>();
  const back = new Set<Line>();
  const visit = (id: string) => {
    state.set(id, 'open');
    for (const line of lines) {
      if (line.from !== id) continue;
      if (state.get(line.to) === 'open') back.add(line);
      else if (!state.has(line.to)) visit(line.to);
    }
    state.set(id, 'done');
  };
  for (const { id } of boxes) if (!state.has(id)) visit(id);
  return lines.map(line => (back.has(line) ? { from: line.to, to: line.from } : line));
}

function ranks(boxes: Box[], lines: Line[]): Map<string, number> {
  const rank = new Map(boxes.map(({ id }) => [id, 0]));
  for (let round = 0; round < boxes.length; round += 1) {
    let moved = false;
    for (const { from, to } of lines) {
      const least = (rank.get(from) ?? 0) + 1;
      if (from !== to && (rank.get(to) ?? 0) < least) {
        rank.set(to, least);
        moved = true;
      }
    }
    if (!moved) break;
  }
  return rank;
}

/** Orders each layer by where its neighbours stand. */
function order(layers: Cell[][], hops: [string, string][]): void {
  const place = new Map<string, number>();
  const note = (layer: Cell[]) => {
    for (const [index, cell] of layer.entries()) place.set(cell.id, index);
  };
  layers.forEach(note);
  const neighbours = (id: string, up: boolean) =>
    hops.flatMap(([a, b]) => (up ? (b === id ? [a] : []) : a === id ? [b] : []));
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const up = sweep % 2 === 0;
    for (const layer of up ? layers : [...layers].reverse()) {
      const weight = new Map(
        layer.map(({ id }) => {
          const near = neighbours(id, up).map(other => place.get(other) ?? 0);
          return [id, near.length ? near.reduce((sum, at) => sum + at, 0) / near.length : (place.get(id) ?? 0)];
        }),
      );
      layer.sort((a, b) => (weight.get(a.id) ?? 0) - (weight.get(b.id) ?? 0));
      note(layer);
    }
  }
}

function positions(
  layers: Cell[][],
  lines: Line[],
  forward: Line[],
  chains: string[][],
  hops: [string, string][],
  right: boolean,
): Placed {
  const centre = new Map<string, number>();
  for (const layer of layers) {
    let at = 0;
    for (const { id, across } of layer) {
      centre.set(id, at + across / 2);
      at += across + GAP_BESIDE;
    }
  }
  // Each box is drawn towards its neighbours as far as the boxes beside it allow.
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    for (const layer of sweep % 2 === 0 ? layers : [...layers].reverse()) {
      const wanted = layer.map(({ id }) => {
        const near = hops.flatMap(([a, b]) => (a === id ? [b] : b === id ? [a] : []));
        const weights = near.map(other => (dummy(id) === dummy(other) ? STRAIGHT : 1));
        const sum = near.reduce((sum, other, index) => sum + (centre.get(other) ?? 0) * (weights[index] ?? 1), 0);
        return near.length ? sum / weights.reduce((a, b) => a + b, 0) : (centre.get(id) ?? 0);
      });
      spread(layer, wanted, centre);
    }
  }
  const places = new Map<string, Point>();
  const middle = new Map<string, Point>();
  const gap = right ? GAP_RIGHT : GAP_DOWN;
  let along = 0;
  let least = Number.POSITIVE_INFINITY;
  let most = Number.NEGATIVE_INFINITY;
  for (const layer of layers) {
    const thick = Math.max(0, ...layer.map(cell => cell.along));
    for (const cell of layer) {
      const across = (centre.get(cell.id) ?? 0) - cell.across / 2;
      least = Math.min(least, across);
      most = Math.max(most, across + cell.across);
      const start = along + (thick - cell.along) / 2;
      places.set(cell.id, right ? { x: start, y: across } : { x: across, y: start });
      const mid = along + thick / 2;
      middle.set(cell.id, right ? { x: mid, y: across + DUMMY / 2 } : { x: across + DUMMY / 2, y: mid });
    }
    along += thick + gap;
  }
  if (!Number.isFinite(least)) return { places, bends: lines.map(() => []), width: 0, height: 0 };
  const move = ({ x, y }: Point) => (right ? { x, y: y - least } : { x: x - least, y });
  for (const [id, point] of places) places.set(id, move(point));
  const bends = chains.map((chain, index) => {
    const points = chain.map(id => move(middle.get(id) ?? { x: 0, y: 0 }));
    return forward[index] === lines[index] ? points : points.reverse();
  });
  const [wide, long] = [most - least, along - gap];
  return { places, bends, width: right ? long : wide, height: right ? wide : long };
}

/** Puts a layer's cells as near to where they want to be as their order and gaps allow: pools of neighbours that move
 * together (isotonic regression). */
function spread(layer: Cell[], wanted: number[], centre: Map<string, number>): void {
  const offsets: number[] = [];
  let offset = 0;
  layer.forEach(({ across }, index) => {
    const before = layer[index - 1];
    if (before) offset += (before.across + across) / 2 + GAP_BESIDE;
    offsets.push(offset);
  });
  const pools: { sum: number; size: number }[] = [];
  wanted.forEach((want, index) => {
    pools.push({ sum: want - (offsets[index] ?? 0), size: 1 });
    for (;;) {
      const [a, b] = [pools.at(-2), pools.at(-1)];
      if (!a || !b || a.sum / a.size <= b.sum / b.size) break;
      pools.splice(-2, 2, { sum: a.sum + b.sum, size: a.size + b.size });
    }
  });
  let index = 0;
  for (const { sum, size } of pools) {
    for (let n = 0; n < size; n += 1) {
      const cell = layer[index];
      if (cell) centre.set(cell.id, sum / size + (offsets[index] ?? 0));
      index += 1;
    }
  }
}
