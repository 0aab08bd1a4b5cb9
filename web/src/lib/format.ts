// Numbers, sizes, times and durations as people read them.
// Not here: how they are laid out.

const digits = new Intl.NumberFormat('en-US');

/** `1240` → `1,240`. */
export function count(value: number): string {
  return digits.format(value);
}

/** `1 row`, `2 rows`. */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** Bytes in steps of a thousand, to two or three digits: `5.2 MB`. */
export function bytes(value: number): string {
  if (value < 1000) return `${value} B`;
  const units = ['kB', 'MB', 'GB', 'TB', 'PB'];
  let scaled = value / 1000;
  let unit = 0;
  while (scaled >= 999.5 && unit < units.length - 1) {
    scaled /= 1000;
    unit += 1;
  }
  return `${scaled < 9.95 ? scaled.toFixed(1) : Math.round(scaled)} ${units[unit]}`;
}

/** Milliseconds as `840 ms`, `1.8 s`, `4 min 12 s`, `3 h 5 min`. */
export function duration(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 59_950) return `${(milliseconds / 1000).toFixed(1)} s`;
  const seconds = Math.round(milliseconds / 1000);
  if (seconds < 3600) return parts(Math.floor(seconds / 60), 'min', seconds % 60, 's');
  const minutes = Math.round(seconds / 60);
  if (minutes < 1440) return parts(Math.floor(minutes / 60), 'h', minutes % 60, 'min');
  const hours = Math.round(minutes / 60);
  return parts(Math.floor(hours / 24), 'd', hours % 24, 'h');
}

function parts(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;
}

/** A stop watch: `00:14`, `1:02:03`. */
export function clock(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const two = (value: number) => String(value).padStart(2, '0');
  const hours = Math.floor(seconds / 3600);
  const rest = `${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  return hours > 0 ? `${hours}:${rest}` : rest;
}

/** `2 min ago`, `in 3 h`, `just now`. */
export function relative(time: Date, now: Date): string {
  const distance = now.getTime() - time.getTime();
  const size = Math.abs(distance);
  // The page's clock may be 15 seconds behind, so that what has just happened lies ahead of it.
  if (size < 45_000) return distance >= -15_000 ? 'just now' : 'in a moment';
  const minute = 60_000;
  const [value, unit] =
    size < 59.5 * minute
      ? [Math.round(size / minute), 'min']
      : size < 23.5 * 60 * minute
        ? [Math.round(size / (60 * minute)), 'h']
        : [Math.round(size / (1440 * minute)), 'd'];
  return distance >= 0 ? `${value} ${unit} ago` : `in ${value} ${unit}`;
}

/** Date and time to the second with the zone's name. */
export function exact(time: Date, timeZone?: string): string {
  return new Intl.DateTimeFormat('en-GB', {
    weekday: 'short',
    year: 'numeric',
    month: 'short',
    day: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    timeZoneName: 'short',
    timeZone,
  }).format(time);
}

/** The time of day alone, for lists of events. */
export function timeOfDay(time: Date): string {
  return new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' }).format(time);
}

/** A share of 1 as `12 %`. */
export function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

/** A value of a cell as text; `null` is the caller's to show. */
export function cell(value: unknown): string {
  if (typeof value === 'string') return value;
  if (value === undefined || value === null) return '';
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
