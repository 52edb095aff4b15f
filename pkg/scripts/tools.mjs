// The programs that a build needs: where they are, and how to get those that are missing.
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The repository's root. */
export const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
/** The package's folder. */
export const pkg = join(root, 'pkg')
/** The compile target of the engine. */
export const WASM_TARGET = 'wasm32-unknown-unknown'

const require = createRequire(join(root, 'package.json'))

/** Says one thing on one line. */
export function say(line) {
  process.stdout.write(`${line}\n`)
}

/** Runs a program to its end, its output going where ours goes; fails if it does. */
export function run(program, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: root, stdio: 'inherit', ...options })
    child.on('error', error => reject(new Error(`${program} can't be started: ${error.message}`)))
    child.on('exit', code => {
      if (code === 0) resolve(undefined)
      else reject(new Error(`${program} ${args.join(' ')} ended with ${code}`))
    })
  })
}

/** What a program prints. */
export function output(program, args) {
  return execFileSync(program, args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

/** Runs a step and says how long it took. */
export async function step(name, work) {
  const began = performance.now()
  say(`> ${name}`)
  const answer = await work()
  say(`  ${name}: ${((performance.now() - began) / 1000).toFixed(1)} s`)
  return answer
}

/** A script of an npm package in this repository's node_modules. */
export function npmScript(name, script) {
  let manifest
  try {
    manifest = require.resolve(`${name}/package.json`)
  } catch {
    throw new Error(`the npm package ${name} is not installed: run npm install in ${root}`)
  }
  return join(dirname(manifest), script)
}

/** The folder that cargo builds into. */
export function cargoTarget() {
  return JSON.parse(output('cargo', ['metadata', '--no-deps', '--format-version', '1'])).target_directory
}

/** Adds the compile target if it is missing. */
export async function ensureWasmTarget() {
  const libs = join(output('rustc', ['--print', 'sysroot']).trim(), 'lib', 'rustlib', WASM_TARGET)
  if (!existsSync(libs))
    await step(`rustup target add ${WASM_TARGET}`, () => run('rustup', ['target', 'add', WASM_TARGET]))
}

/** The version of the crate that the CLI must have, too: the two speak one protocol that changes with every release. */
export function wasmBindgenVersion() {
  const lock = readFileSync(join(root, 'Cargo.lock'), 'utf8')
  const version = /name = "wasm-bindgen"\nversion = "([^"]+)"/.exec(lock)?.[1]
  if (version === undefined) throw new Error('Cargo.lock names no wasm-bindgen')
  return version
}

/** The wasm-bindgen CLI in the project's own tools folder, installed there if it is missing. Answers the folder of its programs. */
export async function ensureWasmBindgen() {
  const version = wasmBindgenVersion()
  const home = join(root, 'target', 'tools', `wasm-bindgen-${version}`)
  const programs = join(home, 'bin')
  const suffix = process.platform === 'win32' ? '.exe' : ''
  if (!existsSync(join(programs, `wasm-bindgen${suffix}`))) {
    // Not --locked: the lock file of this release names a version of a crate that can't be had any more.
    const args = ['install', 'wasm-bindgen-cli', '--version', version, '--root', home]
    const env = { ...process.env, CARGO_TARGET_DIR: join(root, 'target', 'tools', 'build') }
    await step(`install wasm-bindgen-cli ${version} (once, some minutes)`, () => run('cargo', args, { env }))
  }
  return programs
}
