/** A JSON Schema as a table of keys: name, type, whether it is needed, what it means. */

import { at, items, members, text, write } from '../json.ts';

const DEPTH_MAX = 6;

interface Row {
  path: string;
  depth: number;
  type: string;
  required: boolean;
  about: string;
}

/** Keys of an object, inner ones below outer ones. */
export function schemaRows(schema: unknown, prefix = '', depth = 0): Row[] {
  if (depth > DEPTH_MAX) return [];
  const required = items(at(schema, 'required'));
  return Object.entries(members(at(schema, 'properties'))).flatMap(([name, inner]) => {
    const path = prefix ? `${prefix}.${name}` : name;
    const row = { path, depth, type: typeOf(inner), required: required.includes(name), about: about(inner) };
    const element = at(inner, 'items');
    return [
      row,
      ...schemaRows(inner, path, depth + 1),
      ...(element ? schemaRows(element, `${path}[]`, depth + 1) : []),
    ];
  });
}

/** A schema's type in a word or two. */
export function typeOf(schema: unknown): string {
  const type = at(schema, 'type');
  const names = (Array.isArray(type) ? type : [type]).map(text).filter(name => name && name !== 'null');
  const choices = items(at(schema, 'enum'));
  if (choices.length > 0) return choices.map(choice => write(choice)).join(' | ');
  if (at(schema, 'const') !== undefined) return write(at(schema, 'const'));
  const base = names.join(' | ') || (at(schema, 'properties') ? 'object' : 'any');
  const format = text(at(schema, 'format'));
  return format ? `${base} (${format})` : base;
}

function about(schema: unknown): string {
  const bounds = ['minLength', 'maxLength', 'minimum', 'maximum', 'pattern', 'maxItems'].flatMap(key => {
    const bound = at(schema, key);
    return bound === undefined ? [] : [`${key} ${write(bound)}`];
  });
  return [text(at(schema, 'description')), ...bounds].filter(Boolean).join('; ');
}

/** The table, and the schema itself below. */
export function SchemaView({ schema }: { schema: unknown }) {
  const rows = schemaRows(schema);
  return (
    <>
      {rows.length > 0 && (
        <section className="scroll" aria-label="Keys" tabIndex={0}>
          <table>
            <thead>
              <tr>
                <th scope="col">Key</th>
                <th scope="col">Type</th>
                <th scope="col">Needed</th>
                <th scope="col">Meaning</th>
              </tr>
            </thead>
            <tbody>
              {rows.map(row => (
                <tr key={row.path}>
                  <td className="mono" style={{ paddingLeft: 14 + row.depth * 16 }}>
                    {row.path}
                  </td>
                  <td className="mono">{row.type}</td>
                  <td>{row.required ? 'yes' : <span className="muted">no</span>}</td>
                  <td className="muted">{row.about}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
      <details className="body">
        <summary>JSON Schema</summary>
        <pre className="code" tabIndex={0}>
          {write(schema, 2)}
        </pre>
      </details>
    </>
  );
}
