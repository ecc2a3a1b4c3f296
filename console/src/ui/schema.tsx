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

/** What a reference means, and what is left of "this or nothing". What is said at a place counts more than what is said of all. */
function resolved(schema: unknown, root: unknown, steps = 0): unknown {
  const ref = text(at(schema, '$ref'));
  if (ref.startsWith('#/') && steps < DEPTH_MAX) {
    return { ...members(resolved(at(root, ...ref.slice(2).split('/')), root, steps + 1)), ...members(schema) };
  }
  const choices = items(at(schema, 'anyOf')).filter(choice => at(choice, 'type') !== 'null');
  if (choices.length !== 1) return schema;
  return { ...members(resolved(choices[0], root, steps + 1)), ...members(schema) };
}

/** Keys of an object, inner ones below outer ones. References are looked up in `root`. */
export function schemaRows(schema: unknown, prefix = '', depth = 0, root = schema): Row[] {
  if (depth > DEPTH_MAX) return [];
  const required = items(at(schema, 'required'));
  return Object.entries(members(at(schema, 'properties'))).flatMap(([name, found]) => {
    const inner = resolved(found, root);
    const path = prefix ? `${prefix}.${name}` : name;
    const row = { path, depth, type: typeOf(inner), required: required.includes(name), about: about(inner) };
    const element = resolved(at(inner, 'items'), root);
    return [row, ...schemaRows(inner, path, depth + 1, root), ...schemaRows(element, `${path}[]`, depth + 1, root)];
  });
}

/** A schema's type in a word or two. */
function typeOf(schema: unknown): string {
  const type = at(schema, 'type');
  const names = (Array.isArray(type) ? type : [type]).map(text).filter(name => name && name !== 'null');
  const kinds = items(at(schema, 'oneOf')).map(form => at(form, 'const') ?? at(form, 'properties', 'type', 'const'));
  const choices = [...items(at(schema, 'enum')), ...kinds.filter(kind => kind !== undefined)];
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
  const examples = items(at(schema, 'examples')).map(example =>
    typeof example === 'string' ? example : write(example),
  );
  const more = examples.length > 0 ? `such as ${examples.join(', ')}` : bounds.join(', ');
  return [text(at(schema, 'description')), more && `(${more})`].filter(Boolean).join(' ');
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

/** Keys of a spec with their meaning, for a narrow place. References are looked up in `root`. */
export function Keys({ schema, root }: { schema: unknown; root: unknown }) {
  const rows = schemaRows(schema, '', 0, root).filter(row => row.depth < 2);
  return (
    <ul className="keys">
      {rows.map(row => (
        <li key={row.path}>
          <div className="head">
            <code>{row.path}</code>
            <span className="muted mono">{row.type}</span>
            {row.required && <span className="badge accent">needed</span>}
          </div>
          <p className="muted">{row.about}</p>
        </li>
      ))}
    </ul>
  );
}
