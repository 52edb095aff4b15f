/**
 * The lock file beside a store: it is there exactly while somebody has the store open, or was killed. The engine's native storage takes and
 * honours the same file.
 */
import { randomBytes } from 'node:crypto'
import * as fs from 'node:fs'
import * as os from 'node:os'
import { basename, dirname, join } from 'node:path'
import { PalimpsestError } from './errors.js'

/** How often a holder shows that it is alive, in milliseconds. */
const HEARTBEAT = 10_000
/** A lock of another host without a sign of life for so long is stale, in milliseconds. */
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

/** The state of a process and the ticks from the kernel's start to its own. Only Linux says so. */
function statOf(pid: number): { state: string | undefined; ticks: string | undefined } | undefined {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field is the program's name in brackets and may hold anything; the start is the 22nd field.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return { state: fields[0], ticks: fields[19] }
  } catch {
    return undefined
  }
}

/** The start of a process: the kernel's boot and the ticks since then. Linux says both, other systems neither. */
function startOf(pid: number): string | null {
  const ticks = statOf(pid)?.ticks
  try {
    const boot = fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    return ticks === undefined ? null : `${boot}:${ticks}`
  } catch {
    return null
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    // One that has ended is there until its parent takes note of it, which some never do.
    return !['Z', 'X'].includes(statOf(pid)?.state ?? '')
  } catch (error) {
    // Not allowed to signal it: then it is there.
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function parse(text: string): Holder | undefined {
  try {
    const { pid, host, since, start, heartbeat } = JSON.parse(text) as Partial<Holder>
    if (!Number.isSafeInteger(pid) || typeof host !== 'string') return undefined
    return {
      pid: pid as number,
      host,
      since: String(since),
      start: start ?? null,
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

function isStale({ holder, age }: Sighting): boolean {
  if (holder === undefined) return age > WRITTEN_WITHIN
  if (holder.host !== os.hostname()) return holder.heartbeat && age > DEAD_AFTER
  if (!isRunning(holder.pid)) return true
  // The number was given to another process since.
  const start = startOf(holder.pid)
  return holder.start !== null && start !== null && holder.start !== start
}

function locked(path: string, lockPath: string, sighting: Sighting | undefined): PalimpsestError {
  const who = sighting?.holder
  const where =
    who === undefined
      ? 'a process that has just begun'
      : `process ${who.pid} on ${who.host}, since ${who.since}`
  const holder = who?.pid === process.pid && who.host === os.hostname() ? `this process (${who.pid})` : where
  const message = `the store ${path} is already open in ${holder}; its lock is ${lockPath}`
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
      if (Date.now() - fs.statSync(draft).mtimeMs > DEAD_AFTER) fs.rmSync(draft, { force: true })
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
    if (other !== undefined && (isStale(other) || other.age > WRITTEN_WITHIN)) removeGuard(guard, other)
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
      // The sign of life is for other hosts only; without it they take the lock after a minute, as they should
      // if the file is gone.
    }
  }
}

/** Locks the store at `path` for this process. */
export function lock(path: string): Lock {
  const lockPath = `${path}.lock`
  const holder: Holder = {
    pid: process.pid,
    host: os.hostname(),
    since: new Date().toISOString(),
    start: startOf(process.pid),
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
