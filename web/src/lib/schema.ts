// A connector's JSON Schema as a form: which fields, of which kind, and what is sent for them.
// Not here: how fields look (parts/SchemaForm).

export interface JsonSchema {
  type?: string | string[];
  title?: string;
  description?: string;
  const?: unknown;
  enum?: unknown[];
  default?: unknown;
  format?: string;
  writeOnly?: boolean;
  minimum?: number;
  maximum?: number;
  pattern?: string;
  properties?: Record<string, JsonSchema>;
  required?: string[];
  additionalProperties?: boolean | JsonSchema;
  items?: JsonSchema;
  oneOf?: JsonSchema[];
  anyOf?: JsonSchema[];
  allOf?: JsonSchema[];
  $ref?: string;
  $defs?: Record<string, JsonSchema>;
}

export interface Choice {
  value: string;
  label: string;
  description?: string;
}

export interface Variant {
  /** The value of the tag that tells this shape, or its position. */
  id: string;
  label: string;
  description?: string;
  schema: JsonSchema;
}

export type Field = {
  key: string;
  label: string;
  help?: string;
  required: boolean;
  default?: unknown;
} & (
  | { kind: 'text'; pattern?: string; format?: string }
  | { kind: 'secret' }
  | { kind: 'number'; whole: boolean; minimum?: number; maximum?: number }
  | { kind: 'boolean' }
  | { kind: 'choice'; choices: Choice[] }
  | { kind: 'words' }
  | { kind: 'map'; secret: boolean }
  | { kind: 'object'; schema: JsonSchema }
  | { kind: 'variants'; tag: string | null; variants: Variant[] }
  | { kind: 'json' }
);

