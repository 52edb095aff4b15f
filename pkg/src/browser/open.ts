import { closed, PalimpsestError } from '../errors.js'
import { checkName, isNamed, openRules } from '../open.js'
import { checkOptions } from '../options.js'
import type * as t from '../types.js'
import { Channel } from './channel.js'
import { errorOf, type Message, type Opened, type Order } from './protocol.js'
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

function unreachable(words: string): PalimpsestError {
  const hint =
    "a page's Content-Security-Policy must allow `worker-src blob:`, or the option worker must make one that imports palimpsest-kv/worker"
  return new PalimpsestError('UNSUPPORTED', `the engine's worker can't be started: ${words}; ${hint}`)
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

/** Hears all that a worker says; what it says first is the answer. */
function firstWord(worker: t.WorkerLike, hear: (message: Message) => void): Promise<Message> {
  return new Promise((resolve, reject) => {
    worker.addEventListener('message', ({ data }) => {
      resolve(data as Message)
      hear(data as Message)
    })
    worker.addEventListener('error', ({ message }) => reject(unreachable(message ?? 'it was refused')))
  })
}

/** Hears that a worker has failed outside of any call: nothing more will come from it. */
function onBreakdown(worker: t.WorkerLike, end: (error: PalimpsestError) => void): void {
  const failed = ({ message: reason = 'it does not say why' }: t.WorkerEventLike) =>
    end(new PalimpsestError('POISONED', `the engine's worker has failed: ${reason}`, { reason }))
  worker.addEventListener('error', failed)
  worker.addEventListener('messageerror', failed)
}

/**
 * Gives the store back when the page is left. A page that the browser keeps, to show it again when one goes back, must not hold a store
 * that another page wants; it finds its store closed.
 */
function leavesWithPage(channel: Channel): () => void {
  const leave = () => {
    channel.leave()
    channel.end(closed('store, since its page was left,'))
  }
  addEventListener('pagehide', leave)
  return () => removeEventListener('pagehide', leave)
}

/** What a worker is begun with, and who hears it. */
interface Begin {
  readonly sources: Sources
  readonly start: () => Promise<t.WorkerLike>
  readonly order: Omit<Extract<Order, { type: 'open' }>, 'wasm' | 'type'>
  readonly hear: (message: Message) => void
  readonly fail: (error: PalimpsestError) => void
}

interface Begun {
  readonly worker: t.WorkerLike
  readonly opened: Opened
}

/** Starts a worker and has it open the store. */
async function begin({ sources, start, order, hear, fail }: Begin): Promise<Begun> {
  const worker = await start()
  const first = firstWord(worker, hear)
  try {
    // A worker that is refused says so before the wasm is there.
    const wasm = await Promise.race([sources.wasm(), first.then(() => sources.wasm())])
    worker.postMessage({ type: 'open', wasm, ...order } satisfies Order)
    const opened = await first
    if (opened.type === 'refused') throw errorOf(opened.thrown)
    if (opened.type !== 'opened') throw unreachable('it does not speak this version of the package')
    onBreakdown(worker, fail)
    return { worker, opened }
  } catch (error) {
    worker.terminate()
    throw error
  }
}

async function openInWorker(
  sources: Sources,
  { worker: make, onError, ...options }: Options,
): Promise<t.Store<t.ValueCodec, t.KeyCodec>> {
  checkName(options.name)
  let channel: Channel | undefined
  const plan: Begin = {
    sources,
    start: () => startWorker(sources, make),
    order: { options, hears: onError !== undefined },
    hear: message => channel?.hear(message),
    fail: error => channel?.end(error),
  }
  const begun = await begin(plan)
  const { state, storage } = begun.opened
  const opened = new Channel(begun.worker, state, error => onError?.(error))
  channel = opened
  const stopGuarding = guard(plan, begun, opened)
  const stay = leavesWithPage(opened)
  const release = () => {
    stay()
    stopGuarding()
  }
  const codecs = { values: options.values ?? 'utf8', keys: options.keys ?? 'utf8' } as const
  // Most methods are added to the prototype, which the types can't see.
  return new RemoteStore({ channel, codecs, storage, release }) as unknown as t.Store<
    t.ValueCodec,
    t.KeyCodec
  >
}

/** Replaces the worker when other tabs say that it hangs. Answers what ends it for good. */
function guard(plan: Begin, begun: Begun, channel: Channel): () => void {
  let { worker } = begun
  let { tab } = begun.opened
  if (tab === undefined) return () => worker.terminate()
  const line = new BroadcastChannel(tab.line)
  let isOver = false
  line.onmessage = async ({ data }) => {
    if (data.type !== 'hung' || data.leader !== tab?.id) return
    worker.terminate()
    channel.lose(Number.POSITIVE_INFINITY)
    try {
      const start = async () => {
        worker = await plan.start()
        channel.attach(worker)
        return worker
      }
      const next = await begin({ ...plan, start })
      tab = next.opened.tab
    } catch (error) {
      channel.end(error as PalimpsestError)
    }
    if (isOver) worker.terminate()
  }
  return () => {
    isOver = true
    line.close()
    worker.terminate()
  }
}
