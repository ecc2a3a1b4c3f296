/** Where the console begins. */

import { QueryClientProvider } from '@tanstack/react-query';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { queries } from './api.ts';
import { App } from './app.tsx';
import { connect } from './live.ts';
import { isPrinted } from './pages/print.tsx';
import { show } from './theme.ts';
import './styles.css';

show();
// A picture is taken once nothing is under way any more.
if (!isPrinted(new URLSearchParams(window.location.search))) connect();
const root = document.getElementById('root');
if (root) {
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={queries}>
        <App />
      </QueryClientProvider>
    </StrictMode>,
  );
}
