/** A real node with something on it, and a real browser in front. */

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import axe from 'axe-core';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';

/** How long anything is waited for: a bound for what does not come, not for how fast a busy machine is. */
const PATIENCE_MS = 60_000;
/** How long one question may take before it is asked again, and a node to end. */
const ASK_MS = 5_000;
const END_MS = 40_000;

/** What is asked again until it holds. In the end it says which error kept it from that, if one did. */
export async function until<T>(
  what: string,
  ask: () => Promise<T | undefined | false>,
  patienceMs = PATIENCE_MS,
): Promise<T> {
  const end = Date.now() + patienceMs;
  let last: { error: unknown } | undefined;
  for (;;) {
    try {
      const found = await ask();
      if (found) return found;
    } catch (error) {
      last = { error };
    }
    if (Date.now() > end) {
      const why = last ? `, the last error was ${last.error}` : '';
      throw new Error(`in ${patienceMs} ms there was no ${what}${why}`, { cause: last?.error });
    }
    await new Promise(done => setTimeout(done, 50));
  }
}

/** A parameter of the address as the page has it: what the browser tells of an address comes later. */
export function param(page: Page, name: string): Promise<string | null> {
  return page.evaluate(it => new URLSearchParams(window.location.search).get(it), name);
}

/** The usual ports of a node: HTTP, Kafka, AWS, PostgreSQL. */
const PORTS = [8080, 9092, 4566, 5433];

function isFree(port: number): Promise<boolean> {
  return new Promise(done => {
    const server = createServer();
    server.on('error', () => done(false));
    server.listen(port, '127.0.0.1', () => server.close(() => done(true)));
  });
}

/** What is added to all usual ports: below those that the system gives to connections, and by chance, as others run. */
async function freeOffset(): Promise<number> {
  for (let draw = 0; draw < 100; draw += 1) {
    const offset = 1_000 + Math.floor(Math.random() * 20_000);
    const free = await Promise.all(PORTS.map(port => isFree(port + offset)));
    if (free.every(Boolean)) return offset;
  }
  throw new Error('no offset at which all ports of a node are free');
}

function up(binary: string, env: NodeJS.ProcessEnv, folder: string): ChildProcess {
  return spawn(binary, ['up'], { env, cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
}

/** A node on ports and a folder of its own. */
export class Node {
  private constructor(
    private child: ChildProcess,
    private readonly binary: string,
    private readonly env: NodeJS.ProcessEnv,
    private readonly folder: string,
    readonly url: string,
    readonly kafka: string,
  ) {}

  static async start(): Promise<Node> {
    const binary = process.env.HEADWATER_BINARY;
    if (!binary) throw new Error('HEADWATER_BINARY names the binary to test; `cargo xtask test browser` sets it');
    const folder = mkdtempSync(join(tmpdir(), 'headwater-console-'));
    const offset = await freeOffset();
    const env = { ...process.env, HEADWATER_DATA: join(folder, 'data'), HEADWATER_PORT_OFFSET: String(offset) };
    const [http = 0, kafka = 0] = PORTS.map(port => port + offset);
    const child = up(binary, env, folder);
    const node = new Node(child, binary, env, folder, `http://127.0.0.1:${http}`, `127.0.0.1:${kafka}`);
    await node.ready();
    return node;
  }

  /** Ends it, and starts it anew on what it has kept. */
  async restart(): Promise<void> {
    await this.end();
    this.child = up(this.binary, this.env, this.folder);
    await this.ready();
  }

  private async ready(): Promise<void> {
    const ask = () => fetch(`${this.url}/readyz`, { signal: AbortSignal.timeout(ASK_MS) });
    await until('ready node', async () => {
      const { exitCode, signalCode } = this.child;
      if (exitCode !== null || signalCode !== null) throw new Error(`it has ended with ${exitCode ?? signalCode}`);
      const answer = await ask();
      if (!answer.ok) throw new Error(await answer.text());
      return true;
    });
  }

  private async end(): Promise<void> {
    // One that has ended by itself does not end again.
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = new Promise(done => this.child.once('exit', done));
    this.child.kill('SIGINT');
    const patience = setTimeout(() => this.child.kill('SIGKILL'), END_MS);
    await ended;
    clearTimeout(patience);
    if (this.child.signalCode === 'SIGKILL') throw new Error(`the node did not end in ${END_MS} ms`);
  }

  /** Runs a command of the binary against this node; what it says. */
  async headwater(...args: string[]): Promise<string> {
    const { stdout } = await promisify(execFile)(this.binary, args, { env: this.env, cwd: this.folder });
    return stdout;
  }

  async stop(): Promise<void> {
    try {
      await this.end();
    } finally {
      rmSync(this.folder, { recursive: true, force: true });
    }
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

  /** The rows that a statement has. */
  async ask(query: string): Promise<unknown[][]> {
    const { rows } = (await this.send('POST', '/v1/sql', JSON.stringify({ query }))) as { rows: unknown[][] };
    return rows;
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

const LOOK = { viewport: { width: 1280, height: 900 }, reducedMotion: 'reduce' } as const;

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
    const context = await browser.newContext({ ...LOOK, colorScheme });
    await context.grantPermissions(['clipboard-read', 'clipboard-write']);
    return new Chrome(browser, context);
  }

  /** A page of somebody else, whose browser has kept nothing. */
  async elsewhere(url: string): Promise<Page> {
    return this.page(url, await this.browser.newContext(LOOK));
  }

  async page(url: string, context = this.context): Promise<Page> {
    const page = await this.blank(context);
    await page.goto(url);
    await page.locator('h1').first().waitFor();
    return page;
  }

  /** A page that shows nothing yet. */
  async blank(context = this.context): Promise<Page> {
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    const note = (text: string) => this.complaints.push(`${new URL(page.url()).pathname}: ${text}`);
    page.on('pageerror', error => note(error.message));
    page.on('console', message => {
      // Answers like "not yet" are part of some pages' lives; scripts, styles and policies are not.
      if (['error', 'warning'].includes(message.type()) && !message.text().startsWith('Failed to load resource'))
        note(message.text());
    });
    return page;
  }

  /** Closes what a test that failed has left open: all pages of a browser share six connections to a node. */
  async leave(): Promise<void> {
    const pages = this.browser.contexts().flatMap(context => context.pages());
    await Promise.all(pages.map(page => page.close()));
  }

  async stop(): Promise<void> {
    await this.browser.close();
  }
}

/** What axe finds that keeps somebody from using the page. */
export async function barriers(page: Page, rules?: string[]): Promise<string[]> {
  // What is asked anew is drawn faintly until its answer is there.
  await until('end of asking', async () => (await page.locator('.busy').count()) === 0);
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