/** The schema behind references, without the alternative `null`. */
export function resolve(schema: JsonSchema, root: JsonSchema, depth = 0): JsonSchema {
  if (depth > 20) return schema;
  if (schema.$ref) {
    const name = schema.$ref.replace(/^#\/(\$defs|definitions)\//, '');
    const target = root.$defs?.[name];
    const { $ref: _, ...beside } = schema;
    return target ? { ...resolve(target, root, depth + 1), ...beside } : beside;
  }
  const parts = schema.anyOf ?? schema.oneOf;
  if (parts) {
    const present = parts.filter((part) => part.type !== 'null');
    const { anyOf: _, oneOf: __, ...beside } = schema;
    if (present.length === 1 && present[0]) return { ...resolve(present[0], root, depth + 1), ...beside };
    if (present.length < parts.length) return { ...beside, oneOf: present };
  }
  if (schema.allOf?.length === 1 && schema.allOf[0]) {
    const { allOf: _, ...beside } = schema;
    return { ...resolve(schema.allOf[0], root, depth + 1), ...beside };
  }
  return schema;
}

/** `access_key_id` → `Access key id`. */
export function labelOf(key: string): string {
  const words = key.replaceAll('_', ' ');
  const known: Record<string, string> = { url: 'URL', sql: 'SQL', ssh: 'SSH', tls: 'TLS', http: 'HTTP', id: 'id', arn: 'ARN' };
  return (known[words] ?? words.charAt(0).toUpperCase() + words.slice(1)).replace(/\b(url|arn|ssh|tls|sts)\b/gi, (word) => word.toUpperCase());
}

/** Descriptions are written for documentation; a form shows them without marks of code and in one line. */
export function helpOf(schema: JsonSchema): string | undefined {
  return schema.description?.replaceAll('`', '').replace(/\s+/g, ' ').trim() || undefined;
}

function typeOf(schema: JsonSchema): string | undefined {
  return Array.isArray(schema.type) ? schema.type.find((type) => type !== 'null') : schema.type;
}

function constants(schema: JsonSchema, root: JsonSchema): Choice[] | null {
  if (schema.enum) return schema.enum.filter((value) => value !== null).map((value) => ({ value: String(value), label: String(value) }));
  const parts = (schema.oneOf ?? schema.anyOf)?.map((part) => resolve(part, root));
  if (!parts) return null;
  const choices: Choice[] = [];
  for (const part of parts) {
    if (part.enum) choices.push(...part.enum.map((value) => ({ value: String(value), label: String(value) })));
    else if (part.const !== undefined) choices.push({ value: String(part.const), label: String(part.const), description: helpOf(part) });
    else return null;
  }
  return choices;
}

/** The property whose constant differs from shape to shape. */
function tagOf(shapes: JsonSchema[]): string | null {
  const first = Object.entries(shapes[0]?.properties ?? {}).filter(([, value]) => value.const !== undefined);
  return first.map(([key]) => key).find((key) => shapes.every((shape) => shape.properties?.[key]?.const !== undefined)) ?? null;
}

function fieldOf(key: string, given: JsonSchema, required: boolean, root: JsonSchema): Field {
  const schema = resolve(given, root);
  const base = { key, label: labelOf(key), help: helpOf(given) ?? helpOf(schema), required, default: schema.default };
  if (schema.writeOnly || schema.format === 'password') return { ...base, kind: 'secret' };
  const choices = constants(schema, root);
  if (choices) return { ...base, kind: 'choice', choices };
  const parts = (schema.oneOf ?? schema.anyOf)?.map((part) => resolve(part, root));
  if (parts) {
    if (parts.every((part) => typeOf(part) === 'object' && part.properties)) {
      const tag = tagOf(parts);
      const variants = parts.map((part, index) => {
        const id = tag ? String(part.properties?.[tag]?.const) : String(index);
        return { id, label: tag ? labelOf(id) : (part.title ?? labelOf(Object.keys(part.properties ?? {})[0] ?? id)), description: helpOf(part), schema: part };
      });
      return { ...base, kind: 'variants', tag, variants };
    }
    if (parts.some((part) => typeOf(part) === 'array') && parts.every((part) => ['string', 'array'].includes(typeOf(part) ?? ''))) {
      return { ...base, kind: 'words' };
    }
    return { ...base, kind: 'json' };
  }
  switch (typeOf(schema)) {
    case 'boolean':
      return { ...base, kind: 'boolean' };
    case 'integer':
    case 'number':
      return { ...base, kind: 'number', whole: typeOf(schema) === 'integer', minimum: schema.minimum, maximum: schema.maximum };
    case 'array':
      return { ...base, kind: schema.items && typeOf(resolve(schema.items, root)) === 'string' ? 'words' : 'json' };
    case 'object': {
      if (schema.properties) return { ...base, kind: 'object', schema };
      const values = typeof schema.additionalProperties === 'object' ? resolve(schema.additionalProperties, root) : undefined;
      if (values && typeOf(values) === 'string') return { ...base, kind: 'map', secret: values.writeOnly === true || values.format === 'password' };
      return { ...base, kind: 'json' };
    }
    case 'string':
      return { ...base, kind: 'text', pattern: schema.pattern, format: schema.format };
    default:
      return { ...base, kind: 'json' };
  }
}

/** The fields of an object's schema, those that must be filled in first; constants are left out. */
export function fieldsOf(schema: JsonSchema, root: JsonSchema, hidden: string[] = []): Field[] {
  const resolved = resolve(schema, root);
  const required = new Set(resolved.required ?? []);
  const fields = Object.entries(resolved.properties ?? {})
    .filter(([key, value]) => value.const === undefined && !hidden.includes(key))
    .map(([key, value]) => fieldOf(key, value, required.has(key), root));
  return [...fields.filter((field) => field.required), ...fields.filter((field) => !field.required)];
}

/** The shape that a value has among variants. */
export function variantOf(field: Field & { kind: 'variants' }, value: Record<string, unknown> | undefined): Variant | undefined {
  if (!value) return undefined;
  const { tag, variants } = field;
  if (tag) return variants.find((variant) => variant.id === value[tag]);
  return variants.find((variant) => Object.keys(value).every((key) => variant.schema.properties?.[key]));
}

/** What a shape begins with: its constants. */
export function beginning(schema: JsonSchema): Record<string, unknown> {
  const entries = Object.entries(schema.properties ?? {}).filter(([, value]) => value.const !== undefined);
  return Object.fromEntries(entries.map(([key, value]) => [key, value.const]));
}

/** A copy with one key changed; an empty value takes the key away. */
export function withKey(value: Record<string, unknown>, key: string, changed: unknown): Record<string, unknown> {
  const next = { ...value };
  const empty = changed === undefined || changed === '' || changed === null || (Array.isArray(changed) && changed.length === 0);
  if (empty) delete next[key];
  else next[key] = changed;
  return next;
}

/** What the server said about the field at this pointer, or below it where nothing finer is shown. */
export function troubleAt(errors: { pointer: string; detail: string }[], pointer: string): string | undefined {
  return errors.find((error) => error.pointer === pointer || error.pointer === `/settings${pointer}`)?.detail;
}
