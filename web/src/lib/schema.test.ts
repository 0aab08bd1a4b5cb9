import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { beginning, fieldsOf, labelOf, troubleAt, variantOf, withKey, type Field, type JsonSchema } from './schema';

const project = JSON.parse(readFileSync('../schema/tapline.schema.json', 'utf8')) as JsonSchema;
const kinds = (project.properties?.destinations?.additionalProperties as JsonSchema).oneOf ?? [];
const of = (kind: string) => kinds.find((schema) => schema.properties?.type?.const === kind) as JsonSchema;
const byKey = (fields: Field[], key: string) => fields.find((field) => field.key === key) as Field;

describe('the real schema of PostgreSQL', () => {
  const fields = fieldsOf(of('postgres'), project);
  test('secrets, numbers and choices are told apart', () => {
    expect(byKey(fields, 'password').kind).toBe('secret');
    expect(byKey(fields, 'url').kind).toBe('secret');
    expect(byKey(fields, 'port')).toMatchObject({ kind: 'number', whole: true, maximum: 65535 });
    expect(byKey(fields, 'host').kind).toBe('text');
    const mode = byKey(fields, 'sslmode');
    expect(mode.kind === 'choice' && mode.choices.map((choice) => choice.value)).toContain('verify-full');
  });
  test('the constant that names the kind is no field', () => expect(fields.map((field) => field.key)).not.toContain('type'));
  test('help has no marks of code', () => expect(fields.every((field) => !field.help?.includes('`'))).toBe(true));
});

test('every kind of destination makes a form', () => {
  for (const schema of kinds) expect(fieldsOf(schema, project).length).toBeGreaterThan(0);
});

test('what must be filled in comes first', () => {
  expect(fieldsOf(of('sqlite'), project)[0]).toMatchObject({ key: 'path', required: true });
});

describe('shapes', () => {
  const schema: JsonSchema = {
    properties: {
      auth: {
        oneOf: [
          { type: 'object', properties: { type: { const: 'bearer' }, token: { type: 'string', writeOnly: true } } },
          { type: 'object', properties: { type: { const: 'basic' }, user: { type: 'string' } } },
        ],
      },
      headers: { type: 'object', additionalProperties: { type: 'string' } },
      columns: { anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' } }] },
      method: { type: 'string', enum: ['POST', 'PUT'] },
      size: { anyOf: [{ type: 'integer' }, { type: 'null' }] },
    },
  };
  const fields = fieldsOf(schema, schema);
  test('are found by their tag', () => {
    const auth = byKey(fields, 'auth');
    if (auth.kind !== 'variants') throw new Error(auth.kind);
    expect(auth.tag).toBe('type');
    expect(variantOf(auth, { type: 'basic', user: 'x' })?.id).toBe('basic');
    expect(variantOf(auth, undefined)).toBeUndefined();
    expect(beginning(auth.variants[0]?.schema ?? {})).toEqual({ type: 'bearer' });
  });
  test('maps, words, choices and nullable numbers', () => {
    expect(['headers', 'columns', 'method', 'size'].map((key) => byKey(fields, key).kind)).toEqual(['map', 'words', 'choice', 'number']);
  });
});

test('a schema that refers to itself ends', () => {
  const schema: JsonSchema = { $defs: { A: { $ref: '#/$defs/A' } }, properties: { a: { $ref: '#/$defs/A' } } };
  expect(fieldsOf(schema, schema)).toHaveLength(1);
});

test('an empty value takes its key away', () => {
  expect(withKey({ a: 1, b: 2 }, 'a', '')).toEqual({ b: 2 });
  expect(withKey({}, 'a', false)).toEqual({ a: false });
  expect(withKey({}, 'a', 0)).toEqual({ a: 0 });
});

test('errors are found by pointer, with and without the settings in it', () => {
  const errors = [{ pointer: '/settings/auth/token', detail: 'too short' }];
  expect(troubleAt(errors, '/auth/token')).toBe('too short');
  expect(troubleAt(errors, '/auth')).toBeUndefined();
});

test('labels are words', () => expect([labelOf('access_key_id'), labelOf('url'), labelOf('role_arn')]).toEqual(['Access key id', 'URL', 'Role ARN']));
