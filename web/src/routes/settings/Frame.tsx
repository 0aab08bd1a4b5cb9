// What the pages of settings share: the tabs between them, and the form in a window.

import { Button, Modal } from '@mantine/core';
import { Link, Navigate } from '@tanstack/react-router';
import { useState, type ReactNode } from 'react';
import { useMay } from '../../lib/roles';
import { ProblemNote } from '../../parts/Note';
import { Page } from '../../parts/Page';
import styles from './settings.module.css';

const tabs = [
  { to: '/settings/users', label: 'Users', admin: true },
  { to: '/settings/tokens', label: 'API tokens', admin: true },
  { to: '/settings/alerts', label: 'Alerts', admin: false },
  { to: '/settings/audit', label: 'Audit log', admin: true },
  { to: '/settings/account', label: 'Password', admin: false },
  { to: '/settings/about', label: 'About', admin: false },
] as const;

export function SettingsHome() {
  const admin = useMay('admin');
  return <Navigate to={admin ? '/settings/users' : '/settings/alerts'} replace />;
}

export function Frame({ title, actions, children }: { title: string; actions?: ReactNode; children: ReactNode }) {
  const admin = useMay('admin');
  return (
    <Page title={title} actions={actions}>
      <nav aria-label="Settings" className={styles.tabs}>
        {tabs
          .filter((tab) => admin || !tab.admin)
          .map((tab) => (
            <Link key={tab.to} to={tab.to} className={styles.tab} activeProps={{ className: styles.active, 'aria-current': 'page' }}>
              {tab.label}
            </Link>
          ))}
      </nav>
      {children}
    </Page>
  );
}

interface FormWindowProps {
  title: string;
  verb: string;
  opened: boolean;
  close: () => void;
  submit: () => Promise<unknown>;
  disabled?: boolean;
  children: ReactNode;
}

/** A small form in a window of its own. */
export function FormWindow({ title, verb, opened, close, submit, disabled, children }: FormWindowProps) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const send = async () => {
    setBusy(true);
    setError(null);
    try {
      await submit();
      close();
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Modal opened={opened} onClose={close} title={title} closeButtonProps={{ 'aria-label': 'Close' }}>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          void send();
        }}
      >
        {children}
        {error !== null && <ProblemNote error={error} />}
        <div className="row" style={{ justifyContent: 'flex-end' }}>
          <Button variant="default" onClick={close}>
            Cancel
          </Button>
          <Button type="submit" loading={busy} disabled={disabled}>
            {verb}
          </Button>
        </div>
      </form>
    </Modal>
  );
}

export const roleChoices = [
  { value: 'viewer', label: 'viewer: sees states and counts, no values' },
  { value: 'editor', label: 'editor: sets up, runs, sees values' },
  { value: 'admin', label: 'admin: users, tokens and everything else' },
];
