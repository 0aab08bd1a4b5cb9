// The schedule, with the next five runs as the server reckons them.

import { Select, SegmentedControl, TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { answer, api, problemOf } from '../../api/client';
import { exact } from '../../lib/format';
import { scheduleOf, type ScheduleForm } from '../../lib/schedule';
import { sentence } from '../../parts/Note';
import styles from './syncs.module.css';

const distances = ['5m', '15m', '30m', '1h', '6h', '12h', '1d'];
const zones = ['UTC', ...Intl.supportedValuesOf('timeZone').filter((zone) => zone !== 'UTC')];

export function WhenStep({ value, onChange }: { value: ScheduleForm; onChange: (value: ScheduleForm) => void }) {
  const [asked] = useDebouncedValue(JSON.stringify(scheduleOf(value)), 300);
  const preview = useQuery({
    queryKey: ['schedule', asked],
    queryFn: () =>
      answer(api.POST('/schedules/preview', { body: { schedule: JSON.parse(asked) as unknown } })),
    enabled: value.kind !== 'manual',
    retry: false,
    staleTime: 30_000,
  });
  const trouble = preview.error ? sentence(problemOf(preview.error).detail) : undefined;
  const zone = value.kind === 'cron' ? value.timezone : undefined;
  return (
    <div className="stack">
      <SegmentedControl
        aria-label="Schedule"
        style={{ alignSelf: 'flex-start' }}
        value={value.kind}
        onChange={(kind) => onChange({ ...value, kind: kind as ScheduleForm['kind'] })}
        data={[
          { value: 'manual', label: 'By hand' },
          { value: 'every', label: 'Every …' },
          { value: 'cron', label: 'At times' },
        ]}
      />
      {value.kind === 'every' && (
        <div className="stack tight">
          <TextInput
            label="Interval"
            description="A number and s, m, h or d."
            maw={224}
            error={trouble}
            value={value.every}
            onChange={(event) => onChange({ ...value, every: event.currentTarget.value })}
          />
          <div className="row">
            {distances.map((distance) => (
              <button key={distance} type="button" className={styles.quick} aria-pressed={value.every === distance} onClick={() => onChange({ ...value, every: distance })}>
                {distance}
              </button>
            ))}
          </div>
        </div>
      )}
      {value.kind === 'cron' && (
        <div className={styles.pair}>
          <TextInput
            label="Cron"
            description="Minute, hour, day of month, month, day of week."
            spellCheck={false}
            error={trouble}
            value={value.cron}
            onChange={(event) => onChange({ ...value, cron: event.currentTarget.value })}
          />
          <Select
            label="Time zone"
            description="Daylight saving is followed."
            searchable
            data={zones.includes(value.timezone) ? zones : [value.timezone, ...zones]}
            value={value.timezone}
            onChange={(timezone) => onChange({ ...value, timezone: timezone ?? 'UTC' })}
          />
        </div>
      )}
      {value.kind !== 'manual' && (
        <div className={styles.next} aria-live="polite">
          <span className="muted small">{preview.data ? `Next runs, ${preview.data.text}` : 'Next runs'}</span>
          <ol>
            {(preview.data?.next ?? []).slice(0, 5).map((time) => (
              <li key={time} className="number">
                {exact(new Date(time), zone)}
              </li>
            ))}
          </ol>
        </div>
      )}
    </div>
  );
}
