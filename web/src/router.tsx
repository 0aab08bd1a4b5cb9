// Every address and the page behind it. Pages are loaded when they are first opened.

import type { QueryClient } from '@tanstack/react-query';
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Link,
  Outlet,
  redirect,
  type ErrorComponentProps,
} from '@tanstack/react-router';
import { setCsrf } from './api/client';
import { sessionQuery, setupQuery } from './api/queries';
import { listSearch } from './lib/list';
import { Empty, ProblemNote, Waiting } from './parts/Note';
import { Page } from './parts/Page';
import { Setup, SignIn } from './routes/access/Access';
import { Shell } from './shell/Shell';

interface Context {
  client: QueryClient;
}

const root = createRootRouteWithContext<Context>()({
  component: Outlet,
  errorComponent: Broken,
  notFoundComponent: () => (
    <Empty icon="search" title="There is no such page" action={<Link to="/">Go home</Link>}>
      It may have been renamed or deleted.
    </Empty>
  ),
});

function Broken({ error }: ErrorComponentProps) {
  return (
    <Page title="Something went wrong">
      <ProblemNote error={error} />
      <p>
        <a href={window.location.pathname}>Load the page again</a>
      </p>
    </Page>
  );
}

const text = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined);

const signIn = createRoute({
  getParentRoute: () => root,
  path: '/signin',
  validateSearch: (search: Record<string, unknown>): { to?: string } => ({ to: text(search.to) }),
  beforeLoad: async ({ context }) => {
    const session = await context.client.fetchQuery({ ...sessionQuery, staleTime: 0 });
    setCsrf(session.csrf);
    if (session.user) throw redirect({ to: '/' });
    if ((await context.client.fetchQuery(setupQuery)).needed) throw redirect({ to: '/setup' });
  },
  component: SignIn,
});

const setup = createRoute({
  getParentRoute: () => root,
  path: '/setup',
  validateSearch: (search: Record<string, unknown>): { code?: string } => ({
    // A code of digits alone is parsed as a number by the router.
    code: typeof search.code === 'number' ? String(search.code) : text(search.code),
  }),
  beforeLoad: async ({ context }) => {
    if (!(await context.client.fetchQuery({ ...setupQuery, staleTime: 0 })).needed) throw redirect({ to: '/signin' });
  },
  component: Setup,
});

const shell = createRoute({
  getParentRoute: () => root,
  id: 'shell',
  beforeLoad: async ({ context, location }) => {
    const session = await context.client.ensureQueryData(sessionQuery);
    setCsrf(session.csrf);
    if (session.user) return;
    context.client.removeQueries({ queryKey: sessionQuery.queryKey });
    throw redirect({ to: '/signin', search: { to: location.pathname === '/' ? undefined : location.href } });
  },
  component: Shell,
});

const page = <const Path extends string>(path: Path, load: () => Promise<Record<string, unknown>>, name: string) =>
  createRoute({
    getParentRoute: () => shell,
    path,
    validateSearch: (search: Record<string, unknown>) => ({
      ...listSearch(search),
      source: text(search.source),
      model: text(search.model),
      destination: text(search.destination),
      from: text(search.from),
      sql: text(search.sql),
    }),
    // The component's props are none; its module is only known when it arrives.
    component: lazyRouteComponent(load as () => Promise<Record<string, () => React.ReactNode>>, name),
  });

const sources = () => import('./routes/sources');
const models = () => import('./routes/models');
const destinations = () => import('./routes/destinations');
const syncs = () => import('./routes/syncs');
const settings = () => import('./routes/settings');

const tree = root.addChildren([
  signIn,
  setup,
  shell.addChildren([
    page('/', () => import('./routes/home'), 'Home'),
    page('/sources', sources, 'SourceList'),
    page('/sources/new', sources, 'NewSource'),
    page('/sources/$name', sources, 'SourcePage'),
    page('/sources/$name/edit', sources, 'EditSource'),
    page('/models', models, 'ModelList'),
    page('/models/new', models, 'NewModel'),
    page('/models/$name', models, 'ModelPage'),
    page('/destinations', destinations, 'DestinationList'),
    page('/destinations/new', destinations, 'NewDestination'),
    page('/destinations/$name', destinations, 'DestinationPage'),
    page('/syncs', syncs, 'SyncList'),
    page('/syncs/new', syncs, 'NewSync'),
    page('/syncs/$name', syncs, 'SyncPage'),
    page('/syncs/$name/edit', syncs, 'EditSync'),
    page('/runs/$id', () => import('./routes/runs'), 'RunPage'),
    page('/settings', settings, 'SettingsHome'),
    page('/settings/account', settings, 'Account'),
    page('/settings/users', settings, 'Users'),
    page('/settings/tokens', settings, 'Tokens'),
    page('/settings/alerts', settings, 'Alerts'),
    page('/settings/audit', settings, 'Audit'),
    page('/settings/about', settings, 'AboutPage'),
  ]),
]);

export function createAppRouter(client: QueryClient) {
  return createRouter({
    routeTree: tree,
    context: { client },
    defaultPreload: 'intent',
    defaultPendingMs: 300,
    defaultPendingComponent: () => (
      <Page title="">
        <Waiting />
      </Page>
    ),
    defaultErrorComponent: Broken,
    scrollRestoration: true,
  });
}
