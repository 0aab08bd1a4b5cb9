// The first two steps: which rows, and where they go and how.

import { Autocomplete, Collapse, Input, NumberInput, Select, SegmentedControl, TextInput, UnstyledButton } from '@mantine/core';
import { useState } from 'react';
import type { Column, Connector, Destination, DestinationStream, Model, SyncSettings } from '../../api/types';
import { keyOf } from '../../lib/model';
import { Icon } from '../../parts/Icon';
import styles from './syncs.module.css';

interface ModelStepProps {
  value: string;
  models: Model[];
  columns: Column[] | undefined;
  onChange: (value: string) => void;
}

export function ModelStep({ value, models, columns, onChange }: ModelStepProps) {
  const model = models.find((candidate) => candidate.name === value);
  const key = model ? keyOf(model.settings) : [];
  return (
    <div className="stack tight">
      <Select
        label="Model"
        placeholder="Choose one"
        searchable
        maw={400}
        data={models.map((candidate) => candidate.name)}
        value={value || null}
        onChange={(chosen) => onChange(chosen ?? '')}
      />
      {model && (
        <p className={styles.plain}>
          {columns ? `${columns.length} columns; ` : ''}
          {key.length > 0 ? (
            <>
              a row is identified by <span className="mono">{key.join(', ')}</span>
            </>
          ) : (
            'without a primary key, so only full refresh is possible'
          )}
        </p>
      )}
    </div>
  );
}

interface TargetStepProps {
  settings: SyncSettings;
  change: (changed: Partial<SyncSettings>) => void;
  destinations: Destination[];
  streams: DestinationStream[];
  connector: Connector | undefined;
  columns: Column[];
  hasKey: boolean;
  trouble: (key: string) => string | undefined;
}

const streamWords: Record<string, [label: string, help: string]> = {
  postgres: ['Table', 'One of the server’s, or a new name: schema.table.'],
  mysql: ['Table', 'One of the server’s, or a new name.'],
  sqlite: ['Table', 'One of the file’s, or a new name.'],
  slack: ['Channel', 'Its name.'],
  files: ['Folder', 'Below the destination’s own.'],
  sftp: ['Folder', 'Below the destination’s own.'],
  http: ['Object', 'What the address and templates call stream.'],
};

