// Creating, changing and deleting the four nouns.

import type { QueryClient } from '@tanstack/react-query';
import { request } from '../api/client';
import type { Noun } from '../api/queries';
import type { Definition } from '../api/types';

interface Change {
  noun: Noun;
  /** What is changed; absent for something new. */
  existing?: Definition;
  name: string;
  settings: unknown;
  draft?: boolean;
}

/** Saves, and has everything asked again that may have changed by it. */
export async function save<T extends Definition>(client: QueryClient, change: Change): Promise<T> {
  const { noun, existing, name, settings } = change;
  const draft = change.draft ?? false;
  const saved = existing
    ? await request<T>('PUT', `/${noun}/{name}`, { name: existing.name }, {
        body: { settings, revision: existing.revision, draft, name: name === existing.name ? undefined : name },
      })
    : await request<T>('POST', `/${noun}`, {}, { body: { name, settings, draft } });
  await forget(client, noun);
  return saved;
}

export async function remove(client: QueryClient, noun: Noun, name: string): Promise<void> {
  await request('DELETE', `/${noun}/{name}`, { name });
  client.removeQueries({ queryKey: [noun, name] });
  await forget(client, noun);
}

async function forget(client: QueryClient, noun: Noun): Promise<void> {
  await Promise.all([
    client.invalidateQueries({ queryKey: [noun] }),
    client.invalidateQueries({ queryKey: ['summary'] }),
  ]);
}
