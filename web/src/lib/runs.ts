// What a run's counts come to.

import type { RowCounts, Run } from '../api/types';

/** Rows that changed something at the destination. */
export function delivered(rows: RowCounts): number {
  return rows.inserted + rows.updated + rows.deleted;
}

/** The parts that the rows read are the sum of; those of zero are left out. */
export function sumOf(rows: RowCounts): { label: string; value: number }[] {
  const parts = [
    { label: 'unchanged', value: rows.unchanged },
    { label: 'inserted', value: rows.inserted },
    { label: 'updated', value: rows.updated },
    { label: 'skipped', value: rows.skipped },
    { label: 'rejected', value: rows.rejected },
  ];
  return parts.filter((part) => part.value > 0);
}

/** Who or what started a run. */
export function causeWords(run: Pick<Run, 'cause' | 'by'>): string {
  const words = { schedule: 'schedule', request: 'by hand', retry: 'retry', cut_off: 'repeated after a cut' };
  return `${run.cause ? words[run.cause] : 'unknown'}${run.by ? `, ${run.by}` : ''}`;
}

export const noRows: RowCounts = {
  read: 0,
  unchanged: 0,
  inserted: 0,
  updated: 0,
  skipped: 0,
  rejected: 0,
  deleted: 0,
  delete_rejected: 0,
};
