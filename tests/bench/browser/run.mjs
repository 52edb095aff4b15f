// `npm run bench:browser`: the engine and its peers in Chromium, in one run. Prints tables and writes target/bench/browser.json.
// Every round runs every engine once, so that a disturbance of the machine hits all of them alike.

import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { cpus, loadavg, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

import { launchKillable, serve } from '../../../pkg/test/browser/chromium.mjs'
import { Samples } from '../report/measure.mjs'
import { judge, ratios } from '../report/rows.mjs'
import { comparison, ratioTable, targetTable } from '../report/tables.mjs'
import { frameRows, jobs, ours, peerNotes, peers, rows, sizes, targets, withBest } from './plan.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const root = join(here, '..', '..', '..')
const usage = `usage: npm run bench:browser -- [--quick | --smoke] [--runs N] [--only PATTERN]
  --quick   a tenth of the size: to see that all works, and to compare, not to judge by
  --smoke   as little as shows that all of it runs
  --runs    rounds, at least 1; 3 by default
  --only    a regular expression for column and job: 'strict|raw'`

const say = line => process.stderr.write(`bench: ${line}\n`)

function readArguments() {
  const flag = { type: 'boolean', default: false }
  const options = { quick: flag, smoke: flag, help: flag, runs: { type: 'string' }, only: { type: 'string' } }
  const { values } = parseArgs({ options })
  const size = values.smoke ? 'smoke' : values.quick ? 'quick' : 'full'
  const runs = Number(values.runs ?? (values.smoke ? 1 : 3))
  if (!Number.isInteger(runs) || runs < 1) throw new Error(`--runs takes a whole number from 1\n${usage}`)
  return { help: values.help, only: values.only ?? '', size, runs }
}

/** Page and worker with the package's entry for browsers, as bundlers would make them. */
async function bundle(outdir) {
  const { build } = createRequire(join(root, 'package.json'))('esbuild')
  await build({
    entryPoints: ['page', 'worker'].map(name => join(here, `${name}.mjs`)),
    outdir,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'browser',
    conditions: ['browser', 'import'],
    logLevel: 'error',
  })
  // SQLite looks for its wasm beside the module that it is in.
  const sqlite = dirname(createRequire(join(here, 'run.mjs')).resolve('@sqlite.org/sqlite-wasm/sqlite3.wasm'))
  cpSync(join(sqlite, 'sqlite3.wasm'), join(outdir, 'sqlite3.wasm'))
}

/** Only what a row shows, under the row's name. */
function named(measured, names) {
  if (names === undefined) return measured
  const shown = Object.entries(measured).filter(([metric]) => metric in names)
  return Object.fromEntries(
    shown.map(([metric, value]) => [names[metric] === true ? metric : names[metric], value]),
  )
}

async function collect(page, { size, runs, only }) {
  const samples = new Samples()
  for (let round = 1; round <= runs; round += 1) {
    for (const { column, thread, job, options, names } of jobs(sizes[size], round)) {
      if (!new RegExp(only).test(`${column} ${job}`)) continue
      say(`round ${round} of ${runs}: ${column}: ${job} in a ${thread}`)
      const measured = await page.evaluate(async plan => (await import('/page.js')).measure(plan), {
        thread,
        job,
        options,
      })
      samples.add(column, [''], named(measured, names))
    }
  }
  return samples.summary()
}

function print(result) {
  const { engines, runs, machine, size } = result
  const { keys } = size
  console.log(
    `\n${machine.browser}; ${machine.processor}, ${machine.threads} threads, load ${machine.loadAverage.toFixed(1)};` +
      ` ${keys} keys of 16 B, values of 100 B; ${runs} runs\n`,
  )
  const columns = [...ours, ...peers, 'raw opfs', 'raw indexeddb'].filter(column => engines[column])
  console.log(comparison(engines, rows, columns))
  for (const [peer, note] of Object.entries(peerNotes)) if (engines[peer]) console.log(`${peer}: ${note}`)
  const [mine, others] = [ours, peers].map(list => list.filter(column => engines[column]))
  if (mine.length > 0 && others.length > 0)
    console.log(`\n${ratioTable(result.ratios, rows, { ours: mine, peers: others })}`)
  if (engines['ours memory']) console.log(`\n${comparison(engines, frameRows, ['ours memory'])}`)
  console.log(`\n${targetTable(result.targets)}`)
  if (size !== sizes.full) console.log('the targets are about the full size: this was a smaller run')
}

function report(summary, { size, runs, browser }) {
  const result = {
    size: sizes[size],
    runs,
    machine: {
      browser,
      processor: cpus()[0]?.model ?? 'unknown',
      threads: cpus().length,
      loadAverage: loadavg()[0],
    },
    engines: summary,
    ratios: ratios(summary, ours, peers, rows),
    targets: judge(withBest(summary), false, targets),
    notes: peerNotes,
  }
  print(result)
  if (size === 'smoke') return
  mkdirSync(join(root, 'target', 'bench'), { recursive: true })
  writeFileSync(join(root, 'target', 'bench', 'browser.json'), `${JSON.stringify(result, null, 2)}\n`)
  console.log('\nwritten to target/bench/browser.json')
}

async function main() {
  const options = readArguments()
  if (options.help) return console.log(usage)
  const folder = mkdtempSync(join(tmpdir(), 'palimpsest-bench-'))
  const ending = [() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 })]
  try {
    const served = join(folder, 'served')
    await bundle(served)
    const { origin, close } = await serve(served)
    ending.unshift(close)
    // A profile on the disk: without one, a browser keeps what sites store in memory.
    const { context, kill } = await launchKillable(join(folder, 'profile'))
    ending.unshift(kill)
    const page = await context.newPage()
    page.on('console', message => say(`the page: ${message.text()}`))
    await page.goto(origin)
    const browser = await page.evaluate(() => /Chrome\/[\d.]+/.exec(navigator.userAgent)[0])
    report(await collect(page, options), { ...options, browser })
  } finally {
    for (const end of ending) await end()
  }
}

try {
  await main()
} catch (error) {
  say(error.stack)
  process.exitCode = 1
}
