// One run: live while it goes on, the same picture standing still afterwards, and its rejected rows.

import { Button } from '@mantine/core';
import { useQuery, useQueryClient, useSuspenseQuery } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { api } from '../../api/client';
import { followRun } from '../../api/events';
import { runQuery, syncQuery } from '../../api/queries';
import { clock, counted, duration, exact, timeOfDay } from '../../lib/format';
import { after, nothingYet, type Live } from '../../lib/live';
import { useNow } from '../../lib/now';
import { useMay } from '../../lib/roles';
import { Icon } from '../../parts/Icon';
import { ProblemNote, ReportNote } from '../../parts/Note';
import { Facts, Page, Section } from '../../parts/Page';
import { State } from '../../parts/State';
import { Time } from '../../parts/Time';
import { tell } from '../../parts/toast';
import { causeWords } from '../../lib/runs';
import { Flow } from './Flow';
import { Rejects } from './Rejects';
import styles from './runs.module.css';

export function RunPage() {
  const { id } = useParams({ strict: false }) as { id: string };
  return <OneRun key={id} id={id} />;
}

function OneRun({ id }: { id: string }) {
  const client = useQueryClient();
  const { data: stored } = useSuspenseQuery(runQuery(id));
  const sync = useQuery(syncQuery(stored.sync)).data;
  const may = useMay('editor');
  const [live, setLive] = useState<Live>(nothingYet);
  const [connected, setConnected] = useState(true);
  const [error, setError] = useState<unknown>(null);
  const [cancelling, setCancelling] = useState(false);

  // As it was when the page opened.
  const [ended] = useState(stored.status !== 'running');
  useEffect(() => {
    const control = new AbortController();
    const take = (event: Parameters<typeof after>[1]) => {
      setLive((before) => after(before, event));
      if (event.event !== 'ended') return;
      for (const queryKey of [['runs'], ['syncs'], ['summary']]) void client.invalidateQueries({ queryKey });
    };
    followRun(id, ended, take, setConnected, control.signal).catch((failure: unknown) => {
      if (!control.signal.aborted) setError(failure);
    });
    return () => control.abort();
  }, [id, ended, client]);

  const running = stored.status === 'running' && live.report === null;
  const run = live.report
    ? { ...stored, ...live.report, id: stored.id, started_at: stored.started_at }
    : running && live.samples.length > 0
      ? { ...stored, rows: live.rows, bytes_read: live.bytesRead }
      : stored;
  const cancel = async () => {
    setCancelling(true);
    try {
      await api.POST('/runs/{id}/cancel', { params: { path: { id } } });
      tell('Cancelling: the run stops at the next safe place');
    } catch (failure) {
      setError(failure);
      setCancelling(false);
    }
  };

  return (
    <Page
      title={`${stored.sync} · run ${stored.generation}`}
      parent={{ to: `/syncs/${encodeURIComponent(stored.sync)}`, label: stored.sync }}
      aside={
        <>
          <State state={run.status} />
          {running ? <Clock since={stored.started_at} /> : <span className="muted number">{duration(run.duration_ms)}</span>}
          {running && !connected && <span className="muted">connection lost, trying again</span>}
        </>
      }
      actions={
        may &&
        (running ? (
          <Button variant="default" loading={cancelling} leftSection={<Icon name="stop" size={14} />} onClick={() => void cancel()}>
            Cancel
          </Button>
        ) : (
          <Button variant="default" component={Link} to={`/syncs/${encodeURIComponent(stored.sync)}`}>
            Open the sync
          </Button>
        ))
      }
    >
      {error !== null && <ProblemNote error={error} />}
      {run.error && <ReportNote report={run.error} tone={run.status === 'stopped' ? 'warn' : 'bad'} />}
      <Flow run={run} live={running ? live : { phase: live.phase, bytesTotal: 0, rate: null }} />
      <Facts
        facts={[
          ['Mode', run.mode === 'incremental' ? 'incremental' : 'full refresh'],
          ['Started', <Time key="started" at={run.started_at} />],
          ['Cause', causeWords(run)],
          ['Files', `${counted(run.files.listed, 'name')} listed, ${run.files.read} read, ${run.files.skipped} skipped`],
          ['Run', <code key="run">{run.run}</code>],
        ]}
      />
      <Section title="Events">
        {live.lines.length === 0 ? (
          <p className={`muted ${styles.none}`}>{running ? 'Waiting for the first event.' : 'Events of this run are no longer kept.'}</p>
        ) : (
          <ol className={styles.events} aria-live="polite" aria-label="Events">
            {live.lines.map((line, index) => (
              <li key={index}>
                <time dateTime={line.at} title={exact(new Date(line.at))} className="number">
                  {timeOfDay(new Date(line.at))}
                </time>
                <span>{line.words}</span>
              </li>
            ))}
          </ol>
        )}
      </Section>
      {!running && <Rejects sync={stored.sync} open={sync?.open_rejects ?? run.rows.rejected} lines={run.source_rows.rejected} />}
    </Page>
  );
}

function Clock({ since }: { since?: string | null }) {
  const now = useNow('fast');
  return <span className="number">{since ? clock(now - Date.parse(since)) : 'waiting for its turn'}</span>;
}
