// Who may sign in, and as what.

import { Button, PasswordInput, Select, TextInput } from '@mantine/core';
import { useQuery, useQueryClient, useSuspenseQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api } from '../../api/client';
import { sessionQuery, usersQuery } from '../../api/queries';
import type { Role, UserRecord } from '../../api/types';
import { Confirm } from '../../parts/Confirm';
import { DataTable, type ColumnOf } from '../../parts/DataTable';
import { Icon } from '../../parts/Icon';
import { ProblemNote, Waiting } from '../../parts/Note';
import { State } from '../../parts/State';
import { tell } from '../../parts/toast';
import { FormWindow, Frame, roleChoices } from './Frame';

interface Form {
  id?: string;
  email: string;
  name: string;
  role: Role;
  password: string;
}

const empty: Form = { email: '', name: '', role: 'viewer', password: '' };

export function Users() {
  const client = useQueryClient();
  const { data, error } = useQuery(usersQuery);
  const { data: session } = useSuspenseQuery(sessionQuery);
  const [form, setForm] = useState<Form | null>(null);
  const refresh = () => client.invalidateQueries({ queryKey: usersQuery.queryKey });
  const send = async () => {
    if (!form) return;
    if (form.id) {
      const body = { name: form.name, role: form.role, password: form.password || undefined };
      await api.PATCH('/users/{id}', { params: { path: { id: form.id } }, body });
    } else {
      const { email, name, role, password } = form;
      await api.POST('/users', { body: { email, name, role, password } });
    }
    tell(form.id ? `Changed ${form.email}` : `Added ${form.email}`);
    await refresh();
  };
  const able = async (user: UserRecord, disabled: boolean) => {
    await api.PATCH('/users/{id}', { params: { path: { id: user.id } }, body: { disabled } });
    await refresh();
  };
  const columns: ColumnOf<UserRecord>[] = [
    {
      id: 'name',
      label: 'Name',
      value: (user) => user.name,
      show: (user) => (
        <span>
          {user.name} {user.id === session.user?.id && <span className="muted">(you)</span>}
        </span>
      ),
    },
    { id: 'state', label: 'State', value: (user) => (user.disabled ? 1 : 0), show: (user) => <State state={user.disabled ? 'disabled' : 'active'} /> },
    { id: 'role', label: 'Role', value: (user) => user.role },
    { id: 'email', label: 'E-mail', value: (user) => user.email },
    {
      id: 'actions',
      label: '',
      value: () => null,
      align: 'right',
      show: (user) => (
        <span className="row" style={{ justifyContent: 'flex-end' }}>
          <Button size="compact-sm" variant="subtle" onClick={() => setForm({ ...empty, ...user, password: '' })}>
            Change
          </Button>
          {user.disabled ? (
            <Button size="compact-sm" variant="subtle" onClick={() => void able(user, false)}>
              Enable
            </Button>
          ) : (
            user.id !== session.user?.id && (
              <Confirm
                button={{ size: 'compact-sm', variant: 'subtle' }}
                title={`Disable ${user.name}?`}
                words="They are signed out at once and cannot sign in until they are enabled again. What they made stays."
                verb="Disable user"
                act={() => able(user, true)}
              >
                Disable
              </Confirm>
            )
          )}
          {user.id !== session.user?.id && (
            <Confirm
              button={{ size: 'compact-sm', variant: 'subtle', color: 'red' }}
              title={`Delete ${user.name}?`}
              words="They are signed out at once and forgotten. What they made stays; the audit log keeps their name."
              verb="Delete user"
              act={async () => {
                await api.DELETE('/users/{id}', { params: { path: { id: user.id } } });
                await refresh();
              }}
            >
              Delete
            </Confirm>
          )}
        </span>
      ),
    },
  ];
  return (
    <Frame
      title="Users"
      actions={
        <Button leftSection={<Icon name="plus" size={14} />} onClick={() => setForm(empty)}>
          Add a user
        </Button>
      }
    >
      {error && <ProblemNote error={error} />}
      {!data && !error && <Waiting />}
      {data && (
        <DataTable label="users" rows={data} columns={columns} rowKey={(user) => user.id} text={(user) => `${user.name} ${user.email} ${user.role}`} />
      )}
      {form && (
        <FormWindow
          title={form.id ? `Change ${form.email}` : 'Add a user'}
          verb={form.id ? 'Save user' : 'Add user'}
          opened
          close={() => setForm(null)}
          submit={send}
        >
          <TextInput label="Name" required withAsterisk={false} data-autofocus value={form.name} onChange={(event) => setForm({ ...form, name: event.currentTarget.value })} />
          {!form.id && (
            <TextInput label="E-mail" type="email" required withAsterisk={false} value={form.email} onChange={(event) => setForm({ ...form, email: event.currentTarget.value })} />
          )}
          <Select label="Role" data={roleChoices} value={form.role} onChange={(role) => setForm({ ...form, role: (role ?? 'viewer') as Role })} />
          <PasswordInput
            label={form.id ? 'New password' : 'Password'}
            description={form.id ? 'Empty keeps the one they have.' : 'At least 10 characters. Hand it over; they can change it.'}
            autoComplete="new-password"
            required={!form.id}
            withAsterisk={false}
            minLength={10}
            value={form.password}
            onChange={(event) => setForm({ ...form, password: event.currentTarget.value })}
          />
        </FormWindow>
      )}
    </Frame>
  );
}
