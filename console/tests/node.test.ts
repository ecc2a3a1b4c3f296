/** What every test of the browser waits with. */

import { expect, test } from 'vitest';
import { until } from './node.ts';

test('what is asked again holds in the end, whatever went wrong before', async () => {
  const answers = [() => Promise.reject(new Error('refused')), async () => false as const, async () => 'there'];
  expect(await until('answer', async () => answers.shift()?.())).toBe('there');
});

test('what never holds says so, and the last error that there was', async () => {
  const refused = new Error('refused');
  const answers = [() => Promise.reject(refused)];
  const failed = await until('answer', async () => answers.shift()?.(), 20).catch(error => error);
  expect(failed.message).toBe('in 20 ms there was no answer, the last error was Error: refused');
  expect(failed.cause).toBe(refused);
  await expect(until('answer', async () => false, 0)).rejects.toThrow(/^in 0 ms there was no answer$/);
});
