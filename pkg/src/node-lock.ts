/**
 * The lock file beside a store: it is there exactly while somebody has the store open, or was killed. The engine's native storage takes and
 * honours the same file.
 */
import { randomBytes } from 'node:crypto'
import * as fs from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { isMainThread, threadId } from 'node:worker_threads'
import { PalimpsestError } from './errors.js'
import { boot, hostName, isRunning, isThreadRunning, space, startOf, thread } from './node-process.js'

/** How often a holder shows that it is alive, in milliseconds. */
const HEARTBEAT = 10_000
/** A lock whose holder can't be looked up here and that shows no sign of life for so long is stale, in milliseconds. */
const DEAD_AFTER = 60_000
/** A lock file without content is one that is being written, unless it is older than this, in milliseconds. */
const WRITTEN_WITHIN = 2_000
/** Digits in base 16 at the end of the name that a lock file has before it is whole. */
const DRAFT_DIGITS = 16
/** How often taking a lock is tried before the one who holds it is believed. */
const ATTEMPTS = 5

/** Who holds a lock, as its file says it. */
interface Holder {
  readonly pid: number
  readonly host: string
  /** When the holder took the lock. */
  readonly since: string
  /** The holder's start as its kernel counts it, which tells two processes with one number apart; `null` where that is not known. */
  readonly start: string | null
  /** The pid namespace in which `pid` means the holder; `null` where that is not known. */
  readonly space: string | null
  /** Which worker of the process it is, as Node counts them; `null` for all that lives as long as its process. */
  readonly worker: number | null
  /** The worker's thread and its start as the kernel counts them; `null` where they are not known. */
  readonly thread: string | null
  /**
   * Whether it touches the lock while it lives. The engine's native storage does not: it holds a lock of the operating system as well,
   * which can't be asked for here.
   */
  readonly heartbeat: boolean
}

/** A lock that is held. */
export interface Lock {
  /** Gives it back. */
  release(): void
}

function parse(text: string): Holder | undefined {
  try {
    const { pid, host, since, start, heartbeat, ...more } = JSON.parse(text) as Partial<Holder>
    if (!Number.isSafeInteger(pid) || typeof host !== 'string') return undefined
    return {
      pid: pid as number,
      host,
      since: String(since),
      start: start ?? null,
      space: more.space ?? null,
      worker: more.worker ?? null,
      thread: more.thread ?? null,
      heartbeat: heartbeat !== false,
    }
  } catch {
    return undefined
  }
}

/** What a lock file says now, and how long ago its holder last showed that it is alive. */
interface Sighting {
  readonly text: string
  readonly holder: Holder | undefined
  readonly age: number
}

