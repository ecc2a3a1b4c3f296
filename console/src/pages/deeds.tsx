/** What can be done with a resource beside changing its text: run it now, let it rest, let it go on. */

import { useMutation } from '@tanstack/react-query';
import { address, apply, call, type Kind, type Resource } from '../api.ts';
import { time } from '../format.ts';
import { Trouble } from '../ui/parts.tsx';

/** Kinds that can be made due beside their times. */
const RUN = ['Schedule', 'Report'];
/** Kinds that can rest. */
const REST = ['Rule', 'Pipe', 'Schedule', 'Report'];

/** Buttons for it; nothing for a kind of which nothing is known. */
export function Deeds({ resource, kind }: { resource: Resource; kind: Kind }) {
  const { name, resourceVersion: version = 0 } = resource.metadata;
  const rests = resource.spec.enabled === false;
  const run = useMutation({
    mutationFn: () => call<{ due: string }>(address([kind.plural, name, 'runs']), { method: 'POST' }),
  });
  const turn = useMutation({
    mutationFn: async () => {
      const { turned } = await import('../editor/enabled.ts');
      const text = await turned(kind.plural, resource, rests);
      return apply(text, { plural: kind.plural, name, version }, false);
    },
  });
  if (!RUN.includes(kind.name) && !REST.includes(kind.name)) return null;
  return (
    <>
      <div className="bar">
        {RUN.includes(kind.name) && !rests && (
          <button type="button" className="btn" disabled={run.isPending} onClick={() => run.mutate()}>
            Run now
          </button>
        )}
        {REST.includes(kind.name) && (
          <button type="button" className="btn" disabled={turn.isPending} onClick={() => turn.mutate()}>
            {rests ? 'Enable' : 'Disable'}
          </button>
        )}
        <span className="muted" role="status">
          {run.data && `due at ${time(run.data.due)}`}
        </span>
      </div>
      {run.error && <Trouble error={run.error} />}
      {turn.error && <Trouble error={turn.error} />}
    </>
  );
}
