import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

// The pages speak to a server that runs somewhere; `tapline serve` listens here without further words.
const proxy = { '/api': { target: process.env.TAPLINE_SERVER ?? 'http://127.0.0.1:7171' } };

export default defineConfig({
  plugins: [react()],
  build: { target: 'es2022', sourcemap: false, assetsInlineLimit: 0, chunkSizeWarningLimit: 700 },
  server: { host: '127.0.0.1', port: 5173, proxy },
  preview: { host: '127.0.0.1', port: 4173, proxy },
  test: { include: ['src/**/*.test.{ts,tsx}'] },
} as Parameters<typeof defineConfig>[0]);
