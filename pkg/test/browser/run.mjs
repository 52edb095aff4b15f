// The package's tests in Chromium, from the packed tarball: node pkg/test/browser/run.mjs [--place NAME] [--kills COUNT] [--seed N] [FILE...]
//
// Each place is a thread and a storage; the same tests are run in all of them. Then browsers are killed that write.
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { build } from '../../scripts/build.mjs'
import { pkg, run, say } from '../../scripts/tools.mjs'
import { install, pack } from '../install.mjs'
import { bundleSuite } from './bundle.mjs'
import { launch, serve } from './chromium.mjs'
import { killTest } from './kill.mjs'

/** The files of which most tests are about the store, wherever it is. */
const FILES = [
  'api',
  'txn',
  'watch',
  'lease',
  'compaction',
  'errors',
  'options',
  'storage',
  'durability',
  'calls',
  'copies',
  'pins',
].map(name => `${name}.test.mjs`)

/** A test that takes longer is named, in milliseconds. */
const SLOW = 1500

/** The files of a place that has not all of them. */
const DURABLE = ['txn', 'watch', 'durability'].map(name => `${name}.test.mjs`)

const PLACES = [
  { name: 'memory in a page', thread: 'page', storage: 'memory' },
  { name: 'OPFS in a worker', thread: 'worker', storage: 'opfs' },
  { name: 'OPFS from a page', thread: 'page', storage: 'opfs', durability: 'relaxed' },
  { name: 'IndexedDB in a worker', thread: 'worker', storage: 'indexeddb' },
  { name: 'IndexedDB from a page', thread: 'page', storage: 'indexeddb' },
  { name: 'OPFS as a follower', thread: 'page', storage: 'opfs', durability: 'relaxed', role: 'follower' },
  // What differs from the other storage is when a write is durable: these files are about that.
  { name: 'IndexedDB as a follower', thread: 'page', storage: 'indexeddb', role: 'follower', files: DURABLE },
]

/** What writes while a browser is killed: a page for each storage. Several browsers at once, each with a profile of its own. */
const KILLED = { storages: ['opfs', 'indexeddb'], lanes: 3 }

/** Tests that drive browsers from outside; each is a place, too. */
const DRIVEN = ['frames', 'pages', 'tabs', 'takeover', 'bundlers']

async function inPlace(browser, origin, plan) {
  const context = await browser.newContext()
  try {
    const page = await context.newPage()
    page.on('console', message => say(`  [page] ${message.text()}`))
    page.on('pageerror', error => say(`  [page] ${error.stack}`))
    await page.goto(origin)
    return await page.evaluate(async plan => {
      const suite = await import('/suite.js')
      return plan.thread === 'worker' ? suite.runInWorker(plan) : suite.run(plan)
    }, plan)
  } finally {
    await context.close()
  }
}

/** Tells what failed. Answers how many passed and how many did not. */
function report({ name }, { outcomes, unknown }, millis) {
  const failed = outcomes.filter(({ error }) => error !== undefined)
  for (const { file, name: test, error } of failed)
    say(`not ok - ${name}: ${file}: ${test}\n${error.replace(/^/gm, '    ')}`)
  for (const test of unknown) say(`not ok - ${name}: no test is called "${test}", which is to be left out`)
  const slow = outcomes.filter(({ ms }) => ms > SLOW)
  for (const { file, name: test, ms } of slow) say(`  ${name}: ${file}: ${test}: ${(ms / 1000).toFixed(1)} s`)
  const passed = outcomes.length - failed.length
  say(`${name}: ${passed} passed, ${failed.length} failed (${(millis / 1000).toFixed(1)} s)`)
  return { passed, failed: failed.length + unknown.length }
}

/** The same tests in every place, at the same time: most of them wait for something. */
async function suites({ origin, ending, place, files }) {
  const browser = await launch()
  ending.unshift(() => browser.close())
  const sums = { passed: 0, failed: 0 }
  const ran = PLACES.filter(({ name }) => place === undefined || name === place).map(async plan => {
    const began = performance.now()
    const outcome = await inPlace(browser, origin, {
      ...plan,
      only: files.length > 0 ? files : (plan.files ?? []),
    })
    const { passed, failed } = report(plan, outcome, performance.now() - began)
    sums.passed += passed
    sums.failed += failed
  })
  await Promise.all(ran)
  return sums
}

/** Answers as `suites` does. */
async function kills({ origin, folder, kills, seed }) {
  const name = `kills (--kills ${kills} --seed ${seed})`
  const began = performance.now()
  try {
    const acknowledged = await killTest({ folder, origin, ...KILLED, kills, seed })
    const time = ((performance.now() - began) / 1000).toFixed(1)
    say(
      `${name}: ${kills} browsers killed in writing, ${acknowledged} writes acknowledged and found (${time} s)`,
    )
    return { passed: 1, failed: 0 }
  } catch (error) {
    say(`not ok - ${name}\n${error.stack}`)
    return { passed: 0, failed: 1 }
  }
}

/** The tests that drive pages from outside, and those of programs that people build. They say themselves how many have passed. */
async function driven({ origin, installed, seed, names }) {
  const env = {
    ...process.env,
    PALIMPSEST_ORIGIN: origin,
    PALIMPSEST_INSTALLED: installed,
    PALIMPSEST_SEED: seed,
  }
  const files = names.map(name => join(pkg, 'test', 'browser', `${name}.test.mjs`))
  const args = ['--test', '--test-timeout=90000', '--test-reporter=tap', ...files]
  return run(process.execPath, args, { env }).then(
    () => ({ passed: 0, failed: 0 }),
    () => ({ passed: 0, failed: 1 }),
  )
}

async function main({ place, kills: count, seed, files }) {
  await build()
  const folder = mkdtempSync(join(tmpdir(), 'palimpsest-kv-browser-'))
  const ending = [() => rmSync(folder, { recursive: true, force: true })]
  try {
    const installed = join(folder, 'user')
    install(installed, pack(folder))
    cpSync(join(pkg, 'test'), join(installed, 'test'), { recursive: true })
    const { origin, close } = await serve(await bundleSuite(installed, FILES))
    ending.unshift(close)
    const isWhole = files.length === 0
    const sums = [await suites({ origin, ending, place, files })]
    // One after the other, since at the same time they would slow each other down.
    const names = DRIVEN.filter(name => isWhole && [undefined, name].includes(place))
    if (names.length > 0) sums.push(await driven({ origin, installed, seed, names }))
    if (isWhole && [undefined, 'kills'].includes(place) && count > 0)
      sums.push(await kills({ origin, folder, kills: count, seed }))
    const sum = what => sums.reduce((sum, part) => sum + part[what], 0)
    say(`# pass ${sum('passed')}\n# fail ${sum('failed')}`)
    if (sum('failed') > 0) process.exitCode = 1
  } finally {
    for (const end of ending) await end()
  }
}

const text = { type: 'string' }
const { values, positionals } = parseArgs({
  options: { place: text, kills: { ...text, default: '12' }, seed: { ...text, default: '1' } },
  allowPositionals: true,
})
const numbers = { kills: Number(values.kills), seed: Number(values.seed) }
await main({ place: values.place, ...numbers, files: positionals }).catch(error => {
  process.stderr.write(`${error.stack}\n`)
  process.exitCode = 1
})
