// A run while it happens: the state that its events add up to.
// Not here: how events arrive (lib/sse), how the run looks (routes/runs).

import type { RunEvent, RunPhase } from '../api/events';
import type { RowCounts, Run } from '../api/types';
import { noRows } from './runs';

export interface Line {
  at: string;
  words: string;
}

export interface Live {
  phase: RunPhase | null;
  rows: RowCounts;
  bytesRead: number;
  bytesTotal: number;
  /** Bytes and rows per second over the last seconds; `null` until they can be told. */
  rate: { bytes: number; rows: number } | null;
  lines: Line[];
  report: Run | null;
  samples: { time: number; bytes: number; rows: number }[];
}

export const nothingYet: Live = {
  phase: null,
  rows: noRows,
  bytesRead: 0,
  bytesTotal: 0,
  rate: null,
  lines: [],
  report: null,
  samples: [],
};

const phaseWords: Record<RunPhase, string> = {
  recover: 'finishing what the run before left open',
  list: 'listing files',
  plan: 'planning the SQL',
  read: 'reading, comparing and staging',
  publish: 'publishing',
  commit: 'recording what was published',
};

const mostLines = 500;
const rateWindow = 5_000;

/** The state after one more event. */
export function after(live: Live, event: RunEvent): Live {
  const told = (words: string): Line[] => [...live.lines, { at: event.at, words }].slice(-mostLines);
  switch (event.event) {
    case 'started':
      return { ...live, lines: told(`run ${event.generation} started`) };
    case 'phase':
      return { ...live, phase: event.phase, lines: told(phaseWords[event.phase] ?? event.phase) };
    case 'note':
      return { ...live, lines: told(event.message) };
    case 'progress': {
      const sample = { time: Date.parse(event.at), bytes: event.bytes_read, rows: event.rows.read };
      const samples = [...live.samples.filter((old) => sample.time - old.time <= rateWindow), sample];
      return { ...live, bytesRead: event.bytes_read, bytesTotal: event.bytes_total, rows: event.rows, samples, rate: rateOf(samples) };
    }
    case 'ended':
      return {
        ...live,
        rows: event.report.rows,
        bytesRead: event.report.bytes_read,
        rate: null,
        report: event.report,
        lines: told(event.report.error?.message ?? event.report.status),
      };
  }
}

function rateOf(samples: Live['samples']): Live['rate'] {
  const first = samples[0];
  const last = samples.at(-1);
  if (!first || !last || last.time - first.time < 200) return null;
  const seconds = (last.time - first.time) / 1000;
  return { bytes: (last.bytes - first.bytes) / seconds, rows: (last.rows - first.rows) / seconds };
}

export type StageState = 'waiting' | 'now' | 'done' | 'stopped';

/** How far each stage of the picture is: read, compare, stage, publish. */
export function stages(phase: RunPhase | null, run: Pick<Run, 'status' | 'rows' | 'bytes_read'>): StageState[] {
  if (run.status === 'unchanged') return ['done', 'done', 'done', 'done'];
  if (run.status === 'succeeded' || run.status === 'partial') return ['done', 'done', 'done', 'done'];
  const reached: Record<RunPhase, StageState[]> = {
    recover: ['waiting', 'waiting', 'waiting', 'waiting'],
    list: ['waiting', 'waiting', 'waiting', 'waiting'],
    plan: ['waiting', 'waiting', 'waiting', 'waiting'],
    read: ['now', 'now', 'now', 'waiting'],
    publish: ['done', 'done', 'done', 'now'],
    commit: ['done', 'done', 'done', 'done'],
  };
  const states = phase ? reached[phase] : reached.recover;
  if (run.status === 'running') return states;
  // What ended before its end: the first stage without a count is where.
  const finished = [run.bytes_read > 0, run.rows.read > 0, false, false];
  const end = finished.indexOf(false);
  return finished.map((_, index) => (index < end ? 'done' : index === end ? 'stopped' : 'waiting'));
}
