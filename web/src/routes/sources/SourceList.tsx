// The list of sources.

import { Button } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { sourcesQuery } from '../../api/queries';
import type { Source } from '../../api/types';
import { connectionState, sourceAddress } from '../../lib/connection';
import { count } from '../../lib/format';
import { useMay } from '../../lib/roles';
import { DataTable, type Chip, type ColumnOf } from '../../parts/DataTable';
import { Icon } from '../../parts/Icon';
import { Empty, ProblemNote, Waiting } from '../../parts/Note';
import { Page } from '../../parts/Page';
import { State } from '../../parts/State';
import { Time } from '../../parts/Time';

const columns: ColumnOf<Source>[] = [
  { id: 'name', label: 'Name', value: (source) => source.name },
  { id: 'state', label: 'State', value: connectionState, show: (source) => <State state={connectionState(source)} /> },
  { id: 'models', label: 'Models', value: (source) => source.models, show: (source) => count(source.models), align: 'right' },
  {
    id: 'address',
    label: 'Address',
    value: sourceAddress,
    show: (source) => <span className="mono">{sourceAddress(source)}</span>,
  },
  {
    id: 'checked',
    label: 'Checked',
    value: (source) => source.last_check?.at,
    show: (source) => <Time at={source.last_check?.at} />,
  },
];

const chips: Chip<Source>[] = (['connected', 'failed', 'draft', 'unchecked'] as const).map((state) => ({
  id: state,
  label: state === 'unchecked' ? 'not checked' : state,
  state,
  test: (source) => connectionState(source) === state,
}));

export function SourceList() {
  const { data, error } = useQuery(sourcesQuery);
  const may = useMay('editor');
  const add = may && (
    <Button component={Link} to="/sources/new" leftSection={<Icon name="plus" size={14} />}>
      Add an S3 source
    </Button>
  );
  return (
    <Page title="Sources" full actions={data && data.length > 0 && add}>
      {error && <ProblemNote error={error} />}
      {!data && !error && <Waiting />}
      {data?.length === 0 && (
        <Empty icon="source" title="No sources yet" action={add}>
          A source is an S3 bucket, or a folder in one, that holds CSV, Parquet or NDJSON files. Add one to see what is in it.
        </Empty>
      )}
      {data && data.length > 0 && (
        <DataTable
          label="sources"
          rows={data}
          columns={columns}
          chips={chips}
          rowKey={(source) => source.name}
          link={(source) => `/sources/${encodeURIComponent(source.name)}`}
          text={(source) => `${source.name} ${sourceAddress(source)}`}
        />
      )}
    </Page>
  );
}
