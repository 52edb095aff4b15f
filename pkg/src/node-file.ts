import * as fs from 'node:fs'
import * as path from 'node:path'
import { fileURLToPath } from 'node:url'
import { invalid, PalimpsestError, show } from './errors.js'
import { assertFree, type Lock, lock } from './node-lock.js'
import type { OpenStorage } from './open.js'
import type { NamedStorage, SyncStorage, URLLike } from './types.js'

/** What a growing file is filled with at a time, in bytes. */
const FILL_BYTES = 256 * 1024

/** A new store's first bytes: one sector of zeros, which the engine takes for a store that is about to be created. */
const NEW_STORE_BYTES = 512

/** A file that is read and written in place. */
class FileStorage implements SyncStorage {
  readonly #file: number

  constructor(file: number) {
    this.#file = file
  }

  read(offset: number, buffer: Uint8Array): number {
    let done = 0
    while (done < buffer.length) {
      const count = fs.readSync(this.#file, buffer, done, buffer.length - done, offset + done)
      if (count === 0) break
      done += count
    }
    return done
  }

  write(offset: number, bytes: Uint8Array): number {
    let done = 0
    while (done < bytes.length) {
      const count = fs.writeSync(this.#file, bytes, done, bytes.length - done, offset + done)
      if (count === 0) break
      done += count
    }
    return done
  }

  sync(): void {
    fs.fdatasyncSync(this.#file)
  }

  length(): number {
    return fs.fstatSync(this.#file).size
  }

  /**
   * What the file grows by is written, and not left to be a hole: a full disk is noticed now, and the syncs of what is written there
   * later need no new blocks.
   */
  truncate(length: number): void {
    const before = this.length()
    try {
      if (length > before) this.#fill(before, length)
      else fs.ftruncateSync(this.#file, length)
    } catch (error) {
      fs.ftruncateSync(this.#file, before)
      throw error
    }
  }

  #fill(start: number, end: number): void {
    const zeros = new Uint8Array(Math.min(FILL_BYTES, end - start))
    for (let at = start; at < end; at += zeros.length) {
      const part = zeros.subarray(0, end - at)
      if (this.write(at, part) < part.length) throw new Error('no space is left on the device')
    }
  }

  close(): void {
    fs.closeSync(this.#file)
  }
}

function notAStore(file: string, reason: string): PalimpsestError {
  return new PalimpsestError('NOT_A_STORE', `${file} is not a Palimpsest store: ${reason}`, {
    reason,
    path: file,
  })
}

/** Whether an error says that nothing may be written here. */
function isForbidden(error: unknown): boolean {
  return ['EACCES', 'EPERM', 'EROFS'].includes((error as NodeJS.ErrnoException).code ?? '')
}

function failed(file: string, operation: string, error: unknown): PalimpsestError {
  if (error instanceof PalimpsestError) return error
  const { message } = error as NodeJS.ErrnoException
  const needs =
    operation === 'read'
      ? 'reading a store needs to read its file'
      : 'a store needs to read and write its file'
  const hint = isForbidden(error) ? `; ${needs}, and to write its lock beside it` : ''
  const reason = `${message}${hint}`
  return new PalimpsestError('STORAGE', `can't ${operation} ${file}: ${reason}`, {
    operation,
    reason,
    path: file,
  })
}

/** Makes a file's name durable. Windows can't sync a folder and needs not. */
function syncFolder(folder: string): void {
  if (process.platform === 'win32') return
  const file = fs.openSync(folder, 'r')
  try {
    fs.fsyncSync(file)
  } finally {
    fs.closeSync(file)
  }
}

/**
 * Creates the store's file: it appears under its name with all of its first bytes or not at all, so that an empty file is never
 * the trace of a crash.
 */
function create(file: string): void {
  draft(file, made => {
    fs.ftruncateSync(made, NEW_STORE_BYTES)
    fs.fsyncSync(made)
  })
}

/** Removes drafts of a file whose lock is held: those who made them had it before, and were killed. */
function sweepDrafts(file: string): void {
  const begin = `${path.basename(file)}.`
  const isDraft = (name: string) => name.startsWith(begin) && /^[0-9]+\.new$/.test(name.slice(begin.length))
  try {
    for (const name of fs.readdirSync(path.dirname(file)).filter(isDraft))
      fs.rmSync(path.join(path.dirname(file), name), { force: true })
  } catch {
    // A draft that is not removed takes space and does no other harm.
  }
}

/** Makes a file that appears under its name when `write` has written and synced it. The store's lock must be held. */
function draft<T>(file: string, write: (made: number) => T): T {
  const name = `${file}.${process.pid}.new`
  sweepDrafts(file)
  try {
    const made = fs.openSync(name, 'w+')
    let answer: T
    try {
      answer = write(made)
    } finally {
      fs.closeSync(made)
    }
    fs.renameSync(name, file)
    syncFolder(path.dirname(file))
    return answer
  } finally {
    fs.rmSync(name, { force: true })
  }
}

/** The absolute path with every link followed, so that a store has one lock whatever name it is opened by. */
function canonical(file: string): string {
  const absolute = path.resolve(file)
  try {
    return fs.realpathSync(absolute)
  } catch {
    // Not there yet: its folder must be.
    return path.join(fs.realpathSync(path.dirname(absolute)), path.basename(absolute))
  }
}

function pathOf(file: string | URLLike): string {
  if (typeof file === 'string' && file !== '' && !file.includes('\0')) return file
  const url = file as Partial<URLLike> | null
  if (typeof file === 'object' && url?.protocol === 'file:' && typeof url.href === 'string')
    return fileURLToPath(url.href)
  throw invalid(`the option file must be a path or a file: URL, not ${show(file)}`, { option: 'file' })
}

/** Whether there is a file; throws if that can't be a store. */
function isThere(file: string): boolean {
  const stat = fs.statSync(file, { throwIfNoEntry: false })
  if (stat === undefined) return false
  if (!stat.isFile())
    throw notAStore(file, stat.isDirectory() ? 'it is a folder' : 'it is not a regular file')
  if (stat.nlink > 1) {
    const reason = `it has ${stat.nlink} names (hard links), and its lock would be beside one of them only: remove the others, or make copies of them`
    throw new PalimpsestError('STORAGE', `can't open ${file}: ${reason}`, {
      operation: 'open',
      reason,
      path: file,
    })
  }
  if (stat.size === 0) throw notAStore(file, 'it is empty')
  return true
}

function openLocked(file: string): FileStorage {
  if (!isThere(file)) create(file)
  return new FileStorage(fs.openSync(file, 'r+'))
}

/** Stores in files that are open, with what to do if the program ends. */
const open: Map<Lock, () => void> = new Map()

/** The program ends: what is written gets durable, and locks are given back. */
function atExit(): void {
  for (const [lock, flush] of open) {
    try {
      flush()
    } catch (error) {
      process.stderr.write(`palimpsest-kv: ${(error as Error).message}\n`)
    }
    lock.release()
  }
}

function remember(lock: Lock, flush: () => void): void {
  if (open.size === 0) process.once('exit', atExit)
  open.set(lock, flush)
}

function forget(lock: Lock): void {
  open.delete(lock)
  if (open.size === 0) process.removeListener('exit', atExit)
}

/** Opens a store's file, locks it, and creates it if there is none. */
export function openFile(name: string | URLLike): OpenStorage {
  let file = pathOf(name)
  let held: Lock | undefined
  try {
    file = canonical(file)
    if (fs.statSync(file, { throwIfNoEntry: false })?.isDirectory()) throw notAStore(file, 'it is a folder')
    held = lock(file)
    const storage = openLocked(file)
    const taken = held
    remember(taken, () => {})
    const release = () => {
      forget(taken)
      storage.close()
      taken.release()
    }
    const info = { kind: 'file', persistent: true, path: file } as const
    return { object: storage, info, release, onExit: flush => remember(taken, flush) }
  } catch (error) {
    held?.release()
    throw failed(file, 'open', error)
  }
}

/** Calls `use` while this process has the lock of a store. */
function whileLocked<T>(file: string, use: () => T): T {
  return whileHeld(lock(file), use)
}

/** Calls `use`, then gives a lock back. */
function whileHeld<T>(held: Lock, use: () => T): T {
  remember(held, () => {})
  try {
    return use()
  } finally {
    forget(held)
    held.release()
  }
}

/** Locks a store. Nothing if its lock can't be written and nobody else has one. */
function lockIfAllowed(file: string): Lock | undefined {
  try {
    return lock(file)
  } catch (error) {
    if (!isForbidden(error)) throw error
    assertFree(file)
    return undefined
  }
}

function using<T>(storage: FileStorage, use: (storage: SyncStorage) => T): T {
  try {
    return use(storage)
  } finally {
    storage.close()
  }
}

/** Calls `use` with the path of a store's file that is there. */
function withFile<T>(name: string, use: (file: string) => T): T {
  let file = pathOf(name)
  try {
    file = canonical(file)
    if (!isThere(file)) throw Object.assign(new Error('there is no such file'), { code: 'ENOENT' })
    return use(file)
  } catch (error) {
    throw failed(file, 'read', error)
  }
}

/** What came of reading a file. */
export interface Read<T> {
  readonly answer: T
  /** Whether the file was locked meanwhile: it can't be where nothing may be written beside it. */
  readonly isLocked: boolean
}

/**
 * Calls `use` with a store's file, which can only be read and is locked. Where its lock can't be written, it is enough that nobody else has
 * one.
 */
export function readFile<T>(name: string, use: (storage: SyncStorage) => T): Read<T> {
  return withFile(name, file => {
    const read = () => using(new FileStorage(fs.openSync(file, 'r')), use)
    const held = lockIfAllowed(file)
    if (held === undefined) return { answer: read(), isLocked: false }
    return { answer: whileHeld(held, read), isLocked: true }
  })
}

/** Calls `use` with a store's file, which is locked, for a store to be opened on it. */
export function useFile<T>(name: string, use: (storage: SyncStorage) => T): T {
  return withFile(name, file => whileLocked(file, () => using(new FileStorage(fs.openSync(file, 'r+')), use)))
}

/** Calls `use` with a file that is no store, and can only be read. */
export function readForeign<T>(name: string, use: (storage: SyncStorage) => T): T {
  const file = pathOf(name)
  try {
    if (!fs.statSync(file).isFile()) throw new Error('it is not a regular file')
    return using(new FileStorage(fs.openSync(file, 'r')), use)
  } catch (error) {
    throw failed(file, 'read', error)
  }
}

function assertNew(file: string): void {
  // A link that leads nowhere is there, too.
  if (fs.lstatSync(file, { throwIfNoEntry: false }) !== undefined)
    throw invalid(`${file} exists already: name a file that does not`)
}

/** Calls `use` with a new, empty file, which gets its name when `use` has filled it. A file of that name must not be there. */
export function newFile<T>(name: string, use: (storage: SyncStorage) => T): T {
  let file = pathOf(name)
  try {
    file = canonical(file)
    assertNew(file)
    return whileLocked(file, () => {
      assertNew(file)
      return draft(file, made => use(new FileStorage(made)))
    })
  } catch (error) {
    throw failed(file, 'write', error)
  }
}

/** Node has no storage in which stores have names but its files. */
export async function openNamed(kind: NamedStorage): Promise<never> {
  throw new PalimpsestError(
    'UNSUPPORTED',
    `the storage '${kind}' is a browser's: in Node, open { file: path }`,
  )
}
