import type { ImportOptions, OpenOptions, ValueCodec } from '../types.js'
import { importInPlace } from './in-place.js'
import { type Message, type Order, thrownOf } from './protocol.js'

/** What a page says while a store is made for it. */
type Word = Extract<Order, { type: 'piece' | 'cut' }>

/** A store that this worker makes of bytes that a page sends, piece after piece, and closes again. */
export class Receiving {
  readonly #say: (message: Message) => void
  readonly #cut = new AbortController()
  #take: (bytes: Uint8Array | undefined) => void = () => {}

  constructor(say: (message: Message) => void) {
    this.#say = say
  }

  /** Makes the store, and tells what has become of it. */
  async run({ wasm, options }: Extract<Order, { type: 'import' }>): Promise<void> {
    try {
      const opening = options as OpenOptions<ValueCodec>
      const asked: OpenOptions<ValueCodec> & ImportOptions = { ...opening, signal: this.#cut.signal }
      const store = await importInPlace(async () => wasm, this.#pieces(), asked)
      await store.close()
      this.#say({ type: 'imported' })
    } catch (error) {
      this.#say({ type: 'refused', thrown: thrownOf(error) })
    }
  }

  hear(word: Word): void {
    if (word.type === 'cut') this.#cut.abort()
    this.#take(word.type === 'cut' ? undefined : word.bytes)
  }

  async *#pieces(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const taken = new Promise<Uint8Array | undefined>(resolve => {
        this.#take = resolve
      })
      this.#say({ type: 'wanted' })
      const bytes = await taken
      this.#cut.signal.throwIfAborted()
      if (bytes === undefined) return
      yield bytes
    }
  }
}
