import type { Instance, RawModule } from './engine.js'
import { Instance as EngineInstance } from './engine.js'
import { invalid, type PalimpsestError, show } from './errors.js'
import type { Host } from './host.js'
import { checkOptions, checkPolicy, checkRetention, checkThinning, rules } from './options.js'
import { EngineStore } from './store.js'
import type * as t from './types.js'

const openRules = {
  storage: rules.anything,
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

function openStorage(storage: unknown, environment: Environment): OpenStorage {
  if (storage === 'memory') {
    return { object: undefined, info: { kind: 'memory', persistent: false }, release: () => {} }
  }
  if (storage === null || typeof storage !== 'object') {
    throw invalid(`the option storage must be 'memory', { file } or a storage, not ${show(storage)}`, {
      option: 'storage',
    })
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

/** Opens a store in an environment. */
export async function openIn<V extends t.ValueCodec, K extends t.KeyCodec>(
  environment: Environment,
  options: t.OpenOptions<V, K>,
): Promise<EngineStore<V, K>> {
  if (options === undefined)
    throw invalid("open needs options: at least { storage: 'memory' } or { storage: { file } }")
  checkOptions(options, openRules)
  const instance = await load(environment)
  const {
    storage: where,
    keys,
    values,
    onError,
    durability = 'strict',
    autoCompaction,
    retention,
    thinning,
    ...others
  } = options
  const codecs = { values: values ?? ('utf8' as V), keys: keys ?? ('utf8' as K) }
  const policy = checkPolicy(autoCompaction ?? 'off')
  const retained = checkRetention(retention ?? [])
  const thinner = checkThinning(thinning ?? 'off')
  const storage = openStorage(where, environment)
  const { info, release, onExit } = storage
  try {
    const engine = new instance.raw.Engine(storage.object, {
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
      release,
    })
    onExit?.(() => {
      instance.assertSound()
      engine.flush()
    })
    return store
  } catch (thrown) {
    release()
    throw instance.error(thrown) satisfies PalimpsestError
  }
}
