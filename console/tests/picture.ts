/** A page as a small PNG: of 256 colours at most, as PNG's specification (W3C, third edition) has palettes. */

import { deflateSync } from 'node:zlib';
import type { Page } from 'playwright-core';

const COLOURS = 256;

/** What is in view, in the page's own pixels. */
export async function picture(page: Page): Promise<Buffer> {
  const shot = (await page.screenshot()).toString('base64');
  const blank = await page.context().newPage();
  const { width, pixels } = await blank.evaluate(async png => {
    const bytes = Uint8Array.from(atob(png), letter => letter.charCodeAt(0));
    const bitmap = await createImageBitmap(new Blob([bytes]));
    const canvas = Object.assign(document.createElement('canvas'), { width: bitmap.width, height: bitmap.height });
    const context = canvas.getContext('2d');
    context?.drawImage(bitmap, 0, 0);
    const data = context?.getImageData(0, 0, canvas.width, canvas.height).data ?? new Uint8ClampedArray();
    const parts = Array.from({ length: Math.ceil(data.length / 30_000) }, (_, at) =>
      String.fromCharCode(...data.subarray(at * 30_000, (at + 1) * 30_000)),
    );
    return { width: canvas.width, pixels: btoa(parts.join('')) };
  }, shot);
  await blank.close();
  return encoded(Buffer.from(pixels, 'base64'), width);
}

/** The most frequent colours, and for each pixel (of four bytes) the place of the one nearest to its own. */
function indexed(pixels: Buffer): { palette: number[]; places: Uint8Array } {
  const counts = new Map<number, number>();
  const colours = Uint32Array.from({ length: pixels.length / 4 }, (_, at) => pixels.readUIntBE(at * 4, 3));
  for (const colour of colours) counts.set(colour, (counts.get(colour) ?? 0) + 1);
  const palette = [...counts.keys()].sort((a, b) => (counts.get(b) ?? 0) - (counts.get(a) ?? 0)).slice(0, COLOURS);
  const apart = (a: number, b: number) =>
    [16, 8, 0].reduce((sum, shift) => sum + (((a >> shift) & 255) - ((b >> shift) & 255)) ** 2, 0);
  const nearest = new Map(palette.map((colour, place) => [colour, place]));
  const place = (colour: number) => {
    const known = nearest.get(colour);
    if (known !== undefined) return known;
    const found = palette.reduce((best, other, at) => {
      return apart(colour, other) < apart(colour, palette[best] ?? 0) ? at : best;
    }, 0);
    nearest.set(colour, found);
    return found;
  };
  return { palette, places: Uint8Array.from(colours, place) };
}

function encoded(pixels: Buffer, width: number): Buffer {
  const { palette, places } = indexed(pixels);
  const height = places.length / width;
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  // Eight bits for each pixel, which are places in a palette.
  head.set([8, 3], 8);
  // Each line begins with its filter: none.
  const lines = Buffer.alloc((width + 1) * height);
  for (let line = 0; line < height; line += 1) {
    lines.set(places.subarray(line * width, (line + 1) * width), line * (width + 1) + 1);
  }
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', head),
    chunk('PLTE', Buffer.from(palette.flatMap(colour => [colour >> 16, (colour >> 8) & 255, colour & 255]))),
    chunk('IDAT', deflateSync(lines, { level: 9 })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  sum.writeUInt32BE(crc(body));
  return Buffer.concat([length, body, sum]);
}

/** CRC-32 as PNG has it, bit by bit. */
function crc(bytes: Buffer): number {
  let rest = 0xffffffff;
  for (const byte of bytes) {
    rest ^= byte;
    for (let bit = 0; bit < 8; bit += 1) rest = rest & 1 ? (rest >>> 1) ^ 0xedb88320 : rest >>> 1;
  }
  return (rest ^ 0xffffffff) >>> 0;
}
