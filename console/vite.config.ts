/**
 * How the console is built: `dist/` holds one page and files with hashed names, each as it is and packed (`.gz`).
 *
 * What it is not: a server. A node serves `dist/`; `npm run dev` passes requests for data on to one.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import react from '@vitejs/plugin-react';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';

const NODE = process.env.HEADWATER_SERVER ?? 'http://127.0.0.1:8080';

/** Packs what is written once, so that no node has to. */
function packed(): Plugin {
  return {
    name: 'packed',
    apply: 'build',
    writeBundle: (options, bundle) => {
      for (const name of Object.keys(bundle)) {
        const path = join(options.dir ?? 'dist', name);
        if (/\.(js|css|html|svg)$/.test(name)) writeFileSync(`${path}.gz`, gzipSync(readFileSync(path), { level: 9 }));
      }
    },
  };
}

/** Names of the npm packages that went into the bundle, for THIRD-PARTY-NOTICES.md. */
function packages(): Plugin {
  return {
    name: 'packages',
    apply: 'build',
    generateBundle(_options, bundle) {
      const found = new Set<string>();
      for (const chunk of Object.values(bundle)) {
        for (const id of chunk.type === 'chunk' ? chunk.moduleIds : []) {
          const name = id
            .split('/node_modules/')
            .pop()
            ?.match(/^(@[^/]+\/)?[^/]+/)?.[0];
          if (id.includes('/node_modules/') && name) found.add(name);
        }
      }
      this.emitFile({ type: 'asset', fileName: 'packages.json', source: JSON.stringify([...found].sort()) });
    },
  };
}

export default defineConfig({
  base: '/console/',
  plugins: [react(), packages(), packed()],
  // The browsers that know `light-dark()`; older ones would get a copy that ignores the reader's choice.
  build: {
    target: ['chrome123', 'edge123', 'firefox120', 'safari17.5'],
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
  },
  server: {
    proxy: {
      '^/(v1|openapi.json|metrics|readyz)': {
        target: NODE,
        changeOrigin: true,
        configure: proxy => proxy.on('proxyReq', request => request.removeHeader('origin')),
      },
    },
  },
  test: {
    projects: [
      {
        extends: true,
        test: { name: 'unit', include: ['src/**/*.test.ts', 'src/**/*.test.tsx'], environment: 'happy-dom' },
      },
      {
        extends: true,
        test: {
          name: 'browser',
          include: ['tests/**/*.test.ts'],
          // Above what one step waits for (`PATIENCE_MS` in tests/node.ts), so that the step says what did not come.
          testTimeout: 240_000,
          hookTimeout: 240_000,
          expect: { poll: { timeout: 60_000 } },
          fileParallelism: false,
        },
      },
      { extends: true, test: { name: 'bench', include: ['bench/**/*.bench.ts'] } },
    ],
  },
});
