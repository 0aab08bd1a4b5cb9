// The documents of the API, as the pages use them.
// Not here: how they are fetched (client.ts and the files of the nouns).

export type Role = 'viewer' | 'editor' | 'admin';

export interface User {
  id: string;
  email: string;
  name: string;
  role: Role;
}

export interface Session {
  user: User | null;
  csrf: string;
  version: string;
}

export interface List<T> {
  items: T[];
  next: string | null;
}

/** What is wrong at one place of the body that was sent. */
export interface ProblemAt {
  pointer: string;
  detail: string;
  line?: number;
  column?: number;
  end_column?: number;
}

/** RFC 9457, with the code and the hints that every error of Tapline has. */
export interface Problem {
  type?: string;
  title?: string;
  status: number;
  detail: string;
  code: string;
  hints?: string[];
  errors?: ProblemAt[];
}

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };
export type Settings = Record<string, unknown>;

/** What sources, models, destinations and syncs have in common. */
export interface Definition {
  name: string;
  origin: 'state' | 'file';
  read_only: boolean;
  draft: boolean;
  revision: number;
  updated_at: string | null;
  updated_by: string | null;
}

export interface CheckStep {
  name: string;
  ok: boolean;
  code: string | null;
  message: string | null;
  hint: string | null;
}

export interface Check {
  name: string;
  kind: string;
  ok: boolean;
  steps: CheckStep[];
}

export interface LastCheck {
  ok: boolean;
  at: string;
  steps: CheckStep[];
}

export type AuthType = 'iam_role' | 'iam_user' | 'default' | 'anonymous';

export interface S3Auth {
  type: AuthType;
  role_arn?: string;
  external_id?: string;
  access_key_id?: string;
  secret_access_key?: string | { secret: true };
  session_token?: string | { secret: true };
  base?: S3Auth;
}

export interface S3Settings {
  type: 's3';
  region?: string;
  bucket: string;
  path?: string;
  file_type?: 'csv' | 'parquet' | 'ndjson' | 'any';
  auth?: S3Auth;
  endpoint?: string;
  sts_endpoint?: string;
  path_style?: boolean;
  csv?: Record<string, unknown>;
}

export interface Source extends Definition {
  settings: S3Settings;
  kind: string;
  external_id: string | null;
  last_check: LastCheck | null;
  models: number;
}

export interface Column {
  name: string;
  type: string;
  nullable?: boolean;
}

export interface SourceStream {
  name: string;
  path: string;
  format: string;
  files: number;
  bytes: number;
  columns: Column[];
  dialect?: Record<string, unknown> | null;
}

export interface QueryResult {
  columns: Column[];
  rows: Json[][];
  row_count: number;
  truncated: boolean;
  duration_ms: number;
  bytes_read: number;
  rejected_lines: number;
}

export interface ModelSettings {
  source: string;
  sql: string;
  primary_key?: string | string[];
}

export interface Model extends Definition {
  settings: ModelSettings;
  source: string;
  primary_key: string[];
  version: number;
  syncs: number;
}

export interface ModelVersion {
  version: number;
  sql: string;
  primary_key: string[];
  at: string;
  by: string | null;
}

export interface KeyCheck {
  rows: number;
  null_keys: number;
  duplicate_keys: number;
  unique: boolean;
}

export interface Destination extends Definition {
  settings: Settings;
  kind: string;
  syncs: number;
  last_check: LastCheck | null;
}

export interface Connector {
  kind: string;
  title: string;
  summary: string;
  maturity: string;
  capabilities: { transactional: boolean; deletes: boolean; full_refresh: boolean };
  schema: Record<string, unknown>;
}

export interface DestinationStream {
  name: string;
  fields: { name: string; type: string; required?: boolean }[];
}

export type SyncState = 'healthy' | 'partial' | 'failed' | 'stopped' | 'running' | 'late' | 'off' | 'new';
export type RunStatus = 'running' | 'succeeded' | 'partial' | 'unchanged' | 'stopped' | 'failed' | 'cancelled';

export type Schedule = 'manual' | { every: string } | { cron: string; timezone?: string | null };
export type FieldSource = string | { value: Json } | { template: string };

