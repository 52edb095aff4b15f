import { checkName, importRules, isNamed, openRules } from '../open.js'
import { checkOptions } from '../options.js'
import type * as t from '../types.js'
import { Attendant, unreachable } from './attendant.js'
import { RemoteStore } from './remote-store.js'

/** Where a page gets what an engine is made of. Each is loaded when it is first needed. */
export interface Sources {
  readonly wasm: () => Promise<WebAssembly.Module>
  /** The code of the worker. */
  readonly workerCode: () => Promise<string>
  /** What opens a store in the thread of the caller. */
  readonly inPlace: () => Promise<typeof import('./in-place.js')>
  /** What has a worker make a store. */
  readonly importing: () => Promise<typeof import('./importing.js')>
}

type Options = t.OpenOptions<t.ValueCodec, t.KeyCodec>

/** Whether this thread is a page's, where the engine must not keep the event loop, and can't have the private file system. */
function isPage(): boolean {
  return typeof (globalThis as { document?: unknown }).document === 'object'
}

/** Opens a store from whatever thread this is. */
export async function openFrom(
  sources: Sources,
  options: Options,
): Promise<t.Store<t.ValueCodec, t.KeyCodec>> {
  // Without options the engine's side says what is missing.
  if (options !== undefined) checkOptions(options, openRules)
  if (options !== undefined && isNamed(options.storage) && isPage()) return openInWorker(sources, options)
  const { openInPlace } = await sources.inPlace()
  return openInPlace(sources.wasm, options)
}

/** Makes a store of an export, from whatever thread this is. */
export async function importFrom(
  sources: Sources,
  source: t.ImportSource,
  options: Options & t.ImportOptions,
): Promise<t.Store<t.ValueCodec, t.KeyCodec>> {
  if (!isNamed(options?.storage) || !isPage()) {
    const { importInPlace } = await sources.inPlace()
    return importInPlace(sources.wasm, source, options)
  }
  checkOptions(options, { ...openRules, ...importRules })
  const { signal, ...opening } = options
  checkName(opening.name)
  const { worker: make, onError: _, ...cloned } = opening
  const { importInWorker } = await sources.importing()
  const start = () => startWorker(sources, make)
  // A worker has the store for itself while it is made; only then may other tabs have it, too.
  await importInWorker({ wasm: sources.wasm, start, options: cloned, signal }, source)
  return openInWorker(sources, opening)
}

async function startWorker(sources: Sources, make: Options['worker']): Promise<t.WorkerLike> {
  if (make !== undefined) return make()
  const url = URL.createObjectURL(new Blob([await sources.workerCode()], { type: 'text/javascript' }))
  try {
    return new Worker(url, { name: 'palimpsest-kv' })
  } catch (error) {
    throw unreachable((error as Error).message)
  } finally {
    URL.revokeObjectURL(url)
  }
}

async function openInWorker(
  sources: Sources,
  { worker: make, onError, ...options }: Options,
): Promise<t.Store<t.ValueCodec, t.KeyCodec>> {
  checkName(options.name)
  const attendant = new Attendant({
    wasm: sources.wasm,
    start: () => startWorker(sources, make),
    order: { options, hears: onError !== undefined },
    onFailure: error => onError?.(error),
  })
  const { channel, storage } = await attendant.open()
  const codecs = { values: options.values ?? 'utf8', keys: options.keys ?? 'utf8' } as const
  // Most methods are added to the prototype, which the types can't see.
  return new RemoteStore({
    channel,
    codecs,
    storage,
    release: () => attendant.release(),
  }) as unknown as t.Store<t.ValueCodec, t.KeyCodec>
}
