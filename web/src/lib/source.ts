// The form of an S3 source and the settings it stands for.
// Not here: how it looks (routes/sources).

import type { AuthType, S3Auth, S3Settings } from '../api/types';

type Secret = string | { secret: true };

export interface SourceForm {
  name: string;
  region: string;
  bucket: string;
  path: string;
  fileType: NonNullable<S3Settings['file_type']>;
  endpoint: string;
  stsEndpoint: string;
  pathStyle: 'auto' | 'yes' | 'no';
  authType: AuthType;
  roleArn: string;
  externalId: string;
  accessKeyId: string;
  /** `null` keeps what the server has. */
  secretAccessKey: string | null;
  sessionToken: string | null;
  /** Who assumes the role: this machine, or an access key. */
  base: 'default' | 'iam_user';
  csv: Record<string, unknown> | undefined;
}

export const emptySource: SourceForm = {
  name: '',
  region: 'auto',
  bucket: '',
  path: '',
  fileType: 'any',
  endpoint: '',
  stsEndpoint: '',
  pathStyle: 'auto',
  authType: 'iam_role',
  roleArn: '',
  externalId: '',
  accessKeyId: '',
  secretAccessKey: '',
  sessionToken: '',
  base: 'default',
  csv: undefined,
};

function isKept(secret: Secret | undefined): boolean {
  return typeof secret === 'object';
}

export function formOf(name: string, settings: S3Settings): SourceForm {
  const auth: S3Auth = settings.auth ?? { type: 'default' };
  const key = auth.type === 'iam_role' ? auth.base : auth;
  return {
    name,
    region: settings.region ?? 'auto',
    bucket: settings.bucket,
    path: settings.path ?? '',
    fileType: settings.file_type ?? 'any',
    endpoint: settings.endpoint ?? '',
    stsEndpoint: settings.sts_endpoint ?? '',
    pathStyle: settings.path_style === undefined || settings.path_style === null ? 'auto' : settings.path_style ? 'yes' : 'no',
    authType: auth.type,
    roleArn: auth.role_arn ?? '',
    externalId: auth.external_id ?? '',
    accessKeyId: key?.access_key_id ?? '',
    secretAccessKey: isKept(key?.secret_access_key) ? null : '',
    sessionToken: isKept(key?.session_token) ? null : '',
    base: auth.base?.type === 'iam_user' ? 'iam_user' : 'default',
    csv: settings.csv,
  };
}

export function settingsOf(form: SourceForm): S3Settings {
  const settings: S3Settings = { type: 's3', region: form.region || 'auto', bucket: form.bucket.trim(), file_type: form.fileType };
  if (form.path.trim()) settings.path = form.path.trim();
  if (form.endpoint.trim()) settings.endpoint = form.endpoint.trim();
  if (form.stsEndpoint.trim()) settings.sts_endpoint = form.stsEndpoint.trim();
  if (form.pathStyle !== 'auto') settings.path_style = form.pathStyle === 'yes';
  if (form.csv && Object.keys(form.csv).length > 0) settings.csv = form.csv;
  settings.auth = authOf(form);
  return settings;
}

function authOf(form: SourceForm): S3Auth {
  if (form.authType === 'iam_user') return keyOf(form);
  if (form.authType !== 'iam_role') return { type: form.authType };
  const auth: S3Auth = { type: 'iam_role', role_arn: form.roleArn.trim() };
  if (form.externalId) auth.external_id = form.externalId;
  if (form.base === 'iam_user') auth.base = keyOf(form);
  return auth;
}

function keyOf(form: SourceForm): S3Auth {
  const auth: S3Auth = {
    type: 'iam_user',
    access_key_id: form.accessKeyId.trim(),
    secret_access_key: form.secretAccessKey ?? { secret: true },
  };
  if (form.sessionToken !== '') auth.session_token = form.sessionToken ?? { secret: true };
  return auth;
}

/** Stands in a policy for what is not known yet: the role is made after its policies. */
export const unknownAccount = '000000000000';

/** Settings to ask the policies for, complete even while the form is not. */
export function settingsForPolicy(form: SourceForm): S3Settings {
  return settingsOf({
    ...form,
    roleArn: arnTrouble(form.roleArn) || !form.roleArn.trim() ? `arn:aws:iam::${unknownAccount}:role/not-made-yet` : form.roleArn,
    accessKeyId: form.accessKeyId || 'not-entered-yet',
    secretAccessKey: form.secretAccessKey === '' ? 'not-entered-yet' : form.secretAccessKey,
  });
}

/** A name to begin with, from bucket and path: letters, digits and underscores. */
export function suggestName(bucket: string, path: string): string {
  const last = path.split('/').filter(Boolean).at(-1);
  const text = [bucket, last].filter(Boolean).join('_');
  return text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '_')
    .replace(/^_+|_+$/g, '')
    .slice(0, 60);
}

/** What is wrong with a role's ARN, if anything. */
export function arnTrouble(arn: string): string | null {
  if (arn.trim() === '') return null;
  if (/^arn:aws[\w-]*:iam::\d{12}:role\/.+$/.test(arn.trim())) return null;
  return 'A role ARN looks like arn:aws:iam::123456789012:role/lake-reader.';
}

/** What is missing before a test makes sense. */
export function missing(form: SourceForm): string | null {
  if (!form.bucket.trim()) return 'Name the bucket first.';
  if (form.authType === 'iam_role' && !form.roleArn.trim()) return 'Enter the role’s ARN first.';
  if (form.authType === 'iam_role' && arnTrouble(form.roleArn)) return arnTrouble(form.roleArn);
  const needsKey = form.authType === 'iam_user' || (form.authType === 'iam_role' && form.base === 'iam_user');
  if (needsKey && (!form.accessKeyId.trim() || form.secretAccessKey === '')) return 'Enter both halves of the access key first.';
  return null;
}
