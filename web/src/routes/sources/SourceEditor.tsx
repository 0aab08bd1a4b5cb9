// Adding and changing an S3 source: one page, three blocks that open in turn and stay editable.

import { Button, TextInput } from '@mantine/core';
import { useQuery, useQueryClient, useSuspenseQuery } from '@tanstack/react-query';
import { useNavigate, useParams } from '@tanstack/react-router';
import { useEffect, useRef, useState, type ReactNode } from 'react';
import { answer, api } from '../../api/client';
import { sourceQuery } from '../../api/queries';
import type { CheckStep, Policies, S3Settings, Source } from '../../api/types';
import { save } from '../../lib/save';
import { emptySource, formOf, missing, settingsForPolicy, settingsOf, suggestName, type SourceForm } from '../../lib/source';
import { CheckSteps, useCheck } from '../../parts/CheckSteps';
import { Icon } from '../../parts/Icon';
import { ProblemNote } from '../../parts/Note';
import { Page } from '../../parts/Page';
import { tell } from '../../parts/toast';
import { AccessBlock } from './AccessBlock';
import { BucketBlock } from './BucketBlock';
import styles from './sources.module.css';

export function NewSource() {
  const { data } = useQuery({
    queryKey: ['external id', 'new'],
    queryFn: () => answer(api.POST('/sources/external-id')),
    staleTime: 0,
    gcTime: 0,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
  });
  return <Editor initial={emptySource} externalId={data?.external_id} />;
}

export function EditSource() {
  const { name } = useParams({ strict: false }) as { name: string };
  const { data: source } = useSuspenseQuery(sourceQuery(name));
  return (
    <Editor
      key={source.revision}
      existing={source}
      initial={formOf(source.name, source.settings)}
      externalId={source.external_id ?? undefined}
    />
  );
}

interface EditorProps {
  existing?: Source;
  initial: SourceForm;
  externalId?: string;
}

function Editor({ existing, initial, externalId }: EditorProps) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const [form, setForm] = useState(initial);
  const [named, setNamed] = useState(Boolean(existing));
  const [saving, setSaving] = useState<'draft' | 'done' | null>(null);
  const [error, setError] = useState<unknown>(null);
  const check = useCheck();

  const effective = { ...form, externalId: form.externalId || (externalId ?? '') };
  const change = (changed: Partial<SourceForm>) =>
    setForm((before) => {
      const next = { ...before, ...changed };
      if (!named && ('bucket' in changed || 'path' in changed)) next.name = suggestName(next.bucket, next.path);
      return next;
    });
  const settings = settingsOf(effective);
  const lacking = missing(effective);
  const [principal, setPrincipal] = useState('');
  const policies = usePolicies(effective, existing?.name, principal.trim());
  const bucketDone = form.bucket.trim() !== '';

  const test = () => void check.start({ noun: 'sources', name: existing?.name, settings });
  const keep = async (draft: boolean) => {
    setSaving(draft ? 'draft' : 'done');
    setError(null);
    try {
      const saved = await save(client, { noun: 'sources', existing, name: form.name.trim(), settings, draft });
      tell(draft ? `Kept ${saved.name} as a draft` : `Saved ${saved.name}`);
      await navigate({ to: draft ? '/sources' : '/sources/$name', params: { name: saved.name } });
    } catch (failure) {
      setError(failure);
      setSaving(null);
    }
  };

  return (
    <Page
      title={existing ? existing.name : 'Add an S3 source'}
      parent={{ to: '/sources', label: 'Sources' }}
    >
      {existing?.read_only && (
        <p className="row">
          <Icon name="lock" /> This source comes from the project file. Change it there.
        </p>
      )}
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (check.done?.ok) void keep(false);
          else test();
        }}
      >
        <fieldset disabled={existing?.read_only} className={styles.fields}>
          <Block number={1} title="Bucket" words="Where the files are.">
            <BucketBlock form={form} change={change} />
          </Block>
          <Block number={2} title="Access" words="Who reads them." closed={!bucketDone && !existing}>
            <AccessBlock form={effective} change={change} policies={policies.data} policyError={policies.error} principal={principal} setPrincipal={setPrincipal} />
          </Block>
          <Block number={3} title="Test" words="Each step as it ends, with cause and cure." closed={!bucketDone && !existing}>
            <div className="stack">
              <CheckSteps
                steps={check.steps}
                running={check.running}
                error={check.error}
                again={test}
                statement={statementFor(check.steps, policies.data)}
                idle={<p className={styles.plain}>{lacking ?? 'Nothing is changed in your bucket: the test lists it and reads the first bytes of one file.'}</p>}
              />
              {check.done?.ok && (
                <p className={styles.plain} role="status">
                  The connection works. Save it to see the streams inside.
                </p>
              )}
              {!check.steps.some((step) => !step.ok) && (
                <div>
                  <Button
                    type={check.done?.ok ? 'button' : 'submit'}
                    variant={check.done?.ok ? 'default' : 'filled'}
                    disabled={lacking !== null}
                    loading={check.running}
                    onClick={check.done?.ok ? test : undefined}
                  >
                    {check.done ? 'Test again' : 'Test the connection'}
                  </Button>
                </div>
              )}
              <hr className={styles.line} />
              <TextInput
                label="Name"
                description="What models call this source. Letters, digits and underscores."
                maw={400}
                required
                withAsterisk={false}
                value={form.name}
                onChange={(event) => {
                  setNamed(true);
                  change({ name: event.currentTarget.value });
                }}
              />
              {error !== null && <ProblemNote error={error} />}
              <div className="row between">
                <Button
                  variant="default"
                  disabled={!bucketDone || form.name.trim() === ''}
                  loading={saving === 'draft'}
                  onClick={() => void keep(true)}
                >
                  Save as draft
                </Button>
                <Button
                  type={check.done?.ok ? 'submit' : 'button'}
                  variant={check.done?.ok ? 'filled' : 'default'}
                  disabled={lacking !== null || form.name.trim() === ''}
                  loading={saving === 'done'}
                  onClick={check.done?.ok ? undefined : () => void keep(false)}
                >
                  Save and look inside
                </Button>
              </div>
            </div>
          </Block>
        </fieldset>
      </form>
    </Page>
  );
}

