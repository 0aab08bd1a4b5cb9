// A plan in one sentence.

import type { Plan } from '../api/types';
import { count, counted } from './format';

export function planSentence(plan: Plan, stream: string, first: boolean): string {
  const { inserted, updated, deleted, unchanged, rejected, skipped, read } = plan.rows;
  const changes = [
    inserted > 0 && `insert ${counted(inserted, 'row')}`,
    updated > 0 && `update ${counted(updated, 'row')}`,
    deleted > 0 && `delete ${counted(deleted, 'row')}`,
  ].filter((part): part is string => Boolean(part));
  const rest = [
    unchanged > 0 && `leave ${count(unchanged)} unchanged`,
    skipped > 0 && `skip ${count(skipped)}`,
    rejected > 0 && `reject ${count(rejected)}`,
  ].filter((part): part is string => Boolean(part));
  const run = first ? 'The first run' : 'The next run';
  if (changes.length === 0 && rest.length === 0) return `${run} will find ${counted(read, 'row')} and change nothing in ${stream}.`;
  if (changes.length === 0) return `${run} will change nothing in ${stream}; it will ${join(rest)}.`;
  const doing = `${run} will ${join(changes)} in ${stream}`.replace(/insert ([^ ]+ rows?) in /, (all, rows: string) =>
    changes.length === 1 ? `insert ${rows} into ` : all,
  );
  return rest.length > 0 ? `${doing}, and ${join(rest)}.` : `${doing}.`;
}

function join(parts: string[]): string {
  return parts.length < 2 ? (parts[0] ?? '') : `${parts.slice(0, -1).join(', ')} and ${parts.at(-1)}`;
}
