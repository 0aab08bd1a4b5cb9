// Who is told when a sync does not do what it should.

import { Button, Checkbox, MultiSelect, NumberInput, Select, TagsInput, TextInput } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { answer, api } from '../../api/client';
import { alertsQuery, syncsQuery } from '../../api/queries';
import type { Alert, AlertEvent } from '../../api/types';
import { percent } from '../../lib/format';
import { useMay } from '../../lib/roles';
import { Confirm } from '../../parts/Confirm';
import { DataTable, type ColumnOf } from '../../parts/DataTable';
import { Icon } from '../../parts/Icon';
import { Empty, ProblemNote, Trouble, Waiting } from '../../parts/Note';
import { SecretInput } from '../../parts/SecretInput';
import { tell } from '../../parts/toast';
import { FormWindow, Frame } from './Frame';

const events: { value: AlertEvent; label: string }[] = [
  { value: 'failed', label: 'a run failed' },
  { value: 'partial', label: 'rows were rejected' },
  { value: 'stopped', label: 'a guard stopped a run' },
  { value: 'late', label: 'a run is late' },
  { value: 'recovered', label: 'it works again' },
];

const channels = [
  { value: 'webhook', label: 'webhook' },
  { value: 'slack', label: 'Slack' },
  { value: 'email', label: 'e-mail' },
];

interface Form extends Alert {
  existing: boolean;
}

const empty: Form = { existing: false, name: '', revision: 0, when: ['failed', 'stopped'], syncs: ['*'], channel: { type: 'webhook' } };

export function Alerts() {
  const client = useQueryClient();
  const admin = useMay('admin');
  const { data, error } = useQuery(alertsQuery);
  const [form, setForm] = useState<Form | null>(null);
  const [failure, setFailure] = useState<unknown>(null);
  const [failed, setFailed] = useState<string | null>(null);
  const refresh = () => client.invalidateQueries({ queryKey: alertsQuery.queryKey });
  const send = async () => {
    if (!form) return;
    const { existing, name, revision, when, partial_ratio, syncs, channel } = form;
    const body = { name, when, partial_ratio, syncs, channel };
    if (existing) await api.PUT('/alerts/{name}', { params: { path: { name } }, body: { ...body, revision } });
    else await api.POST('/alerts', { body });
    tell(`Saved ${form.name}`);
    await refresh();
  };
  const test = async (alert: Alert) => {
    setFailure(null);
    setFailed(null);
    try {
      const tested = await answer(api.POST('/alerts/{name}/test', { params: { path: { name: alert.name } } }));
      if (!tested.ok) setFailed(`${alert.name}: ${tested.message ?? 'the test could not be delivered'}`);
      else tell(`Sent a test by ${alert.name}`);
    } catch (problem) {
      setFailure(problem);
    }
  };
  const columns: ColumnOf<Alert>[] = [
    { id: 'name', label: 'Name', value: (alert) => alert.name },
    {
      id: 'when',
      label: 'When',
      value: (alert) => alert.when.join(', '),
      show: (alert) => `${alert.when.join(', ')}${alert.partial_ratio ? `, above ${percent(alert.partial_ratio)}` : ''}`,
    },
    { id: 'syncs', label: 'Syncs', value: (alert) => (alert.syncs.includes('*') ? 'all' : alert.syncs.join(', ')) },
    { id: 'channel', label: 'By', value: (alert) => alert.channel.type },
    ...(admin
      ? [
          {
            id: 'actions',
            label: '',
            value: () => null,
            align: 'right' as const,
            show: (alert: Alert) => (
              <span className="row" style={{ justifyContent: 'flex-end' }}>
                <Button size="compact-sm" variant="subtle" onClick={() => void test(alert)}>
                  Send a test
                </Button>
                <Button size="compact-sm" variant="subtle" onClick={() => setForm({ ...alert, existing: true })}>
                  Change
                </Button>
                <Confirm
                  button={{ size: 'compact-sm', variant: 'subtle', color: 'red' }}
                  title={`Delete ${alert.name}?`}
                  words="Nobody is told by it from now on."
                  verb="Delete alert"
                  act={async () => {
                    await api.DELETE('/alerts/{name}', { params: { path: { name: alert.name } } });
                    await refresh();
                  }}
                >
                  Delete
                </Confirm>
              </span>
            ),
          },
        ]
      : []),
  ];
  const add = admin && (
    <Button leftSection={<Icon name="plus" size={14} />} onClick={() => setForm(empty)}>
      Add an alert
    </Button>
  );
  return (
    <Frame title="Alerts" actions={data && data.length > 0 && add}>
      {failure !== null && <ProblemNote error={failure} />}
      {failed && <Trouble code="test" message={failed} hints={['See that its address is right and can be reached from the server.']} />}
      {error && <ProblemNote error={error} />}
      {!data && !error && <Waiting />}
      {data?.length === 0 && (
        <Empty icon="warning" title="No alerts yet" action={add}>
          An alert tells someone by webhook, Slack or e-mail when a sync fails, is stopped, is late, or works again.
        </Empty>
      )}
      {data && data.length > 0 && (
        <DataTable label="alerts" rows={data} columns={columns} rowKey={(alert) => alert.name} text={(alert) => `${alert.name} ${alert.channel.type} ${alert.syncs.join(' ')}`} />
      )}
      {form && <AlertForm form={form} setForm={setForm} submit={send} />}
    </Frame>
  );
}

