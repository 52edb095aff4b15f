/**
 * `npm test`: sets up what the steps need, runs them, and stops after the first that fails.
 *
 * The steps of a lane run in order, the two lanes beside each other where there are two processors. `--only a,b` runs only these
 * steps, `--list` names them.
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { seconds, since, Terminal } from '../../www/tour/terminal.mjs'
import { Failed, runAll } from './exec.mjs'
import { Missing, setUp } from './setup.mjs'
import { LANES, STEPS } from './steps.mjs'

const WIDTHS = { name: 11, result: 6, time: 12 }
const terminal = new Terminal(process.stdout)

/** How many tests cargo, Node's runner and wasm-bindgen's say have passed. */
function countTests(output) {
  const patterns = [/^test result: ok\. (\d+) passed/gm, /^(?:#|ℹ) pass (\d+)/gm]
  const counts = patterns.flatMap(pattern => [...output.matchAll(pattern)].map(match => Number(match[1])))
  return counts.reduce((sum, count) => sum + count, 0)
}

async function runStep(step) {
  const start = performance.now()
  const row = { name: step.name, about: step.about, result: 'failed', tests: 0, shown: '', ms: 0 }
  try {
    await setUp(terminal, step.needs)
    if (!terminal.isLive) terminal.line(`${step.name}: ${step.about} ...`)
    const output = await runAll(terminal, { title: step.name, log: step.name, commands: step.commands })
    row.tests = step.counts ? countTests(output) : 0
    if (step.counts && row.tests === 0) throw new Failed(step.name, { code: 0, signal: null, output })
    row.shown = step.shows?.exec(output)?.[1] ?? ''
    row.result = 'passed'
  } catch (error) {
    report(error)
  }
  row.ms = performance.now() - start
  terminal.line(rowText(row))
  return row
}

function report(error) {
  if (error instanceof Failed) {
    terminal.raw(error.output)
    const why = error.code === 0 ? 'no test ran' : error.message
    terminal.line(terminal.style('red', why))
  } else if (error instanceof Missing || error.code === 'ENOENT') {
    terminal.line(terminal.style('red', error.message))
  } else {
    throw error
  }
}

function rowText({ name, result, ms, tests, shown, about }) {
  const colour = result === 'passed' ? 'green' : 'red'
  const mark = terminal.style(colour, result.padEnd(WIDTHS.result))
  const found = tests === 0 ? shown : `${tests} tests`
  const line = `${name.padEnd(WIDTHS.name)} ${mark} ${seconds(ms).padStart(WIDTHS.time)}   ${about}`
  return found === '' ? line : `${line}: ${found}`
}

function chosenSteps() {
  const { values } = parseArgs({ options: { only: { type: 'string' }, list: { type: 'boolean' } } })
  if (values.list) {
    for (const { name, about } of STEPS) terminal.line(`${name.padEnd(WIDTHS.name)} ${about}`)
    return []
  }
  if (values.only === undefined) return STEPS
  const names = values.only.split(',')
  const unknown = names.filter(name => !STEPS.some(step => step.name === name))
  if (unknown.length > 0) {
    throw new Missing(
      `There is no step ${unknown.join(', ')}. Steps: ${STEPS.map(step => step.name).join(', ')}`,
    )
  }
  return STEPS.filter(step => names.includes(step.name))
}

/** Runs the steps of one lane until one fails, here or in the other lane. */
async function runLane(steps, rows) {
  for (const step of steps) {
    if (rows.some(row => row.result === 'failed')) return
    rows.push(await runStep(step))
  }
}

async function main() {
  const start = performance.now()
  const steps = chosenSteps()
  if (steps.length === 0) return
  const rows = []
  const isAlone = availableParallelism() === 1
  const lanes = isAlone ? [steps] : LANES.map(lane => steps.filter(step => step.lane === lane))
  await Promise.all(lanes.map(lane => runLane(lane, rows)))
  summarize(rows, steps.length, since(start))
  if (rows.some(row => row.result === 'failed')) process.exitCode = 1
}

function summarize(rows, planned, time) {
  const passed = rows.filter(row => row.result === 'passed').length
  const skipped = planned - rows.length
  if (rows.length > 1) {
    terminal.line(`\nAll of it took ${time}:`)
    for (const row of rows) terminal.line(rowText(row))
  }
  const rest = skipped === 0 ? '' : `, ${skipped} skipped`
  terminal.line(`\n${passed} passed, ${rows.length - passed} failed${rest}`)
}

try {
  await main()
} catch (error) {
  if (!(error instanceof Missing)) throw error
  terminal.line(error.message)
  process.exitCode = 1
}
