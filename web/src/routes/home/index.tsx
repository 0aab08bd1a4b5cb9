// Home: what needs attention, the syncs by state, the rows delivered per day, the latest runs.

import { Button } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { lazy, Suspense } from 'react';
import { runsQuery, summaryQuery } from '../../api/queries';
import type { Run, Summary, SyncState } from '../../api/types';
import { count, counted, duration } from '../../lib/format';
import { useMay } from '../../lib/roles';
import { delivered } from '../../lib/runs';
import { Icon } from '../../parts/Icon';
import { ProblemNote, sentence, Waiting } from '../../parts/Note';
import { Page, Section } from '../../parts/Page';
import { State, StateShape } from '../../parts/State';
import { Time } from '../../parts/Time';
import styles from './home.module.css';

const DeliveredChart = lazy(() => import('./DeliveredChart'));

const order: SyncState[] = ['failed', 'stopped', 'late', 'partial', 'running', 'healthy', 'new', 'off'];

export function Home() {
  const summary = useQuery(summaryQuery);
  const runs = useQuery({ ...runsQuery(undefined, 8), refetchInterval: 10_000 });
  return (
    <Page title="Home">
      {summary.error && <ProblemNote error={summary.error} />}
      {summary.isPending && <Waiting lines={8} />}
      {summary.data &&
        (summary.data.counts.syncs === 0 ? (
          <FirstSteps counts={summary.data.counts} />
        ) : (
          <>
            <States summary={summary.data} />
            <Attention items={summary.data.attention} />
            <Section title="Rows delivered per day">
              <div className={styles.chart}>
                <Suspense fallback={null}>
                  <DeliveredChart days={summary.data.per_day} />
                </Suspense>
              </div>
            </Section>
            <Section title="Latest runs">
              <LatestRuns runs={runs.data?.items ?? []} />
            </Section>
          </>
        ))}
    </Page>
  );
}

function States({ summary }: { summary: Summary }) {
  const present = order.filter((state) => (summary.syncs[state] ?? 0) > 0);
  return (
    <ul className={styles.states} aria-label="Syncs by state">
      {present.map((state) => (
        <li key={state}>
          <Link to="/syncs" search={{ state } as never} className={styles.stateLink}>
            <span className={`${styles.big} number`}>{count(summary.syncs[state] ?? 0)}</span>
            <State state={state} />
          </Link>
        </li>
      ))}
    </ul>
  );
}

function Attention({ items }: { items: Summary['attention'] }) {
  if (items.length === 0) {
    return (
      <p className="row">
        <StateShape state="healthy" /> Nothing needs attention.
      </p>
    );
  }
  return (
    <Section title="Needs attention" aside={<span className="muted number">{counted(items.length, 'sync')}</span>}>
      <ul className={styles.attention}>
        {items.map((item) => (
          <li key={item.sync}>
            <div className={styles.attentionHead}>
              <Link to="/syncs/$name" params={{ name: item.sync }} className={styles.name}>
                {item.sync}
              </Link>
              <State state={item.state} />
              <span className="muted small">{item.since && <Time at={item.since} />}</span>
            </div>
            <p>
              {item.message ? sentence(item.message) : item.open_rejects > 0 ? `${counted(item.open_rejects, 'row')} rejected.` : ''}{' '}
              {item.message && item.open_rejects > 0 && (
                <span className="number">{counted(item.open_rejects, 'row')} rejected. </span>
              )}
              {item.code && <code className="muted">{item.code}</code>}
            </p>
          </li>
        ))}
      </ul>
    </Section>
  );
}

function LatestRuns({ runs }: { runs: Run[] }) {
  if (runs.length === 0) return <p className="muted">No sync has run yet.</p>;
  return (
    <ul className={styles.runs}>
      {runs.map((run) => (
        <li key={run.id}>
          <Link to="/runs/$id" params={{ id: run.id }}>
            <span className={styles.name}>{run.sync}</span> <span className="muted number">run {run.generation}</span>
          </Link>
          <State state={run.status} />
          <span className="number">{counted(delivered(run.rows), 'row')}</span>
          <span className="muted number">{run.status === 'running' ? '' : duration(run.duration_ms)}</span>
          <Time at={run.started_at} />
        </li>
      ))}
    </ul>
  );
}

function FirstSteps({ counts }: { counts: Summary['counts'] }) {
  const may = useMay('editor');
  const steps = [
    { done: counts.sources > 0, title: 'Add a source', words: 'An S3 bucket, or a folder in one, with CSV or Parquet files.', to: '/sources/new' },
    { done: counts.models > 0, title: 'Write a model', words: 'One SELECT over the files, with the columns that identify a row.', to: '/models/new' },
    { done: counts.destinations > 0, title: 'Add a destination', words: 'A database, an API, a channel or a folder that rows go to.', to: '/destinations/new' },
    { done: false, title: 'Set up a sync', words: 'It keeps the destination in step with the model, and shows a plan before it starts.', to: '/syncs/new' },
  ];
  const next = steps.findIndex((step) => !step.done);
  return (
    <div className={styles.first}>
      <h2 className={styles.welcome}>From files to everywhere else, in four steps</h2>
      <ol className={styles.steps}>
        {steps.map((step, index) => (
          <li key={step.to} className={index === next ? styles.next : undefined}>
            <span className={styles.mark}>{step.done ? <Icon name="check" /> : index + 1}</span>
            <div>
              <h3>
                {step.title}
                {step.done && <span className="unseen"> (done)</span>}
              </h3>
              <p className="muted">{step.words}</p>
            </div>
            {index === next && may && (
              <Button component={Link} to={step.to}>
                {step.title}
              </Button>
            )}
          </li>
        ))}
      </ol>
      {!may && <p className="muted">An editor or an administrator can take the next step.</p>}
    </div>
  );
}