export interface SyncSettings {
  model: string;
  destination: string;
  stream: string;
  mode: 'incremental' | 'full_refresh';
  cursor_field?: string | null;
  cursor_lookback?: string | null;
  write?: 'upsert' | 'insert' | 'update';
  deletes?: 'ignore' | 'propagate';
  max_delete_ratio?: number | null;
  max_reject_ratio?: number | null;
  on_bad_key?: 'fail' | 'reject';
  on_drift?: 'fail' | 'widen' | 'reject';
  fields?: Record<string, FieldSource> | null;
  timeout?: string | null;
  schedule?: Schedule;
}

export interface RowCounts {
  read: number;
  unchanged: number;
  inserted: number;
  updated: number;
  skipped: number;
  rejected: number;
  deleted: number;
  delete_rejected: number;
}

export interface ErrorReport {
  code: string;
  message: string;
  hint: string | null;
}

export interface Run {
  id: string;
  sync: string;
  run: string;
  generation: number;
  status: RunStatus;
  mode: 'incremental' | 'full_refresh';
  files: { listed: number; read: number; skipped: number };
  bytes_read: number;
  source_rows: { read: number; rejected: number };
  rows: RowCounts;
  duration_ms: number;
  error: ErrorReport | null;
  /** Waiting for its turn. */
  queued?: boolean;
  started_at: string | null;
  ended_at: string | null;
  cause: 'schedule' | 'request' | 'retry' | 'cut_off' | null;
  by: string | null;
}

export interface Sync extends Definition {
  settings: SyncSettings;
  model: string;
  destination: string;
  stream: string;
  mode: 'incremental' | 'full_refresh';
  schedule: string;
  paused: boolean;
  state: SyncState;
  last_run: Run | null;
  next_run: string | null;
  open_rejects: number;
  trend: { run: string; status: RunStatus; delivered: number }[];
}

export interface Reject {
  sync?: string;
  key?: Record<string, Json>;
  reason: string;
  code: string;
  payload?: Record<string, Json>;
  attempts: number;
  first_at: string;
  last_at: string;
  exchange?: { request?: string; response?: string } | null;
}

export interface SourceReject {
  file: string;
  line: number;
  byte_offset: number | null;
  column: string | null;
  reason: string;
}

export interface Plan {
  sync: string;
  fingerprint: string;
  rows: RowCounts;
  samples: { op: string; key: Record<string, Json>; changes: { field: string; old?: Json; new?: Json }[] }[];
  error?: ErrorReport | null;
}

export interface PayloadPreview {
  fields: { name: string; type: string; required?: boolean }[];
  payloads: Record<string, Json>[];
  errors: string[];
}

export interface Summary {
  syncs: Partial<Record<SyncState, number>>;
  per_day: {
    day: string;
    inserted: number;
    updated: number;
    deleted: number;
    rejected: number;
    runs: number;
    failed: number;
  }[];
  attention: {
    sync: string;
    state: SyncState;
    since: string | null;
    code: string | null;
    message: string | null;
    open_rejects: number;
  }[];
  counts: { sources: number; models: number; destinations: number; syncs: number };
}

export interface Policies {
  permission: Json;
  trust: Json | null;
}

export interface UserRecord extends User {
  disabled?: boolean;
  created_at?: string;
  last_seen_at?: string | null;
}

export interface Token {
  id: string;
  name: string;
  role: Role;
  created_at: string;
  created_by: string | null;
  expires_at: string | null;
  last_used_at: string | null;
}

export interface AuditEntry {
  id: string;
  at: string;
  actor: { kind: 'user' | 'token' | 'system'; name: string };
  action: string;
  target: string | null;
  address: string | null;
  details: Record<string, Json> | null;
}

export type AlertEvent = 'failed' | 'partial' | 'stopped' | 'late' | 'recovered';

export interface Alert {
  name: string;
  revision?: number;
  when: AlertEvent[];
  partial_ratio?: number | null;
  syncs: string[];
  channel: { type: 'webhook' | 'slack' | 'email'; [key: string]: unknown };
}

export interface About {
  version: string;
  state: string;
  started_at: string;
  uptime_s: number;
  limits: Record<string, Json>;
}
