// Live events: the steps of a check, and what happens in a run.

import { follow, readEvents } from '../lib/sse';
import { ApiError, api } from './client';
import type { Check, CheckStep, RowCounts, Run, Settings } from './types';

export interface CheckTarget {
  noun: 'sources' | 'destinations';
  /** A saved connection; with `settings`, where its secrets come from. */
  name?: string;
  settings?: Settings;
}

/** An answer that is a stream of events. */
const streamed = { parseAs: 'stream', headers: { Accept: 'text/event-stream' } } as const;

/** Runs a check, hands over each step as it ends, and yields the whole. */
export async function runCheck(
  { noun, name, settings }: CheckTarget,
  take: (step: CheckStep) => void,
  signal: AbortSignal,
): Promise<Check> {
  // The routes of both nouns are alike.
  const { response } = settings
    ? await api.POST(`/${noun}/check` as '/sources/check', { body: { settings, name }, signal, ...streamed })
    : await api.POST(`/${noun}/{name}/check` as '/sources/{name}/check', {
        params: { path: { name: name ?? '' } },
        signal,
        ...streamed,
      });
  const steps: CheckStep[] = [];
  let whole: Check | null = null;
  await readEvents(response, (event) => {
    if (event.type === 'step') {
      const step = JSON.parse(event.data) as CheckStep;
      steps.push(step);
      take(step);
    } else if (event.type === 'done') {
      whole = JSON.parse(event.data) as Check;
    }
  });
  return whole ?? { name: name ?? '', kind: '', ok: steps.length > 0 && steps.every((step) => step.ok), steps };
}

export type RunPhase = 'recover' | 'list' | 'plan' | 'read' | 'publish' | 'commit';

export type RunEvent = { at: string } & (
  | { event: 'started'; sync: string; run: string; generation: number }
  | { event: 'phase'; phase: RunPhase }
  | { event: 'progress'; bytes_read: number; bytes_total: number; rows: RowCounts }
  | { event: 'note'; message: string }
  | { event: 'ended'; report: Run }
);

/** Follows a run from its first event to its end, over broken connections; of one that has ended, what is kept. */
export function followRun(
  id: string,
  ended: boolean,
  take: (event: RunEvent) => void,
  connected: (yes: boolean) => void,
  signal: AbortSignal,
): Promise<void> {
  return follow({
    open: async (lastId, given) => {
      const headers = { ...streamed.headers, ...(lastId === null ? {} : { 'Last-Event-ID': lastId }) };
      const { response } = await api.GET('/runs/{id}/events', { params: { path: { id } }, ...streamed, headers, signal: given });
      return response;
    },
    take: (event) => take(JSON.parse(event.data) as RunEvent),
    isLast: (event) => event.type === 'ended',
    // Events are kept for a while only: what has ended may have none.
    again: () => !ended,
    connected,
    mayRetry: (error) => !(error instanceof ApiError) || error.problem.status >= 500,
    signal,
  });
}