interface BlockProps {
  number: number;
  title: string;
  words: string;
  closed?: boolean;
  children: ReactNode;
}

function Block({ number, title, words, closed = false, children }: BlockProps) {
  return (
    <section className={`${styles.block} ${closed ? styles.closed : ''}`} aria-label={`${number} ${title}`}>
      <div className={styles.blockHead}>
        <span className={styles.blockNumber}>{number}</span>
        <h2>{title}</h2>
        <span className="muted">{words}</span>
      </div>
      {!closed && <div className={styles.blockBody}>{children}</div>}
    </section>
  );
}

/** Both policies for what is in the form, asked again shortly after it has changed. */
function usePolicies(form: SourceForm, name: string | undefined, principal: string) {
  const [asked, setAsked] = useState<string | null>(null);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const text = JSON.stringify({ settings: settingsForPolicy(form), name });
  const ready = form.bucket.trim() !== '' && form.authType !== 'anonymous';
  useEffect(() => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setAsked(ready ? text : null), 250);
    return () => clearTimeout(timer.current);
  }, [text, ready]);
  return useQuery({
    queryKey: ['policy', asked, principal],
    queryFn: ({ signal }) =>
      answer(
        api.POST('/sources/policy', {
          params: { query: { principal: principal || undefined } },
          body: JSON.parse(asked ?? '{}') as { settings: S3Settings; name?: string },
          signal,
        }),
      ),
    enabled: asked !== null,
    placeholderData: (before) => before,
    retry: false,
  });
}

/** The part of the permission policy that answers a refused step. */
function statementFor(steps: CheckStep[], policies: Policies | undefined): string | undefined {
  const failed = steps.find((step) => !step.ok);
  if (!failed || !policies) return undefined;
  const words = `${failed.name} ${failed.message ?? ''} ${failed.hint ?? ''}`;
  if (words.includes('sts:AssumeRole')) return policies.trust ? JSON.stringify(policies.trust, null, 2) : undefined;
  const action = /s3:\w+/.exec(words)?.[0];
  const document = policies.permission as { Statement?: { Action?: string | string[] }[] };
  const statement = document.Statement?.find((part) => action && [part.Action].flat().includes(action));
  return statement && JSON.stringify(statement, null, 2);
}
