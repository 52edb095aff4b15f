import { closed, PalimpsestError } from '../errors.js'
import type { OpenStorage } from '../open.js'
import type { SyncStorage } from '../types.js'
import { connect, type Ended, isThere, StoredImage, write } from './database.js'
import { claim, lock } from './lock.js'

/** How often a lost connection is made anew before a commit fails; and the pause before each try, in milliseconds. */
const RECONNECTIONS = [0, 50, 200, 1000]

/** The name of the database of a store. */
function databaseName(name: string): string {
  return `palimpsest-kv/${name}`
}

function pause(millis: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, millis))
}

/** What a failure means, in words. */
function words(error: unknown): string {
  const { name, message } = error as Error
  if (name === 'QuotaExceededError')
    return 'the quota is exceeded: the browser gives this site no more room on the disk (navigator.storage.estimate() tells how much it has)'
  return `${name}: ${message}`
}

function failure(operation: string, error: unknown): PalimpsestError {
  if (error instanceof PalimpsestError) return error
  const reason = words(error)
  return new PalimpsestError('STORAGE', `IndexedDB failed to ${operation}: ${reason}`, { operation, reason })
}

/**
 * A store in IndexedDB, which can't be waited for where the engine waits for its storage. So all bytes are in memory; `sync` only begins
 * a transaction with all that was written until then, and `settled` tells when it is on the disk.
 *
 * Invariant: transactions follow each other in the order of the syncs, each with the whole of one moment between two calls of the engine;
 * so what a crash leaves is what was there at one of these moments. After a failure there is none any more, and every change is refused.
 */
class DatabaseStorage implements SyncStorage {
  readonly #name: string
  readonly #stored: StoredImage
  #database: IDBDatabase | undefined
  #failure: PalimpsestError | undefined
  #isClosed = false
  /** The transactions that have begun, and the one that begins when they are done. */
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined

  constructor(name: string, stored: StoredImage) {
    this.#name = name
    this.#stored = stored
  }

  /** Connects, and reads all there is. */
  async load(): Promise<void> {
    this.#database = await this.#connect()
    await this.#stored.load(this.#database)
  }

  read(offset: number, buffer: Uint8Array): number {
    return this.#stored.image.read(offset, buffer)
  }

  write(offset: number, bytes: Uint8Array): number {
    this.#assertSound()
    this.#stored.image.write(offset, bytes)
    return bytes.length
  }

  sync(): void {
    this.#assertSound()
    if (!this.#stored.image.isChanged) return
    if (this.#running === undefined) this.#run()
    else this.#next ??= this.#running.then(() => this.#run())
    // Whoever waits is told; and whoever makes the next change, in any case.
    this.#next?.catch(() => {})
  }

  length(): number {
    return this.#stored.image.length
  }

  truncate(length: number): void {
    this.#assertSound()
    this.#stored.image.resize(length)
  }

  async settled(): Promise<void> {
    await (this.#next ?? this.#running)
    this.#assertSound()
  }

  /** What has not begun yet is not written any more: the store may be another's by then. */
  close(): void {
    this.#isClosed = true
    this.#disconnect()
  }

  #disconnect(): void {
    this.#database?.close()
    this.#database = undefined
  }

  #assertSound(): void {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#isClosed) throw closed('store')
  }

  #run(): Promise<void> {
    this.#next = undefined
    const running = this.#commit().finally(() => {
      if (this.#running === running) this.#running = undefined
    })
    this.#running = running
    running.catch(() => {})
    return running
  }

  /** Writes what has changed once this call of the engine is over. */
  async #commit(): Promise<void> {
    await undefined
    this.#assertSound()
    if (!this.#stored.image.isChanged) return
    const job = this.#stored.take()
    let error: unknown
    for (const millis of RECONNECTIONS) {
      try {
        if (millis > 0) await pause(millis)
        this.#assertSound()
        this.#database ??= await this.#connect()
        this.#assertSound()
        await write(this.#database, job)
        return
      } catch (thrown) {
        error = thrown
        if (this.#isClosed || isLost(thrown)) this.#disconnect()
        if (this.#isClosed || !isLost(thrown)) break
      }
    }
    this.#failure ??= failure('write', error)
    throw this.#failure
  }

  #connect(): Promise<IDBDatabase> {
    return connect(databaseName(this.#name), why => this.#ended(why))
  }

  /** A connection that is lost is made anew by the next commit. */
  #ended(why: Ended): void {
    this.#database = undefined
    if (why === 'lost') return
    const reason = 'another page deletes or changes the database of the store'
    this.#failure ??= new PalimpsestError('STORAGE', `IndexedDB refuses to write: ${reason}`, {
      operation: 'write',
      reason,
    })
  }
}

/** Whether it is the connection that has failed, as Safari's does by itself, and not what was asked of it. */
function isLost(error: unknown): boolean {
  return ['InvalidStateError', 'UnknownError', 'AbortError', 'TransactionInactiveError'].includes(
    (error as Error)?.name,
  )
}

function unsupported(why: string): PalimpsestError {
  return new PalimpsestError('UNSUPPORTED', `IndexedDB can't be used: ${why}`)
}

/** Whether there is a store of this name in IndexedDB. */
export async function isInIndexedDb(name: string): Promise<boolean> {
  return typeof indexedDB === 'object' && indexedDB !== null && (await isThere(databaseName(name)))
}

/** Opens, or creates, the store of a name in IndexedDB. */
export async function openIndexedDb(name: string): Promise<OpenStorage> {
  if (typeof indexedDB !== 'object' || indexedDB === null) throw unsupported('this browser has none')
  if (navigator.locks === undefined)
    throw unsupported(
      'a store must be had for oneself alone, and there are no locks for that: the page is not served securely, or the browser is too old',
    )
  const unlock = await claim(lock(name), name)
  const object = new DatabaseStorage(name, new StoredImage())
  const release = () => {
    object.close()
    unlock()
  }
  try {
    await object.load()
  } catch (error) {
    release()
    // Firefox and Safari refuse it in private windows and where it is switched off.
    const isRefused = ['SecurityError', 'InvalidStateError'].includes((error as Error).name)
    throw isRefused ? unsupported(`it is refused here (${words(error)})`) : failure('open', error)
  }
  return { object, info: { kind: 'indexeddb', persistent: true, name }, release }
}
