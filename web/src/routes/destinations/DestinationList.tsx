// The list of destinations.

import { Button } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { connectorsQuery, destinationsQuery } from '../../api/queries';
import type { Destination } from '../../api/types';
import { connectionState } from '../../lib/connection';
import { count } from '../../lib/format';
import { useMay } from '../../lib/roles';
import { DataTable, type Chip, type ColumnOf } from '../../parts/DataTable';
import { Icon, kindIcon } from '../../parts/Icon';
import { Empty, ProblemNote, Waiting } from '../../parts/Note';
import { Page } from '../../parts/Page';
import { State } from '../../parts/State';
import { Time } from '../../parts/Time';

const chips: Chip<Destination>[] = (['connected', 'failed', 'draft', 'unchecked'] as const).map((state) => ({
  id: state,
  label: state === 'unchecked' ? 'not checked' : state,
  state,
  test: (destination) => connectionState(destination) === state,
}));

function columns(title: (kind: string) => string): ColumnOf<Destination>[] {
  return [
    { id: 'name', label: 'Name', value: (destination) => destination.name },
    {
      id: 'state',
      label: 'State',
      value: connectionState,
      show: (destination) => <State state={connectionState(destination)} />,
    },
    { id: 'syncs', label: 'Syncs', value: (destination) => destination.syncs, show: (destination) => count(destination.syncs), align: 'right' },
    {
      id: 'kind',
      label: 'Kind',
      value: (destination) => title(destination.kind),
      show: (destination) => (
        <span className="row">
          <Icon name={kindIcon(destination.kind)} /> {title(destination.kind)}
        </span>
      ),
    },
    {
      id: 'checked',
      label: 'Checked',
      value: (destination) => destination.last_check?.at,
      show: (destination) => <Time at={destination.last_check?.at} />,
    },
  ];
}

export function DestinationList() {
  const { data, error } = useQuery(destinationsQuery);
  const connectors = useQuery(connectorsQuery).data ?? [];
  const may = useMay('editor');
  const title = (kind: string) => connectors.find((connector) => connector.kind === kind)?.title ?? kind;
  const add = may && (
    <Button component={Link} to="/destinations/new" leftSection={<Icon name="plus" size={14} />}>
      Add a destination
    </Button>
  );
  return (
    <Page title="Destinations" full actions={data && data.length > 0 && add}>
      {error && <ProblemNote error={error} />}
      {!data && !error && <Waiting />}
      {data?.length === 0 && (
        <Empty icon="destination" title="No destinations yet" action={add}>
          A destination is a connection to where rows go: a database, an API, a channel or a folder of files.
        </Empty>
      )}
      {data && data.length > 0 && (
        <DataTable
          label="destinations"
          rows={data}
          columns={columns(title)}
          chips={chips}
          rowKey={(destination) => destination.name}
          link={(destination) => `/destinations/${encodeURIComponent(destination.name)}`}
          text={(destination) => `${destination.name} ${title(destination.kind)}`}
        />
      )}
    </Page>
  );
}
