import { collected, forEachPiece, readable, Turns } from './copies.js'
import type { Instance, RawEngine, RawModule } from './engine.js'
import { Instance as EngineInstance } from './engine.js'
import { invalid, type PalimpsestError, show } from './errors.js'
import type { Host } from './host.js'
import { checkOptions, checkPolicy, checkRetention, checkThinning, type Rules, rules } from './options.js'
import { EngineStore } from './store.js'
import type * as t from './types.js'

/** The options of `open`. */
export const openRules: Rules = {
  storage: rules.anything,
  name: rules.anything,
  worker: rules.callback,
  durability: rules.durability,
  pageBytes: rules.size,
  cacheBytes: rules.size,
  flushInterval: rules.duration,
  compactionBatchLimit: rules.size,
  compactionPause: rules.duration,
  autoCompaction: rules.anything,
  retention: rules.anything,
  thinning: rules.anything,
  quotaBytes: rules.number,
  maxKeyBytes: rules.size,
  maxValueBytes: rules.size,
  maxTxnOps: rules.size,
  keys: rules.keys,
  values: rules.values,
  onError: rules.callback,
}

/** The options of imports that opening has not. */
export const importRules: Rules = { signal: rules.signal }

const fileRules = { file: rules.anything }

/** An open storage with its description. */
export interface OpenStorage {
  /** The object that the engine calls; `undefined` for memory. */
  readonly object: t.SyncStorage | undefined
  readonly info: t.StorageInfo
  /** Gives the storage back, after the engine has closed the store or if it could not open it. */
  readonly release: () => void
  /** Tells the storage what to do if the program ends while the store is open. */
  readonly onExit?: ((flush: () => void) => void) | undefined
}

/** What an environment brings: its event loop, its files, and the wasm. */
export interface Environment {
  readonly host: Host
  /** Opens a file as a storage. */
  readonly openFile: (file: string | t.URLLike) => OpenStorage
  /** Opens, or creates, the store of a name in a storage that the host itself has. */
  readonly openNamed: (kind: t.NamedStorage, name: string) => Promise<OpenStorage>
  /** Loads the wasm; the same module on every call. */
  readonly load: () => Promise<RawModule>
}

const METHODS = ['read', 'write', 'sync', 'length', 'truncate'] as const

function custom(storage: t.SyncStorage): OpenStorage {
  const missing = METHODS.filter(name => typeof storage[name] !== 'function')
  if (missing.length > 0)
    throw invalid(`a storage needs the methods ${METHODS.join(', ')}; it lacks ${missing.join(', ')}`)
  const info = { kind: 'custom', persistent: undefined } as const
  return { object: storage, info, release: () => storage.close?.() }
}

const NAMED: readonly unknown[] = ['opfs', 'indexeddb', 'auto'] satisfies t.NamedStorage[]

/** Whether a storage is one that the host has, by name. */
export function isNamed(storage: unknown): storage is t.NamedStorage {
  return NAMED.includes(storage)
}

/** The name of a store in a storage that the host has. */
export function checkName(name: unknown): string {
  if (typeof name === 'string' && name !== '') return name
  throw invalid(`the option name must say which store, as a text that is not empty, not ${show(name)}`, {
    option: 'name',
  })
}

async function openStorage(
  { storage, name }: { storage: unknown; name: unknown },
  environment: Environment,
): Promise<OpenStorage> {
  if (isNamed(storage)) return environment.openNamed(storage, checkName(name))
  if (name !== undefined)
    throw invalid("the option name is for the storages 'opfs', 'indexeddb' and 'auto'", { option: 'name' })
  if (storage === 'memory') {
    return { object: undefined, info: { kind: 'memory', persistent: false }, release: () => {} }
  }
  if (storage === null || typeof storage !== 'object') {
    throw invalid(
      `the option storage must be 'memory', 'opfs', 'indexeddb', 'auto', { file } or a storage, not ${show(storage)}`,
      {
        option: 'storage',
      },
    )
  }
  if (!('file' in storage)) return custom(storage as t.SyncStorage)
  checkOptions(storage, fileRules)
  return environment.openFile(storage.file as string | t.URLLike)
}

let instance: Instance | undefined

async function load(environment: Environment): Promise<Instance> {
  const raw = await environment.load()
  instance ??= new EngineInstance(raw)
  instance.assertSound()
  return instance
}

/** Makes the engine's store on a storage, with options as the bindings read them. */
type Make = (
  instance: Instance,
  storage: t.SyncStorage | undefined,
  options: object,
) => RawEngine | Promise<RawEngine>