function look(file: string): Sighting | undefined {
  try {
    const text = fs.readFileSync(file, 'utf8')
    return { text, holder: parse(text), age: Date.now() - fs.statSync(file).mtimeMs }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/**
 * Whether the number of a holder's process says nothing here: it is that of another host, of another start of the kernel, which may be another
 * machine of the same name, or of another pid namespace, as containers have them.
 */
function isElsewhere(holder: Holder): boolean {
  if (holder.host !== hostName()) return true
  if (holder.space !== null && holder.space !== space()) return true
  return holder.start !== null && !holder.start.startsWith(`${boot()}:`)
}

/** Whether the worker that holds a lock has ended while its process goes on. */
function hasWorkerEnded({ pid, worker, thread }: Holder, age: number): boolean {
  if (worker === null) return false
  const isRunning = thread === null ? undefined : isThreadRunning(pid, thread)
  return isRunning === undefined ? age > DEAD_AFTER : !isRunning
}

function isStale({ holder, age }: Sighting): boolean {
  // A time that lies far ahead is that of a clock that was set back, and nobody writes a lock for so long.
  if (holder === undefined) return age > WRITTEN_WITHIN || age < -DEAD_AFTER
  if (isElsewhere(holder)) return holder.heartbeat && age > DEAD_AFTER
  if (!isRunning(holder.pid)) return true
  // The number was given to another process since.
  const start = startOf(holder.pid)
  if (holder.start !== null && start !== null && holder.start !== start) return true
  return hasWorkerEnded(holder, age)
}

/** Who holds a lock, in words. */
function wordsOf(holder: Holder | undefined): string {
  if (holder === undefined) return 'a process that has just begun'
  const { pid, host, since, worker } = holder
  const part = worker === null ? '' : `worker ${worker} of `
  if (pid === process.pid && !isElsewhere(holder)) return `${part}this process (${pid})`
  return `${part}process ${pid} on ${host}, since ${since}`
}

/** What to do about a lock that will not be found stale by itself, or not soon; nothing where its holder is known to run. */
function wayOut({ holder, age }: Sighting, lockPath: string): string {
  const seconds = DEAD_AFTER / 1000
  const isUnknown = holder !== undefined && isElsewhere(holder)
  if (age < -DEAD_AFTER && (isUnknown || holder?.worker != null)) {
    const time = new Date(Date.now() - age).toISOString()
    return `; that file's time, ${time}, lies ahead of this clock: if no program has the store open, remove ${lockPath}`
  }
  if (isUnknown && !holder.heartbeat)
    return `; that can't be looked up from here, and gives no sign of life: if no program has the store open, remove ${lockPath}`
  if (isUnknown || (holder?.worker != null && holder.thread === null))
    return `; it is taken over when it has given no sign of life for ${seconds} seconds`
  return ''
}

function locked(path: string, lockPath: string, sighting: Sighting | undefined): PalimpsestError {
  const holder = wordsOf(sighting?.holder)
  const end = sighting === undefined ? '' : wayOut(sighting, lockPath)
  const message = `the store ${path} is already open in ${holder}; its lock is ${lockPath}${end}`
  return new PalimpsestError('LOCKED', message, { holder, path })
}

/** A name that no other file has, which `sweep` knows. */
function draftOf(path: string): string {
  return `${path}.${randomBytes(DRAFT_DIGITS / 2).toString('hex')}`
}

/**
 * Makes the lock file, with its text or not at all, so that one without is never the trace of a process that was killed, nor of one that
 * was stopped and will go on. Answers whether there was none.
 */
function make(lockPath: string, text: string): boolean {
  const draft = draftOf(lockPath)
  if (!makeDirectly(draft, text)) return false
  try {
    fs.linkSync(draft, lockPath)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
  } finally {
    fs.rmSync(draft, { force: true })
  }
  // Some file systems have no second names for a file.
  return makeDirectly(lockPath, text)
}

/** Removes what `make` has left where a process was killed in the middle of it. A name that is not removed does no harm. */
function sweep(lockPath: string): void {
  const begin = `${basename(lockPath)}.`
  const isDraft = (name: string) => {
    const end = name.slice(begin.length)
    return name.startsWith(begin) && end.length === DRAFT_DIGITS && /^[0-9a-f]+$/.test(end)
  }
  try {
    for (const name of fs.readdirSync(dirname(lockPath)).filter(isDraft)) {
      const draft = join(dirname(lockPath), name)
      if (Math.abs(Date.now() - fs.statSync(draft).mtimeMs) > DEAD_AFTER) fs.rmSync(draft, { force: true })
    }
  } catch {
    // Another has removed it first, or the folder can't be listed.
  }
}

/** Makes a file that was not there, then writes it. Answers whether it was not there. */
function makeDirectly(path: string, text: string): boolean {
  let file: number
  try {
    file = fs.openSync(path, 'wx')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
  try {
    fs.writeSync(file, text)
  } catch (error) {
    fs.rmSync(path, { force: true })
    throw error
  } finally {
    fs.closeSync(file)
  }
  return true
}

/**
 * Removes a stale lock. Only one process may do so at a time, and only if the lock is still the stale one: another may have
 * removed it meanwhile and taken its place.
 */
function removeStale(lockPath: string, stale: Sighting, text: string): void {
  const guard = `${lockPath}.takeover`
  if (!make(guard, text)) {
    const other = look(guard)
    // Left behind by a process that was killed in the few microseconds between.
    if (other !== undefined && (isStale(other) || Math.abs(other.age) > WRITTEN_WITHIN))
      removeGuard(guard, other)
    return
  }
  try {
    if (look(lockPath)?.text === stale.text) fs.rmSync(lockPath, { force: true })
    sweep(lockPath)
    sweep(guard)
  } finally {
    fs.rmSync(guard, { force: true })
  }
}

/** Removes a guard that was left behind. If another has removed it meanwhile and made one of its own, that one goes back. */
function removeGuard(guard: string, stale: Sighting): void {
  const aside = draftOf(guard)
  try {
    fs.renameSync(guard, aside)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  try {
    if (look(aside)?.text !== stale.text) fs.linkSync(aside, guard)
  } catch {
    // A third has made one, or the file system has no second names for a file.
  } finally {
    fs.rmSync(aside, { force: true })
  }
}

class HeldLock implements Lock {
  readonly #path: string
  readonly #text: string
  readonly #heart: NodeJS.Timeout

  constructor(path: string, text: string) {
    this.#path = path
    this.#text = text
    this.#heart = setInterval(() => this.#beat(), HEARTBEAT)
    this.#heart.unref()
  }

  release(): void {
    clearInterval(this.#heart)
    if (look(this.#path)?.text === this.#text) fs.rmSync(this.#path, { force: true })
  }

  #beat(): void {
    const now = new Date()
    try {
      fs.utimesSync(this.#path, now, now)
    } catch {
      // The sign of life is for those only who can't look the holder up; without it they take the lock after a minute, as they
      // should if the file is gone.
    }
  }
}

/** Locks the store at `path` for this process. */
export function lock(path: string): Lock {
  const lockPath = `${path}.lock`
  const holder: Holder = {
    pid: process.pid,
    host: hostName(),
    since: new Date().toISOString(),
    start: startOf(process.pid),
    space: space(),
    worker: isMainThread ? null : threadId,
    thread: isMainThread ? null : thread(),
    heartbeat: true,
  }
  const text = `${JSON.stringify(holder)}\n`
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const sighting = look(lockPath)
    if (sighting === undefined) {
      if (make(lockPath, text)) return new HeldLock(lockPath, text)
    } else if (isStale(sighting)) {
      removeStale(lockPath, sighting, text)
    } else {
      throw locked(path, lockPath, sighting)
    }
  }
  throw locked(path, lockPath, look(lockPath))
}

/** Throws if somebody has the store at `path` open, as far as its lock tells. */
export function assertFree(path: string): void {
  const lockPath = `${path}.lock`
  const sighting = look(lockPath)
  if (sighting !== undefined && !isStale(sighting)) throw locked(path, lockPath, sighting)
}
