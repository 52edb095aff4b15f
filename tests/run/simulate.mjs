/**
 * `npm run simulate`: simulates stores on faulty media, natively, or with `--wasm` as WebAssembly in this Node.
 *
 * `--compare N` runs N seeds both ways and fails if any of them differs in anything. `--quick` takes the build of the tests
 * instead of a faster one. Everything else is the simulator's: `npm run simulate -- --help`.
 */
import { spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Terminal } from '../../www/tour/terminal.mjs'
import { builtProgram, environment, Failed, NATIVE, ROOT, run, runAll, TARGET } from './exec.mjs'
import { Missing, setUp, wasmBindgenFolder } from './setup.mjs'

const CRATE = 'palimpsest-kv-simulator'
const WASM = 'wasm32-unknown-unknown'
const GLUE = join(TARGET, 'simulator')
/** Progress is told after so many runs. */
const PULSE = 100

const terminal = new Terminal(process.stdout)

const { values: own, tokens } = parseArgs({
  options: { wasm: { type: 'boolean' }, compare: { type: 'string' }, quick: { type: 'boolean' } },
  strict: false,
  tokens: true,
})
/** What is not ours is the simulator's. */
const rest = tokens
  .filter(token => token.kind !== 'option' || !['wasm', 'compare', 'quick'].includes(token.name))
  .flatMap(token => process.argv.slice(2).slice(token.index, token.index + 1))
const profile = own.quick ? 'dev' : 'simulation'
const folder = own.quick ? 'debug' : profile

async function buildNative() {
  await setUp(terminal, ['rust', 'linker'])
  const command = ['cargo', 'build', '--profile', profile, ...NATIVE, '--bin', 'simulate']
  await runAll(terminal, { title: 'building the simulator', log: 'simulator', commands: [{ command }] })
  return builtProgram(folder, 'simulate')
}

/** The simulation as WebAssembly: functions from a seed to what was done, by whether every change is looked at. */
async function buildWasm() {
  await setUp(terminal, ['rust', 'linker', WASM, 'wasm-bindgen'])
  mkdirSync(GLUE, { recursive: true })
  // The glue is CommonJS, and the project's own manifest says that everything is a module.
  writeFileSync(join(GLUE, 'package.json'), '{ "type": "commonjs" }')
  const wasm = join(TARGET, WASM, folder, `${CRATE.replaceAll('-', '_')}.wasm`)
  const commands = [
    { command: ['cargo', 'build', '--profile', profile, '-p', CRATE, '--lib', '--target', WASM] },
    { command: [join(wasmBindgenFolder(), 'wasm-bindgen'), '--target', 'nodejs', '--out-dir', GLUE, wasm] },
  ]
  await runAll(terminal, { title: 'building the simulator for wasm', log: 'simulator-wasm', commands })
  const name = `${CRATE.replaceAll('-', '_')}.js`
  const { simulate, simulateEvery } = createRequire(import.meta.url)(join(GLUE, name))
  return every => (every ? simulateEvery : simulate)
}

/** One seed's line, as the native simulator prints it with `--list`. */
function line(simulates, seed, every) {
  try {
    return [seed, ...simulates(every)(BigInt(seed))].join(' ')
  } catch (error) {
    const again = `npm run simulate -- --wasm${every ? ' --every' : ''} --seed ${seed}`
    throw new Missing(`seed ${seed} failed: ${error.message}\nagain: ${again}`)
  }
}

/** The arguments that the simulation as WebAssembly takes. */
function wasmArguments() {
  const text = { type: 'string' }
  try {
    return parseArgs({
      args: rest,
      options: { seed: text, runs: text, minutes: text, every: { type: 'boolean', default: false } },
    }).values
  } catch (error) {
    throw new Missing(`${error.message}\nwith --wasm: --seed N, --runs N, --minutes M, --every`)
  }
}

async function inWasm() {
  const values = wasmArguments()
  const simulates = await buildWasm()
  const first = Number(values.seed ?? 0)
  const runs = Number(
    values.runs ?? (values.minutes === undefined && values.seed !== undefined ? 1 : Infinity),
  )
  const end = performance.now() + (runs === Infinity ? Number(values.minutes ?? 1) * 60_000 : Infinity)
  const done = [0, 0]
  let seed = first
  for (; seed < first + runs && performance.now() < end; seed += 1) {
    const [, operations, crashes] = line(simulates, seed, values.every).split(' ').map(Number)
    done[0] += operations
    done[1] += crashes
    if ((seed - first + 1) % PULSE === 0) terminal.line(`${seed - first + 1} runs, ${done[0]} operations`)
  }
  terminal.line(`passed: ${seed - first} runs, ${done[0]} operations, ${done[1]} crashes in WebAssembly`)
}

async function comparing() {
  const native = await buildNative()
  const simulates = await buildWasm()
  const every = rest.includes('--every')
  const command = [native, '--list', '--threads', '1', '--runs', own.compare, ...(every ? ['--every'] : [])]
  const { stdout, output, code, signal } = await run(command)
  if (code !== 0) throw new Failed('simulate', { output, code, signal })
  const lines = stdout.trim().split('\n')
  for (const expected of lines) {
    const found = line(simulates, Number(expected.split(' ')[0]), every)
    if (found !== expected) throw new Missing(`natively ${expected}\nas WebAssembly ${found}`)
  }
  terminal.line(`passed: ${lines.length} runs are the same natively and as WebAssembly, to the last byte`)
}

async function natively() {
  const native = await buildNative()
  const child = spawn(native, rest, { cwd: ROOT, env: environment(), stdio: 'inherit' })
  child.on('exit', code => (process.exitCode = code ?? 1))
}

try {
  if (own.compare !== undefined) await comparing()
  else if (own.wasm) await inWasm()
  else await natively()
} catch (error) {
  if (error instanceof Failed) terminal.raw(error.output)
  else if (!(error instanceof Missing) && error.code !== 'ENOENT') throw error
  terminal.line(error.message)
  process.exitCode = 1
}
