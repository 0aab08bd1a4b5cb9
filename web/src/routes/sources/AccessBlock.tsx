// Who reads the files: a role with our external id, an access key, or this machine; with what AWS needs to be told.

import { Collapse, Radio, Select, TextInput, UnstyledButton } from '@mantine/core';
import { useState } from 'react';
import { problemOf } from '../../api/client';
import type { AuthType, Policies } from '../../api/types';
import { arnTrouble, unknownAccount, type SourceForm } from '../../lib/source';
import { CodeBlock, Copy } from '../../parts/Copy';
import { Icon } from '../../parts/Icon';
import { sentence } from '../../parts/Note';
import { SecretInput } from '../../parts/SecretInput';
import { Guide } from './Guide';
import styles from './sources.module.css';

interface AccessProps {
  form: SourceForm;
  change: (changed: Partial<SourceForm>) => void;
  policies: Policies | undefined;
  policyError: unknown;
  /** Who assumes the role, where the server cannot find out by itself. */
  principal: string;
  setPrincipal: (principal: string) => void;
}

export function AccessBlock({ form, change, policies, policyError, principal, setPrincipal }: AccessProps) {
  const [guide, setGuide] = useState(false);
  const { authType } = form;
  const trust = pretty(policies?.trust);
  const strange = authType === 'iam_role' && (principal !== '' || (policies !== undefined && (trust === '' || trust.includes(`:${unknownAccount}:`))));
  return (
    <div className="stack">
      <Radio.Group
        aria-label="How to sign in to S3"
        value={authType}
        onChange={(value) => change({ authType: value as AuthType })}
      >
        <div className="row wide">
          <Radio value="iam_role" label="IAM role" />
          <Radio value="iam_user" label="Access key" />
          <Radio value="default" label="This machine’s own identity" />
          <Radio value="anonymous" label="None (public bucket)" />
        </div>
      </Radio.Group>

      {authType === 'iam_role' && <RoleFields form={form} change={change} />}
      {authType === 'iam_user' && <KeyFields form={form} change={change} />}
      {authType === 'default' && (
        <p className={styles.plain}>
          The server uses what it finds by itself: environment, profile, web identity, container or instance role. Nothing is stored.
        </p>
      )}
      {authType === 'anonymous' && <p className={styles.plain}>Requests are not signed; the bucket must allow everyone to read.</p>}

      {authType !== 'anonymous' && (
        <>
          <div className={styles.policies}>
            <CodeBlock title="Permission policy" text={pretty(policies?.permission)}>
              {policies ? undefined : <p className="muted">{policyError ? sentence(problemOf(policyError).detail) : 'Name the bucket to fill this in.'}</p>}
            </CodeBlock>
            {authType === 'iam_role' && (
              <CodeBlock title="Trust policy" text={strange && principal === '' ? '' : trust}>
                {trust && !(strange && principal === '') ? undefined : <p className="muted">The trust policy appears here with this server’s identity and the external id in it.</p>}
              </CodeBlock>
            )}
          </div>
          {strange && (
            <TextInput
              label="ARN of who assumes the role"
              description="This server could not find out which AWS identity it has. Name the user or role it runs as; it stands in the trust policy."
              placeholder="arn:aws:iam::123456789012:role/tapline"
              maw={560}
              spellCheck={false}
              value={principal}
              onChange={(event) => setPrincipal(event.currentTarget.value)}
            />
          )}
          <UnstyledButton className={styles.more} aria-expanded={guide} onClick={() => setGuide(!guide)}>
            <Icon name={guide ? 'down' : 'right'} size={12} />
            {authType === 'iam_role' ? 'How to create the role' : authType === 'iam_user' ? 'How to create the user and its key' : 'How to allow it'}
          </UnstyledButton>
          <Collapse expanded={guide}>
            <Guide kind={authType} />
          </Collapse>
        </>
      )}
    </div>
  );
}

type FieldsProps = Pick<AccessProps, 'form' | 'change'>;

function RoleFields({ form, change }: FieldsProps) {
  return (
    <>
      <div className={styles.roleGrid}>
        <div>
          <div className={styles.label} id="external-id">
            External id
          </div>
          <div className={styles.describe}>Ours, for this source alone. The role must ask for it.</div>
          <div className={styles.external}>
            <code aria-labelledby="external-id" data-external-id>
              {form.externalId || '…'}
            </code>
            <Copy text={form.externalId} what="external id" />
          </div>
        </div>
        <TextInput
          label="Role ARN"
          description="Shown by AWS once the role is made."
          placeholder="arn:aws:iam::123456789012:role/lake-reader"
          spellCheck={false}
          value={form.roleArn}
          error={arnTrouble(form.roleArn)}
          onChange={(event) => change({ roleArn: event.currentTarget.value })}
        />
      </div>
      <Select
        label="Assumed by"
        description="Who the role trusts."
        maw={400}
        data={[
          { value: 'default', label: 'this machine’s own identity' },
          { value: 'iam_user', label: 'an access key' },
        ]}
        value={form.base}
        onChange={(value) => change({ base: value === 'iam_user' ? 'iam_user' : 'default' })}
      />
      {form.base === 'iam_user' && <KeyFields form={form} change={change} />}
    </>
  );
}

function KeyFields({ form, change }: FieldsProps) {
  return (
    <div className={styles.roleGrid}>
      <TextInput
        label="Access key id"
        placeholder="AKIA…"
        spellCheck={false}
        value={form.accessKeyId}
        onChange={(event) => change({ accessKeyId: event.currentTarget.value })}
      />
      <SecretInput
        label="Secret access key"
        value={form.secretAccessKey}
        onChange={(secretAccessKey) => change({ secretAccessKey })}
      />
      <SecretInput
        label="Session token"
        description="Only for temporary keys."
        value={form.sessionToken}
        onChange={(sessionToken) => change({ sessionToken })}
      />
    </div>
  );
}

function pretty(document: unknown): string {
  return document ? JSON.stringify(document, null, 2) : '';
}
