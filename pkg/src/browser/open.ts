import { PalimpsestError } from '../errors.js'
import { checkName, isNamed, openRules } from '../open.js'
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

/**
 * Makes a store of an export. A page whose store's engine would be in a worker can't: other tabs might have the store open, and what they do
 * to it can't be undone with the import.
 */
export async function importFrom(
  sources: Sources,
  source: t.ImportSource,
  options: Options & t.ImportOptions,
): Promise<t.Store<t.ValueCodec, t.KeyCodec>> {
  if (isNamed(options?.storage) && isPage())
    throw new PalimpsestError(
      'UNSUPPORTED',
      'a page makes stores of copies in memory only: do so in a worker, close the store there, and open it in the page',
    )
  const { importInPlace } = await sources.inPlace()
  return importInPlace(sources.wasm, source, options)
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
