// Ctrl K: pages, things by name, and actions, found by typing.

import { Modal } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useMemo, useState, type KeyboardEvent } from 'react';
import { destinationsQuery, modelsQuery, sourcesQuery, syncsQuery } from '../api/queries';
import type { Role } from '../api/types';
import { matches } from '../lib/list';
import { mayAs } from '../lib/roles';
import { Icon, kindIcon } from '../parts/Icon';
import { actions, pages, type Action } from './actions';
import styles from './Palette.module.css';

interface Entry extends Action {
  group: string;
}

const most = 30;

export function Palette({ opened, close, role }: { opened: boolean; close: () => void; role: Role }) {
  return (
    <Modal.Root opened={opened} onClose={close} size={560} yOffset="12vh" transitionProps={{ duration: 120 }}>
      <Modal.Overlay />
      <Modal.Content className={styles.content} aria-label="Open anything">
        <PaletteBody close={close} role={role} />
      </Modal.Content>
    </Modal.Root>
  );
}

function PaletteBody({ close, role }: { close: () => void; role: Role }) {
  const navigate = useNavigate();
  const [query, setQuery] = useState('');
  const [at, setAt] = useState(0);
  const sources = useQuery(sourcesQuery).data;
  const models = useQuery(modelsQuery).data;
  const destinations = useQuery(destinationsQuery).data;
  const syncs = useQuery(syncsQuery).data;

  const all = useMemo<Entry[]>(() => {
    const named = (group: string, to: string, items: { name: string; icon: Action['icon'] }[]) =>
      items.map(({ name, icon }) => ({ group, label: name, to: `${to}/${encodeURIComponent(name)}`, icon }));
    const allowed = (action: Action) => !action.needs || mayAs(role, action.needs);
    return [
      ...pages.map((page) => ({ ...page, group: 'Pages' })),
      ...actions.filter(allowed).map((action) => ({ ...action, group: 'Actions' })),
      ...named('Syncs', '/syncs', (syncs ?? []).map(({ name }) => ({ name, icon: 'sync' }))),
      ...named('Models', '/models', (models ?? []).map(({ name }) => ({ name, icon: 'model' }))),
      ...named('Sources', '/sources', (sources ?? []).map(({ name }) => ({ name, icon: 'source' }))),
      ...named(
        'Destinations',
        '/destinations',
        (destinations ?? []).map(({ name, kind }) => ({ name, icon: kindIcon(kind) })),
      ),
    ];
  }, [role, sources, models, destinations, syncs]);
  const found = all.filter((entry) => matches(`${entry.group} ${entry.label}`, query.trim())).slice(0, most);
  const chosen = Math.min(at, found.length - 1);

  const open = (entry: Entry | undefined) => {
    if (!entry) return;
    close();
    void navigate({ to: entry.to });
  };
  const press = (event: KeyboardEvent) => {
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1 };
    const step = steps[event.key];
    if (step) {
      event.preventDefault();
      const next = (chosen + step + found.length) % Math.max(1, found.length);
      setAt(next);
      document.getElementById(`palette-${next}`)?.scrollIntoView({ block: 'nearest' });
    } else if (event.key === 'Enter') {
      event.preventDefault();
      open(found[chosen]);
    }
  };

  return (
    <>
      <div className={styles.search}>
        <Icon name="search" />
        <input
          data-autofocus
          role="combobox"
          aria-expanded="true"
          aria-controls="palette-list"
          aria-activedescendant={found.length > 0 ? `palette-${chosen}` : undefined}
          aria-label="Open anything"
          placeholder="Open a page, a source, a sync, or do something"
          value={query}
          onChange={(event) => {
            setQuery(event.currentTarget.value);
            setAt(0);
          }}
          onKeyDown={press}
        />
      </div>
      <ul id="palette-list" role="listbox" aria-label="Found" className={styles.list} tabIndex={-1}>
        {found.map((entry, index) => (
          <li
            key={`${entry.group} ${entry.to}`}
            id={`palette-${index}`}
            role="option"
            aria-selected={index === chosen}
            onMouseMove={() => setAt(index)}
            onClick={() => open(entry)}
          >
            <Icon name={entry.icon} />
            <span className={styles.label}>{entry.label}</span>
            <span className={styles.group}>{entry.hint ?? entry.group}</span>
          </li>
        ))}
      </ul>
      {found.length === 0 && <p className={styles.none}>Nothing is called that.</p>}
    </>
  );
}
