import type { Batch } from './protocol.js'

/** A message takes no further item once its values are so long. */
const BATCH_SIZE = 256 * 1024

/** What is iterated for a page, a batch a message. What fails after some items is told after them, as it is in the engine's thread. */
export class Batches {
  /** What is iterated. */
  readonly items: AsyncIterator<unknown>
  #failure: { readonly error: unknown } | undefined

  constructor(items: AsyncIterator<unknown>) {
    this.items = items
  }

  /** The next items, at most so many. */
  async next(most: number): Promise<Batch> {
    const failure = this.#failure
    this.#failure = undefined
    if (failure !== undefined) throw failure.error
    const items: unknown[] = []
    try {
      for (let size = 0; items.length < most && size < BATCH_SIZE; ) {
        const next = await this.items.next()
        if (next.done === true) return { items, done: true }
        items.push(next.value)
        size += sizeOf(next.value)
      }
    } catch (error) {
      if (items.length === 0) throw error
      this.#failure = { error }
    }
    return { items, done: false }
  }

  /** Nothing more is asked for. */
  end(): void {
    this.items.return?.().catch(() => {})
  }
}

/** How long the value of an entry is, or what is bytes itself, as far as that is easily told. */
function sizeOf(item: unknown): number {
  if (item instanceof Uint8Array) return item.length
  const { value } = item as { value?: { length?: unknown } }
  return typeof value?.length === 'number' ? value.length : 0
}
