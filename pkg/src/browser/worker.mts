/**
 * The engine's side of a store that a page has opened: a module for a worker of one's own, whose only line it can be.
 *
 * @packageDocumentation
 */
import type { NamedStorage, OpenOptions, ValueCodec } from '../types.js'
import { chosen, openInPlace } from './in-place.js'
import { type Store, serving } from './leading.js'
import { type Message, type Order, thrownOf } from './protocol.js'
import { Receiving } from './receiving.js'
import type { Settings } from './settings.js'
import { Tab } from './tab.js'

/** The thread of the worker, which talks to the page. */
const thread = globalThis as unknown as {
  postMessage(message: Message): void
  addEventListener(type: 'message', listener: (event: { readonly data: Order }) => void): void
  close(): void
}

type Opening = Extract<Order, { type: 'open' }>

const say = (message: Message): void => thread.postMessage(message)

/** What answers the page. */
let side: Pick<Tab, 'serve'> | undefined
let close: (() => Promise<void>) | undefined
/** What makes a store for the page. */
let receiving: Receiving | undefined

function opener({ wasm, options, hears }: Opening): (settings: Settings) => Promise<Store> {
  const asked = options as OpenOptions<ValueCodec>
  const onError = hears ? (error: Error) => say({ type: 'failure', thrown: thrownOf(error) }) : undefined
  return settings => openInPlace(async () => wasm, { ...asked, ...settings, onError })
}

/** What a tab must have in common with its leader. */
function termsOf({ values = 'utf8', keys = 'utf8', durability = 'strict' }: OpenOptions<ValueCodec>): string {
  return `values ${values}, keys ${keys} and durability ${durability}`
}

/** Without locks there are no other tabs, or no storage at all, as opening tells. */
async function alone(open: (settings: Settings) => Promise<Store>): Promise<void> {
  const store = await open({})
  close = () => store.close()
  const server = serving(store, { post: say, role: undefined, close })
  say({
    type: 'opened',
    storage: store.storage,
    state: await server.state(),
    tab: undefined,
    role: undefined,
    epoch: 0,
    base: store.revision,
  })
  side = { serve: (_only, requests) => server.serve(requests) }
}

async function open(order: Opening): Promise<void> {
  try {
    const options = order.options as OpenOptions<ValueCodec> & { name: string; storage: NamedStorage }
    if (navigator.locks === undefined) return await alone(opener(order))
    const { name, storage } = options
    const key = `${storage === 'auto' ? await chosen(name) : storage}/${name}`
    const tab = new Tab({ key, terms: termsOf(options), comes: order.comes, open: opener(order), say })
    side = tab
    close = () => tab.close()
    await tab.start()
  } catch (error) {
    say({ type: 'refused', thrown: thrownOf(error) })
  }
}

/** The page goes: what it has written is made durable, and the storage is free for others. */
async function leave(): Promise<void> {
  // Nobody is there to be told of a failure; the storage is given back in any case.
  await close?.().catch(() => {})
  thread.close()
}

function receive(order: Extract<Order, { type: 'import' }>): Promise<void> {
  receiving = new Receiving(say)
  return receiving.run(order)
}

thread.addEventListener('message', ({ data }) => {
  if (data.type === 'open') void open(data)
  else if (data.type === 'requests') side?.serve(data.epoch, data.requests)
  else if (data.type === 'leave') void leave()
  else if (data.type === 'import') void receive(data)
  else receiving?.hear(data)
})
