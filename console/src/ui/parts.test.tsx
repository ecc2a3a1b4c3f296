import { act } from 'react';
import { createRoot } from 'react-dom/client';
import { beforeAll, expect, test, vi } from 'vitest';
import { Refusal } from '../api.ts';
import { Awaited } from './parts.tsx';

beforeAll(() => vi.stubGlobal('IS_REACT_ACT_ENVIRONMENT', true));

test('why something did not come stays while it is asked for again', () => {
  const place = document.createElement('div');
  const root = createRoot(place);
  const shows = (error: unknown) => {
    act(() => root.render(<Awaited error={error} />));
    return place.textContent;
  };
  const refused = (title: string) => new Refusal({ code: '', title }, 404);
  expect(shows(null)).toBe('Loading');
  expect(shows(refused('there is no execution'))).toBe('there is no execution');
  expect(shows(null)).toBe('there is no execution');
  expect(shows(refused('the node does not answer'))).toBe('the node does not answer');
  expect(shows(null)).toBe('the node does not answer');
  act(() => root.unmount());
});
