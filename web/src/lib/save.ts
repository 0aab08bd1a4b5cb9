// Creating, changing and deleting the four nouns.

import type { QueryClient } from '@tanstack/react-query';
import { answer, api } from '../api/client';
import type { Noun } from '../api/queries';
import type { Definition, Settings } from '../api/types';

interface Change {
  noun: Noun;
  /** What is changed; absent for something new. */
  existing?: Pick<Definition, 'name' | 'revision'>;
  name: string;
  settings: Settings;
  draft?: boolean;
}

// The routes of the four nouns are alike.
const all = (noun: Noun) => `/${noun}` as '/sources';
const one = (noun: Noun) => `/${noun}/{name}` as '/sources/{name}';

/** Saves, and has everything asked again that may have changed by it. */
export async function save(client: QueryClient, change: Change): Promise<Definition> {
  const { noun, existing, settings } = change;
  const draft = change.draft ?? false;
  const saved = existing
    ? await answer(
        api.PUT(one(noun), {
          params: { path: { name: existing.name } },
          body: { settings, revision: existing.revision, draft, name: change.name === existing.name ? undefined : change.name },
        }),
      )
    : await answer(api.POST(all(noun), { body: { name: change.name, settings, draft } }));
  await forget(client, noun);
  return saved;
}

export async function remove(client: QueryClient, noun: Noun, name: string): Promise<void> {
  await api.DELETE(one(noun), { params: { path: { name } } });
  client.removeQueries({ queryKey: [noun, name] });
  await forget(client, noun);
}

async function forget(client: QueryClient, noun: Noun): Promise<void> {
  await Promise.all([
    client.invalidateQueries({ queryKey: [noun] }),
    client.invalidateQueries({ queryKey: ['summary'] }),
  ]);
}
