// Tokens for programs: shown once, with a role and an end.

import { Button, Modal, Select, TextInput } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { answer, api } from '../../api/client';
import { tokensQuery } from '../../api/queries';
import type { Role, Token } from '../../api/types';
import { CodeBlock } from '../../parts/Copy';
import { Confirm } from '../../parts/Confirm';
import { DataTable, type ColumnOf } from '../../parts/DataTable';
import { Icon } from '../../parts/Icon';
import { Empty, ProblemNote, Waiting } from '../../parts/Note';
import { State } from '../../parts/State';
import { Time } from '../../parts/Time';
import { FormWindow, Frame, roleChoices } from './Frame';

const ends = [
  { value: '30', label: 'in 30 days' },
  { value: '90', label: 'in 90 days' },
  { value: '365', label: 'in a year' },
  { value: '', label: 'never' },
];

const isExpired = (token: Token) => Boolean(token.expires_at) && Date.parse(token.expires_at ?? '') < Date.now();

export function Tokens() {
  const client = useQueryClient();
  const { data, error } = useQuery(tokensQuery);
  const [form, setForm] = useState<{ name: string; role: Role; days: string } | null>(null);
  const [made, setMade] = useState<{ name: string; token: string } | null>(null);
  const refresh = () => client.invalidateQueries({ queryKey: tokensQuery.queryKey });
  const create = async () => {
    if (!form) return;
    const body = { name: form.name, role: form.role, expires_in_days: form.days ? Number(form.days) : undefined };
    setMade(await answer(api.POST('/tokens', { body })));
    await refresh();
  };
  const columns: ColumnOf<Token>[] = [
    { id: 'name', label: 'Name', value: (token) => token.name },
    { id: 'state', label: 'State', value: (token) => (isExpired(token) ? 1 : 0), show: (token) => <State state={isExpired(token) ? 'expired' : 'active'} /> },
    { id: 'role', label: 'Role', value: (token) => token.role },
    { id: 'used', label: 'Last used', value: (token) => token.last_used_at, show: (token) => <Time at={token.last_used_at} /> },
    { id: 'ends', label: 'Ends', value: (token) => token.expires_at, show: (token) => <Time at={token.expires_at} /> },
    { id: 'by', label: 'Made by', value: (token) => token.created_by, wideOnly: true },
    {
      id: 'actions',
      label: '',
      value: () => null,
      align: 'right',
      show: (token) => (
        <Confirm
          button={{ size: 'compact-sm', variant: 'subtle', color: 'red' }}
          title={`Revoke ${token.name}?`}
          words="Programs that use it are refused from now on. This cannot be undone; a new token can be made."
          verb="Revoke token"
          act={async () => {
            await api.DELETE('/tokens/{id}', { params: { path: { id: token.id } } });
            await refresh();
          }}
        >
          Revoke
        </Confirm>
      ),
    },
  ];
  const add = (
    <Button leftSection={<Icon name="plus" size={14} />} onClick={() => setForm({ name: '', role: 'viewer', days: '90' })}>
      Make a token
    </Button>
  );
  return (
    <Frame title="API tokens" actions={data && data.length > 0 && add}>
      {error && <ProblemNote error={error} />}
      {!data && !error && <Waiting />}
      {data?.length === 0 && (
        <Empty icon="lock" title="No tokens yet" action={add}>
          A token lets a program use the API without a password, as far as its role goes and until it ends.
        </Empty>
      )}
      {data && data.length > 0 && (
        <DataTable label="tokens" rows={data} columns={columns} rowKey={(token) => token.id} text={(token) => `${token.name} ${token.role}`} />
      )}
      {form && (
        <FormWindow title="Make a token" verb="Make token" opened close={() => setForm(null)} submit={create}>
          <TextInput
            label="Name"
            description="What uses it, such as nightly export."
            required
            withAsterisk={false}
            data-autofocus
            value={form.name}
            onChange={(event) => setForm({ ...form, name: event.currentTarget.value })}
          />
          <Select label="Role" data={roleChoices} value={form.role} onChange={(role) => setForm({ ...form, role: (role ?? 'viewer') as Role })} />
          <Select label="Ends" data={ends} value={form.days} onChange={(days) => setForm({ ...form, days: days ?? '' })} />
        </FormWindow>
      )}
      <Modal
        opened={made !== null}
        onClose={() => setMade(null)}
        title={`The token ${made?.name ?? ''}`}
        closeOnClickOutside={false}
        closeButtonProps={{ 'aria-label': 'Close' }}
      >
        <div className="stack">
          <div>Copy it now: it is shown this once and stored only as a hash.</div>
          <CodeBlock title="Token" text={made?.token ?? ''} wrap />
          <Button onClick={() => setMade(null)}>I have copied it</Button>
        </div>
      </Modal>
    </Frame>
  );
}
