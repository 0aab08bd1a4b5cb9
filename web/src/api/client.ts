// How the pages talk to the API: one function, which adds the CSRF token and turns problem documents into errors.
// Not here: which routes there are (the files of the nouns), live events (events.ts).

import type { List, Problem } from './types';

const base = '/api/v1';
let csrf = '';

/** Takes the token that every changing request carries from now on. */
export function setCsrf(token: string): void {
  csrf = token;
}

/** An answer that is not a success, with everything the server said about it. */
export class ApiError extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.detail);
    this.name = 'ApiError';
    this.problem = problem;
  }
}

/** The problem behind any error that a request can throw. */
export function problemOf(error: unknown): Problem {
  if (error instanceof ApiError) return error.problem;
  return {
    status: 0,
    code: 'UI-001',
    detail: 'The server cannot be reached.',
    hints: ['See that `tapline serve` is running, and try again.'],
  };
}

/** Whether a request was given up by the page itself. */
export function isAborted(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}

type Query = Record<string, string | number | boolean | undefined | null>;

export interface Call {
  query?: Query;
  body?: unknown;
  /** A body that is sent as it is, such as YAML. */
  text?: { type: string; content: string };
  accept?: string;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

/** The address of a route; parts of `path` in braces are filled from `names`, percent-encoded. */
export function address(path: string, names: Record<string, string> = {}, query: Query = {}): string {
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(names[name] ?? ''));
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== '') parameters.set(name, String(value));
  }
  const text = parameters.toString();
  return `${base}${filled}${text && '?'}${text}`;
}

/** Sends a request and yields the response if it is a success. */
export async function send(method: string, url: string, call: Call = {}): Promise<Response> {
  const headers: Record<string, string> = { Accept: call.accept ?? 'application/json', ...call.headers };
  if (method !== 'GET') headers['X-CSRF-Token'] = csrf;
  if (call.body !== undefined) headers['Content-Type'] = 'application/json';
  if (call.text) headers['Content-Type'] = call.text.type;
  const response = await fetch(url, {
    method,
    headers,
    body: call.text?.content ?? (call.body === undefined ? undefined : JSON.stringify(call.body)),
    credentials: 'same-origin',
    signal: call.signal,
  });
  if (!response.ok) throw new ApiError(await readProblem(response));
  return response;
}

async function readProblem(response: Response): Promise<Problem> {
  const plain: Problem = {
    status: response.status,
    code: `HTTP-${response.status}`,
    detail: `The server answered ${response.status} ${response.statusText}`.trim() + '.',
  };
  if (!response.headers.get('content-type')?.includes('json')) return plain;
  const body: unknown = await response.json().catch(() => null);
  return body && typeof body === 'object' ? { ...plain, ...body } : plain;
}

/** Sends a request whose answer is JSON, or nothing. */
export async function request<T>(
  method: string,
  path: string,
  names: Record<string, string> = {},
  call: Call = {},
): Promise<T> {
  const response = await send(method, address(path, names, call.query), call);
  if (response.status === 204) return undefined as T;
  const text = await response.text();
  return (text ? JSON.parse(text) : undefined) as T;
}

/** Every item of a list, page by page, up to `most`. */
export async function listAll<T>(
  path: string,
  names: Record<string, string> = {},
  query: Query = {},
  signal?: AbortSignal,
  most = 10_000,
): Promise<T[]> {
  const items: T[] = [];
  let after: string | null = null;
  do {
    const page: List<T> = await request<List<T>>('GET', path, names, {
      query: { ...query, limit: 500, after },
      signal,
    });
    items.push(...page.items);
    after = page.next ?? null;
  } while (after && items.length < most);
  return items;
}