/** Makes a store in an environment, and gives its storage back if that fails. */
async function storeIn<V extends t.ValueCodec, K extends t.KeyCodec>(
  environment: Environment,
  options: t.OpenOptions<V, K>,
  make: Make,
): Promise<EngineStore<V, K>> {
  const instance = await load(environment)
  const {
    keys,
    values,
    onError,
    durability = 'strict',
    autoCompaction,
    retention,
    thinning,
    ...rest
  } = options
  const { storage: where, name, worker: _inPlace, ...others } = rest
  const codecs = { values: values ?? ('utf8' as V), keys: keys ?? ('utf8' as K) }
  const policy = checkPolicy(autoCompaction ?? 'off')
  const retained = checkRetention(retention ?? [])
  const thinner = checkThinning(thinning ?? 'off')
  const storage = await openStorage({ storage: where, name }, environment)
  const { info, release, onExit } = storage
  try {
    const engine = await make(instance, storage.object, {
      ...others,
      autoCompaction: policy,
      retention: retained,
      thinning: thinner,
      // Which revisions watchers are told of. In memory, which no crash survives, there is nothing to wait for.
      durability: info.kind === 'memory' ? 'relaxed' : durability,
    })
    const store = new EngineStore({
      instance,
      engine,
      host: environment.host,
      codecs,
      durability,
      storage: info,
      onError,
      settled: storage.object?.settled?.bind(storage.object),
      release,
    })
    onExit?.(() => {
      instance.assertSound()
      engine.flush()
    })
    return store
  } catch (thrown) {
    release()
    throw thrown
  }
}

/** Calls the engine, and translates what it throws. */
function guarded<T>(instance: Instance, call: () => T): T {
  try {
    instance.assertSound()
    return call()
  } catch (thrown) {
    throw instance.error(thrown) satisfies PalimpsestError
  }
}

/** Opens a store in an environment. */
export async function openIn<V extends t.ValueCodec, K extends t.KeyCodec>(
  environment: Environment,
  options: t.OpenOptions<V, K>,
): Promise<EngineStore<V, K>> {
  if (options === undefined)
    throw invalid("open needs options: at least { storage: 'memory' } or { storage: { file } }")
  checkOptions(options, openRules)
  return storeIn(environment, options, (instance, storage, raw) =>
    guarded(instance, () => new instance.raw.Engine(storage, raw)),
  )
}

/** Something of the engine's that makes a store and can give up. */
interface Maker {
  finish(): RawEngine
  cancel(): void
  free(): void
}

/** Fulfilled once a storage has done what it has only begun; what fails there is no news any more. */
async function settled(storage: t.SyncStorage | undefined): Promise<void> {
  try {
    await storage?.settled?.()
  } catch {}
}

/** Lets a maker make its store; if that fails, by whatever, nothing is left of the store. */
async function making<M extends Maker>(
  instance: Instance,
  storage: t.SyncStorage | undefined,
  maker: M,
  work: (maker: M) => Promise<void>,
): Promise<RawEngine> {
  try {
    await work(maker)
    return guarded(instance, () => maker.finish())
  } catch (thrown) {
    if (instance.isSound) maker.cancel()
    await settled(storage)
    throw thrown
  } finally {
    if (instance.isSound) maker.free()
  }
}

/** Makes a store of an export. */
export async function importIn<V extends t.ValueCodec, K extends t.KeyCodec>(
  environment: Environment,
  source: t.ImportSource,
  options: t.OpenOptions<V, K> & t.ImportOptions,
): Promise<EngineStore<V, K>> {
  if (options === undefined) throw invalid('an import needs options: at least where the new store is to be')
  checkOptions(options, { ...openRules, ...importRules })
  const { signal, ...others } = options
  const turns = new Turns(environment.host, signal)
  return storeIn(environment, others as t.OpenOptions<V, K>, (instance, storage, raw) => {
    const importer = guarded(instance, () => new instance.raw.Importer(storage, raw))
    return making(instance, storage, importer, () =>
      forEachPiece(source, turns, bytes => guarded(instance, () => importer.feed(bytes))),
    )
  })
}

/** Makes a store of a snapshot of etcd. */
export async function importEtcdIn<V extends t.ValueCodec, K extends t.KeyCodec>(
  environment: Environment,
  source: t.ImportSource,
  options: t.OpenOptions<V, K> & t.EtcdImportOptions,
): Promise<{ readonly store: EngineStore<V, K>; readonly imported: t.EtcdImported }> {
  if (options === undefined) throw invalid('an import needs options: at least where the new store is to be')
  checkOptions(options, { ...openRules, ...importRules, hashCheck: rules.hashCheck })
  const { signal, hashCheck, ...others } = options
  const turns = new Turns(environment.host, signal)
  const bytes = readable(await collected(source, turns))
  let imported: t.EtcdImported = { records: 0, leases: 0, missingLeases: 0, marks: 0 }
  const make: Make = (instance, storage, raw) => {
    const skips = hashCheck === 'skipped'
    const importer = guarded(instance, () => new instance.raw.EtcdImporter(bytes, storage, raw, skips))
    const finish = () => {
      const engine = importer.finish()
      imported = importer.report()
      return engine
    }
    const maker = { finish, cancel: () => importer.cancel(), free: () => importer.free() }
    return making(instance, storage, maker, async () => {
      while (guarded(instance, () => importer.step())) await turns.breathe()
    })
  }
  const store = await storeIn(environment, others as t.OpenOptions<V, K>, make)
  return { store, imported }
}
