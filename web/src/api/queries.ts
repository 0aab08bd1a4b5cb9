// Every question the pages ask, with the key it is cached under.
// Not here: changes, which the pages send with `api` themselves.
// Called by the pages.

import { queryOptions } from '@tanstack/react-query';
import { all, answer, api } from './client';
import type { Alert, Model, Source, Sync } from './types';

export type Noun = 'sources' | 'models' | 'destinations' | 'syncs';

export const sessionQuery = queryOptions({
  queryKey: ['session'],
  queryFn: () => answer(api.GET('/session')),
  staleTime: Infinity,
});

export const setupQuery = queryOptions({
  queryKey: ['setup'],
  queryFn: () => answer(api.GET('/setup')),
});

// The settings of definitions are open to the API; their nouns say what is in them.
export const sourcesQuery = queryOptions({
  queryKey: ['sources'],
  queryFn: ({ signal }) => all((query) => answer(api.GET('/sources', { params: { query }, signal }))) as Promise<Source[]>,
});
export const modelsQuery = queryOptions({
  queryKey: ['models'],
  queryFn: ({ signal }) => all((query) => answer(api.GET('/models', { params: { query }, signal }))) as Promise<Model[]>,
});
export const destinationsQuery = queryOptions({
  queryKey: ['destinations'],
  queryFn: ({ signal }) => all((query) => answer(api.GET('/destinations', { params: { query }, signal }))),
});
export const syncsQuery = queryOptions({
  queryKey: ['syncs'],
  queryFn: ({ signal }) => all((query) => answer(api.GET('/syncs', { params: { query }, signal }))) as Promise<Sync[]>,
});

export const sourceQuery = (name: string) =>
  queryOptions({
    queryKey: ['sources', name],
    queryFn: () => answer(api.GET('/sources/{name}', { params: { path: { name } } })) as Promise<Source>,
  });
export const modelQuery = (name: string) =>
  queryOptions({
    queryKey: ['models', name],
    queryFn: () => answer(api.GET('/models/{name}', { params: { path: { name } } })) as Promise<Model>,
  });
export const destinationQuery = (name: string) =>
  queryOptions({
    queryKey: ['destinations', name],
    queryFn: () => answer(api.GET('/destinations/{name}', { params: { path: { name } } })),
  });
export const syncQuery = (name: string) =>
  queryOptions({
    queryKey: ['syncs', name],
    queryFn: () => answer(api.GET('/syncs/{name}', { params: { path: { name } } })) as Promise<Sync>,
  });

export const streamsQuery = (source: string) =>
  queryOptions({
    queryKey: ['sources', source, 'streams'],
    queryFn: async ({ signal }) => {
      const found = await answer(api.GET('/sources/{name}/streams', { params: { path: { name: source } }, signal }));
      return found.streams;
    },
    staleTime: 60_000,
    retry: false,
  });

export const regionsQuery = queryOptions({
  queryKey: ['regions'],
  queryFn: async () => (await answer(api.GET('/sources/regions'))).items,
  staleTime: Infinity,
});

export const functionsQuery = queryOptions({
  queryKey: ['functions'],
  queryFn: async () => (await answer(api.GET('/functions'))).items,
  staleTime: Infinity,
});

export const connectorsQuery = queryOptions({
  queryKey: ['connectors'],
  queryFn: async () => (await answer(api.GET('/connectors'))).items,
  staleTime: Infinity,
});

export const versionsQuery = (model: string) =>
  queryOptions({
    queryKey: ['models', model, 'versions'],
    queryFn: async () => (await answer(api.GET('/models/{name}/versions', { params: { path: { name: model } } }))).items,
  });

export const destinationStreamsQuery = (destination: string) =>
  queryOptions({
    queryKey: ['destinations', destination, 'streams'],
    queryFn: async () =>
      (await answer(api.GET('/destinations/{name}/streams', { params: { path: { name: destination } } }))).items,
    enabled: destination !== '',
    staleTime: 60_000,
    retry: false,
  });

export const runsQuery = (sync?: string, limit = 50) =>
  queryOptions({
    queryKey: ['runs', { sync, limit }],
    queryFn: () => answer(api.GET('/runs', { params: { query: { sync, limit } } })),
  });

export const runQuery = (id: string) =>
  queryOptions({
    queryKey: ['runs', id],
    queryFn: () => answer(api.GET('/runs/{id}', { params: { path: { id } } })),
  });

export const rejectsQuery = (sync: string, limit: number) =>
  queryOptions({
    queryKey: ['syncs', sync, 'rejects', limit],
    queryFn: () => answer(api.GET('/syncs/{name}/rejects', { params: { path: { name: sync }, query: { limit } } })),
  });

export const sourceRejectsQuery = (sync: string, limit: number) =>
  queryOptions({
    queryKey: ['syncs', sync, 'source rejects', limit],
    queryFn: () =>
      answer(api.GET('/syncs/{name}/rejects', { params: { path: { name: sync }, query: { source: true, limit } } })),
  });

export const summaryQuery = queryOptions({
  queryKey: ['summary'],
  queryFn: () => answer(api.GET('/summary', { params: { query: { days: 14 } } })),
  refetchInterval: 10_000,
});

export const usersQuery = queryOptions({
  queryKey: ['users'],
  queryFn: () => all((query) => answer(api.GET('/users', { params: { query } }))),
});
export const tokensQuery = queryOptions({
  queryKey: ['tokens'],
  queryFn: () => all((query) => answer(api.GET('/tokens', { params: { query } }))),
});
export const alertsQuery = queryOptions({
  queryKey: ['alerts'],
  queryFn: () => all((query) => answer(api.GET('/alerts', { params: { query } }))) as Promise<unknown[]> as Promise<Alert[]>,
});
export const auditQuery = queryOptions({
  queryKey: ['audit'],
  queryFn: ({ signal }) => all((query) => answer(api.GET('/audit', { params: { query }, signal })), 2000),
});
export const aboutQuery = queryOptions({ queryKey: ['about'], queryFn: () => answer(api.GET('/about')) });
