// The list of models.

import { Button } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { modelsQuery } from '../../api/queries';
import type { Model } from '../../api/types';
import { count } from '../../lib/format';
import { keyOf } from '../../lib/model';
import { useMay } from '../../lib/roles';
import { DataTable, type Chip, type ColumnOf } from '../../parts/DataTable';
import { Icon } from '../../parts/Icon';
import { Empty, ProblemNote, Waiting } from '../../parts/Note';
import { Page } from '../../parts/Page';
import { State } from '../../parts/State';
import { Time } from '../../parts/Time';

const state = (model: Model) => (model.draft ? 'draft' : 'ready');

const columns: ColumnOf<Model>[] = [
  { id: 'name', label: 'Name', value: (model) => model.name },
  { id: 'state', label: 'State', value: state, show: (model) => <State state={state(model)} /> },
  { id: 'syncs', label: 'Syncs', value: (model) => model.syncs, show: (model) => count(model.syncs), align: 'right' },
  { id: 'source', label: 'Source', value: (model) => model.settings.source },
  {
    id: 'key',
    label: 'Primary key',
    value: (model) => keyOf(model.settings).join(', '),
    show: (model) => {
      const key = keyOf(model.settings);
      return key.length > 0 ? <span className="mono">{key.join(', ')}</span> : <span className="muted">none</span>;
    },
  },
  { id: 'changed', label: 'Changed', value: (model) => model.updated_at, show: (model) => <Time at={model.updated_at} none="–" /> },
];

const chips: Chip<Model>[] = [
  { id: 'ready', label: 'ready', state: 'ready', test: (model) => !model.draft },
  { id: 'draft', label: 'draft', state: 'draft', test: (model) => model.draft },
];

export function ModelList() {
  const { data, error } = useQuery(modelsQuery);
  const may = useMay('editor');
  const add = may && (
    <Button component={Link} to="/models/new" leftSection={<Icon name="plus" size={14} />}>
      Write a model
    </Button>
  );
  return (
    <Page title="Models" full actions={data && data.length > 0 && add}>
      {error && <ProblemNote error={error} />}
      {!data && !error && <Waiting />}
      {data?.length === 0 && (
        <Empty icon="model" title="No models yet" action={add}>
          A model is one SELECT over the files of a source, with the columns that identify a row. Syncs deliver its rows.
        </Empty>
      )}
      {data && data.length > 0 && (
        <DataTable
          label="models"
          rows={data}
          columns={columns}
          chips={chips}
          rowKey={(model) => model.name}
          link={(model) => `/models/${encodeURIComponent(model.name)}`}
          text={(model) => `${model.name} ${model.settings.source} ${model.settings.sql}`}
        />
      )}
    </Page>
  );
}