interface AlertFormProps {
  form: Form;
  setForm: (form: Form | null) => void;
  submit: () => Promise<void>;
}

function AlertForm({ form, setForm, submit }: AlertFormProps) {
  const syncs = useQuery(syncsQuery).data ?? [];
  const { channel } = form;
  const change = (changed: Record<string, unknown>) => setForm({ ...form, channel: { ...channel, ...changed } });
  const all = form.syncs.includes('*');
  return (
    <FormWindow
      title={form.existing ? `Change ${form.name}` : 'Add an alert'}
      verb="Save alert"
      opened
      close={() => setForm(null)}
      submit={submit}
      disabled={form.when.length === 0 || form.syncs.length === 0}
    >
      <TextInput
        label="Name"
        required
        withAsterisk={false}
        disabled={form.existing}
        value={form.name}
        onChange={(event) => setForm({ ...form, name: event.currentTarget.value })}
      />
      <Checkbox.Group label="When" value={form.when} onChange={(when) => setForm({ ...form, when: when as AlertEvent[] })}>
        <div className="stack tight" style={{ marginTop: 4 }}>
          {events.map((event) => (
            <Checkbox key={event.value} value={event.value} label={event.label} />
          ))}
        </div>
      </Checkbox.Group>
      {form.when.includes('partial') && (
        <NumberInput
          label="Only when more are rejected than"
          description="Percent of the rows read."
          suffix=" %"
          min={0}
          max={100}
          value={form.partial_ratio ? form.partial_ratio * 100 : ''}
          onChange={(value) => setForm({ ...form, partial_ratio: typeof value === 'number' ? value / 100 : undefined })}
        />
      )}
      <Checkbox label="All syncs, also later ones" checked={all} onChange={(event) => setForm({ ...form, syncs: event.currentTarget.checked ? ['*'] : [] })} />
      {!all && <MultiSelect label="Syncs" searchable data={syncs.map((sync) => sync.name)} value={form.syncs} onChange={(chosen) => setForm({ ...form, syncs: chosen })} />}
      <Select label="By" data={channels} value={channel.type} onChange={(type) => setForm({ ...form, channel: { type: (type ?? 'webhook') as Alert['channel']['type'] } })} />
      {channel.type === 'email' ? (
        <EmailFields channel={channel} change={change} />
      ) : (
        <SecretInput
          label="URL"
          description={channel.type === 'slack' ? 'Of an incoming webhook.' : 'A POST with JSON goes there.'}
          value={secretOf(channel.url)}
          onChange={(url) => change({ url: url ?? { secret: true } })}
        />
      )}
    </FormWindow>
  );
}

interface EmailFieldsProps {
  channel: Alert['channel'];
  change: (changed: Record<string, unknown>) => void;
}

const encryptions = [
  { value: 'starttls', label: 'STARTTLS' },
  { value: 'tls', label: 'TLS from the start' },
  { value: 'none', label: 'none' },
];

function EmailFields({ channel, change }: EmailFieldsProps) {
  return (
    <>
      <TagsInput label="To" description="Addresses; Enter after each." value={Array.isArray(channel.to) ? channel.to.map(String) : []} onChange={(to) => change({ to })} />
      <TextInput label="From" placeholder="Tapline <tapline@example.com>" required withAsterisk={false} value={textOf(channel.from)} onChange={(event) => change({ from: event.currentTarget.value })} />
      <TextInput label="SMTP server" placeholder="smtp.example.com" required withAsterisk={false} value={textOf(channel.host)} onChange={(event) => change({ host: event.currentTarget.value })} />
      <NumberInput label="Port" description="Without it the usual one of the encryption." min={1} max={65535} value={typeof channel.port === 'number' ? channel.port : ''} onChange={(port) => change({ port: typeof port === 'number' ? port : undefined })} />
      <Select label="Encryption" data={encryptions} value={textOf(channel.encryption) || 'starttls'} onChange={(encryption) => change({ encryption: encryption ?? 'starttls' })} />
      <TextInput label="User" description="Empty where the server asks for none." value={textOf(channel.user)} onChange={(event) => change({ user: event.currentTarget.value || undefined })} />
      <SecretInput label="Password" value={secretOf(channel.password)} onChange={(password) => change({ password: password === null ? { secret: true } : password || undefined })} />
    </>
  );
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** A secret that the server keeps is `null`. */
function secretOf(value: unknown): string | null {
  return typeof value === 'object' && value !== null ? null : textOf(value);
}
