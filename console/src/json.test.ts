import { expect, test } from 'vitest';
import { at, Exact, members, parse, parseMarked, write } from './json.ts';

test('what is read is written again, exact numbers as they came', () => {
  for (const text of ['{"a":[1,"x",null,true],"b":{}}', '[]', '"<b>"', '-1.5e3']) {
    expect(JSON.parse(write(parse(text)))).toEqual(JSON.parse(text));
  }
  expect(write({ id: new Exact('9007199254740993'), price: [new Exact('1.10000000000000000001')] })).toBe(
    '{"id":9007199254740993,"price":[1.10000000000000000001]}',
  );
  expect(write({ a: [1, { b: 2 }], c: undefined }, 2)).toBe(JSON.stringify({ a: [1, { b: 2 }] }, null, 2));
});

test('a number that would change stays the text it was, whether or not the browser tells that', () => {
  const text =
    '{"id":9007199254740993,"n":[1.50,-0.1,1e400,12345678901234567890.5],"9007199254740993":"a \\"9007199254740993\\\\","x":1e3}';
  for (const read of [parse, parseMarked]) {
    expect(read(text)).toEqual({
      id: new Exact('9007199254740993'),
      n: [1.5, -0.1, new Exact('1e400'), new Exact('12345678901234567890.5')],
      '9007199254740993': 'a "9007199254740993\\',
      x: 1000,
    });
    expect([read('9007199254740993'), read('"x"'), read('[]'), read('1')]).toEqual([
      new Exact('9007199254740993'),
      'x',
      [],
      1,
    ]);
  }
});

test('values of another shape than hoped for are empty, not errors', () => {
  expect(members([1])).toEqual({});
  expect(members(new Exact('1'))).toEqual({});
  expect(at({ a: { b: 1 } }, 'a', 'b')).toBe(1);
  expect(at(null, 'a', 'b')).toBeUndefined();
});