export function TargetStep({ settings, change, destinations, streams, connector, columns, hasKey, trouble }: TargetStepProps) {
  const [more, setMore] = useState(false);
  const [label, help] = streamWords[connector?.kind ?? ''] ?? ['Stream', 'The table, object or channel that rows go to.'];
  const incremental = settings.mode === 'incremental';
  const propagates = settings.deletes === 'propagate';
  return (
    <div className="stack">
      <div className={styles.pair}>
        <Select
          label="Destination"
          description="A connection."
          placeholder="Choose one"
          searchable
          data={destinations.filter((item) => !item.draft || item.name === settings.destination).map((item) => item.name)}
          value={settings.destination || null}
          onChange={(destination) => change({ destination: destination ?? '' })}
        />
        <Autocomplete
          label={label}
          description={help}
          placeholder={connector?.kind === 'postgres' ? 'public.customers' : undefined}
          data={[...new Set(streams.map((stream) => stream.name))]}
          limit={100}
          spellCheck={false}
          error={trouble('stream')}
          value={settings.stream}
          onChange={(stream) => change({ stream })}
        />
      </div>
      <Input.Wrapper label="Mode" labelElement="div">
        <SegmentedControl
          display="flex"
          w="fit-content"
          aria-label="Mode"
          value={settings.mode}
          onChange={(mode) =>
            change({ mode: mode as SyncSettings['mode'], ...(mode === 'full_refresh' ? { cursor_field: null, cursor_lookback: null } : {}) })
          }
          data={[
            { value: 'incremental', label: 'Incremental' },
            { value: 'full_refresh', label: 'Full refresh', disabled: connector ? !connector.capabilities.full_refresh : false },
          ]}
        />
        <p className={styles.plain}>
          {incremental
            ? 'Delivers what differs from what was delivered before, by primary key.'
            : 'Afterwards the stream equals the model, whoever wrote what was there.'}
        </p>
        {incremental && !hasKey && <p className={styles.warn}>Incremental needs a primary key. Choose one in the model.</p>}
      </Input.Wrapper>
      <UnstyledButton className={styles.more} aria-expanded={more} onClick={() => setMore(!more)}>
        <Icon name={more ? 'down' : 'right'} size={12} />
        More: writing, deletes, guards{incremental ? ', cursor' : ''}
      </UnstyledButton>
      <Collapse expanded={more}>
        <div className={styles.pair}>
          {incremental && (
            <Select
              label="Write"
              description="What a changed row may do."
              data={[
                { value: 'upsert', label: 'insert new rows, update known ones' },
                { value: 'insert', label: 'only insert' },
                { value: 'update', label: 'only update' },
              ]}
              value={settings.write ?? 'upsert'}
              onChange={(write) => change({ write: (write ?? 'upsert') as SyncSettings['write'] })}
            />
          )}
          {incremental && (
            <Select
              label="Rows gone from the model"
              description="At the destination."
              data={[
                { value: 'ignore', label: 'stay' },
                { value: 'propagate', label: 'are deleted', disabled: connector ? !connector.capabilities.deletes : false },
              ]}
              value={settings.deletes ?? 'ignore'}
              onChange={(deletes) => change({ deletes: (deletes ?? 'ignore') as SyncSettings['deletes'], ...(deletes === 'propagate' ? { cursor_field: null } : {}) })}
            />
          )}
          {propagates && (
            <RatioInput
              label="Stop when more are gone"
              description="Percent of delivered rows; 20 without it."
              value={settings.max_delete_ratio}
              onChange={(max_delete_ratio) => change({ max_delete_ratio })}
            />
          )}
          <RatioInput
            label="Stop when more are rejected"
            description="Percent of rows read; no limit without it."
            value={settings.max_reject_ratio}
            onChange={(max_reject_ratio) => change({ max_reject_ratio })}
          />
          <Select
            label="Empty or repeated keys"
            description="In the model’s rows."
            data={[
              { value: 'fail', label: 'stop the run' },
              { value: 'reject', label: 'reject those rows' },
            ]}
            value={settings.on_bad_key ?? 'fail'}
            onChange={(on_bad_key) => change({ on_bad_key: (on_bad_key ?? 'fail') as SyncSettings['on_bad_key'] })}
          />
          <Select
            label="A column’s type or presence changed"
            description="Since the last run."
            data={[
              { value: 'fail', label: 'stop the run' },
              { value: 'widen', label: 'widen the table' },
              { value: 'reject', label: 'reject rows that do not fit' },
            ]}
            value={settings.on_drift ?? 'fail'}
            onChange={(on_drift) => change({ on_drift: (on_drift ?? 'fail') as SyncSettings['on_drift'] })}
          />
          {incremental && !propagates && (
            <>
              <Select
                label="Cursor"
                description="Read only rows at or past its last delivered value."
                placeholder="none: read everything"
                clearable
                searchable
                data={columns.map((column) => column.name)}
                value={settings.cursor_field ?? null}
                error={trouble('cursor_field')}
                onChange={(cursor_field) => change({ cursor_field })}
              />
              {settings.cursor_field && (
                <TextInput
                  label="Look back"
                  description="How far below the last cursor reading begins, such as 1d."
                  placeholder="0s"
                  value={settings.cursor_lookback ?? ''}
                  error={trouble('cursor_lookback')}
                  onChange={(event) => change({ cursor_lookback: event.currentTarget.value || null })}
                />
              )}
            </>
          )}
          <TextInput
            label="Longest run"
            description="A run that takes longer is stopped, such as 2h."
            placeholder="no limit"
            value={settings.timeout ?? ''}
            error={trouble('timeout')}
            onChange={(event) => change({ timeout: event.currentTarget.value || null })}
          />
        </div>
      </Collapse>
    </div>
  );
}

interface RatioInputProps {
  label: string;
  description: string;
  value: number | null | undefined;
  onChange: (value: number | null) => void;
}

function RatioInput({ label, description, value, onChange }: RatioInputProps) {
  return (
    <NumberInput
      label={label}
      description={description}
      suffix=" %"
      min={0}
      max={100}
      value={typeof value === 'number' ? Math.round(value * 1e4) / 100 : ''}
      onChange={(percent) => onChange(typeof percent === 'number' ? percent / 100 : null)}
    />
  );
}
