// The base is a layer below Mantine's; our own modules are above both.
import './styles/tokens.css';
import '@mantine/core/styles.layer.css';
import { localStorageColorSchemeManager, MantineProvider } from '@mantine/core';
import { MutationCache, QueryCache, QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { setNonce } from 'get-nonce';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { ApiError } from './api/client';
import { sessionQuery } from './api/queries';
import { cspNonce } from './lib/nonce';
import { createAppRouter } from './router';
import { theme, variables } from './theme';

setNonce(cspNonce);

// A session that has ended sends the person to the sign-in page, whatever they were doing.
const ended = (error: unknown) => {
  if (!(error instanceof ApiError) || error.problem.status !== 401) return;
  if (window.location.pathname === '/signin' || window.location.pathname === '/setup') return;
  client.removeQueries({ queryKey: sessionQuery.queryKey });
  const to = window.location.pathname + window.location.search;
  window.location.assign(`/signin?to=${encodeURIComponent(to)}`);
};

const client = new QueryClient({
  queryCache: new QueryCache({ onError: ended }),
  mutationCache: new MutationCache({ onError: ended }),
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      retry: (failures, error) => !(error instanceof ApiError) && failures < 2,
    },
  },
});

const router = createAppRouter(client);
const root = document.getElementById('root');
if (root) {
  // A refusal is shown on its page; the console is for what nobody expects.
  const onCaughtError = (error: unknown) => {
    if (!(error instanceof ApiError)) console.error(error);
  };
  createRoot(root, { onCaughtError }).render(
    <StrictMode>
      <MantineProvider
        theme={theme}
        cssVariablesResolver={variables}
        defaultColorScheme="auto"
        colorSchemeManager={localStorageColorSchemeManager({ key: 'tapline-theme' })}
        getStyleNonce={() => cspNonce}
      >
        <QueryClientProvider client={client}>
          <RouterProvider router={router} />
        </QueryClientProvider>
      </MantineProvider>
    </StrictMode>,
  );
}
