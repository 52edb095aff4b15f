/**
 * The engine's side of a store that a page has opened: a module for a worker of one's own, whose only line it can be.
 *
 * @packageDocumentation
 */
import type { Background } from '../background.js'
import type { OpenOptions, Store, ValueCodec } from '../types.js'
import { openInPlace } from './in-place.js'
import { type Message, type Order, thrownOf } from './protocol.js'
import { Server } from './server.js'

/** The thread of the worker, which talks to the page. */
const thread = globalThis as unknown as {
  postMessage(message: Message): void
  addEventListener(type: 'message', listener: (event: { readonly data: Order }) => void): void
  close(): void
}

const say = (message: Message): void => thread.postMessage(message)

let server: Server | undefined
let store: Store<ValueCodec> | undefined

async function open({ wasm, options, hears }: Extract<Order, { type: 'open' }>): Promise<void> {
  try {
    const asked = options as OpenOptions<ValueCodec>
    const onError = hears ? (error: Error) => say({ type: 'failure', thrown: thrownOf(error) }) : undefined
    const opened = await openInPlace(async () => wasm, { ...asked, onError })
    const served = new Server(opened as Store<ValueCodec, 'utf8' | 'bytes'>, say)
    const { background } = opened as unknown as { background: Background }
    background.observe(() => served.changed())
    store = opened as Store<ValueCodec>
    server = served
    say({ type: 'opened', storage: opened.storage, state: await served.state() })
  } catch (error) {
    say({ type: 'refused', thrown: thrownOf(error) })
  }
}

/** The page goes: what it has written is made durable, and the storage is free for others. */
async function leave(): Promise<void> {
  // Nobody is there to be told of a failure; the storage is given back in any case.
  await store?.close().catch(() => {})
  thread.close()
}

thread.addEventListener('message', ({ data }) => {
  if (data.type === 'open') void open(data)
  else if (data.type === 'requests') server?.serve(data.requests)
  else if (data.type === 'leave') void leave()
})
