// A plan: one sentence, the counts, and some of the rows.

import type { Plan } from '../../api/types';
import { cell, count } from '../../lib/format';
import { planSentence } from '../../lib/plan';
import { ReportNote } from '../../parts/Note';
import styles from './syncs.module.css';

interface PlanViewProps {
  plan: Plan;
  stream: string;
  isNew: boolean;
  first: boolean;
}

export function PlanView({ plan, stream, isNew, first }: PlanViewProps) {
  const stop = plan.error && <ReportNote report={plan.error} tone="warn" />;
  // Without a fingerprint the run would stop before its changes are known.
  if (stop && !plan.fingerprint) return stop;
  const counts = [
    ['insert', plan.rows.inserted],
    ['update', plan.rows.updated],
    ['delete', plan.rows.deleted],
    ['unchanged', plan.rows.unchanged],
    ['reject', plan.rows.rejected],
  ] as const;
  return (
    <div className="stack">
      {stop}
      <p className={styles.sentence} role="status">
        {planSentence(plan, isNew && first ? `${stream} (new)` : stream, first)}
      </p>
      <ul className={styles.counts} aria-label="Counts">
        {counts.map(([word, value]) => (
          <li key={word}>
            <span className="number">{count(value)}</span> {word}
          </li>
        ))}
      </ul>
      {plan.samples.length > 0 && (
        <details>
          <summary className="muted">Some of the rows</summary>
          <ul className={styles.samples}>
            {plan.samples.map((sample, index) => (
              <li key={index}>
                <span className={styles.op}>{sample.op}</span>
                <span className="mono">
                  {Object.entries(sample.key)
                    .map(([name, value]) => `${name} = ${shown(value)}`)
                    .join(', ')}
                </span>
                <ul>
                  {sample.changes.map((change) => (
                    <li key={change.field} className="mono">
                      {change.field}:{' '}
                      {change.old !== undefined && (
                        <>
                          <del>{shown(change.old)}</del> →{' '}
                        </>
                      )}
                      {shown(change.new)}
                    </li>
                  ))}
                </ul>
              </li>
            ))}
          </ul>
        </details>
      )}
    </div>
  );
}

function shown(value: unknown): string {
  return value === null || value === undefined ? 'NULL' : cell(value);
}
