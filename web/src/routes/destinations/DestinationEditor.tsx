// Adding and changing a destination: its kind, the form that its schema makes, a check.

import { Button, TextInput, UnstyledButton } from '@mantine/core';
import { useQueryClient, useSuspenseQuery } from '@tanstack/react-query';
import { Link, useNavigate, useParams } from '@tanstack/react-router';
import { useState } from 'react';
import { problemOf } from '../../api/client';
import { connectorsQuery, destinationQuery } from '../../api/queries';
import type { Connector, Destination, Settings } from '../../api/types';
import { connectionState } from '../../lib/connection';
import { counted } from '../../lib/format';
import { useMay } from '../../lib/roles';
import { remove, save } from '../../lib/save';
import type { JsonSchema } from '../../lib/schema';
import { CheckSteps, useCheck } from '../../parts/CheckSteps';
import { Confirm } from '../../parts/Confirm';
import { Icon, kindIcon } from '../../parts/Icon';
import { ProblemNote, sentence } from '../../parts/Note';
import { Page, Section } from '../../parts/Page';
import { SchemaForm } from '../../parts/SchemaForm';
import { State } from '../../parts/State';
import { Time } from '../../parts/Time';
import { tell } from '../../parts/toast';
import styles from './destinations.module.css';

export function NewDestination() {
  const { data: connectors } = useSuspenseQuery(connectorsQuery);
  const [kind, setKind] = useState<string | null>(null);
  const connector = connectors.find((candidate) => candidate.kind === kind);
  if (connector) return <Editor key={connector.kind} connector={connector} back={() => setKind(null)} />;
  return (
    <Page title="Add a destination" parent={{ to: '/destinations', label: 'Destinations' }}>
      <ul className={styles.kinds} aria-label="Kinds of destinations">
        {connectors.map((candidate) => (
          <li key={candidate.kind}>
            <UnstyledButton className={styles.kind} onClick={() => setKind(candidate.kind)}>
              <span className={styles.emblem}>
                <Icon name={kindIcon(candidate.kind)} size={20} />
              </span>
              <span className="stack" style={{ gap: 2 }}>
                <span className={styles.kindName}>{candidate.title}</span>
                <span className="muted">{sentence(candidate.summary)}</span>
                <span className="muted small">{abilities(candidate)}</span>
              </span>
            </UnstyledButton>
          </li>
        ))}
      </ul>
    </Page>
  );
}

function abilities({ maturity, capabilities }: Connector): string {
  const words = [
    capabilities.transactional ? 'all or nothing' : 'row by row',
    capabilities.deletes && 'deletes',
    capabilities.full_refresh && 'full refresh',
    maturity !== 'stable' && maturity,
  ];
  return words.filter(Boolean).join(' · ');
}

export function DestinationPage() {
  const { name } = useParams({ strict: false }) as { name: string };
  const { data: destination } = useSuspenseQuery(destinationQuery(name));
  const { data: connectors } = useSuspenseQuery(connectorsQuery);
  const connector = connectors.find((candidate) => candidate.kind === destination.kind);
  if (!connector) return <Page title={name}>This version does not know the kind {destination.kind}.</Page>;
  return <Editor key={`${name} ${destination.revision}`} connector={connector} existing={destination} />;
}

interface EditorProps {
  connector: Connector;
  existing?: Destination;
  back?: () => void;
}

