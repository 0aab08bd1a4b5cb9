// The list of syncs.

import { Button } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { syncsQuery } from '../../api/queries';
import type { Sync, SyncState } from '../../api/types';
import { count, counted } from '../../lib/format';
import { useMay } from '../../lib/roles';
import { delivered } from '../../lib/runs';
import { DataTable, type Chip, type ColumnOf } from '../../parts/DataTable';
import { Icon } from '../../parts/Icon';
import { Empty, ProblemNote, Waiting } from '../../parts/Note';
import { Page } from '../../parts/Page';
import { Sparkline } from '../../parts/Sparkline';
import { State } from '../../parts/State';
import { Time } from '../../parts/Time';

const states: SyncState[] = ['healthy', 'running', 'partial', 'late', 'stopped', 'failed', 'new', 'off'];

const columns: ColumnOf<Sync>[] = [
  {
    id: 'name',
    label: 'Name',
    value: (sync) => sync.name,
    show: (sync) => (
      <>
        {sync.name}
        <span className="muted small" style={{ display: 'block', fontWeight: 400 }}>
          {sync.settings.model} → {sync.settings.destination} {sync.settings.stream}
        </span>
      </>
    ),
  },
  {
    id: 'state',
    label: 'State',
    value: (sync) => states.indexOf(sync.state),
    show: (sync) => (
      <span>
        <State state={sync.draft ? 'draft' : sync.state} />
        {sync.open_rejects > 0 && <span className="muted small number" style={{ display: 'block' }}>{count(sync.open_rejects)} rejected</span>}
      </span>
    ),
  },
  {
    id: 'rows',
    label: 'Rows',
    align: 'right',
    value: (sync) => sync.last_run && delivered(sync.last_run.rows),
    show: (sync) => (sync.last_run ? count(delivered(sync.last_run.rows)) : <span className="muted">–</span>),
  },
  { id: 'trend', label: 'Trend', value: (sync) => sync.trend.at(-1)?.delivered, show: (sync) => <Sparkline trend={sync.trend} />, wideOnly: true },
  { id: 'last', label: 'Last run', value: (sync) => sync.last_run?.started_at, show: (sync) => <Time at={sync.last_run?.started_at} /> },
  {
    id: 'next',
    label: 'Next run',
    value: (sync) => sync.next_run,
    show: (sync) => <Time at={sync.paused ? null : sync.next_run} none={sync.paused ? 'paused' : 'by hand'} />,
  },
];

const chips: Chip<Sync>[] = states.map((state) => ({ id: state, label: state, state, test: (sync) => sync.state === state }));

export function SyncList() {
  const { data, error } = useQuery({ ...syncsQuery, refetchInterval: 10_000 });
  const may = useMay('editor');
  const add = may && (
    <Button component={Link} to="/syncs/new" leftSection={<Icon name="plus" size={14} />}>
      Set up a sync
    </Button>
  );
  return (
    <Page
      title="Syncs"
      full
      aside={data && data.length > 0 && <span className="muted number">{counted(data.length, 'sync')}</span>}
      actions={data && data.length > 0 && add}
    >
      {error && <ProblemNote error={error} />}
      {!data && !error && <Waiting />}
      {data?.length === 0 && (
        <Empty icon="sync" title="No syncs yet" action={add}>
          A sync delivers the rows of a model to a table, an object or a channel of a destination, now or on a schedule.
        </Empty>
      )}
      {data && data.length > 0 && (
        <DataTable
          label="syncs"
          rows={data}
          columns={columns}
          chips={chips}
          rowKey={(sync) => sync.name}
          link={(sync) => `/syncs/${encodeURIComponent(sync.name)}`}
          text={(sync) => `${sync.name} ${sync.settings.model} ${sync.settings.destination} ${sync.settings.stream}`}
        />
      )}
    </Page>
  );
}
