// What several test files share.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { PalimpsestError } from 'palimpsest-kv'

/** The folder of the test files. */
export const here = dirname(dirname(fileURLToPath(import.meta.url)))

/** A fresh folder that is removed after the test. */
export function freshFolder(t) {
  const folder = mkdtempSync(join(tmpdir(), 'palimpsest-kv-test-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Keeps the test's process alive until the test ends, as a program's other work would: a store's own timers don't. */
export function staysAlive(t) {
  const timer = setInterval(() => {}, 1000)
  t.after(() => clearInterval(timer))
}

/** Counts how often methods of the engine are called, from now to the test's end. */
export function countCalls(t, ...names) {
  const require = createRequire(import.meta.url)
  const { Engine } = require(join(dirname(require.resolve('palimpsest-kv')), 'engine', 'palimpsest.js'))
  for (const name of names) t.mock.method(Engine.prototype, name)
  const count = name => ({ enumerable: true, get: () => Engine.prototype[name].mock.callCount() })
  return Object.create(Object.prototype, Object.fromEntries(names.map(name => [name, count(name)])))
}

/** Everything there is, as `[key, value]`. */
export async function contents(db, options = {}) {
  const entries = []
  for await (const { key, value } of db.range(options)) entries.push([key, value])
  return entries
}

/** Calls, and answers the package's error that comes of it. */
export async function refusal(call) {
  let answer
  try {
    answer = await call()
  } catch (error) {
    assert.ok(error instanceof PalimpsestError, `a PalimpsestError, not ${error?.stack}`)
    return error
  }
  assert.fail(`it was accepted, with the answer ${JSON.stringify(answer)}`)
}

/** Runs a program of JavaScript in a process of its own. Answers how it ended and what it printed. */
export function inProcess(source, { args = [], signal } = {}) {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', source, ...args], { cwd: here })
  const texts = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'])
    child[name].setEncoding('utf8').on('data', text => (texts[name] += text))
  if (signal !== undefined) child.stdout.once('data', () => child.kill(signal))
  return new Promise(resolve => child.on('close', (code, by) => resolve({ code, signal: by, ...texts })))
}

/** A medium of one's own: bytes in an array, with a place to break in. */
export class Medium {
  bytes = new Uint8Array()
  calls = []
  /** Called before each operation; may throw, or answer what the operation answers instead. */
  before = () => undefined

  #around(operation, otherwise) {
    this.calls.push(operation)
    return this.before(operation) ?? otherwise()
  }

  read(offset, buffer) {
    return this.#around('read', () => {
      const part = this.bytes.subarray(offset, offset + buffer.length)
      buffer.set(part)
      return part.length
    })
  }

  write(offset, bytes) {
    return this.#around('write', () => {
      if (offset + bytes.length > this.bytes.length) this.#resize(offset + bytes.length)
      this.bytes.set(bytes, offset)
      return bytes.length
    })
  }

  sync() {
    this.#around('sync', () => {})
  }

  length() {
    return this.#around('length', () => this.bytes.length)
  }

  truncate(length) {
    this.#around('truncate', () => this.#resize(length))
  }

  #resize(length) {
    const bytes = new Uint8Array(length)
    bytes.set(this.bytes.subarray(0, length))
    this.bytes = bytes
  }
}
