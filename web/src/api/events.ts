// Live events: the steps of a check, and what happens in a run.

import { readEvents, follow } from '../lib/sse';
import { ApiError, address, send } from './client';
import type { Check, CheckStep, ErrorReport, RowCounts, Run } from './types';

export interface CheckTarget {
  noun: 'sources' | 'destinations';
  /** A saved connection; with `settings`, where its secrets come from. */
  name?: string;
  settings?: object;
}

/** Runs a check, hands over each step as it ends, and yields the whole. */
export async function runCheck(
  target: CheckTarget,
  take: (step: CheckStep) => void,
  signal: AbortSignal,
): Promise<Check> {
  const url = target.settings
    ? address(`/${target.noun}/check`)
    : address(`/${target.noun}/{name}/check`, { name: target.name ?? '' });
  const response = await send('POST', url, {
    body: target.settings ? { settings: target.settings, name: target.name } : {},
    accept: 'text/event-stream',
    signal,
  });
  if (!response.headers.get('content-type')?.includes('event-stream')) {
    const check = (await response.json()) as Check;
    check.steps.forEach(take);
    return check;
  }
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
  return whole ?? { name: target.name ?? '', kind: '', ok: steps.length > 0 && steps.every((step) => step.ok), steps };
}

export type RunPhase = 'recover' | 'list' | 'plan' | 'read' | 'publish' | 'commit';

export type RunEvent = { at: string } & (
  | { event: 'started'; sync: string; run: string; generation: number }
  | { event: 'phase'; phase: RunPhase }
  | { event: 'progress'; bytes_read: number; bytes_total: number; rows: RowCounts }
  | { event: 'note'; message: string }
  | { event: 'ended'; report: Run & { error: ErrorReport | null } }
);

/** Follows a run from its first event to its end, over broken connections. */
export function followRun(
  id: string,
  take: (event: RunEvent) => void,
  connected: (yes: boolean) => void,
  signal: AbortSignal,
): Promise<void> {
  return follow({
    open: (lastId, given) =>
      send('GET', address('/runs/{id}/events', { id }), {
        accept: 'text/event-stream',
        headers: lastId === null ? {} : { 'Last-Event-ID': lastId },
        signal: given,
      }),
    take: (event) => {
      const data = JSON.parse(event.data) as RunEvent;
      take({ ...data, event: data.event ?? event.type } as RunEvent);
    },
    isLast: (event) => event.type === 'ended',
    connected,
    mayRetry: (error) => !(error instanceof ApiError) || error.problem.status >= 500,
    signal,
  });
}
