/** A storage in the page's memory, filled with a file or empty: what is written there is gone with the page unless it is saved. */
import type { SyncStorage } from 'palimpsest-kv'

const SMALLEST = 1024 * 1024

/** Bytes that grow. Invariant: what stands beyond `#length` is zero. */
export class ByteStorage implements SyncStorage {
  #bytes: Uint8Array
  #length: number

  constructor(content: Uint8Array = new Uint8Array()) {
    this.#bytes = new Uint8Array(Math.max(SMALLEST, content.length))
    this.#bytes.set(content)
    this.#length = content.length
  }

  read(offset: number, buffer: Uint8Array): number {
    const part = this.#bytes.subarray(offset, Math.min(offset + buffer.length, this.#length))
    buffer.set(part)
    return part.length
  }

  write(offset: number, bytes: Uint8Array): number {
    this.#reserve(offset + bytes.length)
    this.#bytes.set(bytes, offset)
    this.#length = Math.max(this.#length, offset + bytes.length)
    return bytes.length
  }

  sync(): void {}

  length(): number {
    return this.#length
  }

  truncate(length: number): void {
    this.#reserve(length)
    if (length < this.#length) this.#bytes.fill(0, length, this.#length)
    this.#length = length
  }

  /** A copy of everything. */
  content(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length) as Uint8Array<ArrayBuffer>
  }

  #reserve(length: number): void {
    if (length <= this.#bytes.length) return
    const grown = new Uint8Array(Math.max(length, this.#bytes.length * 2))
    grown.set(this.#bytes)
    this.#bytes = grown
  }
}

/** Where the package keeps a store of a name in the private file system: `pkg/src/browser/opfs.ts`. */
async function opfsFile(name: string): Promise<[FileSystemDirectoryHandle, string]> {
  const top = await navigator.storage.getDirectory()
  return [await top.getDirectoryHandle('palimpsest-kv'), `${encodeURIComponent(name)}.plm`]
}

/** The bytes of a store in the private file system, which must be closed. */
export async function readOpfs(name: string): Promise<Blob> {
  const [folder, file] = await opfsFile(name)
  return (await folder.getFileHandle(file)).getFile()
}

/** A stretch of bytes, and how a commit has changed a store: `pkg/src/browser/image.ts`. */
interface Change {
  readonly cut: number
  readonly length: number
  readonly parts: readonly { readonly at: number; readonly bytes: Uint8Array }[]
}

/** Bytes in a record of blocks. */
const BLOCK_BYTES = 256 * 1024

function answered<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}

/** The bytes of a store in IndexedDB, which must be closed: blocks, and the changes since, as `pkg/src/browser/database.ts` keeps them. */
export async function readIndexedDb(name: string): Promise<Blob> {
  const database = await answered(indexedDB.open(databaseName(name)))
  const transaction = database.transaction(['blocks', 'log'], 'readonly')
  const blocks = transaction.objectStore('blocks')
  const [keys, values, changes] = await Promise.all([
    answered(blocks.getAllKeys()),
    answered(blocks.getAll()),
    answered(transaction.objectStore('log').getAll()),
  ])
  database.close()
  const bytes = new ByteStorage()
  keys.forEach((key, at) => {
    if (typeof key === 'number') bytes.write(key * BLOCK_BYTES, values[at])
  })
  bytes.truncate(values[keys.indexOf('length')] ?? 0)
  for (const { cut, length, parts } of changes as Change[]) {
    bytes.truncate(Math.min(cut, bytes.length()))
    bytes.truncate(length)
    for (const part of parts) bytes.write(part.at, part.bytes)
  }
  return new Blob([bytes.content()])
}

/** The package's name for a store's database. */
function databaseName(name: string): string {
  return `palimpsest-kv/${name}`
}

/** Deletes a store of a name, which must be closed, from where the browser keeps it. */
export async function removeStore(kind: 'opfs' | 'indexeddb', name: string): Promise<void> {
  if (kind === 'opfs') {
    const [folder, file] = await opfsFile(name)
    await folder.removeEntry(file)
    return
  }
  await answered(indexedDB.deleteDatabase(databaseName(name)))
}
