/** The sheets of a dashboard as fields: what they are called, their order, one more, one less. */

import { Entry } from '../ui/fields.tsx';
import { edited } from './draft.ts';
import { sheetAdded, sheetRemoved, sheetShifted } from './sheets.ts';
import { type Dashboard, titleOf } from './spec.ts';

/** They; `show` opens a sheet. */
export function SheetForms(props: {
  spec: Dashboard;
  text: string;
  put: (text: string) => void;
  show: (sheet: string) => void;
}) {
  const { spec, text, put, show } = props;
  const { sheets = [] } = spec;
  const add = () => {
    const { text: next, id } = sheetAdded(text);
    put(next);
    show(id);
  };
  return (
    <div className="form">
      {sheets.map((sheet, index) => {
        const title = titleOf(sheet);
        return (
          <fieldset key={sheet.id} className="group">
            <legend>{title}</legend>
            <Entry
              name={`Title of ${title}`}
              value={sheet.title ?? ''}
              set={words => put(edited(text, [[['spec', 'sheets', index, 'title'], words.trim() || undefined]]))}
            />
            <div className="bar">
              <button
                type="button"
                className="btn bare icon"
                aria-label={`Move ${title} to the left`}
                disabled={index === 0}
                onClick={() => put(sheetShifted(text, index, -1))}
              >
                ←
              </button>
              <button
                type="button"
                className="btn bare icon"
                aria-label={`Move ${title} to the right`}
                disabled={index === sheets.length - 1}
                onClick={() => put(sheetShifted(text, index, 1))}
              >
                →
              </button>
              <button
                type="button"
                className="btn"
                aria-label={`Remove sheet ${title} and its charts`}
                disabled={sheets.length === 1}
                onClick={() => put(sheetRemoved(text, index))}
              >
                Remove sheet
              </button>
            </div>
          </fieldset>
        );
      })}
      <div>
        <button type="button" className="btn" onClick={add}>
          Add sheet
        </button>
      </div>
    </div>
  );
}
