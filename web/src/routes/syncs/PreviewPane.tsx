// What three real rows would look like at the destination, following every change.

import { useDebouncedValue } from '@mantine/hooks';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { answer, api } from '../../api/client';
import type { SyncSettings } from '../../api/types';
import { ProblemNote, sentence } from '../../parts/Note';
import { Pair } from '../runs/Rejects';
import styles from './syncs.module.css';

export function PreviewPane({ settings, ready }: { settings: SyncSettings; ready: boolean }) {
  const { schedule: _, ...mapped } = settings;
  const [asked] = useDebouncedValue(JSON.stringify(mapped), 400);
  const { data, error, isFetching } = useQuery({
    queryKey: ['payloads', asked],
    queryFn: ({ signal }) =>
      answer(api.POST('/syncs/preview', { body: { settings: JSON.parse(asked) as SyncSettings, limit: 3 }, signal })),
    enabled: ready,
    placeholderData: keepPreviousData,
    retry: false,
    staleTime: 30_000,
  });
  return (
    <aside className={styles.preview} aria-label="Preview">
      <div className="row between">
        <h2>Preview</h2>
        <span className="muted small" role="status">
          {ready && isFetching ? 'reading' : data ? `${data.payloads.length} real rows` : ''}
        </span>
      </div>
      {!ready && <p className={styles.plain}>Choose a model, a destination and its stream: three real rows appear here as they would be delivered.</p>}
      {ready && error && <ProblemNote error={error} />}
      {ready && !error && data && (
        <>
          {data.errors.map((problem) => (
            <p key={problem} className={styles.warn}>
              {sentence(problem)}
            </p>
          ))}
          {data.payloads.length === 0 && data.errors.length === 0 && <p className={styles.plain}>The model has no rows.</p>}
          {data.payloads.map((payload, index) => (
            <dl key={index} className={styles.payload}>
              {Object.entries(payload).map(([name, value]) => (
                <Pair key={name} name={name} value={value} />
              ))}
            </dl>
          ))}
        </>
      )}
    </aside>
  );
}
