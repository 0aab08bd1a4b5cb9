// Small facts of SQL text: quoting a path, finding positions, what to complete.
// Not here: the editor (parts/SqlEditor).

import type { ProblemAt, SourceStream } from '../api/types';

/** A path as SQL names it. */
export function quotePath(path: string): string {
  return `'${path.replaceAll("'", "''")}'`;
}

/** A column's name, in quotes where it needs them. */
export function quoteName(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

/** The query that a stream is looked at with. */
export function firstQuery(stream: Pick<SourceStream, 'path'>, limit?: number): string {
  return `SELECT * FROM ${quotePath(stream.path)}${limit ? ` LIMIT ${limit}` : ''}`;
}

export interface Range {
  from: number;
  to: number;
}

/**
 * Where in the text a problem is, from its line and column (both from 1, counted in characters).
 * Without an end it reaches to the end of the word, or one character.
 */
export function rangeOf(text: string, at: Pick<ProblemAt, 'line' | 'column' | 'end_column'>): Range {
  const lines = text.split('\n');
  const line = Math.min(Math.max(at.line ?? 1, 1), lines.length);
  const start = lines.slice(0, line - 1).reduce((sum, before) => sum + before.length + 1, 0);
  const content = lines[line - 1] ?? '';
  const characters = [...content];
  const offset = (column: number) => characters.slice(0, Math.max(0, column - 1)).join('').length;
  const from = offset(at.column ?? 1);
  const word = /^[\p{L}\p{N}_$]+/u.exec(content.slice(from))?.[0].length ?? 1;
  const to = typeof at.end_column === 'number' ? offset(at.end_column) : from + word;
  return { from: Math.min(start + from, text.length), to: Math.min(start + Math.max(to, from + 1), text.length) };
}

/** The streams that a query names. */
export function streamsIn(sql: string, streams: SourceStream[]): SourceStream[] {
  return streams.filter((stream) => sql.includes(stream.path));
}
