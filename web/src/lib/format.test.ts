import { describe, expect, test } from 'vitest';
import { bytes, cell, clock, count, counted, duration, exact, percent, relative } from './format';

test('numbers have separators and their noun agrees', () => {
  expect(count(1_234_567)).toBe('1,234,567');
  expect(counted(1, 'row')).toBe('1 row');
  expect(counted(0, 'key')).toBe('0 keys');
});

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1000, '1.0 kB'],
  [9_949, '9.9 kB'],
  [9_950, '10 kB'],
  [999_499, '999 kB'],
  [999_500, '1.0 MB'],
  [73_400_320, '73 MB'],
  [1_240_000_000, '1.2 GB'],
])('%i bytes are %s', (value, text) => expect(bytes(value)).toBe(text));

test.each([
  [840, '840 ms'],
  [1834, '1.8 s'],
  [59_949, '59.9 s'],
  [59_950, '1 min'],
  [252_000, '4 min 12 s'],
  [3_599_600, '1 h'],
  [11_100_000, '3 h 5 min'],
  [90_000_000, '1 d 1 h'],
])('%i ms are %s', (value, text) => expect(duration(value)).toBe(text));

test.each([
  [14_999, '00:14'],
  [-5, '00:00'],
  [3_723_000, '1:02:03'],
])('the clock after %i ms shows %s', (value, text) => expect(clock(value)).toBe(text));

describe('relative times', () => {
  const now = new Date('2026-11-23T12:00:00Z');
  const at = (seconds: number) => relative(new Date(now.getTime() + seconds * 1000), now);
  test.each([
    [0, 'just now'],
    [-44, 'just now'],
    [-46, '1 min ago'],
    [-120, '2 min ago'],
    [-3_600, '1 h ago'],
    [-86_400, '1 d ago'],
    [30, 'in a moment'],
    [780, 'in 13 min'],
    [172_800, 'in 2 d'],
  ])('%i s is %s', (seconds, text) => expect(at(seconds)).toBe(text));
});

test('exact times name their zone', () => {
  expect(exact(new Date('2026-07-01T04:00:00Z'), 'Europe/Berlin')).toMatch(/1 Jul 2026.*06:00:00.*(GMT\+2|CEST)/);
});

test('cells are text, whatever they hold', () => {
  expect(cell('<b>x</b>')).toBe('<b>x</b>');
  expect(cell({ a: [1] })).toBe('{"a":[1]}');
  expect(cell(null)).toBe('');
  expect(percent(0.125)).toBe('13 %');
});
