// Five durable HTTP calls in each of COUNT invocations, CLIENTS at once, on Restate. Prints one JSON object.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import http from 'node:http'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as restate from '@restatedev/restate-sdk'

// Node 20 has not got it yet.
Promise.withResolvers ??= () => {
  const made = {}
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }))
  return made
}

const [count, clients] = process.argv.slice(2).map(Number)
const effects = http.createServer((_, answer) => answer.end('{}')).listen(0, '127.0.0.1')
await new Promise((ready) => effects.once('listening', ready))
const url = `http://127.0.0.1:${effects.address().port}/`
const agent = new http.Agent({ keepAlive: true })

function ask(method, address, body, headers = {}) {
  return new Promise((done, failed) => {
    const request = http.request(address, { method, agent, headers }, (answer) => {
      let text = ''
      answer.on('data', (part) => (text += part))
      answer.on('end', () => (answer.statusCode < 300 ? done(text) : failed(new Error(`${answer.statusCode} ${text}`))))
    })
    request.on('error', failed)
    request.end(body)
  })
}

const order = restate.service({
  name: 'order',
  handlers: {
    run: async (context) => {
      for (let step = 0; step < 5; step++) await context.run(`call${step}`, () => ask('GET', url))
      return 5
    },
  },
})
const port = 29_080
await restate.serve({ services: [order], port })

const folder = mkdtempSync(join(tmpdir(), 'restate-'))
const server = spawn('node_modules/.bin/restate-server', ['--base-dir', folder, '--node-name', 'one'], {
  stdio: ['ignore', 'ignore', 'ignore'],
  env: {
    ...process.env,
    RESTATE_INGRESS__BIND_ADDRESS: '127.0.0.1:29081',
    RESTATE_ADMIN__BIND_ADDRESS: '127.0.0.1:29070',
    RESTATE_BIND_ADDRESS: '127.0.0.1:29122',
    DO_NOT_TRACK: '1',
  },
})
try {
  for (let tries = 0; ; tries++) {
    try {
      const body = JSON.stringify({ uri: `http://127.0.0.1:${port}` })
      await ask('POST', 'http://127.0.0.1:29070/deployments', body, { 'content-type': 'application/json' })
      break
    } catch (error) {
      if (tries > 100) throw error
      await new Promise((next) => setTimeout(next, 200))
    }
  }
  let next = 0
  const begun = performance.now()
  const client = async () => {
    while (next < count) {
      next += 1
      await ask('POST', 'http://127.0.0.1:29081/order/run', '')
    }
  }
  await Promise.all(Array.from({ length: clients }, client))
  const seconds = (performance.now() - begun) / 1000
  console.log(JSON.stringify({ executions: count, clients, seconds, steps_per_s: (count * 5) / seconds }))
} finally {
  server.kill()
  await new Promise((ended) => server.once('exit', ended))
  rmSync(folder, { recursive: true, force: true })
}
process.exit(0)
