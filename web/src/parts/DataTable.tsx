// A list: search, chips, sorting, all kept in the address; rows that open; cards on a phone.
// Not here: the rules of searching and sorting (lib/list).

import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { useMemo, useRef, useState, type KeyboardEvent, type MouseEvent, type ReactNode } from 'react';
import { matches, parseSort, sortRows, writeSort, type ListSearch, type SortValue } from '../lib/list';
import { count } from '../lib/format';
import { Icon } from './Icon';
import { StateShape, type AnyState } from './State';
import styles from './DataTable.module.css';

export interface ColumnOf<T> {
  id: string;
  label: string;
  /** What is sorted by. */
  value: (row: T) => SortValue;
  /** What is shown; the value itself without it. */
  show?: (row: T) => ReactNode;
  align?: 'right';
  /** Short: stays on one line. */
  steady?: boolean;
  /** Left out of cards on a phone. */
  wideOnly?: boolean;
}

export interface Chip<T> {
  id: string;
  label: string;
  state?: AnyState;
  test: (row: T) => boolean;
}

interface DataTableProps<T> {
  label: string;
  rows: T[];
  columns: ColumnOf<T>[];
  rowKey: (row: T) => string;
  /** Where a row leads; its first cell becomes the link. */
  link?: (row: T) => string;
  /** The text that is searched. */
  text: (row: T) => string;
  chips?: Chip<T>[];
  sort?: string;
}

const pageSize = 200;

export function DataTable<T>({ label, rows, columns, rowKey, link, text, chips = [], sort }: DataTableProps<T>) {
  const search = useSearch({ strict: false }) as ListSearch;
  const navigate = useNavigate();
  const body = useRef<HTMLTableSectionElement>(null);
  const [shown, setShown] = useState(pageSize);
  const sorting = parseSort(search.sort ?? sort, { column: columns[0]?.id ?? '', descending: false });
  const { q, state } = search;

  const found = useMemo(() => {
    const chip = chips.find((candidate) => candidate.id === state);
    const column = columns.find((candidate) => candidate.id === sorting.column);
    const kept = rows.filter((row) => (!chip || chip.test(row)) && (!q || matches(text(row), q)));
    return column ? sortRows(kept, column.value, sorting.descending) : kept;
  }, [rows, columns, chips, text, q, state, sorting.column, sorting.descending]);

  const change = (next: ListSearch) =>
    void navigate({ to: '.', search: { ...search, ...next } as never, replace: true });
  const openRow = (event: MouseEvent<HTMLTableRowElement>, row: T) => {
    if (!link || (event.target as Element).closest('a,button,input,label,[role="menuitem"]')) return;
    if (window.getSelection()?.toString()) return;
    void navigate({ to: link(row) });
  };
  // Up and down go from row to row, so that a long list needs no Tab for every link.
  const walk = (event: KeyboardEvent) => {
    if (event.key !== 'ArrowDown' && event.key !== 'ArrowUp') return;
    const links = [...(body.current?.querySelectorAll<HTMLAnchorElement>('[data-row-link]') ?? [])];
    const at = links.indexOf(document.activeElement as HTMLAnchorElement);
    const next = links[at + (event.key === 'ArrowDown' ? 1 : -1)];
    if (at < 0 || !next) return;
    event.preventDefault();
    next.focus();
  };

  return (
    <div className={styles.list}>
      <div className={styles.tools}>
        <div className={styles.chips} role="group" aria-label="Filter">
          {chips.map((chip) => {
            const size = rows.filter(chip.test).length;
            if (size === 0 && state !== chip.id) return null;
            return (
              <button
                key={chip.id}
                type="button"
                className={styles.chip}
                aria-pressed={state === chip.id}
                onClick={() => change({ state: state === chip.id ? undefined : chip.id })}
              >
                {chip.state && <StateShape state={chip.state} />}
                <span className="number">{count(size)}</span> {chip.label}
              </button>
            );
          })}
        </div>
        <label className={styles.search}>
          <Icon name="search" size={14} />
          <span className="unseen">Search {label}</span>
          <input
            type="search"
            data-list-search
            placeholder="Search"
            value={q ?? ''}
            onChange={(event) => change({ q: event.currentTarget.value || undefined })}
            onKeyDown={(event) => {
              if (event.key !== 'Escape') return;
              change({ q: undefined });
              event.currentTarget.blur();
            }}
          />
          <kbd aria-hidden="true">/</kbd>
        </label>
      </div>
      <div className={styles.frame}>
        <table className={styles.table} aria-label={label} onKeyDown={walk}>
          <thead>
            <tr>
              {columns.map((column) => {
                const active = sorting.column === column.id;
                return (
                  <th
                    key={column.id}
                    scope="col"
                    className={column.align === 'right' ? styles.right : undefined}
                    aria-sort={active ? (sorting.descending ? 'descending' : 'ascending') : undefined}
                  >
                    {column.label === '' ? (
                      <span className="unseen">Actions</span>
                    ) : (
                      <button
                        type="button"
                        onClick={() =>
                          change({ sort: writeSort({ column: column.id, descending: active && !sorting.descending }) })
                        }
                      >
                        {column.label}
                        <span aria-hidden="true" className={styles.arrow}>
                          {active ? (sorting.descending ? '↓' : '↑') : ''}
                        </span>
                      </button>
                    )}
                  </th>
                );
              })}
            </tr>
          </thead>
          <tbody ref={body}>
            {found.slice(0, shown).map((row) => (
              <tr key={rowKey(row)} className={link ? styles.opens : undefined} onClick={(event) => openRow(event, row)}>
                {columns.map((column, index) => {
                  const content = column.show ? column.show(row) : (column.value(row) ?? '');
                  return (
                    <td
                      key={column.id}
                      data-label={index === 0 ? undefined : column.label}
                      className={`${column.align === 'right' ? `${styles.right} number` : ''} ${column.wideOnly ? styles.wideOnly : ''} ${column.steady ? styles.steady : ''}`}
                    >
                      {index === 0 && link ? (
                        <Link to={link(row)} className={styles.name} data-row-link>
                          {content}
                        </Link>
                      ) : (
                        content
                      )}
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
        {found.length === 0 && (
          <p className={styles.none}>
            Nothing here fits the search.{' '}
            <button type="button" className={styles.plain} onClick={() => change({ q: undefined, state: undefined })}>
              Show all
            </button>
          </p>
        )}
      </div>
      {found.length > shown && (
        <button type="button" className={styles.plain} onClick={() => setShown(shown + pageSize)}>
          Show {count(Math.min(pageSize, found.length - shown))} more of {count(found.length)}
        </button>
      )}
    </div>
  );
}
