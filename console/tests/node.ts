/** A real node with something on it, and a real browser in front. */

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import axe from 'axe-core';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';

const PATIENCE_MS = 20_000;

/** What is asked again until it holds. */
export async function until<T>(what: string, ask: () => Promise<T | undefined | false>): Promise<T> {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await ask().catch(() => undefined);
    if (found) return found;
    if (Date.now() > end) throw new Error(`in ${PATIENCE_MS} ms there was no ${what}`);
    await new Promise(done => setTimeout(done, 50));
  }
}

function freePort(): Promise<number> {
  return new Promise((done, failed) => {
    const server = createServer();
    server.on('error', failed);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => (address && typeof address === 'object' ? done(address.port) : failed(new Error('no port'))));
    });
  });
}

/** A node on ports and a folder of its own. */
export class Node {
  private constructor(
    private readonly child: ChildProcess,
    private readonly folder: string,
    readonly url: string,
    readonly kafka: string,
  ) {}

  static async start(): Promise<Node> {
    const binary = process.env.HEADWATER_BINARY;
    if (!binary) throw new Error('HEADWATER_BINARY names the binary to test; `cargo xtask test browser` sets it');
    const folder = mkdtempSync(join(tmpdir(), 'headwater-console-'));
    const [http, kafka, aws, postgres] = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
    const env = {
      ...process.env,
      HEADWATER_DATA: join(folder, 'data'),
      HEADWATER_HTTP: `127.0.0.1:${http}`,
      HEADWATER_KAFKA: `127.0.0.1:${kafka}`,
      HEADWATER_AWS: `127.0.0.1:${aws}`,
      HEADWATER_POSTGRES: `127.0.0.1:${postgres}`,
    };
    const child = spawn(binary, ['up'], { env, cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
    const node = new Node(child, folder, `http://127.0.0.1:${http}`, `127.0.0.1:${kafka}`);
    await until('ready node', async () => (await fetch(`${node.url}/readyz`)).ok);
    return node;
  }

  async stop(): Promise<void> {
    const ended = new Promise(done => this.child.once('exit', done));
    this.child.kill('SIGINT');
    await ended;
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Sends a body and gives the answer's JSON. */
  async send(method: string, path: string, body: string, type = 'application/json'): Promise<unknown> {
    const response = await fetch(this.url + path, { method, body, headers: { 'content-type': type } });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${text}`);
    return text ? JSON.parse(text) : undefined;
  }

  async apply(yaml: string): Promise<void> {
    await this.send('POST', '/v1/apply', yaml, 'application/yaml');
  }

  /** Starts an execution of `refund`; its id. */
  async refund(amount: number): Promise<string> {
    const { id } = (await this.send(
      'POST',
      '/v1/workflows/refund/executions?wait=1',
      JSON.stringify({ input: { amount } }),
    )) as {
      id: string;
    };
    return id;
  }
}

export const RESOURCES = readFileSync(join(import.meta.dirname, 'resources.yaml'), 'utf8');

/** Chromium, with everything it complains about. */
export class Chrome {
  readonly complaints: string[] = [];

  private constructor(
    private readonly browser: Browser,
    private readonly context: BrowserContext,
  ) {}

  static async start(colorScheme: 'light' | 'dark' = 'light'): Promise<Chrome> {
    const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
    const sandbox = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
    const browser = await chromium.launch({ executablePath, args: sandbox });
    const context = await browser.newContext({
      colorScheme,
      viewport: { width: 1280, height: 900 },
      reducedMotion: 'reduce',
    });
    await context.grantPermissions(['clipboard-read', 'clipboard-write']);
    return new Chrome(browser, context);
  }

  async page(url: string): Promise<Page> {
    const page = await this.context.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    const note = (text: string) => this.complaints.push(`${new URL(page.url()).pathname}: ${text}`);
    page.on('pageerror', error => note(error.message));
    page.on('console', message => {
      // Answers like "not yet" are part of some pages' lives; scripts, styles and policies are not.
      if (['error', 'warning'].includes(message.type()) && !message.text().startsWith('Failed to load resource'))
        note(message.text());
    });
    await page.goto(url);
    await page.locator('h1').first().waitFor();
    return page;
  }

  async stop(): Promise<void> {
    await this.browser.close();
  }
}

/** What axe finds that keeps somebody from using the page. */
export async function barriers(page: Page, rules?: string[]): Promise<string[]> {
  await page.evaluate(axe.source);
  const found = await page.evaluate(only => {
    const { run } = (window as unknown as { axe: typeof axe }).axe;
    return run(document, { resultTypes: ['violations'], ...(only && { runOnly: only }) });
  }, rules);
  return found.violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(
      ({ id, nodes }) =>
        `${id}: ${nodes
          .map(node => `${node.html.slice(0, 120)} ${node.failureSummary ?? ''}`)
          .slice(0, 3)
          .join('; ')}`,
    );
}
