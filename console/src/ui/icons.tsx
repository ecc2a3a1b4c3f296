/** Icons: 16 units wide, strokes of the text's colour. */

const PATHS = {
  home: 'M2.5 7.5 8 3l5.5 4.5V13h-4V9.5h-3V13h-4z',
  stream: 'M2 5c2 0 2 1.2 4 1.2S8 5 10 5s2 1.2 4 1.2M2 9.8c2 0 2 1.2 4 1.2s2-1.2 4-1.2 2 1.2 4 1.2',
  pipeline: 'M2 8h3m6 0h3M5 5.5h6v5H5z',
  table: 'M2.5 3.5h11v9h-11zM2.5 6.5h11M6.5 6.5v6',
  type: 'M3 3.5h7l3 4.5-3 4.5H3z',
  rule: 'M3 4h4l2 4h4M3 12h4l2-4M11 5.5 13.5 8 11 10.5',
  pipe: 'M2 6h8a2 2 0 0 1 2 2v4M2 9h5.5A1.5 1.5 0 0 1 9 10.500V12',
  clock: 'M8 2.5a5.5 5.500 0 1 1 0 11 5.5 5.5 0 0 1 0-11M8 5v3.200l2 1.300',
  workflow: 'M5.500 2.500h5v3h-5zM2 10.500h4.500v3H2zM9.500 10.500H14v3H9.500zM8 5.500V8M4.200 10.500V8h7.500v2.500',
  run: 'M4.500 3v10l8-5z',
  kinds: 'M2.500 2.500h4.500v4.500H2.500zM9 2.500h4.500v4.500H9zM2.500 9h4.500v4.500H2.500zM9 9h4.500v4.500H9z',
  sql: 'M3 4.500c0-1 2.200-1.800 5-1.800s5 .8 5 1.800-2.200 1.800-5 1.800-5-.8-5-1.800v7c0 1 2.200 1.800 5 1.800s5-.8 5-1.800v-7M3 8c0 1 2.200 1.800 5 1.800s5-.8 5-1.800',
  chart: 'M2.500 13.500h11M4 11V7.500M8 11V3M12 11V5.500',
  search: 'M7 2.500a4.500 4.500 0 1 1 0 9 4.500 4.500 0 0 1 0-9M10.400 10.400l3.100 3.100',
  sun: 'M8 5.200a2.800 2.800 0 1 1 0 5.600 2.800 2.800 0 0 1 0-5.600M8 1.500v1.500M8 13v1.500M1.500 8H3M13 8h1.500M3.400 3.400l1.100 1.100M11.500 11.500l1.100 1.100M3.400 12.600l1.100-1.100M11.500 4.500l1.100-1.100',
  moon: 'M13 9.500A5.500 5.500 0 0 1 6.500 3 5.500 5.500 0 1 0 13 9.500z',
  system: 'M2 3h12v8H2zM6 13.500h4',
  copy: 'M5.500 5.500h8v8h-8zM10.500 5.500v-3h-8v8h3',
  check: 'M3 8.500 6.500 12 13 4.500',
  pause: 'M5 3.500v9M11 3.500v9',
} as const;

export type IconName = keyof typeof PATHS;

/** One icon; it says nothing that is not said in words beside it. */
export function Icon({ name }: { name: IconName }) {
  return (
    <svg
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.3"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
