// The two pages before the shell: making the first user, and signing in.

import { Button, PasswordInput, TextInput } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useEffect, useState, type FormEvent, type ReactNode } from 'react';
import { answer, api, setCsrf } from '../../api/client';
import { sessionQuery } from '../../api/queries';
import type { Session } from '../../api/types';
import { ProblemNote } from '../../parts/Note';
import styles from './Access.module.css';

const leastPassword = 10;

function Frame({ title, words, children }: { title: string; words: string; children: ReactNode }) {
  useEffect(() => {
    document.title = `${title} · Tapline`;
  }, [title]);
  return (
    <main className={styles.frame}>
      <div className={styles.box}>
        <svg viewBox="0 0 20 20" width="32" height="32" aria-hidden="true">
          <path d="M10 1a9 9 0 0 0 0 18z" fill="var(--accent)" />
          <path d="M10 2a8 8 0 0 1 0 16" fill="none" stroke="var(--accent)" strokeWidth="2" />
        </svg>
        <h1>{title}</h1>
        <p className="muted">{words}</p>
        {children}
      </div>
    </main>
  );
}

/** Sends a form that ends in a session, and goes to where the person wanted to be. */
function useEntry<Form>(open: (form: Form) => Promise<{ data?: Session }>) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const search = useSearch({ strict: false }) as { to?: string };
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const enter = async (form: Form) => {
    setBusy(true);
    setError(null);
    try {
      const session = await answer(open(form));
      setCsrf(session.csrf);
      client.setQueryData(sessionQuery.queryKey, session);
      // Only paths of this site: what is in the address may come from anyone.
      const to = search.to?.startsWith('/') && !search.to.startsWith('//') ? search.to : '/';
      await navigate({ to, replace: true });
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  };
  return { busy, error, enter };
}

export function SignIn() {
  const { busy, error, enter } = useEntry((body: { email: string; password: string }) => api.POST('/session', { body }));
  const [email, setEmail] = useState('');
  const [password, setPassword] = useState('');
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void enter({ email, password });
  };
  return (
    <Frame title="Sign in" words="Files in S3, shaped with SQL, kept in step with your other systems.">
      <form className="stack" onSubmit={submit}>
        <TextInput
          label="E-mail"
          type="email"
          autoComplete="username"
          required
          autoFocus
          withAsterisk={false}
          value={email}
          onChange={(event) => setEmail(event.currentTarget.value)}
        />
        <PasswordInput
          label="Password"
          autoComplete="current-password"
          required
          withAsterisk={false}
          value={password}
          onChange={(event) => setPassword(event.currentTarget.value)}
        />
        {error !== null && <ProblemNote error={error} />}
        <Button type="submit" loading={busy}>
          Sign in
        </Button>
      </form>
    </Frame>
  );
}

export function Setup() {
  const search = useSearch({ strict: false }) as { code?: string };
  const [form, setForm] = useState({ code: search.code ?? '', name: '', email: '', password: '' });
  const { busy, error, enter } = useEntry((body: typeof form) => api.POST('/setup', { body }));
  const change = (field: keyof typeof form) => (event: { currentTarget: HTMLInputElement }) => {
    const { value } = event.currentTarget;
    setForm((before) => ({ ...before, [field]: value }));
  };
  const short = form.password !== '' && form.password.length < leastPassword;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!short) void enter(form);
  };
  return (
    <Frame title="Welcome to Tapline" words="Nobody can sign in yet. The first person becomes the administrator.">
      <form className="stack" onSubmit={submit}>
        {!search.code && (
          <TextInput
            label="Code of the one-time link"
            description="tapline serve printed the link when it started for the first time."
            required
            withAsterisk={false}
            value={form.code}
            onChange={change('code')}
          />
        )}
        <TextInput label="Name" autoComplete="name" required withAsterisk={false} autoFocus value={form.name} onChange={change('name')} />
        <TextInput
          label="E-mail"
          type="email"
          autoComplete="username"
          required
          withAsterisk={false}
          value={form.email}
          onChange={change('email')}
        />
        <PasswordInput
          label="Password"
          description={`At least ${leastPassword} characters.`}
          autoComplete="new-password"
          required
          withAsterisk={false}
          value={form.password}
          error={short ? `${leastPassword - form.password.length} more to go` : undefined}
          onChange={change('password')}
        />
        {error !== null && <ProblemNote error={error} />}
        <Button type="submit" loading={busy}>
          Create the administrator
        </Button>
      </form>
    </Frame>
  );
}
