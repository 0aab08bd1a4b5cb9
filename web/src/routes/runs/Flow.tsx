// The picture of a run: read, compare, stage, publish, with counts that add up.

import type { RunPhase } from '../../api/events';
import type { Run } from '../../api/types';
import { bytes, count, counted } from '../../lib/format';
import { stages, type Live } from '../../lib/live';
import { sumOf } from '../../lib/runs';
import { Icon } from '../../parts/Icon';
import styles from './Flow.module.css';

interface FlowProps {
  run: Run;
  /** What is known while it runs. */
  live?: Pick<Live, 'phase' | 'bytesTotal' | 'rate'>;
}

export function Flow({ run, live }: FlowProps) {
  const { rows } = run;
  const running = run.status === 'running';
  const phase: RunPhase | null = live?.phase ?? null;
  const [read, compare, stage, publish] = stages(phase, run);
  const changed = rows.inserted + rows.updated + rows.deleted + rows.rejected;
  const published = rows.inserted + rows.updated + rows.deleted;
  const share = live?.bytesTotal ? Math.min(1, run.bytes_read / live.bytesTotal) : null;
  const over = publish === 'done';
  return (
    <div className={`card ${styles.flow}`}>
      <ol className={styles.stages}>
        <Stage name="read" state={read}>
          <b className="number">{counted(rows.read, 'row')}</b>
          <span className="number">
            {bytes(run.bytes_read)}
            {running && live?.bytesTotal ? ` of ${bytes(live.bytesTotal)}` : ''}
          </span>
          {running && live?.rate && (
            <span className="number">
              {bytes(live.rate.bytes)}/s · {count(Math.round(live.rate.rows))} rows/s
            </span>
          )}
          {running && share !== null && read === 'now' && <Bar share={share} label="read" />}
          {!running && <span className="muted number">{counted(run.files.read, 'file')}</span>}
        </Stage>
        <Stage name="compare" state={compare}>
          <b className="number">{count(rows.unchanged)} unchanged</b>
          <span className="number">
            {count(rows.inserted)} new, {count(rows.updated)} changed
          </span>
          {rows.deleted > 0 && <span className="number">{count(rows.deleted)} gone</span>}
        </Stage>
        <Stage name="stage" state={stage}>
          <b className="number">
            {count(published)} of {count(changed)}
          </b>
          {rows.rejected > 0 && <span className={`number ${styles.warn}`}>{count(rows.rejected)} rejected</span>}
          {rows.skipped > 0 && <span className="number">{count(rows.skipped)} skipped</span>}
        </Stage>
        <Stage name="publish" state={publish}>
          {over ? (
            <>
              <b className="number">{counted(published, 'row')}</b>
              <span>{run.status === 'unchanged' ? 'nothing to do' : 'visible at the destination'}</span>
            </>
          ) : (
            <span className="muted">{running ? (publish === 'now' ? 'making it visible' : 'waiting') : 'nothing became visible'}</span>
          )}
        </Stage>
      </ol>
      <Sum run={run} />
    </div>
  );
}

const words = { waiting: 'waiting', now: 'running', done: 'done', stopped: 'not finished' };

function Stage({ name, state = 'waiting', children }: { name: string; state?: keyof typeof words; children: React.ReactNode }) {
  return (
    <li className={`${styles.stage} ${styles[state]}`}>
      <span className={styles.stageName}>
        <span className={styles.dot} aria-hidden="true">
          {state === 'done' && <Icon name="check" size={10} />}
          {state === 'stopped' && <Icon name="cross" size={10} />}
        </span>
        {name}
        <span className="unseen">, {words[state]}</span>
      </span>
      <div className={styles.stageBody}>{children}</div>
    </li>
  );
}

function Bar({ share, label }: { share: number; label: string }) {
  return (
    <span
      className={styles.bar}
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.round(share * 100)}
    >
      <span style={{ width: `${share * 100}%` }} />
    </span>
  );
}

/** `100,000 read = 98,990 unchanged + 500 inserted + …`, and what is counted beside it. */
function Sum({ run }: { run: Run }) {
  const { rows, source_rows: lines } = run;
  const beside = [
    rows.deleted > 0 && `${count(rows.deleted)} deleted`,
    rows.delete_rejected > 0 && `${count(rows.delete_rejected)} deletions rejected`,
    lines.rejected > 0 && `${counted(lines.rejected, 'line')} of the files unreadable`,
  ].filter(Boolean);
  return (
    <p className={`${styles.sum} number`}>
      {count(rows.read)} read{rows.read > 0 && ' = '}
      {sumOf(rows).map((part, index) => (
        <span key={part.label} className={part.label === 'rejected' ? styles.warn : undefined}>
          {index > 0 && ' + '}
          {count(part.value)} {part.label}
        </span>
      ))}
      {beside.length > 0 && <span className="muted"> · {beside.join(' · ')}</span>}
    </p>
  );
}
