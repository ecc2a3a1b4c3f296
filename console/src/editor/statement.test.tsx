import { EditorView } from '@codemirror/view';
import { act } from 'react';
import { createRoot } from 'react-dom/client';
import { beforeAll, expect, test, vi } from 'vitest';
import Statement from './statement.tsx';

beforeAll(() => vi.stubGlobal('IS_REACT_ACT_ENVIRONMENT', true));

test('the keys ask what stands in the editor, whether or not its caller has heard of it', () => {
  const place = document.createElement('div');
  document.body.append(place);
  const asked: string[] = [];
  const root = createRoot(place);
  act(() =>
    root.render(
      <Statement
        text="SELECT 1"
        label="Statement"
        relations={[]}
        changed={() => undefined}
        run={it => asked.push(it)}
      />,
    ),
  );
  const content = place.querySelector('.editor')?.shadowRoot?.querySelector<HTMLElement>('.cm-content');
  const view = content && EditorView.findFromDOM(content);
  view?.dispatch({ changes: { from: 7, to: 8, insert: '2' } });
  content?.dispatchEvent(
    new KeyboardEvent('keydown', { key: 'Enter', ctrlKey: true, bubbles: true, cancelable: true }),
  );
  expect(asked).toEqual(['SELECT 2']);
  act(() => root.unmount());
  place.remove();
});
