// The mapping of a sync as rows of a form, and back.
// Not here: how it looks (routes/syncs/FieldsStep).

import type { FieldSource } from '../api/types';

export type MappingKind = 'column' | 'text' | 'value' | 'template';

export interface MappingRow {
  id: number;
  field: string;
  kind: MappingKind;
  /** A column's name, a text, a JSON literal or a template. */
  from: string;
}

let ids = 0;

export function mappingRow(field: string, kind: MappingKind, from: string): MappingRow {
  ids += 1;
  return { id: ids, field, kind, from };
}

export function rowsOf(fields: Record<string, FieldSource>): MappingRow[] {
  return Object.entries(fields).map(([field, source]) => {
    if (typeof source === 'string') return mappingRow(field, 'column', source);
    if ('template' in source) return mappingRow(field, 'template', source.template);
    if (typeof source.value === 'string') return mappingRow(field, 'text', source.value);
    return mappingRow(field, 'value', JSON.stringify(source.value));
  });
}

/** A number, `true`, `false` or `null`; nothing else is a literal here. */
export function literal(text: string): unknown {
  const trimmed = text.trim();
  if (!/^(true|false|null|-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?)$/.test(trimmed)) return undefined;
  const value = JSON.parse(trimmed) as unknown;
  // A number that JavaScript would change is not taken for one.
  return typeof value === 'number' && !Number.isSafeInteger(value) && !/[.eE]/.test(trimmed) ? undefined : value;
}

export function fieldsFrom(rows: MappingRow[]): Record<string, FieldSource> {
  const fields: Record<string, FieldSource> = {};
  for (const { field, kind, from } of rows) {
    const name = field.trim();
    if (name === '' || (kind === 'column' && from === '')) continue;
    if (kind === 'column') fields[name] = from;
    else if (kind === 'template') fields[name] = { template: from };
    else fields[name] = { value: kind === 'text' ? from : (literal(from) ?? null) };
  }
  return fields;
}

/** What is wrong with a row among its rows, in words. */
export function rowTrouble(row: MappingRow, rows: MappingRow[], columns: string[]): string | null {
  if (rows.some((other) => other.id !== row.id && other.field.trim() !== '' && other.field.trim() === row.field.trim())) {
    return 'This field is filled twice.';
  }
  if (row.kind === 'column' && row.from !== '' && columns.length > 0 && !columns.includes(row.from)) {
    return 'The model has no such column.';
  }
  if (row.kind === 'value' && row.from.trim() !== '' && literal(row.from) === undefined) return 'A number, true, false or null.';
  return null;
}

/** Rows to begin with: every field of the stream that a column is named like, else every column as it is. */
export function suggestRows(columns: string[], fields: string[]): MappingRow[] {
  const fold = (name: string) => name.toLowerCase().replaceAll(/[^\p{L}\p{N}]/gu, '');
  const common = fields.flatMap((field) => {
    const column = columns.find((name) => name === field) ?? columns.find((name) => fold(name) === fold(field));
    return column ? [mappingRow(field, 'column', column)] : [];
  });
  return common.length > 0 ? common : columns.map((name) => mappingRow(name, 'column', name));
}
