// The rows of a query or a sample. Values are text, whatever they hold.

import type { QueryResult } from '../api/types';
import { bytes, cell, count, counted, duration } from '../lib/format';
import { Icon } from './Icon';
import styles from './Result.module.css';

const numeric = /INT|DOUBLE|FLOAT|DECIMAL|REAL/;
const shownRows = 500;

export function ResultTable({ result }: { result: Pick<QueryResult, 'columns' | 'rows'> }) {
  return (
    <div className={styles.frame} tabIndex={0} role="region" aria-label="Rows">
      <table className={styles.table}>
        <thead>
          <tr>
            {result.columns.map((column, index) => (
              <th key={`${index} ${column.name}`} scope="col" className={numeric.test(column.type) ? styles.right : undefined}>
                {column.name}
                <span className={styles.type}>{column.type}</span>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {result.rows.slice(0, shownRows).map((row, index) => (
            <tr key={index}>
              {row.map((value, at) => (
                <td key={at} className={numeric.test(result.columns[at]?.type ?? '') ? `${styles.right} number` : undefined}>
                  {value === null ? <span className={styles.null}>NULL</span> : <span className={styles.value}>{cell(value)}</span>}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** What the query cost, and what was left out. */
export function ResultFacts({ result }: { result: QueryResult }) {
  return (
    <p className={styles.facts} role="status">
      <span className="number">{counted(result.row_count, 'row')}</span>
      {result.truncated && <span>more were left out by the limit</span>}
      <span className="number">{duration(result.duration_ms)}</span>
      <span className="number">{bytes(result.bytes_read)} read</span>
      {result.rejected_lines > 0 && (
        <span className={styles.warn}>
          <Icon name="warning" size={14} /> {count(result.rejected_lines)} unreadable{' '}
          {result.rejected_lines === 1 ? 'line' : 'lines'} set aside
        </span>
      )}
    </p>
  );
}
