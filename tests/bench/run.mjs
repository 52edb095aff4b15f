// Measures the engine, its npm package and its peers in one run, prints tables and writes target/bench/native.json.
// Every round runs every engine once, so that a disturbance of the machine hits all of them alike.

import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, platform, release, tmpdir, totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

import { build } from './report/build.mjs'
import { measure, Samples } from './report/measure.mjs'
import { engines as allEngines, jobs, peerNotes, sizes } from './report/plan.mjs'
import { judge, loadsThen, ratios, rows } from './report/rows.mjs'
import { comparison, ratioTable, targetTable } from './report/tables.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const root = join(here, '..', '..')

const usage = `usage: node tests/bench/run.mjs [--quick] [--only engine,...] [--runs N] [--dir FOLDER]
  --quick   a tenth of the size: to see that all works, and to compare, not to judge by
  --only    of ${allEngines.join(', ')}
  --runs    rounds, at least 1; 3 by default
  --dir     where files are made; the system's temporary folder by default`

class Misuse extends Error {}

function readArguments() {
  const options = {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', default: allEngines.join(',') },
    runs: { type: 'string', default: '3' },
    dir: { type: 'string', default: tmpdir() },
    help: { type: 'boolean', default: false },
  }
  let values
  try {
    ;({ values } = parseArgs({ options }))
  } catch (error) {
    throw new Misuse(error.message)
  }
  const only = values.only.split(',')
  const unknown = only.find(engine => !allEngines.includes(engine))
  if (unknown !== undefined) throw new Misuse(`there is no engine ${unknown}`)
  const runs = Number(values.runs)
  if (!Number.isInteger(runs) || runs < 1) throw new Misuse('--runs takes a whole number from 1')
  return { ...values, only: allEngines.filter(engine => only.includes(engine)), runs }
}

function machine() {
  const processors = cpus()
  return {
    processor: processors[0]?.model ?? 'unknown',
    threads: processors.length,
    memoryBytes: totalmem(),
    system: `${platform()} ${release()}`,
    node: process.version,
    loadAverage: loadavg()[0],
  }
}

const say = line => process.stderr.write(`bench: ${line}\n`)

async function collect(options, skipped) {
  const skip = (engine, why) => {
    skipped[engine] = why
    say(`${engine} is left out: ${why}`)
  }
  const programs = build(options.only, { root, here, say, skip })
  const size = options.quick ? sizes.quick : sizes.full
  const samples = new Samples()
  for (let run = 1; run <= options.runs; run += 1) {
    for (const engine of options.only) {
      for (const job of engine in skipped ? [] : jobs(engine, size, options.dir)) {
        if (job.once && run > 1) continue
        say(`round ${run} of ${options.runs}: ${[engine, job.program, ...job.args].join(' ')}`)
        try {
          samples.add(job.column, job.prefixes, await measure(programs[job.program], job.args))
        } catch (error) {
          skip(engine, error.message)
          break
        }
      }
    }
  }
  const summary = samples.summary()
  if (Object.keys(summary).length === 0) throw new Error('nothing could be measured')
  return summary
}

function report(options, summary, skipped) {
  const ours = ['memory', 'file'].filter(column => summary[column])
  const peers = ['etcd', 'redb', 'fjall', 'lmdb'].filter(column => summary[column])
  const result = {
    size: options.quick ? sizes.quick : sizes.full,
    keyBytes: 33,
    valueBytes: 128,
    cacheBytes: 2 ** 30,
    runs: options.runs,
    machine: machine(),
    engines: summary,
    ratios: ratios(summary, ours, peers),
    targets: judge(summary, !options.quick),
    skipped,
    notes: Object.fromEntries(peers.map(peer => [peer, peerNotes[peer]])),
  }
  const folder = join(root, 'target', 'bench')
  mkdirSync(folder, { recursive: true })
  const file = join(folder, 'native.json')
  rmSync(file, { force: true })
  writeFileSync(file, `${JSON.stringify(result, null, 2)}\n`)
  print(result, { ours, peers })
  console.log(`\nwritten to target/bench/native.json`)
}

function print(result, { ours, peers }) {
  const { keys, puts } = result.size
  const { processor, threads, loadAverage } = result.machine
  console.log(
    `\n${processor}, ${threads} threads, load ${loadAverage.toFixed(1)}; ${puts} puts, one a transaction, over ${keys}` +
      ` keys of 33 B, values of 128 B; caches of 1 GiB; synced within 100 ms; ${result.runs} runs\n`,
  )
  printLoads(result.engines.machine)
  console.log(comparison(result.engines, rows, [...ours, ...peers]))
  for (const peer of peers) console.log(`${peer}: ${result.notes[peer]}`)
  if (ours.length > 0 && peers.length > 0)
    console.log(`\n${ratioTable(result.ratios, rows, { ours, peers })}`)
  if (result.engines.npm) {
    const npm = Object.keys(result.engines.npm).map(metric => ({ label: metric, metric, unit: '' }))
    console.log(`\n${comparison(result.engines, npm, ['npm'])}`)
  }
  console.log(`\n${targetTable(result.targets)}`)
  if (puts !== sizes.full.puts) console.log('the targets are about the full size: this was a quick run')
  for (const [engine, why] of Object.entries(result.skipped)) console.log(`left out: ${engine}: ${why}`)
}

/** How far the machine is from the quiet one that the targets were set by. */
function printLoads(loads) {
  if (!loads) return
  const sets = Object.keys(loadsThen)
  const list = of => sets.map(set => of(set).toFixed(1)).join(' / ')
  console.log(
    `a load that waits for the one before it, within 32 KiB / 16 MiB / 256 MiB: ${list(set => loads[set].median)} ns` +
      ` (the quiet machine that the targets were set by: ${list(set => loadsThen[set])} ns)\n`,
  )
}

try {
  const options = readArguments()
  if (options.help) {
    console.log(usage)
  } else {
    const skipped = {}
    report(options, await collect(options, skipped), skipped)
    // A target missed is shown; an engine of ours that can't be measured is a failure.
    if (options.only.includes('native') && 'native' in skipped) process.exitCode = 1
  }
} catch (error) {
  say(error.message)
  if (error instanceof Misuse) console.error(usage)
  process.exitCode = error instanceof Misuse ? 2 : 1
}
