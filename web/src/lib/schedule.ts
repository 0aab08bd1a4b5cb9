// A schedule as a form, and back.

import type { Schedule } from '../api/types';

export interface ScheduleForm {
  kind: 'manual' | 'every' | 'cron';
  every: string;
  cron: string;
  timezone: string;
}

export function scheduleForm(schedule: Schedule | undefined, ownZone: string): ScheduleForm {
  const form: ScheduleForm = { kind: 'manual', every: '15m', cron: '0 6 * * *', timezone: ownZone };
  if (!schedule || schedule === 'manual') return form;
  if ('every' in schedule) return { ...form, kind: 'every', every: schedule.every };
  return { ...form, kind: 'cron', cron: schedule.cron, timezone: schedule.timezone ?? 'UTC' };
}

export function scheduleOf(form: ScheduleForm): Schedule {
  if (form.kind === 'every') return { every: form.every.trim() };
  if (form.kind === 'cron') return { cron: form.cron.trim(), timezone: form.timezone };
  return 'manual';
}
