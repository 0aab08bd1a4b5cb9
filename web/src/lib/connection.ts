// What sources and destinations have in common.

import type { LastCheck, Source } from '../api/types';
import type { AnyState } from '../parts/State';

/** What a connection's state is called. */
export function connectionState(connection: { draft: boolean; last_check?: LastCheck | null }): AnyState {
  if (connection.draft) return 'draft';
  if (!connection.last_check) return 'unchecked';
  return connection.last_check.ok ? 'connected' : 'failed';
}

export function sourceAddress(source: Source): string {
  const path = (source.settings.path ?? '').replace(/^\/+/, '');
  return `s3://${source.settings.bucket}${path && '/'}${path}`;
}
