// The documents of the API by the names that pages use, and the settings of definitions, which are those of the
// project file and open to the API's own description.
// Not here: what the server describes itself (schema.d.ts, generated).
// Called by everything that handles a document.

import type { components } from './schema';

type Schemas = components['schemas'];

export type Settings = Record<string, unknown>;

export type Role = Schemas['Role'];
export type User = Schemas['SignedIn'];
export type Session = Schemas['Session'];
export type ProblemAt = Pick<Schemas['Fault'], 'pointer' | 'detail'> & Partial<Schemas['Fault']>;

/** RFC 9457, with the code and the hints that every error of Tapline has; pages make some themselves. */
export type Problem = Pick<Schemas['Problem'], 'status' | 'detail' | 'code'> &
  Partial<Omit<Schemas['Problem'], 'errors'>> & { errors?: ProblemAt[] };

export type Definition = Schemas['Definition'];
export type CheckStep = Schemas['CheckStep'];
export type Check = Schemas['CheckReport'];
export type LastCheck = Schemas['LastCheck'];

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

// A type, not an interface: it is sent where any object is taken.
export type S3Settings = {
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
};

export type Source = Omit<Schemas['Source'], 'settings'> & { settings: S3Settings };
export type SourceStream = Schemas['SourceStream'];
export type Column = Schemas['RowColumn'];
export type QueryResult = Schemas['QueryResult'];
export type Policies = Schemas['Policies'];

export type ModelSettings = { source: string; sql: string; primary_key?: string | string[] };
export type Model = Omit<Schemas['Model'], 'settings'> & { settings: ModelSettings };
export type ModelVersion = Schemas['ModelVersion'];
export type KeyCheck = Schemas['KeyCheck'];

export type Destination = Schemas['Destination'];
export type Connector = Schemas['ConnectorView'];
export type DestinationStream = Schemas['DestinationStream'];

export type SyncState = Schemas['SyncHealth'];
export type RunStatus = Schemas['RunStatus'];

export type Schedule = 'manual' | { every: string } | { cron: string; timezone?: string | null };
export type FieldSource = string | { value: unknown } | { template: string };

export type SyncSettings = {
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
};

export type RowCounts = Schemas['RowCounts'];
export type ErrorReport = Schemas['ErrorReport'];
export type Run = Schemas['Run'];
export type RunRequest = Schemas['RunRequest'];
export type Sync = Omit<Schemas['Sync'], 'settings'> & { settings: SyncSettings };
/** A rejected row, or, with a file and a line, a line that could not be read. */
export type Reject = Schemas['RejectView'];
export type Plan = Schemas['PlanDocument'];
export type PayloadPreview = Schemas['Payloads'];

export type Summary = Schemas['Summary'];
export type UserRecord = Schemas['User'];
export type Token = Schemas['Token'];
export type AuditEntry = Schemas['AuditEntry'];
export type AlertEvent = Schemas['Event'];
export type Alert = Pick<Schemas['Alert'], 'name' | 'revision' | 'when' | 'syncs' | 'partial_ratio'> & {
  channel: { type: 'webhook' | 'slack' | 'email'; [key: string]: unknown };
};
export type About = Schemas['About'];
