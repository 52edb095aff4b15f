// Debian's Chromium without a window, and the server of what it loads.
import { createReadStream, existsSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { extname, join, normalize } from 'node:path'
import { root } from '../../scripts/tools.mjs'

const { chromium } = createRequire(join(root, 'package.json'))('playwright-core')

const TYPES = { '.mjs': 'text/javascript', '.js': 'text/javascript', '.wasm': 'application/wasm', '.html': 'text/html' }
const PAGE = '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>tests</title>'

/** Serves a folder to this machine; every path without a file is an empty page. Answers its origin and how to end it. */
export async function serve(folder) {
  const server = createServer((request, response) => {
    const path = join(folder, normalize(new URL(request.url, 'http://localhost').pathname))
    const type = TYPES[extname(path)]
    if (type === undefined || !existsSync(path)) {
      response.writeHead(200, { 'content-type': 'text/html' }).end(PAGE)
      return
    }
    response.writeHead(200, { 'content-type': type })
    createReadStream(path).pipe(response)
  })
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
  const close = () => new Promise(resolve => server.close(resolve).closeAllConnections())
  return { origin: `http://127.0.0.1:${server.address().port}`, close }
}

/** Root, as in containers, can't have Chromium's sandbox; the pages are our own. */
const OPTIONS = { executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'], headless: true }

/** A browser that remembers nothing. */
export function launch() {
  return chromium.launch(OPTIONS)
}

/** A browser with a profile that is a folder, with all that sites have stored. */
export function launchWithProfile(folder) {
  return chromium.launchPersistentContext(folder, OPTIONS)
}