function Editor({ connector, existing, back }: EditorProps) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const may = useMay('editor');
  const fixed = !may || existing?.read_only === true;
  const [name, setName] = useState(existing?.name ?? '');
  const [values, setValues] = useState<Settings>(() => existing?.settings ?? { type: connector.kind });
  const [saving, setSaving] = useState<'draft' | 'done' | null>(null);
  const [error, setError] = useState<unknown>(null);
  const check = useCheck();
  const problem = error === null ? null : problemOf(error);
  const problems = problem?.errors ?? (check.error ? problemOf(check.error).errors : undefined) ?? [];
  const settings = { ...values, type: connector.kind };

  const test = async () => {
    await check.start({ noun: 'destinations', name: existing?.name, settings });
    if (existing) await client.invalidateQueries({ queryKey: ['destinations'], refetchType: 'inactive' });
  };
  const keep = async (draft: boolean) => {
    setSaving(draft ? 'draft' : 'done');
    setError(null);
    try {
      const saved = await save(client, { noun: 'destinations', existing, name: name.trim(), settings, draft });
      tell(draft ? `Kept ${saved.name} as a draft` : `Saved ${saved.name}`);
      await navigate({ to: '/destinations/$name', params: { name: saved.name } });
    } catch (failure) {
      setError(failure);
    } finally {
      setSaving(null);
    }
  };
  const idle = existing?.last_check ? (
    <div className="stack tight">
      <span className="muted small">
        Last tested <Time at={existing.last_check.at} />
      </span>
      <CheckSteps steps={existing.last_check.steps} />
    </div>
  ) : (
    <p className={styles.plain}>The test connects, looks at the server’s version and rights, and changes nothing.</p>
  );

  return (
    <Page
      title={existing?.name ?? `Add ${connector.title}`}
      parent={{ to: '/destinations', label: 'Destinations' }}
      aside={
        existing && (
          <>
            <State state={connectionState(existing)} />
            {existing.read_only && (
              <span className="row muted small">
                <Icon name="lock" size={12} /> from the project file
              </span>
            )}
          </>
        )
      }
      actions={
        may && existing ? (
          <>
            {!existing.read_only && (
              <Confirm
                button={{ 'aria-label': `Delete ${existing.name}`, px: 'sm' }}
                title={`Delete ${existing.name}?`}
                words={
                  existing.syncs > 0
                    ? `${counted(existing.syncs, 'sync')} deliver to it and must go first.`
                    : 'Its connection and secrets are forgotten. Rows that were delivered stay where they are.'
                }
                verb="Delete destination"
                act={async () => {
                  await remove(client, 'destinations', existing.name);
                  tell(`Deleted ${existing.name}`);
                  await navigate({ to: '/destinations' });
                }}
              >
                <Icon name="trash" />
              </Confirm>
            )}
            <Button variant="default" component={Link} to="/syncs/new" search={{ destination: existing.name } as never}>
              Set up a sync
            </Button>
          </>
        ) : (
          back && (
            <Button variant="default" onClick={back}>
              Another kind
            </Button>
          )
        )
      }
    >
      <p className={styles.summary}>
        <span className={styles.emblem}>
          <Icon name={kindIcon(connector.kind)} size={20} />
        </span>
        <span>
          {sentence(connector.summary)} <span className="muted">{abilities(connector)}</span>
        </span>
      </p>
      <div className={styles.columns}>
        <form
          onSubmit={(event) => {
            event.preventDefault();
            void keep(false);
          }}
        >
          <fieldset disabled={fixed} className={styles.fields}>
            <TextInput
              label="Name"
              description="What syncs call it."
              required
              withAsterisk={false}
              maw={560}
              value={name}
              onChange={(event) => setName(event.currentTarget.value)}
            />
            <SchemaForm
              schema={connector.schema as JsonSchema}
              value={values}
              onChange={setValues}
              errors={problems}
              hidden={['type']}
            />
            {error !== null && <ProblemNote error={error} />}
            {!fixed && (
              <div className="row">
                <Button type="submit" loading={saving === 'done'} disabled={name.trim() === ''}>
                  Save destination
                </Button>
                <Button variant="default" loading={saving === 'draft'} disabled={name.trim() === ''} onClick={() => void keep(true)}>
                  Save as draft
                </Button>
              </div>
            )}
          </fieldset>
        </form>
        <Section title="Test">
          <div className="stack">
            <CheckSteps steps={check.steps} running={check.running} error={check.error} again={() => void test()} idle={idle} />
            {check.done?.ok && (
              <p className={styles.plain} role="status">
                The connection works.
              </p>
            )}
            {may && !check.steps.some((step) => !step.ok) && (
              <div>
                <Button variant="default" loading={check.running} onClick={() => void test()}>
                  Test the connection
                </Button>
              </div>
            )}
          </div>
        </Section>
      </div>
    </Page>
  );
}
