// Setting up a sync: four steps in one scroll, a live preview beside them, and the plan before anything starts.

import { Button, TextInput } from '@mantine/core';
import { useQuery, useQueryClient, useSuspenseQuery } from '@tanstack/react-query';
import { Link, useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { useMemo, useState, type ReactNode } from 'react';
import { answer, api, problemOf } from '../../api/client';
import { connectorsQuery, destinationsQuery, destinationStreamsQuery, modelsQuery, syncQuery } from '../../api/queries';
import type { Plan, Sync, SyncSettings } from '../../api/types';
import { fieldsFrom, rowsOf, type MappingRow } from '../../lib/mapping';
import { keyOf } from '../../lib/model';
import { useMay } from '../../lib/roles';
import { save } from '../../lib/save';
import { scheduleForm, scheduleOf } from '../../lib/schedule';
import { troubleAt } from '../../lib/schema';
import { Icon } from '../../parts/Icon';
import { ProblemNote } from '../../parts/Note';
import { Page } from '../../parts/Page';
import { tell } from '../../parts/toast';
import { FieldsStep } from './FieldsStep';
import { PlanView } from './PlanView';
import { PreviewPane } from './PreviewPane';
import { ModelStep, TargetStep } from './Steps';
import styles from './syncs.module.css';
import { WhenStep } from './WhenStep';

const ownZone = Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';

export function NewSync() {
  const search = useSearch({ strict: false }) as { model?: string; destination?: string };
  const settings: SyncSettings = {
    model: search.model ?? '',
    destination: search.destination ?? '',
    stream: '',
    mode: 'incremental',
  };
  return <Editor settings={settings} />;
}

export function EditSync() {
  const { name } = useParams({ strict: false }) as { name: string };
  const { data: sync } = useSuspenseQuery(syncQuery(name));
  return <Editor key={sync.revision} existing={sync} settings={sync.settings} />;
}

function Editor({ existing, settings: initial }: { existing?: Sync; settings: SyncSettings }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const may = useMay('editor');
  const fixed = !may || existing?.read_only === true;
  const { data: models } = useSuspenseQuery(modelsQuery);
  const { data: destinations } = useSuspenseQuery(destinationsQuery);
  const connectors = useQuery(connectorsQuery).data ?? [];

  const [name, setName] = useState(existing?.name ?? '');
  const [named, setNamed] = useState(Boolean(existing));
  const [base, setBase] = useState(initial);
  const [rows, setRows] = useState<MappingRow[] | null>(() => (initial.fields ? rowsOf(initial.fields) : null));
  const [when, setWhen] = useState(() => scheduleForm(initial.schedule, ownZone));
  const [plan, setPlan] = useState<{ of: string; plan: Plan } | null>(null);
  const [busy, setBusy] = useState<'plan' | 'save' | 'run' | null>(null);
  const [error, setError] = useState<unknown>(null);

  const settings = useMemo<SyncSettings>(
    () => ({ ...base, fields: rows ? fieldsFrom(rows) : null, schedule: scheduleOf(when) }),
    [base, rows, when],
  );
  const change = (changed: Partial<SyncSettings>) => {
    const next = { ...base, ...changed };
    setBase(next);
    if (!named && next.model && next.destination) setName(`${next.model}_to_${next.destination}`);
  };
  const model = models.find((candidate) => candidate.name === base.model);
  const destination = destinations.find((candidate) => candidate.name === base.destination);
  const connector = connectors.find((candidate) => candidate.kind === destination?.kind);
  const columns = useColumns(base.model, may);
  const streams = useQuery(destinationStreamsQuery(base.destination)).data ?? [];
  const target = streams.find((stream) => stream.name === base.stream);
  const complete = base.model !== '' && base.destination !== '' && base.stream.trim() !== '';
  const of = JSON.stringify(settings);
  const problems = error === null ? [] : (problemOf(error).errors ?? []);

  const makePlan = async () => {
    setBusy('plan');
    setError(null);
    try {
      // A sync that has run is planned by its name, so that what it delivered counts.
      const made =
        existing && of === JSON.stringify({ ...existing.settings, fields: existing.settings.fields ?? null })
          ? await answer(api.POST('/syncs/{name}/plan', { params: { path: { name: existing.name } }, body: {} }))
          : await answer(api.POST('/syncs/plan', { body: { settings, name: existing?.name } }));
      setPlan({ of, plan: made });
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(null);
    }
  };
  const keep = async (start: boolean) => {
    setBusy(start ? 'run' : 'save');
    setError(null);
    try {
      const saved = await save(client, { noun: 'syncs', existing, name: name.trim(), settings });
      if (!start) {
        tell(`Saved ${saved.name}`);
        await navigate({ to: '/syncs/$name', params: { name: saved.name } });
        return;
      }
      const run = await answer(api.POST('/syncs/{name}/runs', { params: { path: { name: saved.name } }, body: {} }));
      await navigate({ to: '/runs/$id', params: { id: run.id } });
    } catch (failure) {
      setError(failure);
      setBusy(null);
    }
  };
  const current = plan?.of === of ? plan.plan : null;

  return (
    <Page title={existing?.name ?? 'Set up a sync'} parent={{ to: '/syncs', label: 'Syncs' }}>
      {existing?.read_only && (
        <p className="row">
          <Icon name="lock" /> This sync comes from the project file. Change it there.
        </p>
      )}
      {(models.length === 0 || destinations.length === 0) && (
        <p>
          A sync needs a model and a destination.{' '}
          {models.length === 0 ? <Link to="/models/new">Write a model first</Link> : <Link to="/destinations/new">Add a destination first</Link>}
        </p>
      )}
      <div className={styles.editor}>
        <form
          onSubmit={(event) => {
            event.preventDefault();
            void makePlan();
          }}
        >
          <fieldset disabled={fixed} className={styles.steps}>
            <Step number={1} title="Model" words="Which rows.">
              <ModelStep value={base.model} models={models} columns={columns.data} onChange={(value) => change({ model: value, cursor_field: null })} />
            </Step>
            <Step number={2} title="Destination" words="Where they go, and how.">
              <TargetStep
                settings={base}
                change={change}
                destinations={destinations}
                streams={streams}
                connector={connector}
                columns={columns.data ?? []}
                hasKey={model ? keyOf(model.settings).length > 0 : true}
                trouble={(key) => troubleAt(problems, `/${key}`)}
              />
            </Step>
            <Step number={3} title="Fields" words="Which column fills which field.">
              <FieldsStep rows={rows} onChange={setRows} columns={columns.data ?? []} target={target?.fields ?? []} />
            </Step>
            <Step number={4} title="When" words="And under which name.">
              <div className="stack">
                <WhenStep value={when} onChange={setWhen} />
                <TextInput
                  label="Name"
                  maw={400}
                  value={name}
                  onChange={(event) => {
                    setNamed(true);
                    setName(event.currentTarget.value);
                  }}
                />
              </div>
            </Step>
            <Step number={5} title="Plan" words="What the next run will do. Planning writes nothing anywhere.">
              <div className="stack">
                {current && <PlanView plan={current} stream={base.stream} isNew={!target} first={!existing?.last_run} />}
                {error !== null && <ProblemNote error={error} />}
                {may && (
                  <div className="row">
                    <Button
                      variant={current ? 'default' : 'filled'}
                      type="submit"
                      disabled={!complete}
                      loading={busy === 'plan'}
                    >
                      {current ? 'Plan again' : 'Make the plan'}
                    </Button>
                    {!fixed && (
                      <>
                        <Button variant="default" disabled={!complete || !name.trim()} loading={busy === 'save'} onClick={() => void keep(false)}>
                          Save sync
                        </Button>
                        {current && !current.error && (
                          <Button
                            disabled={!name.trim()}
                            loading={busy === 'run'}
                            leftSection={<Icon name="play" size={14} />}
                            onClick={() => void keep(true)}
                          >
                            Save and run
                          </Button>
                        )}
                      </>
                    )}
                  </div>
                )}
              </div>
            </Step>
          </fieldset>
        </form>
        <PreviewPane settings={settings} ready={complete && may} />
      </div>
    </Page>
  );
}

/** The columns of a model with their types, from its first row. */
function useColumns(model: string, may: boolean) {
  return useQuery({
    queryKey: ['models', model, 'columns'],
    queryFn: async ({ signal }) => {
      const call = api.POST('/models/{name}/preview', { params: { path: { name: model } }, body: { limit: 1 }, signal });
      return (await answer(call)).columns;
    },
    enabled: model !== '' && may,
    staleTime: 60_000,
    retry: false,
  });
}

function Step({ number, title, words, children }: { number: number; title: string; words: string; children: ReactNode }) {
  return (
    <section className={styles.step} aria-label={title}>
      <div className={styles.stepHead}>
        <span className={styles.stepNumber}>{number}</span>
        <h2>{title}</h2>
        <span className="muted">{words}</span>
      </div>
      {children}
    </section>
  );
}
