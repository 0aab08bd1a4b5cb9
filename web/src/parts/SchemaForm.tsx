// A form made from a JSON Schema: what must be filled in first, the rest behind "More settings".
// Not here: reading the schema (lib/schema).

import { Checkbox, Collapse, JsonInput, NumberInput, Select, TagsInput, TextInput, Textarea, UnstyledButton, Button, ActionIcon } from '@mantine/core';
import { useState } from 'react';
import { beginning, fieldsOf, troubleAt, variantOf, withKey, type Field, type JsonSchema } from '../lib/schema';
import { Icon } from './Icon';
import { SecretInput } from './SecretInput';
import styles from './SchemaForm.module.css';

type Values = Record<string, unknown>;

interface SchemaFormProps {
  schema: JsonSchema;
  root?: JsonSchema;
  value: Values;
  onChange: (value: Values) => void;
  errors?: { pointer: string; detail: string }[];
  pointer?: string;
  hidden?: string[];
  /** How many optional fields are shown before the rest is folded away. */
  open?: number;
}

export function SchemaForm({ schema, root = schema, value, onChange, errors = [], pointer = '', hidden, open = 6 }: SchemaFormProps) {
  const fields = fieldsOf(schema, root, hidden);
  const isFirst = (field: Field, index: number) => field.required || index < open || value[field.key] !== undefined;
  // What was folded at first stays where it is while it is filled in.
  const [first] = useState(() => new Set(fields.filter(isFirst).map((field) => field.key)));
  const [more, setMore] = useState(false);
  const shown = fields.filter((field) => first.has(field.key));
  const folded = fields.filter((field) => !first.has(field.key));
  const hasTrouble = folded.some((field) => errors.some((error) => error.pointer.includes(`/${field.key}`)));
  const draw = (field: Field) => (
    <FieldInput
      key={field.key}
      field={field}
      root={root}
      value={value[field.key]}
      onChange={(changed) => onChange(withKey(value, field.key, changed))}
      errors={errors}
      pointer={`${pointer}/${field.key}`}
    />
  );
  return (
    <div className={styles.form}>
      {shown.map(draw)}
      {folded.length > 0 && (
        <>
          <UnstyledButton className={styles.more} aria-expanded={more || hasTrouble} onClick={() => setMore(!more)}>
            <Icon name={more || hasTrouble ? 'down' : 'right'} size={12} />
            More settings
          </UnstyledButton>
          <Collapse expanded={more || hasTrouble}>
            <div className={styles.form}>{folded.map(draw)}</div>
          </Collapse>
        </>
      )}
    </div>
  );
}

interface FieldInputProps {
  field: Field;
  root: JsonSchema;
  value: unknown;
  onChange: (value: unknown) => void;
  errors: { pointer: string; detail: string }[];
  pointer: string;
}

function FieldInput({ field, root, value, onChange, errors, pointer }: FieldInputProps) {
  const common = {
    label: field.label,
    description: field.help,
    error: troubleAt(errors, pointer),
    required: field.required,
    withAsterisk: field.required,
  };
  const fallback = field.default === undefined || field.default === null || typeof field.default === 'object' ? undefined : String(field.default);
  switch (field.kind) {
    case 'text':
      return field.format === 'textarea' ? (
        <Textarea {...common} autosize minRows={2} value={asText(value)} onChange={(event) => onChange(event.currentTarget.value)} />
      ) : (
        <TextInput {...common} placeholder={fallback} spellCheck={false} value={asText(value)} onChange={(event) => onChange(event.currentTarget.value)} />
      );
    case 'secret':
      return <SecretInput {...common} value={isKept(value) ? null : asText(value)} onChange={(secret) => onChange(secret ?? { secret: true })} />;
    case 'number':
      return (
        <NumberInput
          {...common}
          placeholder={fallback}
          allowDecimal={!field.whole}
          min={field.minimum}
          max={field.maximum}
          value={typeof value === 'number' ? value : ''}
          onChange={(number) => onChange(typeof number === 'number' ? number : undefined)}
        />
      );
    case 'boolean':
      return (
        <Checkbox
          label={field.label}
          description={field.help}
          error={common.error}
          checked={value === undefined ? field.default === true : value === true}
          onChange={(event) => onChange(event.currentTarget.checked)}
        />
      );
    case 'choice':
      return (
        <Select
          {...common}
          placeholder={fallback ?? 'Choose one'}
          clearable={!field.required}
          data={field.choices.map(({ value: choice, label }) => ({ value: choice, label }))}
          renderOption={({ option }) => (
            <div>
              {option.label}
              <div className="muted small">{field.choices.find((choice) => choice.value === option.value)?.description}</div>
            </div>
          )}
          value={typeof value === 'string' ? value : null}
          onChange={(choice) => onChange(choice ?? undefined)}
        />
      );
    case 'words':
      return <TagsInput {...common} value={asWords(value)} onChange={onChange} />;
    case 'map':
      return <MapInput field={field} secret={field.secret} value={asObject(value)} onChange={onChange} error={common.error} />;
    case 'object':
      return (
        <fieldset className={styles.group}>
          <legend>{field.label}</legend>
          {field.help && <p className="muted small">{field.help}</p>}
          <SchemaForm
            schema={field.schema}
            root={root}
            value={asObject(value)}
            onChange={(changed) => onChange(Object.keys(changed).length > 0 ? changed : undefined)}
            errors={errors}
            pointer={pointer}
            open={3}
          />
        </fieldset>
      );
    case 'variants': {
      const variant = variantOf(field, value === undefined ? undefined : asObject(value));
      return (
        <fieldset className={styles.group}>
          <legend>{field.label}</legend>
          <Select
            aria-label={field.label}
            description={field.help}
            error={common.error}
            placeholder="Choose one"
            clearable={!field.required}
            data={field.variants.map(({ id, label }) => ({ value: id, label }))}
            value={variant?.id ?? null}
            onChange={(id) => {
              const chosen = field.variants.find((candidate) => candidate.id === id);
              onChange(chosen ? beginning(chosen.schema) : undefined);
            }}
          />
          {variant && (
            <SchemaForm key={variant.id} schema={variant.schema} root={root} value={asObject(value)} onChange={onChange} errors={errors} pointer={pointer} />
          )}
        </fieldset>
      );
    }
    case 'json':
      return <JsonField {...common} value={value} onChange={onChange} />;
  }
}

