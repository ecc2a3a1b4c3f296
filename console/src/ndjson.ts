/**
 * An answer without end, read line by line: the reader is told of whole lines, however the network cuts them. Between
 * pieces the page gets its turn; what the reader has not asked for waits at the node.
 */

/** How long pieces are taken one after the other before something else may happen. */
const TURN_MS = 12;

/** Calls `take` with the lines of each piece that arrives, until the end or an abort. */
export async function follow(response: Response, take: (lines: string[]) => void): Promise<void> {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (!reader) return;
  let rest = '';
  let turn = performance.now();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split('\n');
    rest = lines.pop() ?? '';
    const whole = lines.filter(Boolean);
    if (whole.length > 0) take(whole);
    if (performance.now() - turn > TURN_MS) {
      await new Promise(next => setTimeout(next));
      turn = performance.now();
    }
  }
}
