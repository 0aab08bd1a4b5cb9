// Searching, sorting and filtering of lists, and how the address holds them.
// Not here: the table itself (parts/DataTable).

export interface ListSearch {
  q?: string;
  sort?: string;
  state?: string;
}

/** What of an address's search a list understands; everything else is dropped. */
export function listSearch(search: Record<string, unknown>): ListSearch {
  const text = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined);
  return { q: text(search.q), sort: text(search.sort), state: text(search.state) };
}

export type SortValue = string | number | null | undefined;

export interface Sorting {
  column: string;
  descending: boolean;
}

/** `-rows` is descending by rows. */
export function parseSort(text: string | undefined, fallback: Sorting): Sorting {
  if (!text) return fallback;
  return text.startsWith('-') ? { column: text.slice(1), descending: true } : { column: text, descending: false };
}

export function writeSort(sorting: Sorting): string {
  return sorting.descending ? `-${sorting.column}` : sorting.column;
}

const words = new Intl.Collator('en', { numeric: true, sensitivity: 'base' });

/** A sorted copy; what has no value comes last in both directions. */
export function sortRows<T>(rows: T[], value: (row: T) => SortValue, descending: boolean): T[] {
  const empty = (found: SortValue) => found === null || found === undefined || found === '';
  return [...rows].sort((left, right) => {
    const [a, b] = [value(left), value(right)];
    if (empty(a) || empty(b)) return Number(empty(a)) - Number(empty(b));
    const order = typeof a === 'number' && typeof b === 'number' ? a - b : words.compare(String(a), String(b));
    return descending ? -order : order;
  });
}

/** Whether every word of the query is somewhere in the text. */
export function matches(text: string, query: string): boolean {
  const folded = text.toLowerCase();
  return query
    .toLowerCase()
    .split(/\s+/)
    .every((word) => folded.includes(word));
}
