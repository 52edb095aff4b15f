/** Runs commands: their output is kept, shown as one live line meanwhile, and printed in full when they fail. */
import { spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stripVTControlCharacters } from 'node:util'
import { since } from '../../www/tour/terminal.mjs'

/** The repository's top folder. */
export const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
/** Where everything that is built goes. */
export const TARGET = process.env.CARGO_TARGET_DIR ?? join(ROOT, 'target')

/**
 * What cargo is told to build natively; the bindings have tests of their own, in WebAssembly. It is the same for every step, because cargo
 * chooses the features of a package by all that it is told to build: for any other choice it would compile the engine once more.
 */
export const NATIVE = ['--workspace', '--exclude', 'palimpsest-kv-wasm']

/** Where cargo has put a program. */
export function builtProgram(...path) {
  return join(TARGET, ...path) + (process.platform === 'win32' ? '.exe' : '')
}

const STILL_RUNNING_MS = 20_000

/** A command that ran and did not end well, with all it printed. */
export class Failed extends Error {
  constructor(command, result) {
    const how = result.signal === null ? `exit code ${result.code}` : `signal ${result.signal}`
    super(`${command} failed with ${how}`)
    this.code = result.code
    this.output = result.output
  }
}

/** The environment that every command gets: the project's tools first, and npm in its usual manner of speaking. */
/** @param {NodeJS.ProcessEnv} extra */
export function environment(extra = {}) {
  // What .npmrc says for the project's own scripts is not meant for the npm that they call.
  /** @type {NodeJS.ProcessEnv} */
  const env = { ...process.env, ...extra, npm_config_json: 'false' }
  delete env.npm_config_loglevel
  env.PATH = `${join(ROOT, 'node_modules', '.bin')}:${process.env.PATH}`
  return env
}

/**
 * Runs a command without a shell.
 * @param {string[]} command program and arguments
 * @param {{ cwd?: string, env?: Record<string, string>, onLine?: (line: string) => void }} options
 * @returns {Promise<{ code: number | null, signal: string | null, output: string, stdout: string }>}
 */
export function run([program, ...args], { cwd = ROOT, env = {}, onLine = () => {} } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, env: environment(env), stdio: ['ignore', 'pipe', 'pipe'] })
    const kept = { output: '', stdout: '' }
    for (const name of ['stdout', 'stderr']) {
      child[name].setEncoding('utf8').on('data', text => {
        kept.output += text
        if (name === 'stdout') kept.stdout += text
        const last = stripVTControlCharacters(text)
          .trimEnd()
          .split(/[\r\n]/)
          .pop()
        if (last) onLine(last.trim())
      })
    }
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code, signal, ...kept }))
  })
}

/** Whether a command can be run and answers with success. */
export async function succeeds(command) {
  try {
    return (await run(command)).code === 0
  } catch {
    return false
  }
}

/** What a command prints on its standard output, or `undefined` if it can't be run or fails. */
export async function answer(command) {
  try {
    const result = await run(command)
    return result.code === 0 ? result.stdout.trim() : undefined
  } catch {
    return undefined
  }
}

/**
 * Runs commands one after the other under one title, shown live, and keeps their output in a log file.
 * @param {import('../../www/tour/terminal.mjs').Terminal} terminal
 * @param {{ title: string, log: string, commands: import('./steps.mjs').Command[] }} work
 * @returns {Promise<string>} all output
 * @throws {Failed} at the first command that fails
 */
export async function runAll(terminal, { title, log, commands }) {
  const start = performance.now()
  let latest = ''
  let output = ''
  const shown = () => `${title}  ${since(start)}  ${terminal.style('dim', latest)}`
  terminal.follow(shown)
  const pulse = setInterval(() => {
    if (!terminal.isLive) terminal.line(`${title}: ${since(start)} ... ${latest}`)
  }, STILL_RUNNING_MS)
  try {
    for (const { command, env, cwd } of commands) {
      const result = await run(command, { cwd, env, onLine: line => (latest = line) })
      output += `$ ${command.join(' ')}\n${result.output}`
      if (result.code !== 0) throw new Failed(command.join(' '), { ...result, output })
    }
    return output
  } finally {
    clearInterval(pulse)
    terminal.stop(shown)
    const file = join(TARGET, 'logs', `${log}.log`)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, output)
  }
}
