/** Which store is open, where it is, and what went wrong last. */
import { signal } from '@preact/signals'
import { type OpenOptions, open, type PalimpsestError, type Snapshot, type Store } from 'palimpsest-kv'
import { size } from './format.js'
import { ByteStorage, readIndexedDb, readOpfs, removeStore } from './storage.js'
import { type Trouble, troubleOf } from './words.js'

export type Db = Store<'bytes', 'bytes'>
type Kind = 'opfs' | 'indexeddb' | 'memory'

/** A store that is open. */
export interface Session {
  /** Another one each time that a store is opened: what a store was told until it is closed goes with it. */
  readonly id: number
  readonly db: Db
  /** Where its bytes are; `'file'` for a copy of a file in memory. */
  readonly kind: Kind | 'file'
  /** The file's name, for a file. */
  readonly file: string | undefined
  /** Its bytes, where the page has them. */
  readonly bytes: ByteStorage | undefined
}

/** The store that is shown; `undefined` while none is open. */
export const session = signal<Session | undefined>(undefined)
/** What went wrong last and was not yet dismissed. */
export const trouble = signal<Trouble | undefined>(undefined)
/** What is being done that takes a while. */
export const busy = signal<string | undefined>(undefined)
/** Why the page's own store is not where it should be; `undefined` if it is. */
export const fallback = signal<string | undefined>(undefined)
/** A snapshot that the page holds open. */
export interface Held {
  readonly id: number
  readonly snapshot: Snapshot<'bytes', 'bytes'>
}

/** All of them. */
export const snapshots = signal<readonly Held[]>([])

/** The name of the page's own store. */
const NAME = 'inspector'
const OPTIONS = { values: 'bytes', keys: 'bytes', maxTxnOps: 8192 } as const
const KINDS: readonly Kind[] = ['opfs', 'indexeddb', 'memory']

let lastId = 0

function nextId(): number {
  lastId += 1
  return lastId
}

/** Shows what went wrong. */
export function fail(error: unknown): void {
  trouble.value = troubleOf(error)
}

/** Does something, and shows what goes wrong. Answers whether it went well. */
export async function tried(work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work()
    trouble.value = undefined
    return true
  } catch (error) {
    fail(error)
    return false
  }
}

/** As `tried`, while the page says what is being done. */
export async function during(what: string, work: () => Promise<unknown>): Promise<boolean> {
  busy.value = what
  try {
    return await tried(work)
  } finally {
    busy.value = undefined
  }
}

async function openKind(kind: Kind): Promise<Session> {
  const bytes = kind === 'memory' ? new ByteStorage() : undefined
  const place: OpenOptions<'bytes', 'bytes'> =
    bytes === undefined ? { storage: kind as 'opfs', name: NAME } : { storage: bytes }
  const db = await open({ ...OPTIONS, ...place, onError: fail })
  return { id: nextId(), db, kind, file: undefined, bytes }
}

/** Which storages are tried, in their order: all of them, or from the one on that the page's address names. */
function wanted(): readonly Kind[] {
  const named = new URLSearchParams(location.search).get('storage') as Kind | null
  return KINDS.slice(Math.max(0, named === null ? 0 : KINDS.indexOf(named)))
}

/** Opens the page's own store where this browser lets it be. */
export async function openOwn(): Promise<void> {
  const refused: string[] = []
  for (const kind of wanted()) {
    try {
      session.value = await openKind(kind)
      fallback.value = refused.length === 0 ? undefined : refused.join(' ')
      return
    } catch (error) {
      // Any other error is about this store: another place would show another one.
      if ((error as PalimpsestError).code !== 'UNSUPPORTED') throw error
      refused.push((error as Error).message)
    }
  }
}

/** Closes the store that is open. */
export async function closeCurrent(): Promise<void> {
  const current = session.value
  session.value = undefined
  for (const { snapshot } of snapshots.value) snapshot.close()
  snapshots.value = []
  await current?.db.close()
}

/** Goes back from a file, or after a failure, to the page's own store. */
export async function reopen(): Promise<void> {
  await closeCurrent().catch(() => {})
  await openOwn()
}

/** Opens a copy of a store's file. The file itself is not changed. */
export async function openFile(file: File): Promise<void> {
  const bytes = new ByteStorage(new Uint8Array(await file.arrayBuffer()))
  if (bytes.length() === 0) throw new Error(`${file.name} is empty.`)
  const db = await open({ ...OPTIONS, storage: bytes, onError: fail })
  await closeCurrent()
  fallback.value = undefined
  session.value = { id: nextId(), db, kind: 'file', file: file.name, bytes }
}

/** A file with all of the store, which `npx palimpsest` and Node open as it is. */
export async function savedFile(): Promise<File | undefined> {
  const current = session.value
  if (current === undefined) return undefined
  await current.db.checkpoint()
  if (current.bytes !== undefined) return new File([current.bytes.content()], current.file ?? 'inspector.plm')
  await closeCurrent()
  try {
    const read = current.kind === 'opfs' ? readOpfs : readIndexedDb
    return new File([await read(NAME)], 'inspector.plm')
  } finally {
    await openOwn()
  }
}

/** Deletes the page's own store, and opens a new one that is empty. */
export async function deleteOwn(): Promise<void> {
  const kind = session.value?.kind
  await closeCurrent()
  if (kind === 'opfs' || kind === 'indexeddb') await removeStore(kind, NAME)
  await openOwn()
}

/** Where the store is, in words. */
export function placeWords({ kind, file, bytes }: Session): string {
  switch (kind) {
    case 'opfs':
      return 'Kept in this browser’s private file system (OPFS)'
    case 'indexeddb':
      return 'Kept in this browser’s database (IndexedDB)'
    case 'memory':
      return 'In memory only: gone when this page is closed'
    case 'file':
      return `A copy of ${file} in memory (${size(bytes?.length() ?? 0)}): save it to keep what you change`
  }
}
