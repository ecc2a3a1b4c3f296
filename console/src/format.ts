/** How figures and times are written: short, aligned, the same everywhere. */

const number = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat('en-US', { notation: 'compact', maximumFractionDigits: 1 });

/** A count, in full up to a million. */
export function count(value: number): string {
  if (!Number.isFinite(value)) return '–';
  return Math.abs(value) < 1_000_000 ? number.format(value) : compact.format(value);
}

/** A number of which every digit counts, such as an offset. */
export function full(value: number): string {
  return Number.isFinite(value) ? number.format(value) : '–';
}

/** Events per second. */
export function perSecond(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (value === 0) return '0';
  return value < 10 ? value.toFixed(1) : count(value);
}

/** Bytes in binary units. */
export function bytes(value: number): string {
  if (!Number.isFinite(value)) return '–';
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  let left = value;
  while (left >= 1_024 && unit < units.length - 1) {
    left /= 1_024;
    unit += 1;
  }
  return `${left < 10 && unit > 0 ? left.toFixed(1) : Math.round(left)} ${units[unit]}`;
}

/** A span of time. */
export function span(ms: number): string {
  if (!Number.isFinite(ms)) return '–';
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(ms < 10_000 ? 1 : 0)} s`;
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return `${minutes} min ${Math.floor((ms % 60_000) / 1_000)} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** A time of day, with the date when it is not today. */
export function time(iso: string | number, now = new Date()): string {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return '–';
  const clock = at.toLocaleTimeString('en-GB', { hour12: false });
  return at.toDateString() === now.toDateString() ? clock : `${day(at)} ${clock}`;
}

/** A moment in UTC, to the minute. */
export function minute(iso: string): string {
  const at = new Date(iso);
  return Number.isNaN(at.getTime()) ? '–' : at.toISOString().slice(0, 16).replace('T', ' ');
}

function day(at: Date): string {
  return `${at.getFullYear()}-${String(at.getMonth() + 1).padStart(2, '0')}-${String(at.getDate()).padStart(2, '0')}`;
}

/** `1 row`, `2 rows`. */
export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}
