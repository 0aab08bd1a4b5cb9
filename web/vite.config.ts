import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';
import { mockServer } from './dev/plugin.ts';

// With TAPLINE_SERVER the pages talk to that server; without it, to the mock.
const server = process.env.TAPLINE_SERVER;
const proxy = server ? { '/api': { target: server, changeOrigin: true } } : undefined;

export default defineConfig({
  plugins: [react(), ...(server ? [] : [mockServer()])],
  build: { target: 'es2022', sourcemap: false, assetsInlineLimit: 0, chunkSizeWarningLimit: 700 },
  server: { host: '127.0.0.1', port: 5173, proxy },
  preview: { host: '127.0.0.1', port: 4173, proxy },
  test: { include: ['src/**/*.test.{ts,tsx}'] },
} as Parameters<typeof defineConfig>[0]);