interface JsonFieldProps {
  label: string;
  description?: string;
  error?: string;
  value: unknown;
  onChange: (value: unknown) => void;
}

/** A part that has no simple form is written as JSON. */
function JsonField({ label, description, error, value, onChange }: JsonFieldProps) {
  const [text, setText] = useState(() => (value === undefined ? '' : JSON.stringify(value, null, 2)));
  const [wrong, setWrong] = useState(false);
  return (
    <JsonInput
      label={label}
      description={description}
      error={wrong ? 'This is not JSON yet.' : error}
      autosize
      minRows={2}
      value={text}
      onChange={(changed) => {
        setText(changed);
        try {
          onChange(changed.trim() === '' ? undefined : (JSON.parse(changed) as unknown));
          setWrong(false);
        } catch {
          setWrong(true);
        }
      }}
    />
  );
}

interface MapInputProps {
  field: Field;
  secret: boolean;
  value: Values;
  onChange: (value: unknown) => void;
  error?: string;
}

/** Pairs of a name and a text, such as headers. */
function MapInput({ field, secret, value, onChange, error }: MapInputProps) {
  // Order and unfinished names are the form's own; what is sent is the finished pairs.
  const [pairs, setPairs] = useState<[string, unknown][]>(() => Object.entries(value));
  const change = (next: [string, unknown][]) => {
    setPairs(next);
    const finished = Object.fromEntries(next.filter(([name]) => name.trim() !== ''));
    onChange(Object.keys(finished).length > 0 ? finished : undefined);
  };
  const replace = (index: number, pair: [string, unknown]) => change(pairs.map((before, at) => (at === index ? pair : before)));
  return (
    <fieldset className={styles.group}>
      <legend>{field.label}</legend>
      {field.help && <p className="muted small">{field.help}</p>}
      {pairs.map(([name, content], index) => (
        <div key={index} className={styles.pair}>
          <TextInput aria-label={`${field.label}: name ${index + 1}`} placeholder="name" value={name} onChange={(event) => replace(index, [event.currentTarget.value, content])} />
          {secret || isKept(content) ? (
            <SecretInput
              label={`${field.label}: value ${index + 1}`}
              hideLabel
              value={isKept(content) ? null : asText(content)}
              onChange={(changed) => replace(index, [name, changed ?? { secret: true }])}
            />
          ) : (
            <TextInput aria-label={`${field.label}: value ${index + 1}`} placeholder="value" value={asText(content)} onChange={(event) => replace(index, [name, event.currentTarget.value])} />
          )}
          <ActionIcon variant="subtle" color="gray" size={36} aria-label={`Remove ${name || 'this line'}`} onClick={() => change(pairs.filter((_, at) => at !== index))}>
            <Icon name="cross" />
          </ActionIcon>
        </div>
      ))}
      {error && <p className={styles.error}>{error}</p>}
      <div>
        <Button size="compact-sm" variant="default" leftSection={<Icon name="plus" size={12} />} onClick={() => setPairs([...pairs, ['', '']])}>
          Add
        </Button>
      </div>
    </fieldset>
  );
}

function isKept(value: unknown): boolean {
  return typeof value === 'object' && value !== null && (value as { secret?: unknown }).secret === true;
}

function asText(value: unknown): string {
  return typeof value === 'string' ? value : value === undefined || value === null || typeof value === 'object' ? '' : String(value);
}

function asWords(value: unknown): string[] {
  if (Array.isArray(value)) return value.map(String);
  return typeof value === 'string' ? [value] : [];
}

function asObject(value: unknown): Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Values) : {};
}
