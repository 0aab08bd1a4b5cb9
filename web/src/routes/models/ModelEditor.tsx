// A model: its SQL with a preview, its primary key, its versions.

import { Button, MultiSelect, Select, TextInput } from '@mantine/core';
import { useQuery, useQueryClient, useSuspenseQuery } from '@tanstack/react-query';
import { Link, useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { useState } from 'react';
import { answer, api } from '../../api/client';
import { functionsQuery, modelQuery, sourcesQuery, streamsQuery } from '../../api/queries';
import type { KeyCheck, Model, ModelSettings } from '../../api/types';
import { count, counted } from '../../lib/format';
import { keyOf } from '../../lib/model';
import { useMay } from '../../lib/roles';
import { remove, save } from '../../lib/save';
import { firstQuery, streamsIn } from '../../lib/sql';
import { Confirm } from '../../parts/Confirm';
import { Icon } from '../../parts/Icon';
import { ProblemNote } from '../../parts/Note';
import { Page, Section } from '../../parts/Page';
import { QueryBox } from '../../parts/QueryBox';
import { State, StateShape } from '../../parts/State';
import { tell } from '../../parts/toast';
import { Versions } from './Versions';
import styles from './models.module.css';

export function NewModel() {
  const search = useSearch({ strict: false }) as { source?: string; from?: string; sql?: string };
  const { data: sources } = useSuspenseQuery(sourcesQuery);
  const usable = sources.filter((source) => !source.draft);
  const source = search.source ?? (usable.length === 1 ? usable[0]?.name : undefined) ?? '';
  const sql = search.sql ?? (search.from ? firstQuery({ path: search.from }) : '');
  return <Editor settings={{ source, sql, primary_key: [] }} />;
}

export function ModelPage() {
  const { name } = useParams({ strict: false }) as { name: string };
  const { data: model } = useSuspenseQuery(modelQuery(name));
  return <Editor key={`${model.name} ${model.revision}`} existing={model} settings={model.settings} />;
}

function Editor({ existing, settings }: { existing?: Model; settings: ModelSettings }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const may = useMay('editor');
  const fixed = !may || existing?.read_only === true;
  const sources = useQuery(sourcesQuery).data ?? [];
  const [name, setName] = useState(existing?.name ?? '');
  const [source, setSource] = useState(settings.source);
  const [sql, setSql] = useState(settings.sql);
  const [key, setKey] = useState(keyOf(settings));
  const [columns, setColumns] = useState<string[]>([]);
  const [saving, setSaving] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const streams = useQuery({ ...streamsQuery(source), enabled: source !== '' }).data ?? [];
  const functions = useQuery({ ...functionsQuery, enabled: may }).data ?? [];

  const current: ModelSettings = { source, sql, primary_key: key };
  const changed =
    !existing ||
    name !== existing.name ||
    source !== existing.settings.source ||
    sql !== existing.settings.sql ||
    key.join('\n') !== keyOf(existing.settings).join('\n');
  const suggestions = columns.length > 0 ? columns : streamsIn(sql, streams).flatMap((stream) => stream.columns.map((column) => column.name));
  const keep = async () => {
    setSaving(true);
    setError(null);
    try {
      const saved = await save(client, { noun: 'models', existing, name: name.trim(), settings: current });
      tell(`Saved ${saved.name}`);
      await navigate({ to: '/models/$name', params: { name: saved.name } });
    } catch (failure) {
      setError(failure);
    } finally {
      setSaving(false);
    }
  };
  const useStream = (index: string | null) => {
    const stream = streams[Number(index)];
    if (stream) setSql(firstQuery(stream));
  };

  return (
    <Page
      title={existing?.name ?? 'Write a model'}
      parent={{ to: '/models', label: 'Models' }}
      aside={
        existing && (
          <>
            <State state={existing.draft ? 'draft' : 'ready'} />
            <span className="muted small number">version {existing.version}</span>
            {existing.read_only && (
              <span className="row muted small">
                <Icon name="lock" size={12} /> from the project file
              </span>
            )}
          </>
        )
      }
      actions={
        may && (
          <>
            {existing && !existing.read_only && (
              <Confirm
                button={{ 'aria-label': `Delete ${existing.name}`, px: 'sm' }}
                title={`Delete ${existing.name}?`}
                words={
                  existing.syncs > 0
                    ? `${counted(existing.syncs, 'sync')} deliver it and must go first.`
                    : 'Its SQL and all its versions are forgotten. Rows that were delivered stay where they are.'
                }
                verb="Delete model"
                act={async () => {
                  await remove(client, 'models', existing.name);
                  tell(`Deleted ${existing.name}`);
                  await navigate({ to: '/models' });
                }}
              >
                <Icon name="trash" />
              </Confirm>
            )}
            {existing && (
              <Button variant={changed ? 'default' : 'filled'} component={Link} to="/syncs/new" search={{ model: existing.name } as never}>
                Set up a sync
              </Button>
            )}
            {!fixed && (changed || !existing) && (
              <Button type="submit" form="model" loading={saving} disabled={!name.trim() || !source || !sql.trim()}>
                Save model
              </Button>
            )}
          </>
        )
      }
    >
      {error !== null && <ProblemNote error={error} />}
      <form
        id="model"
        className={styles.head}
        onSubmit={(event) => {
          event.preventDefault();
          if (name.trim() && source && sql.trim()) void keep();
        }}
      >
        <TextInput
          label="Name"
          placeholder="customers"
          value={name}
          disabled={fixed}
          onChange={(event) => setName(event.currentTarget.value)}
        />
        <Select
          label="Source"
          placeholder="Choose one"
          searchable
          data={sources.filter((item) => !item.draft || item.name === source).map((item) => item.name)}
          value={source || null}
          disabled={fixed}
          onChange={(value) => setSource(value ?? '')}
        />
        {!fixed && streams.length > 0 && sql.trim() === '' && (
          <Select
            label="Begin with a stream"
            placeholder="Choose one"
            searchable
            data={streams.map((stream, index) => ({ value: String(index), label: stream.name }))}
            value={null}
            onChange={useStream}
          />
        )}
      </form>
      {sources.length === 0 && (
        <p>
          A model reads a source, and there is none yet. <Link to="/sources/new">Add an S3 source</Link>
        </p>
      )}
      <Section title="SQL" bare>
        <QueryBox
          label="SQL of the model"
          sql={sql}
          onChange={setSql}
          vocabulary={{ streams, functions }}
          verb="Preview"
          readOnly={fixed}
          mayRun={may && source !== ''}
          run={(text, limit, signal) =>
            answer(api.POST('/models/preview', { body: { settings: { source, sql: text, primary_key: key }, limit }, signal }))
          }
          onResult={(result) => setColumns(result.columns.map((column) => column.name))}
        />
      </Section>
      <Section title="Primary key">
        <KeyChoice value={key} onChange={setKey} columns={suggestions} settings={current} disabled={fixed} may={may} />
      </Section>
      {existing && <Versions model={existing} restore={fixed ? undefined : setSql} current={sql} />}
    </Page>
  );
}

interface KeyChoiceProps {
  value: string[];
  onChange: (value: string[]) => void;
  columns: string[];
  settings: ModelSettings;
  disabled: boolean;
  may: boolean;
}

/** The columns that identify a row, checked on the real data. */
function KeyChoice({ value, onChange, columns, settings, disabled, may }: KeyChoiceProps) {
  const [checked, setChecked] = useState<{ of: string; found: KeyCheck } | null>(null);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const of = JSON.stringify(settings);
  const check = async () => {
    setBusy(true);
    setError(null);
    try {
      setChecked({ of, found: await answer(api.POST('/models/key-check', { body: { settings } })) });
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  };
  const found = checked?.of === of ? checked.found : null;
  return (
    <div className="stack tight">
      <div className={styles.key}>
        <MultiSelect
          label="Columns that identify a row"
          description="Needed for incremental syncs."
          placeholder={value.length === 0 ? 'Run a preview to choose from its columns' : undefined}
          searchable
          disabled={disabled}
          data={[...new Set([...columns, ...value])]}
          value={value}
          onChange={onChange}
        />
        {may && (
          <Button variant="default" onClick={() => void check()} loading={busy} disabled={value.length === 0 || !settings.sql.trim()}>
            Check uniqueness
          </Button>
        )}
      </div>
      {error !== null && <ProblemNote error={error} />}
      {found && (
        <p className={styles.found} role="status">
          <StateShape state={found.unique ? 'healthy' : 'failed'} />
          {found.unique ? (
            <span className="number">Unique: {counted(found.rows, 'row')}, each with a key of its own.</span>
          ) : (
            <span className="number">
              Not unique in {counted(found.rows, 'row')}: {counted(found.duplicate_keys, 'key')} more than once, {count(found.null_keys)} empty. Add
              a column to the key, or take the duplicates out in the SQL.
            </span>
          )}
        </p>
      )}
    </div>
  );
}
