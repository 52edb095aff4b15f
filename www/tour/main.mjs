/**
 * `npm start`: a tour of the store on real data, and then the inspector, a page that shows all of it.
 *
 * `--file PATH` keeps the store at PATH, which must not exist yet; else it lies in a temporary folder and is removed.
 * `--json` prints what was found as one JSON object on stdout, and the tour itself on stderr.
 * The page is served where somebody sees it, in a terminal; `--serve` and `--no-serve` say so or not in any case.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { PalimpsestError } from 'palimpsest-kv'
import { Disproved } from './proof.mjs'
import { Terminal } from './terminal.mjs'
import { tour } from './tour.mjs'

const USAGE = 'Usage: npm start -- [--json] [--file PATH] [--serve | --no-serve]'

/** Removes the temporary folder however the process ends. */
function temporaryFile() {
  const folder = mkdtempSync(join(tmpdir(), 'palimpsest-tour-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  process.once('SIGINT', () => process.exit(130))
  process.once('SIGTERM', () => process.exit(143))
  return join(folder, 'tour.plm')
}

function readArguments() {
  try {
    const {
      json,
      file,
      serve,
      'no-serve': noServe,
    } = parseArgs({
      options: {
        json: { type: 'boolean' },
        file: { type: 'string' },
        serve: { type: 'boolean' },
        'no-serve': { type: 'boolean' },
      },
    }).values
    if (serve && (noServe || json)) {
      throw new Error(`--serve does not go with ${json ? '--json' : '--no-serve'}.`)
    }
    if (file !== undefined && existsSync(file)) {
      throw new Error(`${file} exists already; the tour needs a file of its own.`)
    }
    return { json, file, isServed: serve || (!noServe && !json && terminal.isLive) }
  } catch (error) {
    process.stderr.write(`${error.message}\n${USAGE}\n`)
    process.exit(2)
  }
}

/** Serves the inspector until the process is ended. */
async function serve() {
  const { buildInspector, serveInspector } = await import('../inspector/serve.mjs')
  terminal.draw('   building the inspector …')
  await buildInspector()
  const { address } = await serveInspector()
  terminal.line(`\nSee it work: ${address} (Ctrl-C ends it.)`)
}

const terminal = new Terminal(process.argv.includes('--json') ? process.stderr : process.stdout)
const { json, file, isServed } = readArguments()
try {
  const facts = await tour(terminal, file === undefined ? temporaryFile() : resolve(file))
  if (json) process.stdout.write(`${JSON.stringify(facts)}\n`)
  else if (file !== undefined) terminal.line(`\nThe store is in ${file}.`)
  if (isServed) await serve()
} catch (error) {
  if (!(error instanceof Disproved || error instanceof PalimpsestError)) throw error
  terminal.line(terminal.style('red', error.message))
  process.exitCode = 1
}
