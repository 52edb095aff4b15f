import { PalimpsestError } from '../errors.js'
import { type Environment, importIn, type OpenStorage, openIn } from '../open.js'
import type { ImportOptions, ImportSource, KeyCodec, OpenOptions, Store, ValueCodec } from '../types.js'
import { engineOf } from './engine.js'
import { browserHost } from './host.js'
import { isInIndexedDb, openIndexedDb } from './indexeddb.js'
import { hasOpfs, isInOpfs, openOpfs } from './opfs.js'

function openFile(): never {
  throw new PalimpsestError(
    'UNSUPPORTED',
    "there are no files in a browser: name a store with the storage 'auto'",
  )
}

/**
 * The storage that a store is in; a new one is made in the private file system, which is faster and needs no memory for all of the store,
 * where that can be had.
 */
export async function chosen(name: string): Promise<'opfs' | 'indexeddb'> {
  const isNewInIndexedDb = async () => !(await isInIndexedDb(name))
  return (await hasOpfs()) && ((await isInOpfs(name)) || (await isNewInIndexedDb())) ? 'opfs' : 'indexeddb'
}

async function openAny(name: string): Promise<OpenStorage> {
  if ((await chosen(name)) === 'opfs') {
    try {
      return await openOpfs(name)
    } catch (error) {
      if ((error as PalimpsestError).code !== 'UNSUPPORTED') throw error
    }
  }
  return openIndexedDb(name)
}

const OPENERS = { opfs: openOpfs, indexeddb: openIndexedDb, auto: openAny }

type Wasm = () => Promise<WebAssembly.Module>

function environmentOf(wasm: Wasm): Environment {
  return {
    host: browserHost,
    openFile,
    openNamed: (kind, name) => OPENERS[kind](name),
    load: () => engineOf(wasm),
  }
}

/** Opens a store whose engine runs in this thread. */
export async function openInPlace<V extends ValueCodec, K extends KeyCodec>(
  wasm: Wasm,
  options: OpenOptions<V, K>,
): Promise<Store<V, K>> {
  // `Symbol.asyncDispose` is added to the prototype, which the types can't see.
  return (await openIn(environmentOf(wasm), options)) as unknown as Store<V, K>
}

/** Makes a store of an export, with the engine in this thread. */
export async function importInPlace<V extends ValueCodec, K extends KeyCodec>(
  wasm: Wasm,
  source: ImportSource,
  options: OpenOptions<V, K> & ImportOptions,
): Promise<Store<V, K>> {
  const store = await importIn(environmentOf(wasm), source, options)
  // Some storages have made durable only later what the engine has synced.
  await store.flush()
  return store as unknown as Store<V, K>
}
