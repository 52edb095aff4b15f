import { BLOCK_BYTES, type Change, Image } from './image.js'

/** Records of whole blocks, by number; and of the length that they are of, under `LENGTH`. */
const BLOCKS = 'blocks'
/** Records of changes since the blocks were written, in their order. */
const LOG = 'log'
const LENGTH = 'length'
const VERSION = 1
/** Once the changes have so many bytes, the blocks are written anew: reading them all again would be slower than that. */
const LONGEST_LOG = 4 * 1024 * 1024

/** A request's answer. */
function answered<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}

/** Fulfilled when all of a transaction is in the database. */
function completed(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve()
    transaction.onabort = () => reject(transaction.error ?? new Error('the transaction was aborted'))
    transaction.commit()
  })
}

/** Why a connection ended that nobody has closed. */
export type Ended = 'lost' | 'deleted'

/** Opens the database of a store, or creates it; `ended` is called if the connection ends by itself. */
export function connect(name: string, ended: (why: Ended) => void): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(name, VERSION)
    request.onupgradeneeded = () => {
      request.result.createObjectStore(BLOCKS)
      request.result.createObjectStore(LOG)
    }
    request.onerror = () => reject(request.error)
    request.onsuccess = () => {
      const database = request.result
      database.onclose = () => ended('lost')
      // Somebody deletes it, or a newer version of this package changes it. It can only do so when this connection is closed.
      database.onversionchange = () => {
        database.close()
        ended('deleted')
      }
      resolve(database)
    }
  })
}

/** Whether there is a database of a name; none is created. */
export async function isThere(name: string): Promise<boolean> {
  const looked = new Promise<boolean>(resolve => {
    const request = indexedDB.open(name)
    let isNew = false
    request.onupgradeneeded = () => {
      isNew = true
      request.transaction?.abort()
    }
    request.onsuccess = () => {
      request.result.close()
      resolve(true)
    }
    // Where there is no such thing as a database there is none of this name, either.
    request.onerror = () => resolve(!isNew && request.error?.name === 'VersionError')
  })
  // A browser that refuses storage throws.
  return looked.catch(() => false)
}

/** What one transaction writes. The same, however often it is written. */
type Job =
  | { readonly type: 'change'; readonly number: number; readonly change: Change }
  | {
      readonly type: 'blocks'
      readonly blocks: readonly [number, Uint8Array<ArrayBuffer>][]
      readonly length: number
    }

/**
 * A store's image in a database: blocks, and a log of the changes since they were written. A commit is one transaction of one record of
 * the log, or, if that has become long, of the blocks that have changed.
 */
export class StoredImage {
  readonly image: Image = new Image()
  /** The number of the next record of the log. */
  #next = 0
  #logBytes = 0
  /** Blocks that have changed since they were written. */
  readonly #dirty: Set<number> = new Set()

  /** Reads all there is. */
  async load(database: IDBDatabase): Promise<void> {
    const transaction = database.transaction([BLOCKS, LOG], 'readonly')
    const [blocks, log] = [transaction.objectStore(BLOCKS), transaction.objectStore(LOG)]
    const [numbers, values, places, changes] = await Promise.all([
      answered(blocks.getAllKeys()),
      answered(blocks.getAll()),
      answered(log.getAllKeys()),
      answered(log.getAll()),
    ])
    const length = (values[numbers.indexOf(LENGTH)] ?? 0) as number
    const parts = numbers.flatMap((number, at) =>
      number === LENGTH ? [] : [{ at: (number as number) * BLOCK_BYTES, bytes: values[at] }],
    )
    this.image.apply({ cut: 0, length: 0, parts })
    this.image.apply({ cut: length, length, parts: [] })
    for (const change of changes as Change[]) {
      this.image.apply(change)
      this.#note(change)
    }
    this.#next = ((places.at(-1) as number | undefined) ?? -1) + 1
  }

  /** What is to be written of what has changed since the last time. It must be written before the next is taken. */
  take(): Job {
    const change = this.image.take()
    this.#note(change)
    if (this.#logBytes <= LONGEST_LOG) {
      this.#next += 1
      return { type: 'change', number: this.#next - 1, change }
    }
    const count = Math.ceil(change.length / BLOCK_BYTES)
    const numbers = [...this.#dirty].filter(number => number < count)
    this.#dirty.clear()
    this.#logBytes = 0
    const blocks = numbers.map((number): [number, Uint8Array<ArrayBuffer>] => [
      number,
      this.image.block(number),
    ])
    return { type: 'blocks', blocks, length: change.length }
  }

  #note({ cut, length, parts }: Change): void {
    // Where it was shorter in between, what stands there now is new.
    this.#touch(cut, length)
    for (const { at, bytes } of parts) {
      this.#logBytes += bytes.length
      this.#touch(at, at + bytes.length)
    }
  }

  #touch(start: number, end: number): void {
    for (let block = Math.floor(start / BLOCK_BYTES); block * BLOCK_BYTES < end; block += 1)
      this.#dirty.add(block)
  }
}

/** Does a job in one transaction, which is on the disk when this is fulfilled. To do it again, after it seemed to fail, is harmless. */
export async function write(database: IDBDatabase, job: Job): Promise<void> {
  const transaction = database.transaction([BLOCKS, LOG], 'readwrite', { durability: 'strict' })
  const [blocks, log] = [transaction.objectStore(BLOCKS), transaction.objectStore(LOG)]
  if (job.type === 'change') {
    log.put(job.change, job.number)
  } else {
    for (const [number, bytes] of job.blocks) blocks.put(bytes, number)
    blocks.delete(IDBKeyRange.bound(Math.ceil(job.length / BLOCK_BYTES), Number.MAX_SAFE_INTEGER))
    blocks.put(job.length, LENGTH)
    log.clear()
  }
  await completed(transaction)
}
