import { PalimpsestError } from '../errors.js'
import type { Export } from '../types.js'
import { type ItemsPlan, RemoteItems } from './items.js'

/** A copy of a store in a worker that is being taken. Invariant: `#revision` is known as soon as a chunk is handed out. */
export class RemoteExport implements Export {
  readonly #chunks: RemoteItems<Uint8Array>
  #revision: number | undefined

  constructor(plan: ItemsPlan) {
    this.#chunks = new RemoteItems(plan)
    // It is of the moment at which it is asked for.
    this.#chunks.begin()
  }

  get revision(): number {
    if (this.#revision !== undefined) return this.#revision
    const words =
      'which revision an export has is known in the thread of the engine, and here from the first chunk on'
    throw new PalimpsestError('UNSUPPORTED', words)
  }

  async next(): Promise<IteratorResult<Uint8Array>> {
    const chunk = await this.#chunks.next()
    // Not earlier: while none is read, another leader may have to begin anew.
    if (chunk.done !== true) this.#revision ??= await this.#chunks.about<number>('revision')
    return chunk
  }

  return(): Promise<IteratorResult<Uint8Array>> {
    return this.#chunks.return()
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}
