// Every question the pages ask, with the key it is cached under.
// Not here: changes, which the pages send with `request` themselves.

import { queryOptions } from '@tanstack/react-query';
import { listAll, request } from './client';
import type {
  About,
  Alert,
  AuditEntry,
  Connector,
  Destination,
  DestinationStream,
  List,
  Model,
  ModelVersion,
  Reject,
  Run,
  Session,
  Source,
  SourceReject,
  SourceStream,
  Summary,
  Sync,
  Token,
  UserRecord,
} from './types';

export type Noun = 'sources' | 'models' | 'destinations' | 'syncs';

export const sessionQuery = queryOptions({
  queryKey: ['session'],
  queryFn: () => request<Session>('GET', '/session'),
  staleTime: Infinity,
});

export const setupQuery = queryOptions({
  queryKey: ['setup'],
  queryFn: () => request<{ needed: boolean }>('GET', '/setup'),
});

const list = <T>(noun: Noun) =>
  queryOptions({ queryKey: [noun], queryFn: ({ signal }) => listAll<T>(`/${noun}`, {}, {}, signal) });
const one = <T>(noun: Noun, name: string) =>
  queryOptions({ queryKey: [noun, name], queryFn: () => request<T>('GET', `/${noun}/{name}`, { name }) });

export const sourcesQuery = list<Source>('sources');
export const modelsQuery = list<Model>('models');
export const destinationsQuery = list<Destination>('destinations');
export const syncsQuery = list<Sync>('syncs');
export const sourceQuery = (name: string) => one<Source>('sources', name);
export const modelQuery = (name: string) => one<Model>('models', name);
export const destinationQuery = (name: string) => one<Destination>('destinations', name);
export const syncQuery = (name: string) => one<Sync>('syncs', name);

export const streamsQuery = (source: string) =>
  queryOptions({
    queryKey: ['sources', source, 'streams'],
    queryFn: ({ signal }) =>
      request<{ streams?: SourceStream[]; items?: SourceStream[] }>(
        'GET',
        '/sources/{name}/streams',
        { name: source },
        { signal },
      ).then((found) => found.streams ?? found.items ?? []),
    staleTime: 60_000,
    retry: false,
  });

export const regionsQuery = queryOptions({
  queryKey: ['regions'],
  queryFn: () => request<List<{ id: string; name: string }>>('GET', '/sources/regions').then((page) => page.items),
  staleTime: Infinity,
});

export const functionsQuery = queryOptions({
  queryKey: ['functions'],
  queryFn: () => request<List<string>>('GET', '/functions').then((page) => page.items),
  staleTime: Infinity,
});

export const connectorsQuery = queryOptions({
  queryKey: ['connectors'],
  queryFn: () => request<List<Connector>>('GET', '/connectors').then((page) => page.items),
  staleTime: Infinity,
});

export const versionsQuery = (model: string) =>
  queryOptions({
    queryKey: ['models', model, 'versions'],
    queryFn: () => listAll<ModelVersion>('/models/{name}/versions', { name: model }),
  });

export const destinationStreamsQuery = (destination: string) =>
  queryOptions({
    queryKey: ['destinations', destination, 'streams'],
    queryFn: () => listAll<DestinationStream>('/destinations/{name}/streams', { name: destination }),
    enabled: destination !== '',
    staleTime: 60_000,
    retry: false,
  });

export const runsQuery = (sync?: string, limit = 50) =>
  queryOptions({
    queryKey: ['runs', { sync, limit }],
    queryFn: () => request<List<Run>>('GET', '/runs', {}, { query: { sync, limit } }),
  });

export const runQuery = (id: string) =>
  queryOptions({ queryKey: ['runs', id], queryFn: () => request<Run>('GET', '/runs/{id}', { id }) });

export const rejectsQuery = (sync: string, limit: number) =>
  queryOptions({
    queryKey: ['syncs', sync, 'rejects', limit],
    queryFn: () => request<List<Reject>>('GET', '/syncs/{name}/rejects', { name: sync }, { query: { limit } }),
  });

export const sourceRejectsQuery = (sync: string, limit: number) =>
  queryOptions({
    queryKey: ['syncs', sync, 'source rejects', limit],
    queryFn: () =>
      request<List<SourceReject>>('GET', '/syncs/{name}/rejects', { name: sync }, { query: { source: true, limit } }),
  });

export const summaryQuery = queryOptions({
  queryKey: ['summary'],
  queryFn: () => request<Summary>('GET', '/summary', {}, { query: { days: 14 } }),
  refetchInterval: 10_000,
});

export const usersQuery = queryOptions({ queryKey: ['users'], queryFn: () => listAll<UserRecord>('/users') });
export const tokensQuery = queryOptions({ queryKey: ['tokens'], queryFn: () => listAll<Token>('/tokens') });
export const alertsQuery = queryOptions({ queryKey: ['alerts'], queryFn: () => listAll<Alert>('/alerts') });
export const auditQuery = queryOptions({
  queryKey: ['audit'],
  queryFn: ({ signal }) => listAll<AuditEntry>('/audit', {}, {}, signal, 2000),
});
export const aboutQuery = queryOptions({ queryKey: ['about'], queryFn: () => request<About>('GET', '/about') });
