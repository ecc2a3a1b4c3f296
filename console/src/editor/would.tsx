/** What an apply did, or would do. */

import type { Report } from '../api.ts';

/** It, as a list; resources that stay as they are, are left out. */
export function Would({ report, done }: { report: Report; done: boolean }) {
  const changes = report.resources.filter(it => it.outcome !== 'unchanged');
  const warnings = report.warnings?.map(({ code, title, help }) => (
    <p key={title} className="note warn">
      {code}: {title}
      {help && <span className="muted"> {help}</span>}
    </p>
  ));
  if (changes.length === 0)
    return (
      <>
        {warnings}
        <p className="note">{done ? 'Nothing changed.' : 'Nothing would change.'}</p>
      </>
    );
  return (
    <>
      {warnings}
      <div className="note good">
        <ul>
          {changes.map(({ kind, name, outcome }) => (
            <li key={`${kind}/${name}`}>
              {kind}/{name} {done ? outcome : `would be ${outcome}`}
            </li>
          ))}
          {report.actions.map(({ verb, object, detail }) => (
            <li key={`${verb} ${object}`} className="muted">
              {verb} {object} {detail}
            </li>
          ))}
        </ul>
      </div>
    </>
  );
}
