/** An answer without end, read line by line: the reader is told of whole lines, however the network cuts them. */

import { parse } from './json.ts';

/** Calls `take` with the lines of each piece that arrives, until the end or an abort. */
export async function follow(response: Response, take: (lines: unknown[]) => void): Promise<void> {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (!reader) return;
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const pieces = (rest + value).split('\n');
    rest = pieces.pop() ?? '';
    const lines = pieces.filter(Boolean).map(parse);
    if (lines.length > 0) take(lines);
  }
}
