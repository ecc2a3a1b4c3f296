import { expect, test } from 'vitest';
import { layout } from './layout.ts';

const box = (id: string) => ({ id, width: 100, height: 40 });
const line = (text: string) => ({ from: text.charAt(0), to: text.charAt(1) });

/** A generator of its own, so that a failure comes again. */
function random(seed: number) {
  let state = seed;
  return (below: number) => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((state / 2_147_483_648) * below);
  };
}

test('lines go one way, and long ones are led past what is between', () => {
  const { places, bends } = layout(['a', 'b', 'c'].map(box), ['ab', 'bc', 'ac'].map(line));
  const y = (id: string) => places.get(id)?.y ?? Number.NaN;
  expect(y('a') < y('b') && y('b') < y('c')).toBe(true);
  expect(bends.map(points => points.length)).toEqual([0, 0, 1]);
});

test('a way back is drawn from its beginning', () => {
  const { bends, places } = layout(['a', 'b', 'c'].map(box), ['ab', 'bc', 'ca'].map(line));
  expect(bends[2]?.[0]?.y).toBeGreaterThan(places.get('a')?.y ?? 0);
  expect(layout([box('a')], [line('aa')]).width).toBe(100);
  expect(layout([], []).width).toBe(0);
});

test('boxes of any graph keep apart, in both directions', () => {
  for (let seed = 1; seed <= 60; seed += 1) {
    const next = random(seed);
    const boxes = Array.from({ length: 2 + next(14) }, (_, n) => ({
      id: String.fromCharCode(97 + n),
      width: 40 + next(200),
      height: 20 + next(120),
    }));
    const any = () => boxes[next(boxes.length)]?.id ?? 'a';
    const lines = Array.from({ length: next(24) }, () => ({ from: any(), to: any() }));
    for (const right of [false, true]) {
      const { places, width, height } = layout(boxes, lines, right);
      const areas = boxes.map(({ id, ...size }) => ({
        ...size,
        ...(places.get(id) ?? { x: Number.NaN, y: Number.NaN }),
      }));
      for (const [index, a] of areas.entries()) {
        expect(
          a.x >= -0.01 && a.y >= -0.01 && a.x + a.width <= width + 0.01 && a.y + a.height <= height + 0.01,
          `seed ${seed}`,
        ).toBe(true);
        for (const b of areas.slice(index + 1)) {
          const apart = a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y;
          expect(apart, `seed ${seed}`).toBe(true);
        }
      }
    }
  }
});
