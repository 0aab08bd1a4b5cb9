// How the pages talk to the API: a client typed by the server's own document, which adds the CSRF token and turns
// problem documents into errors.
// Not here: the documents (types.ts), the questions that pages ask (queries.ts), live events (events.ts).
// Called by every page.

import createClient, { type Middleware } from 'openapi-fetch';
import type { paths } from './schema';
import type { Problem } from './types';

const base = '/api/v1';

/** The routes below the base, as the server describes them. */
type Routes = { [Path in keyof paths as Path extends `/api/v1${infer Rest}` ? Rest : never]: paths[Path] };

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

const manners: Middleware = {
  onRequest: ({ request }) => {
    if (request.method !== 'GET') request.headers.set('X-CSRF-Token', csrf);
  },
  onResponse: async ({ response }) => {
    if (!response.ok) throw new ApiError(await readProblem(response));
  },
};

export const api = createClient<Routes>({ baseUrl: base, credentials: 'same-origin' });
api.use(manners);

/** What the server answered; that it refused is thrown. */
export async function answer<T>(call: Promise<{ data?: T }>): Promise<T> {
  const { data } = await call;
  return data as T;
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

/** The address of what the browser downloads by itself. */
export function address(path: '/export' | '/syncs/{name}/rejects.csv', name = ''): string {
  return base + path.replace('{name}', encodeURIComponent(name));
}

/** Every item of a list, part by part, up to `most`. */
export async function all<T>(
  part: (query: { limit: number; after?: string }) => Promise<{ items: T[]; next?: string | null }>,
  most = 10_000,
): Promise<T[]> {
  const items: T[] = [];
  let after: string | undefined;
  do {
    const page = await part({ limit: 500, after });
    items.push(...page.items);
    after = page.next ?? undefined;
  } while (after && items.length < most);
  return items;
}
