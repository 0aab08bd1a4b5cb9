import { describe, expect, test } from 'vitest';
import { fieldsFrom, literal, mappingRow, rowsOf, rowTrouble, suggestRows } from './mapping';
import { planSentence } from './plan';
import { noRows } from './runs';
import { scheduleForm, scheduleOf } from './schedule';
import { arnTrouble, emptySource, formOf, missing, settingsForPolicy, settingsOf, suggestName } from './source';
import type { S3Settings } from '../api/types';

describe('an S3 source', () => {
  const role: S3Settings = {
    type: 's3',
    region: 'us-east-1',
    bucket: 'acme-lake',
    path: 'exports/crm',
    file_type: 'parquet',
    auth: { type: 'iam_role', role_arn: 'arn:aws:iam::123456789012:role/lake-reader', external_id: 'e' },
  };
  const user: S3Settings = {
    type: 's3',
    region: 'auto',
    bucket: 'b',
    file_type: 'any',
    endpoint: 'http://127.0.0.1:9000',
    path_style: true,
    auth: { type: 'iam_user', access_key_id: 'AKIA', secret_access_key: { secret: true } },
    csv: { delim: ';' },
  };
  test.each([role, user])('comes back from its form as it was', (settings) => {
    expect(settingsOf(formOf('x', settings))).toEqual(settings);
  });
  test('a kept secret is said to be kept, a new one is sent', () => {
    const form = formOf('x', user);
    expect(form.secretAccessKey).toBeNull();
    expect(settingsOf({ ...form, secretAccessKey: 'new' }).auth?.secret_access_key).toBe('new');
  });
  test('a role can be assumed by an access key', () => {
    const settings = settingsOf({ ...formOf('x', role), base: 'iam_user', accessKeyId: 'AKIA', secretAccessKey: 's' });
    expect(settings.auth?.base).toEqual({ type: 'iam_user', access_key_id: 'AKIA', secret_access_key: 's' });
  });
  test('says what is missing, in order', () => {
    expect(missing(emptySource)).toMatch(/bucket/);
    expect(missing({ ...emptySource, bucket: 'b' })).toMatch(/ARN/);
    expect(missing({ ...emptySource, bucket: 'b', roleArn: 'lake-reader' })).toMatch(/looks like/);
    expect(missing({ ...emptySource, bucket: 'b', authType: 'iam_user', accessKeyId: 'a' })).toMatch(/both halves/);
    expect(missing(formOf('x', role))).toBeNull();
    expect(missing({ ...emptySource, bucket: 'b', authType: 'default' })).toBeNull();
  });
  test('policies can be asked for before the role exists', () => {
    expect(settingsForPolicy({ ...emptySource, bucket: 'b' }).auth?.role_arn).toMatch(/^arn:aws:iam::0{12}:role\//);
    expect(settingsForPolicy(formOf('x', role)).auth?.role_arn).toBe(role.auth?.role_arn);
  });
  test.each(['arn:aws:iam::123456789012:role/a', 'arn:aws-cn:iam::123456789012:role/path/a', 'arn:aws-us-gov:iam::123456789012:role/a', ''])('%s is an ARN', (arn) =>
    expect(arnTrouble(arn)).toBeNull(),
  );
  test.each(['arn:aws:iam::123:role/a', 'arn:aws:iam::123456789012:user/a', 'x'])('%s is not', (arn) => expect(arnTrouble(arn)).not.toBeNull());
  test('names are suggested from bucket and path', () => {
    expect(suggestName('acme-lake', 'exports/CRM/')).toBe('acme_lake_crm');
    expect(suggestName('', '')).toBe('');
  });
});

describe('a mapping', () => {
  const fields = { id: 'id', origin: { value: 's3' }, rank: { value: 5 }, none: { value: null }, hello: { template: 'Hi {{ name }}' } };
  test('comes back from its rows as it was', () => expect(fieldsFrom(rowsOf(fields))).toEqual(fields));
  test('a text that looks like a number stays a text', () => {
    expect(fieldsFrom([mappingRow('zip', 'text', '01234')])).toEqual({ zip: { value: '01234' } });
  });
  test.each([
    ['5', 5],
    ['-1.5e3', -1500],
    ['true', true],
    ['null', null],
    ['01', undefined],
    ['yes', undefined],
    ['9007199254740993', undefined],
  ])('%s is the literal %s', (text, value) => expect(literal(text)).toBe(value));
  test('unfinished rows are not sent', () => {
    expect(fieldsFrom([mappingRow('', 'column', 'id'), mappingRow('a', 'column', '')])).toEqual({});
  });
  test('troubles are named', () => {
    const rows = [mappingRow('a', 'column', 'x'), mappingRow('a', 'value', 'yes'), mappingRow('b', 'value', 'yes')];
    expect(rows.map((row) => rowTrouble(row, rows, ['id']))).toEqual(['This field is filled twice.', 'This field is filled twice.', 'A number, true, false or null.']);
    const lost = mappingRow('c', 'column', 'gone');
    expect(rowTrouble(lost, [lost], ['id'])).toBe('The model has no such column.');
  });
  test('rows to begin with follow the fields of the stream', () => {
    const rows = suggestRows(['id', 'firstName', 'zip'], ['ID', 'first_name', 'other']);
    expect(rows.map(({ field, from }) => [field, from])).toEqual([['ID', 'id'], ['first_name', 'firstName']]);
    expect(suggestRows(['a', 'b'], []).map((row) => row.field)).toEqual(['a', 'b']);
  });
});

describe('a plan in a sentence', () => {
  const plan = (rows: Partial<typeof noRows>) => ({ sync: 's', fingerprint: '', rows: { ...noRows, ...rows }, samples: [] });
  test.each([
    [{ inserted: 100_000 }, true, 'The first run will insert 100,000 rows into public.customers.'],
    [{ inserted: 1, updated: 2 }, false, 'The next run will insert 1 row and update 2 rows in public.customers.'],
    [{ deleted: 3, unchanged: 7, rejected: 1 }, false, 'The next run will delete 3 rows in public.customers, and leave 7 unchanged and reject 1.'],
    [{ unchanged: 7 }, false, 'The next run will change nothing in public.customers; it will leave 7 unchanged.'],
    [{}, true, 'The first run will find 0 rows and change nothing in public.customers.'],
  ])('%o', (rows, first, words) => expect(planSentence(plan(rows), 'public.customers', first)).toBe(words));
});

test.each([['manual' as const], [{ every: '15m' }], [{ cron: '0 6 * * *', timezone: 'Europe/Berlin' }]])('the schedule %o comes back from its form', (schedule) => {
  expect(scheduleOf(scheduleForm(schedule, 'UTC'))).toEqual(schedule);
});
