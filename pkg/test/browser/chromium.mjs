// Debian's Chromium without a window, and the server of what it loads.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createReadStream, existsSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { extname, join, normalize } from 'node:path'
import { root } from '../../scripts/tools.mjs'

const { chromium } = createRequire(join(root, 'package.json'))('playwright-core')

const TYPES = {
  '.mjs': 'text/javascript',
  '.js': 'text/javascript',
  '.wasm': 'application/wasm',
  '.html': 'text/html',
}
/** The policies of pages, by path: what a careful site allows at most, one that forgets WebAssembly, and a page that may store nothing. */
const POLICIES = {
  '/csp': "default-src 'self'; script-src 'self' blob: 'wasm-unsafe-eval'; worker-src 'self'",
  '/no-wasm': "script-src 'self'; worker-src 'self' blob:",
  '/sandbox': 'sandbox allow-scripts',
}
const PAGE = '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>tests</title>'

/** Serves a folder to this machine; every path without a file is an empty page. Answers its origin and how to end it. */
export async function serve(folder) {
  const server = createServer((request, response) => {
    const path = join(
      folder,
      normalize(decodeURIComponent(new URL(request.url, 'http://localhost').pathname)),
    )
    const type = TYPES[extname(path)]
    if (type === undefined || !existsSync(path)) {
      const policy = POLICIES[request.url]
      const headers = policy === undefined ? {} : { 'content-security-policy': policy }
      response.writeHead(200, { 'content-type': 'text/html', ...headers }).end(PAGE)
      return
    }
    response.writeHead(200, { 'content-type': type, 'access-control-allow-origin': '*' })
    createReadStream(path).pipe(response)
  })
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
  const close = () => new Promise(resolve => server.close(resolve).closeAllConnections())
  return { origin: `http://127.0.0.1:${server.address().port}`, close }
}

const PROGRAM = process.env.CHROMIUM ?? '/usr/bin/chromium'
/** Root, as in containers, can't have Chromium's sandbox; the pages are our own. */
const SWITCHES = ['--no-sandbox']

/** How often a browser is started that ends before it can be talked to: Chromium crashes now and then while it starts. */
const STARTS = 3

/** Starts a browser. What fails later, with pages in it, is not tried again. */
async function started(start) {
  for (let starts = 1; ; starts += 1) {
    try {
      return await start()
    } catch (error) {
      if (starts === STARTS) throw error
      process.stderr.write(`Chromium is started again: ${error.message.split('\n', 1)[0]}\n`)
    }
  }
}

/** A browser that remembers nothing. */
export function launch(switches = []) {
  const args = [...SWITCHES, ...switches]
  return started(() => chromium.launch({ executablePath: PROGRAM, args, headless: true }))
}

/**
 * A browser whose profile is a folder, with all that sites have stored. `kill` ends all its processes at once.
 */
export async function launchKillable(folder) {
  const args = [
    ...SWITCHES,
    '--headless',
    '--remote-debugging-port=0',
    `--user-data-dir=${folder}`,
    '--no-first-run',
  ]
  const { child, exited, address } = await started(async () => {
    // A group of its own, so that its processes can be killed together.
    const child = spawn(PROGRAM, args, { detached: true, stdio: ['ignore', 'ignore', 'pipe'] })
    const exited = once(child, 'exit')
    return { child, exited, address: await endpoint(child) }
  })
  const browser = await chromium.connectOverCDP(address)
  const context = browser.contexts()[0]
  const kill = async () => {
    if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid, 'SIGKILL')
    await exited
    await browser.close().catch(() => {})
  }
  return { context, kill }
}

/** Where a browser that has just started can be talked to. */
function endpoint(child) {
  let text = ''
  return new Promise((resolve, reject) => {
    child.on('exit', () => reject(new Error(`Chromium ended: ${text}`)))
    child.stderr.setEncoding('utf8').on('data', part => {
      text += part
      const found = /DevTools listening on (\S+)/.exec(text)
      if (found !== null) resolve(found[1])
    })
  })
}
