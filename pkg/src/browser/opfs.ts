import { PalimpsestError } from '../errors.js'
import type { OpenStorage } from '../open.js'
import type { SyncStorage } from '../types.js'
import { claim } from './lock.js'

/** The folder of the stores in the private file system of the origin. */
const FOLDER = 'palimpsest-kv'
/** What a growing file is filled with at a time, in bytes. */
const FILL_BYTES = 1024 * 1024

/** Said of every browser whose private file system can't be used by the engine. */
const HINT = "open with the storage 'indexeddb' or 'auto'"

/**
 * A file of the private file system.
 *
 * The engine writes neighbouring pages by one call, and each call is looked at: on a full disk, Chromium answers with a number that is no
 * length, and Firefox with a short one, while neither throws.
 */
class OpfsStorage implements SyncStorage {
  readonly #file: FileSystemSyncAccessHandle

  constructor(file: FileSystemSyncAccessHandle) {
    this.#file = file
  }

  read(offset: number, buffer: Uint8Array): number {
    return this.#file.read(buffer as Uint8Array<ArrayBuffer>, { at: offset })
  }

  write(offset: number, bytes: Uint8Array): number {
    const count = this.#file.write(bytes as Uint8Array<ArrayBuffer>, { at: offset })
    if (count !== bytes.length) throw full()
    return count
  }

  sync(): void {
    this.#file.flush()
  }

  length(): number {
    return this.#file.getSize()
  }

  /** As in Node, what the file grows by is written, so that a quota that is too small is noticed now. */
  truncate(length: number): void {
    const before = this.length()
    try {
      if (length > before) this.#fill(before, length)
      else this.#file.truncate(length)
    } catch (error) {
      this.#file.truncate(before)
      throw isQuota(error) ? full() : error
    }
  }

  close(): void {
    this.#file.close()
  }

  #fill(start: number, end: number): void {
    const zeros = new Uint8Array(Math.min(FILL_BYTES, end - start))
    for (let at = start; at < end; at += zeros.length) this.write(at, zeros.subarray(0, end - at))
  }
}

function isQuota(error: unknown): boolean {
  return (error as Error).name === 'QuotaExceededError'
}

function full(): Error {
  return new Error(
    'the quota is exceeded: the browser gives this site no more room on the disk (navigator.storage.estimate() tells how much it has)',
  )
}

function unsupported(why: string): PalimpsestError {
  return new PalimpsestError('UNSUPPORTED', `the browser's private file system can't be used: ${why}`)
}

/** Whether this thread has what the engine needs of a private file system. */
function isOpfsHere(): boolean {
  const handle = (globalThis as { FileSystemFileHandle?: { prototype: object } }).FileSystemFileHandle
  return handle !== undefined && 'createSyncAccessHandle' in handle.prototype
}

async function folder(): Promise<FileSystemDirectoryHandle> {
  if (globalThis.isSecureContext === false)
    throw unsupported('the page is not served securely, which is by https, or from localhost')
  if (typeof navigator.storage?.getDirectory !== 'function' || !isOpfsHere())
    throw unsupported(`this browser, or this thread of it, has none; ${HINT}`)
  try {
    const top = await navigator.storage.getDirectory()
    return await top.getDirectoryHandle(FOLDER, { create: true })
  } catch (error) {
    // Firefox and Safari refuse it in private windows, with several names for the error.
    const words = `${(error as Error).name}: ${(error as Error).message}`
    throw unsupported(`it is refused here, as in a private window (${words}); ${HINT}`)
  }
}

/** Whether the engine can use the private file system in this thread, and the browser does not refuse it. */
export async function hasOpfs(): Promise<boolean> {
  return folder().then(
    () => true,
    () => false,
  )
}

/** What browsers call it that another one has a file: most of them, and Safari. */
const HELD = ['NoModificationAllowedError', 'InvalidStateError']

/** The file for itself alone; `undefined` if another one has it. */
async function exclusive(file: FileSystemFileHandle): Promise<FileSystemSyncAccessHandle | undefined> {
  try {
    return await file.createSyncAccessHandle()
  } catch (error) {
    if (isQuota(error)) throw full()
    if (!HELD.includes((error as Error).name)) throw error
    return undefined
  }
}

function failed(name: string, error: unknown): PalimpsestError {
  if (error instanceof PalimpsestError) return error
  const { message } = error as Error
  return new PalimpsestError('STORAGE', `the store ${name} can't be opened: ${message}`, {
    operation: 'open',
    reason: message,
  })
}

function fileName(name: string): string {
  return `${encodeURIComponent(name)}.plm`
}

/** Whether there is a store of this name in the private file system. */
export async function isInOpfs(name: string): Promise<boolean> {
  try {
    await (await folder()).getFileHandle(fileName(name))
    return true
  } catch {
    return false
  }
}

/** Opens, or creates, the store of a name in the private file system. */
export async function openOpfs(name: string): Promise<OpenStorage> {
  const stores = await folder()
  try {
    const file = await stores.getFileHandle(fileName(name), { create: true })
    const object = new OpfsStorage(await claim(() => exclusive(file), name))
    return { object, info: { kind: 'opfs', persistent: true, name }, release: () => object.close() }
  } catch (error) {
    throw failed(name, error)
  }
}
