import { describe, expect, test } from 'vitest';
import type { RunEvent } from '../api/events';
import type { Run } from '../api/types';
import { Keys } from './keyboard';
import { listSearch, matches, parseSort, sortRows, writeSort } from './list';
import { after, nothingYet, stages } from './live';
import { mayAs } from './roles';
import { noRows, sumOf } from './runs';
import { quoteName, quotePath, rangeOf } from './sql';

describe('keys', () => {
  const press = (keys: Keys, key: string, more: Partial<Parameters<Keys['press']>[0]> = {}) =>
    keys.press({ key, ctrlKey: false, metaKey: false, altKey: false, typing: false, at: 0, ...more });
  test('g and a letter go to a list', () => {
    const keys = new Keys();
    expect(press(keys, 'g')).toBeNull();
    expect(press(keys, 'y', { at: 500 })).toEqual({ kind: 'go', to: '/syncs' });
  });
  test('a g that was too long ago counts no more', () => {
    const keys = new Keys();
    press(keys, 'g');
    expect(press(keys, 's', { at: 5000 })).toBeNull();
  });
  test('nothing happens while typing, but for the palette', () => {
    const keys = new Keys();
    expect(press(keys, '/', { typing: true })).toBeNull();
    expect(press(keys, 'k', { typing: true, ctrlKey: true })).toEqual({ kind: 'palette' });
    expect(press(keys, 'K', { metaKey: true })).toEqual({ kind: 'palette' });
  });
  test('letters with the command key are the browser’s', () => {
    const keys = new Keys();
    press(keys, 'g');
    expect(press(keys, 's', { ctrlKey: true })).toBeNull();
  });
});

describe('lists', () => {
  test('sorting puts what is missing last, both ways, and knows numbers in names', () => {
    const rows = ['b10', '', 'b9', 'A1'];
    expect(sortRows(rows, (row) => row, false)).toEqual(['A1', 'b9', 'b10', '']);
    expect(sortRows(rows, (row) => row, true)).toEqual(['b10', 'b9', 'A1', '']);
    expect(sortRows([3, 20, 100], (row) => row, true)).toEqual([100, 20, 3]);
  });
  test('the address holds what was chosen', () => {
    expect(parseSort(writeSort({ column: 'rows', descending: true }), { column: 'x', descending: false })).toEqual({ column: 'rows', descending: true });
    expect(listSearch({ q: 'a', sort: 5, other: 'x' })).toEqual({ q: 'a', sort: undefined, state: undefined });
  });
  test('every word must be somewhere', () => {
    expect(matches('customers to CRM', 'crm cust')).toBe(true);
    expect(matches('customers to CRM', 'crm slack')).toBe(false);
  });
});

describe('a run, live', () => {
  const at = (second: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString();
  const progress = (second: number, bytes_read: number, read: number): RunEvent => ({
    event: 'progress', at: at(second), bytes_read, bytes_total: 100, rows: { ...noRows, read },
  });
  test('rates are those of the last five seconds', () => {
    const live = [progress(0, 0, 0), progress(10, 1000, 100), progress(12, 3000, 300)].reduce(after, nothingYet);
    expect(live.rate).toEqual({ bytes: 1000, rows: 100 });
    expect(live.rows.read).toBe(300);
  });
  test('one sample is no rate', () => expect(after(nothingYet, progress(0, 5, 5)).rate).toBeNull());
  test('the end brings the report', () => {
    const report = { rows: { ...noRows, read: 7, inserted: 7 }, bytes_read: 9, status: 'succeeded', error: null } as Run;
    const live = after(nothingYet, { event: 'ended', at: at(1), report });
    expect(live.report).toBe(report);
    expect(live.lines.at(-1)?.words).toBe('succeeded');
  });
  test('stages follow the phase, and show where a run ended', () => {
    const run = { status: 'running', rows: noRows, bytes_read: 0 } as Run;
    expect(stages('read', run)).toEqual(['now', 'now', 'now', 'waiting']);
    expect(stages('publish', run)).toEqual(['done', 'done', 'done', 'now']);
    expect(stages(null, { ...run, status: 'failed' })).toEqual(['stopped', 'waiting', 'waiting', 'waiting']);
    expect(stages(null, { ...run, status: 'stopped', bytes_read: 5, rows: { ...noRows, read: 5 } })).toEqual(['done', 'done', 'stopped', 'waiting']);
    expect(stages(null, { ...run, status: 'partial' })).toEqual(['done', 'done', 'done', 'done']);
  });
  test('the shown parts add up to what was read', () => {
    const rows = { ...noRows, read: 100_000, unchanged: 98_990, inserted: 500, updated: 500, rejected: 10 };
    expect(sumOf(rows).reduce((sum, part) => sum + part.value, 0)).toBe(rows.read);
    expect(sumOf(noRows)).toEqual([]);
  });
});

describe('SQL', () => {
  const sql = "SELECT emial\nFROM 't' -- ü𝒳 wrong";
  test('a place is found by line and column', () => {
    expect(sql.slice(...Object.values(rangeOf(sql, { line: 1, column: 8 })) as [number, number])).toBe('emial');
    expect(sql.slice(...Object.values(rangeOf(sql, { line: 1, column: 8, end_column: 10 })) as [number, number])).toBe('em');
  });
  test('columns count characters, not code units', () => {
    expect(sql.slice(...Object.values(rangeOf(sql, { line: 2, column: 16 })) as [number, number])).toBe('wrong');
  });
  test('a place beyond the text is at its end', () => {
    const range = rangeOf('a', { line: 9, column: 9 });
    expect(range.to).toBeLessThanOrEqual(1);
  });
  test('paths and names are quoted where they must be', () => {
    expect(quotePath("s3://b/it's.csv")).toBe("'s3://b/it''s.csv'");
    expect([quoteName('first_name'), quoteName('Placed At'), quoteName('a"b')]).toEqual(['first_name', '"Placed At"', '"a""b"']);
  });
});

test('roles include those below', () => {
  expect(mayAs('admin', 'editor')).toBe(true);
  expect(mayAs('viewer', 'editor')).toBe(false);
  expect(mayAs(undefined, 'viewer')).toBe(false);
});
