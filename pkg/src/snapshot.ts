import { decodeValue, encodeKey } from './codec.js'
import type { RawBatches, RawCursor, RawRangeOptions, RawReader, RawSnapshot } from './engine.js'
import { closed, invalid } from './errors.js'
import { EngineReader } from './reader.js'
import type { EngineStore } from './store.js'
import type { Key, KeyCodec, Snapshot, ValueCodec, ValueTypes } from './types.js'

/** A snapshot of a store whose engine runs in this thread. Invariant: `raw` is there exactly while it is open. */
export class EngineSnapshot<V extends ValueCodec, K extends KeyCodec>
  extends EngineReader<V, K>
  implements Omit<Snapshot<V, K>, typeof Symbol.dispose>
{
  readonly revision: number
  readonly #store: EngineStore<V, K>
  #raw: RawSnapshot | undefined

  constructor(store: EngineStore<V, K>, raw: RawSnapshot) {
    super(...store.parts)
    this.#store = store
    this.#raw = raw
    this.revision = raw.revision()
  }

  close(): void {
    const raw = this.#raw
    this.#raw = undefined
    if (raw === undefined || !this.instance.isSound) return
    raw.free()
    // What it has held back can be used again.
    this.background.wake()
  }

  protected assertOpen(): void {
    this.#store.assertOpen()
    if (this.#raw === undefined) throw closed('snapshot')
  }

  protected value<W extends ValueCodec>(
    key: Key,
    revision: number | undefined,
    codec: W,
  ): ValueTypes[W] | undefined {
    const bytes = this.#open(revision).get(encodeKey(key))
    return bytes && decodeValue(bytes, 0, bytes.length, codec)
  }

  protected entry(key: Uint8Array, revision: number | undefined): Uint8Array | undefined {
    return this.#open(revision).entry(key)
  }

  protected reading<T>(revision: number | undefined, read: (raw: RawReader) => T): T {
    return read(this.#open(revision))
  }

  protected cursor(keys: Uint8Array, options: RawRangeOptions): RawCursor {
    return this.#open(options.revision).cursor(keys, options)
  }

  protected readableAt(): number {
    throw invalid(`a snapshot reads at its own revision, ${this.revision}, not at a time`, { option: 'at' })
  }

  protected past(open: (raw: RawReader) => RawBatches): RawBatches {
    return open(this.#open(undefined))
  }

  #open(revision: number | undefined): RawSnapshot {
    if (this.#raw === undefined) throw closed('snapshot')
    if (revision === undefined || revision === 0 || revision === this.revision) return this.#raw
    throw invalid(`a snapshot reads at its own revision, ${this.revision}, not at ${revision}`)
  }
}

if (typeof Symbol.dispose === 'symbol') {
  Object.defineProperty(EngineSnapshot.prototype, Symbol.dispose, {
    value: function dispose(this: EngineSnapshot<ValueCodec, KeyCodec>): void {
      this.close()
    },
  })
}

/** The snapshot as its users see it. */
export function snapshotOf<V extends ValueCodec, K extends KeyCodec>(
  store: EngineStore<V, K>,
  raw: RawSnapshot,
): Snapshot<V, K> {
  // `Symbol.dispose` is added to the prototype above, which the types can't see.
  return new EngineSnapshot(store, raw) as unknown as Snapshot<V, K>
}
