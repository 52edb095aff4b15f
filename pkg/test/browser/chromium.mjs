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

/** A browser that remembers nothing. */
export function launch(switches = []) {
  return chromium.launch({ executablePath: PROGRAM, args: [...SWITCHES, ...switches], headless: true })
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
  // A group of its own, so that its processes can be killed together.
  const child = spawn(PROGRAM, args, { detached: true, stdio: ['ignore', 'ignore', 'pipe'] })
  const exited = once(child, 'exit')
  const browser = await chromium.connectOverCDP(await endpoint(child))
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
