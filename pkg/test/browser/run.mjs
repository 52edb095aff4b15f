// The package's tests in Chromium, from the packed tarball: node pkg/test/browser/run.mjs [--place NAME] [FILE...]
//
// Each place is a thread and a storage; the same tests are run in all of them.
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { build } from '../../scripts/build.mjs'
import { pkg, say } from '../../scripts/tools.mjs'
import { install, pack } from '../install.mjs'
import { bundleSuite } from './bundle.mjs'
import { launch, serve } from './chromium.mjs'

/** The files of which most tests are about the store, wherever it is. */
const FILES = ['api', 'txn', 'watch', 'lease', 'compaction', 'errors', 'options', 'storage', 'durability'].map(
  name => `${name}.test.mjs`,
)

/** A test that takes longer is named, in milliseconds. */
const SLOW = 1500

const PLACES = [
  { name: 'memory in a page', thread: 'page', storage: 'memory' },
  { name: 'OPFS in a worker', thread: 'worker', storage: 'opfs' },
  { name: 'OPFS from a page', thread: 'page', storage: 'opfs' },
]

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
  for (const { file, name: test, error } of failed) say(`not ok - ${name}: ${file}: ${test}\n${error.replace(/^/gm, '    ')}`)
  for (const test of unknown) say(`not ok - ${name}: no test is called "${test}", which is to be left out`)
  const slow = outcomes.filter(({ ms }) => ms > SLOW)
  for (const { file, name: test, ms } of slow) say(`  ${name}: ${file}: ${test}: ${(ms / 1000).toFixed(1)} s`)
  const passed = outcomes.length - failed.length
  say(`${name}: ${passed} passed, ${failed.length} failed (${(millis / 1000).toFixed(1)} s)`)
  return { passed, failed: failed.length + unknown.length }
}

async function main({ place, files }) {
  await build()
  const folder = mkdtempSync(join(tmpdir(), 'palimpsest-kv-browser-'))
  const ending = [() => rmSync(folder, { recursive: true, force: true })]
  try {
    const installed = join(folder, 'user')
    install(installed, pack(folder))
    cpSync(join(pkg, 'test'), join(installed, 'test'), { recursive: true })
    const server = await serve(await bundleSuite(installed, FILES))
    ending.unshift(server.close)
    const browser = await launch()
    ending.unshift(() => browser.close())
    const sums = { passed: 0, failed: 0 }
    for (const plan of PLACES.filter(({ name }) => place === undefined || name === place)) {
      const began = performance.now()
      const outcome = await inPlace(browser, server.origin, { ...plan, only: files })
      const { passed, failed } = report(plan, outcome, performance.now() - began)
      sums.passed += passed
      sums.failed += failed
    }
    say(`# pass ${sums.passed}\n# fail ${sums.failed}`)
    if (sums.failed > 0) process.exitCode = 1
  } finally {
    for (const end of ending) await end()
  }
}

const { values, positionals } = parseArgs({ options: { place: { type: 'string' } }, allowPositionals: true })
await main({ place: values.place, files: positionals }).catch(error => {
  process.stderr.write(`${error.stack}\n`)
  process.exitCode = 1
})
