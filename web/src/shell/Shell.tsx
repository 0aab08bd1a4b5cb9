// What is around every page: the side bar, on a phone the bottom bar; the palette; the keys.

import { ActionIcon, Menu, Modal, useMantineColorScheme } from '@mantine/core';
import { useQueryClient, useSuspenseQuery } from '@tanstack/react-query';
import { Link, Outlet, useNavigate } from '@tanstack/react-router';
import { useEffect, useRef, useState } from 'react';
import { api } from '../api/client';
import { sessionQuery } from '../api/queries';
import { isTyping, Keys, modifier } from '../lib/keyboard';
import { Icon } from '../parts/Icon';
import { Toasts } from '../parts/toast';
import { pages } from './actions';
import { Palette } from './Palette';
import styles from './Shell.module.css';

const help: [string, string][] = [
  [`${modifier} K`, 'open anything'],
  ['/', 'search the list'],
  ['g h', 'home'],
  ['g s', 'sources'],
  ['g m', 'models'],
  ['g d', 'destinations'],
  ['g y', 'syncs'],
  ['↑ ↓', 'from row to row of a list'],
  [`${modifier} ↵`, 'run the query or the sync'],
  ['Esc', 'close'],
  ['?', 'these keys'],
];

export function Shell() {
  const navigate = useNavigate();
  const { data: session } = useSuspenseQuery(sessionQuery);
  const [palette, setPalette] = useState(false);
  const [keysShown, setKeysShown] = useState(false);
  const main = useRef<HTMLElement>(null);

  useEffect(() => {
    const keys = new Keys();
    const listen = (event: KeyboardEvent) => {
      if (event.defaultPrevented) return;
      const { key, ctrlKey, metaKey, altKey } = event;
      const typing = isTyping(event.target);
      const shortcut = keys.press({ key, ctrlKey, metaKey, altKey, typing, at: event.timeStamp });
      if (!shortcut) return;
      event.preventDefault();
      if (shortcut.kind === 'palette') setPalette((open) => !open);
      else if (shortcut.kind === 'help') setKeysShown(true);
      else if (shortcut.kind === 'go') void navigate({ to: shortcut.to });
      else document.querySelector<HTMLInputElement>('[data-list-search]')?.focus();
    };
    window.addEventListener('keydown', listen);
    return () => window.removeEventListener('keydown', listen);
  }, [navigate]);

  if (!session.user) return null;
  return (
    <div className={styles.shell}>
      <a href="#main" className={styles.skip} onClick={() => main.current?.focus()}>
        Skip to the page
      </a>
      <div className={styles.side}>
        <Link to="/" className={styles.brand}>
          <svg viewBox="0 0 20 20" width="20" height="20" aria-hidden="true">
            <path d="M10 1a9 9 0 0 0 0 18z" fill="var(--accent)" />
            <path d="M10 2a8 8 0 0 1 0 16" fill="none" stroke="var(--accent)" strokeWidth="2" />
          </svg>
          Tapline
        </Link>
        <button type="button" className={styles.find} onClick={() => setPalette(true)}>
          <Icon name="search" size={14} />
          Open anything
          <kbd>{modifier} K</kbd>
        </button>
        <nav aria-label="Main" className={styles.nav}>
          {pages.map((page) => (
            <Link
              key={page.to}
              to={page.to}
              activeOptions={{ exact: page.to === '/', includeSearch: false }}
              className={`${styles.item} ${page.to === '/settings' ? styles.last : ''}`}
              activeProps={{ className: styles.active, 'aria-current': 'page' }}
            >
              <Icon name={page.icon} size={18} />
              <span>{page.label}</span>
            </Link>
          ))}
        </nav>
        <Person name={session.user.name} email={session.user.email} role={session.user.role} showKeys={() => setKeysShown(true)} />
      </div>
      <main id="main" ref={main} tabIndex={-1} className={styles.main}>
        <Outlet />
      </main>
      <Palette opened={palette} close={() => setPalette(false)} role={session.user.role} />
      <Modal opened={keysShown} onClose={() => setKeysShown(false)} title="Keys" closeButtonProps={{ 'aria-label': 'Close' }}>
        <dl className={styles.keys}>
          {help.map(([key, words]) => (
            <div key={key}>
              <dt>
                <kbd>{key}</kbd>
              </dt>
              <dd>{words}</dd>
            </div>
          ))}
        </dl>
      </Modal>
      <Toasts />
    </div>
  );
}

interface PersonProps {
  name: string;
  email: string;
  role: string;
  showKeys: () => void;
}

function Person({ name, email, role, showKeys }: PersonProps) {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const client = useQueryClient();
  const signOut = async () => {
    await api.DELETE('/session');
    client.clear();
    window.location.assign('/signin');
  };
  return (
    <div className={styles.person}>
      <Menu position="top-start" width={224}>
        <Menu.Target>
          <ActionIcon variant="default" size={36} radius={18}>
            <span aria-hidden="true">{initials(name || email)}</span>
            <span className="unseen">{name || email}: theme, keys, sign out</span>
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Label>
            {email} · {role}
          </Menu.Label>
          {(['light', 'dark', 'auto'] as const).map((scheme) => (
            <Menu.Item
              key={scheme}
              leftSection={<Icon name={scheme === 'dark' ? 'moon' : scheme === 'light' ? 'sun' : 'settings'} />}
              rightSection={colorScheme === scheme ? <Icon name="check" size={14} /> : null}
              aria-current={colorScheme === scheme}
              onClick={() => setColorScheme(scheme)}
            >
              {{ light: 'Light', dark: 'Dark', auto: 'As the system' }[scheme]}
            </Menu.Item>
          ))}
          <Menu.Divider />
          <Menu.Item leftSection={<Icon name="more" />} onClick={showKeys}>
            Keys
          </Menu.Item>
          <Menu.Item leftSection={<Icon name="lock" />} component={Link} to="/settings/account">
            Change password
          </Menu.Item>
          <Menu.Item leftSection={<Icon name="leave" />} onClick={() => void signOut()}>
            Sign out
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <span className={styles.who}>{name || email}</span>
    </div>
  );
}

function initials(name: string): string {
  const words = name.trim().split(/[\s@.]+/);
  return `${words[0]?.charAt(0) ?? ''}${words.length > 1 ? (words[1]?.charAt(0) ?? '') : ''}`.toUpperCase();
}
