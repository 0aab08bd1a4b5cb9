// One's own password.

import { Button, PasswordInput } from '@mantine/core';
import { useState, type FormEvent } from 'react';
import { api } from '../../api/client';
import { ProblemNote } from '../../parts/Note';
import { tell } from '../../parts/toast';
import { Frame } from './Frame';

export function Account() {
  const [old, setOld] = useState('');
  const [next, setNext] = useState('');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await api.PUT('/session/password', { body: { old, new: next } });
      setOld('');
      setNext('');
      tell('Changed the password; other sessions are signed out');
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Frame title="Password">
      <form className="stack" style={{ maxWidth: 400 }} onSubmit={(event) => void submit(event)}>
        <PasswordInput label="Password now" autoComplete="current-password" required withAsterisk={false} value={old} onChange={(event) => setOld(event.currentTarget.value)} />
        <PasswordInput
          label="New password"
          description="At least 10 characters."
          autoComplete="new-password"
          required
          withAsterisk={false}
          minLength={10}
          value={next}
          onChange={(event) => setNext(event.currentTarget.value)}
        />
        {error !== null && <ProblemNote error={error} />}
        <div>
          <Button type="submit" loading={busy}>
            Change password
          </Button>
        </div>
      </form>
    </Frame>
  );
}
