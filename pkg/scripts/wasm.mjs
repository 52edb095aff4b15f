// Rust to wasm: cargo, then wasm-bindgen, then wasm-opt.
import { mkdirSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { hashOf, onChange } from './stamp.mjs'
import {
  cargoTarget,
  ensureWasmBindgen,
  ensureWasmTarget,
  npmScript,
  output,
  root,
  run,
  say,
  step,
  WASM_TARGET,
  wasmBindgenVersion,
} from './tools.mjs'

const CRATE = 'palimpsest-kv-wasm'
const NAME = 'palimpsest'

/**
 * Leaves out folders of this machine that would otherwise stand in the messages of panics. Not for what is only tested: with other flags
 * cargo compiles all packages once more.
 */
function remapped() {
  const cargoHome = process.env.CARGO_HOME ?? join(homedir(), '.cargo')
  const crates = join(cargoHome, 'registry', 'src')
  const flags = [`--remap-path-prefix=${crates}=crates`, `--remap-path-prefix=${root}=.`]
  const inherited = process.env.CARGO_ENCODED_RUSTFLAGS?.split('\x1f') ?? []
  return { CARGO_ENCODED_RUSTFLAGS: [...inherited, ...flags].join('\x1f') }
}

/**
 * How cargo builds what is shipped, what is shipped to browsers, and what is only tested; and the folders it builds them into. Browsers
 * get the engine optimised for speed, too: for size it is a sixth smaller, but gets and opening take nearly twice as long, and puts a quarter to a half longer.
 */
const PROFILES = {
  release: { args: ['--release'], folder: 'release' },
  // Salvaging, and importing etcd's snapshots, is for those who have the files.
  browser: { args: ['--release', '--no-default-features', '--features', 'exchange'], folder: 'release' },
  dev: { args: [], folder: 'debug' },
}

async function compile(features, profile) {
  const args = ['build', ...PROFILES[profile].args, '--package', CRATE, '--target', WASM_TARGET]
  if (features.length > 0) args.push('--features', features.join(','))
  await run('cargo', args, { env: { ...process.env, ...(profile === 'dev' ? {} : remapped()) } })
  return join(cargoTarget(), WASM_TARGET, PROFILES[profile].folder, `${CRATE.replaceAll('-', '_')}.wasm`)
}

/** What wasm-bindgen makes glue for. In a browser the package finds the wasm itself. */
const HOSTS = {
  node: ['--target', 'nodejs'],
  browser: ['--target', 'web', '--omit-default-module-path'],
}

async function bind(wasm, { folder, host }) {
  const programs = await ensureWasmBindgen()
  const args = [...HOSTS[host], '--no-typescript', '--out-name', NAME, '--out-dir', folder]
  await run(join(programs, 'wasm-bindgen'), [
    ...args,
    '--remove-name-section',
    '--remove-producers-section',
    wasm,
  ])
}

async function optimise(wasm) {
  const optimised = `${wasm}.opt`
  // The features come from the section `target_features`, which the compiler wrote and every step keeps.
  const args = [npmScript('binaryen', 'bin/wasm-opt'), wasm, '-O3', '--output', optimised]
  await run(process.execPath, args)
  renameSync(optimised, wasm)
}

/**
 * Builds the engine with its glue for a host into `folder`, unless nothing has changed. The profile `dev` is quick to build and slow to
 * run: for tests.
 * @param {string} folder
 * @param {{ features?: string[], profile?: keyof typeof PROFILES, host?: keyof typeof HOSTS, stamp: string }} options
 */
export async function buildWasm(folder, { features = [], profile = 'release', host = 'node', stamp }) {
  const sources = [
    'Cargo.toml',
    'Cargo.lock',
    'core/Cargo.toml',
    'core/src',
    'bindings/Cargo.toml',
    'bindings/src',
  ]
  const inputs = [...sources, 'pkg/scripts/wasm.mjs'].map(path => join(root, path))
  const words = [output('rustc', ['-V']), wasmBindgenVersion(), profile, host, ...features]
  const outputs = [join(folder, `${NAME}.js`), join(folder, `${NAME}_bg.wasm`)]
  const isDone = await onChange({ stamp, hash: hashOf(inputs, words), outputs }, async () => {
    await ensureWasmTarget()
    const wasm = await step('cargo build', () => compile(features, profile))
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder, { recursive: true })
    await step('wasm-bindgen', () => bind(wasm, { folder, host }))
    if (profile !== 'dev') await step('wasm-opt', () => optimise(outputs[1]))
  })
  if (!isDone) say('= the wasm is up to date')
  return outputs[1]
}
