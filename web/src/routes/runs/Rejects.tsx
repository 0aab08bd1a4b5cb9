// The rows that were not delivered, and the lines that could not be read: why, and what to do.

import { Button } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { address, answer, api } from '../../api/client';
import { rejectsQuery, sourceRejectsQuery } from '../../api/queries';
import type { Reject, Settings } from '../../api/types';
import { cell, count, counted } from '../../lib/format';
import { useMay } from '../../lib/roles';
import { Icon } from '../../parts/Icon';
import { ProblemNote, sentence, Waiting } from '../../parts/Note';
import { Section } from '../../parts/Page';
import { Time } from '../../parts/Time';
import styles from './runs.module.css';

export function Rejects({ sync, open, lines }: { sync: string; open: number; lines: number }) {
  return (
    <>
      {open > 0 && <RejectedRows sync={sync} open={open} />}
      {lines > 0 && <UnreadableLines sync={sync} />}
    </>
  );
}

const step = 50;

function RejectedRows({ sync, open }: { sync: string; open: number }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const may = useMay('editor');
  const [limit, setLimit] = useState(step);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const rejects = useQuery({ ...rejectsQuery(sync, limit), placeholderData: (before) => before });
  const retry = async () => {
    setBusy(true);
    setError(null);
    try {
      const run = await answer(api.POST('/syncs/{name}/retry', { params: { path: { name: sync } } }));
      await client.invalidateQueries({ queryKey: ['runs'] });
      await navigate({ to: '/runs/$id', params: { id: run.id } });
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  };
  const items = rejects.data?.items ?? [];
  return (
    <Section
      title="Rejected rows"
      bare
      aside={
        may && (
          <span className="row">
            <Button
              component="a"
              href={address('/syncs/{name}/rejects.csv', sync)}
              download={`${sync}-rejects.csv`}
              variant="default"
              size="compact-sm"
              leftSection={<Icon name="download" size={14} />}
            >
              CSV
            </Button>
            <Button size="compact-sm" loading={busy} onClick={() => void retry()} leftSection={<Icon name="retry" size={14} />}>
              Retry these
            </Button>
          </span>
        )
      }
    >
      {error !== null && <ProblemNote error={error} />}
      {rejects.error && <ProblemNote error={rejects.error} />}
      {rejects.isPending && <Waiting lines={3} />}
      <p className="muted" style={{ margin: 0 }}>
        {counted(open, 'row')} of the model {open === 1 ? 'was' : 'were'} refused. Each later run offers {open === 1 ? 'it' : 'them'} again.
        {!may && ' Keys and values are shown to editors.'}
      </p>
      {items.length > 0 && (
        <ul className={styles.list}>
          {items.map((reject, index) => (
            <OneReject key={`${index} ${JSON.stringify(reject.key)}`} reject={reject} />
          ))}
        </ul>
      )}
      {rejects.data?.next && (
        <Button variant="subtle" size="compact-sm" onClick={() => setLimit(limit + step)}>
          Show more
        </Button>
      )}
    </Section>
  );
}

function OneReject({ reject }: { reject: Reject }) {
  return (
    <li className={styles.reject}>
      <div className={styles.rejectHead}>
        {reject.key && <span className={styles.key}>{keyWords(reject.key)}</span>}
        <code className="muted">{reject.code}</code>
        <span className="muted small number">{counted(reject.attempts ?? 0, 'attempt')}</span>
        <span className="muted small">
          first <Time at={reject.first_at} />, last <Time at={reject.last_at} />
        </span>
      </div>
      <p>{sentence(reject.reason)}</p>
      {reject.payload && (
        <details>
          <summary>Values</summary>
          <dl className={styles.payload}>
            {Object.entries(reject.payload).map(([name, value]) => (
              <Pair key={name} name={name} value={value} />
            ))}
          </dl>
        </details>
      )}
    </li>
  );
}

export function Pair({ name, value }: { name: string; value: unknown }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{value === null ? <span className="muted">NULL</span> : cell(value)}</dd>
    </>
  );
}

function keyWords(key: Settings): string {
  return Object.entries(key)
    .map(([name, value]) => `${name} = ${value === null ? 'NULL' : cell(value)}`)
    .join(', ');
}

function UnreadableLines({ sync }: { sync: string }) {
  const [limit, setLimit] = useState(step);
  const { data, error } = useQuery({ ...sourceRejectsQuery(sync, limit), placeholderData: (before) => before });
  if (error) return <ProblemNote error={error} />;
  if (!data || data.items.length === 0) return null;
  return (
    <Section title="Unreadable lines" bare>
      <ul className={styles.list}>
        {data.items.map((line) => (
          <li key={`${line.file} ${line.line}`} className={styles.reject}>
            <div className={styles.rejectHead}>
              <span className={styles.key}>
                {line.file}, line {count(line.line ?? 0)}
              </span>
              {line.column && <span className="muted">column {line.column}</span>}
            </div>
            <p>{sentence(line.reason)}</p>
          </li>
        ))}
      </ul>
      {data.next && (
        <Button variant="subtle" size="compact-sm" onClick={() => setLimit(limit + step)}>
          Show more
        </Button>
      )}
    </Section>
  );
}
