// The mapping: which column, text, value or template fills which field.

import { ActionIcon, Autocomplete, Button, Select, TextInput } from '@mantine/core';
import type { Column, DestinationStream } from '../../api/types';
import { mappingRow, rowTrouble, suggestRows, type MappingKind, type MappingRow } from '../../lib/mapping';
import { Icon } from '../../parts/Icon';
import styles from './syncs.module.css';

interface FieldsStepProps {
  /** `null`: every column goes to the field of its own name. */
  rows: MappingRow[] | null;
  onChange: (rows: MappingRow[] | null) => void;
  columns: Column[];
  target: DestinationStream['fields'];
}

const kinds: { value: MappingKind; label: string }[] = [
  { value: 'column', label: 'column' },
  { value: 'text', label: 'text' },
  { value: 'value', label: 'number or yes/no' },
  { value: 'template', label: 'template' },
];

export function FieldsStep({ rows, onChange, columns, target }: FieldsStepProps) {
  const names = columns.map((column) => column.name);
  if (rows === null) {
    return (
      <div className="row between">
        <span>Every column goes to the field of its own name.</span>
        <Button
          variant="default"
          size="compact-sm"
          onClick={() =>
            onChange(
              suggestRows(
                names,
                target.map((field) => field.name),
              ),
            )
          }
        >
          Choose fields
        </Button>
      </div>
    );
  }
  const change = (id: number, changed: Partial<MappingRow>) => onChange(rows.map((row) => (row.id === id ? { ...row, ...changed } : row)));
  const filled = new Set(rows.map((row) => row.field));
  const lacking = target.filter((field) => field.required && !filled.has(field.name));
  return (
    <div className="stack tight">
      <div className={styles.mapHead} aria-hidden="true">
        <span>Field</span>
        <span>from</span>
        <span />
        <span />
      </div>
      {rows.map((row, index) => {
        const field = target.find((candidate) => candidate.name === row.field);
        const column = columns.find((candidate) => candidate.name === row.from);
        return (
          <div key={row.id} className={styles.mapRow}>
            <Autocomplete
              aria-label={`Field ${index + 1}`}
              placeholder="field"
              spellCheck={false}
              data={target.map((candidate) => candidate.name).filter((name) => name === row.field || !filled.has(name))}
              value={row.field}
              rightSectionWidth={field ? 88 : undefined}
              rightSection={field && <span className="muted small">{field.type.toLowerCase()}</span>}
              rightSectionPointerEvents="none"
              onChange={(value) => change(row.id, { field: value })}
            />
            <Select
              aria-label={`Kind of field ${index + 1}`}
              data={kinds}
              value={row.kind}
              onChange={(kind) => change(row.id, { kind: (kind ?? 'column') as MappingKind, from: '' })}
            />
            {row.kind === 'column' ? (
              <Select
                aria-label={`Column for ${row.field || `field ${index + 1}`}`}
                placeholder="column"
                searchable
                data={names.includes(row.from) || row.from === '' ? names : [...names, row.from]}
                value={row.from || null}
                error={rowTrouble(row, rows, names)}
                rightSectionWidth={column ? 96 : undefined}
                rightSection={column && <span className="muted small">{column.type.toLowerCase()}</span>}
                rightSectionPointerEvents="none"
                onChange={(from) => change(row.id, { from: from ?? '' })}
              />
            ) : (
              <TextInput
                aria-label={`${row.kind} for ${row.field || `field ${index + 1}`}`}
                placeholder={row.kind === 'template' ? 'Hello {{ first_name | capitalize }}' : row.kind === 'value' ? '1, true, null' : 'the same in every row'}
                error={rowTrouble(row, rows, names)}
                value={row.from}
                onChange={(event) => change(row.id, { from: event.currentTarget.value })}
              />
            )}
            <ActionIcon variant="subtle" color="gray" size={36} aria-label={`Leave out ${row.field || `field ${index + 1}`}`} onClick={() => onChange(rows.filter((other) => other.id !== row.id))}>
              <Icon name="cross" />
            </ActionIcon>
          </div>
        );
      })}
      {lacking.length > 0 && (
        <p className={styles.warn}>
          The destination needs {lacking.map((field) => field.name).join(', ')} too.
        </p>
      )}
      <div className="row">
        <Button variant="default" size="compact-sm" leftSection={<Icon name="plus" size={12} />} onClick={() => onChange([...rows, mappingRow(lacking[0]?.name ?? '', 'column', '')])}>
          Add a field
        </Button>
        <Button variant="subtle" size="compact-sm" onClick={() => onChange(null)}>
          Take every column as it is
        </Button>
      </div>
    </div>
  );
}
