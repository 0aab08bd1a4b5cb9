// Who did what, when and from where.

import { useQuery } from '@tanstack/react-query';
import { auditQuery } from '../../api/queries';
import type { AuditEntry } from '../../api/types';
import { cell, exact } from '../../lib/format';
import { DataTable, type Chip, type ColumnOf } from '../../parts/DataTable';
import { Empty, ProblemNote, Waiting } from '../../parts/Note';
import { Frame } from './Frame';

/** What stands out: `draft: no` or an option that was not chosen does not. */
function detailWords(entry: AuditEntry): string {
  return Object.entries(entry.details)
    .filter(([, value]) => value !== false && value !== null)
    .map(([name, value]) => (value === true ? name : `${name} ${cell(value)}`).replaceAll('_', ' '))
    .join(', ');
}

const columns: ColumnOf<AuditEntry>[] = [
  { id: 'what', label: 'What', steady: true, value: (entry) => entry.action, show: (entry) => <span className="mono">{entry.action}</span> },
  { id: 'who', label: 'Who', value: (entry) => entry.actor.name, show: (entry) => <span>{entry.actor.name} <span className="muted">{entry.actor.kind}</span></span> },
  { id: 'target', label: 'On', value: (entry) => entry.target },
  {
    id: 'details',
    label: 'Details',
    value: detailWords,
    show: (entry) => <span className="muted">{detailWords(entry)}</span>,
    wideOnly: true,
  },
  { id: 'from', label: 'From', steady: true, value: (entry) => entry.address },
  { id: 'when', label: 'When', value: (entry) => entry.at, show: (entry) => <time dateTime={entry.at} className="number">{exact(new Date(entry.at))}</time> },
];

const chips: Chip<AuditEntry>[] = [
  { id: 'user', label: 'by users', test: (entry) => entry.actor.kind === 'user' },
  { id: 'token', label: 'by tokens', test: (entry) => entry.actor.kind === 'token' },
  { id: 'system', label: 'by the system', test: (entry) => entry.actor.kind === 'system' },
];

export function Audit() {
  const { data, error } = useQuery(auditQuery);
  return (
    <Frame title="Audit log">
      {error && <ProblemNote error={error} />}
      {!data && !error && <Waiting />}
      {data?.length === 0 && (
        <Empty icon="table" title="Nothing yet">
          Every change, sign-in and run by hand is written down here.
        </Empty>
      )}
      {data && data.length > 0 && (
        <DataTable
          label="audit log"
          rows={data}
          columns={columns}
          chips={chips}
          sort="-when"
          rowKey={(entry) => String(entry.id)}
          text={(entry) => `${entry.action} ${entry.actor.name} ${entry.target ?? ''} ${entry.address ?? ''}`}
        />
      )}
    </Frame>
  );
}
