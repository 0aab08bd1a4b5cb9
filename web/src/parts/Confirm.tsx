// Asking before something is destroyed: the question says what will happen.

import { Button, Group, Modal, TextInput, type ButtonProps } from '@mantine/core';
import { useState, type ReactNode } from 'react';
import { ProblemNote } from './Note';

interface ConfirmProps {
  /** The button that asks. */
  children: ReactNode;
  button?: ButtonProps & { 'aria-label'?: string };
  title: string;
  /** What will happen. */
  words: ReactNode;
  /** The verb on the button that does it. */
  verb: string;
  /** A word to type first, for what cannot be undone. */
  type?: string;
  act: () => Promise<unknown>;
}

export function Confirm({ children, button, title, words, verb, type, act }: ConfirmProps) {
  const [open, setOpen] = useState(false);
  const [typed, setTyped] = useState('');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const run = async () => {
    setBusy(true);
    setError(null);
    try {
      await act();
      setOpen(false);
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      <Button
        variant="default"
        {...button}
        onClick={() => {
          setTyped('');
          setError(null);
          setOpen(true);
        }}
      >
        {children}
      </Button>
      <Modal opened={open} onClose={() => setOpen(false)} title={title} closeButtonProps={{ 'aria-label': 'Close' }}>
        <form
          className="stack"
          onSubmit={(event) => {
            event.preventDefault();
            void run();
          }}
        >
          <div>{words}</div>
          {type && (
            <TextInput
              label={`Type ${type} to go on`}
              value={typed}
              onChange={(event) => setTyped(event.currentTarget.value)}
              data-autofocus
            />
          )}
          {error !== null && <ProblemNote error={error} />}
          <Group justify="flex-end" gap="sm">
            <Button variant="default" onClick={() => setOpen(false)}>
              Cancel
            </Button>
            <Button type="submit" color="red" loading={busy} disabled={type !== undefined && typed !== type}>
              {verb}
            </Button>
          </Group>
        </form>
      </Modal>
    </>
  );
}
