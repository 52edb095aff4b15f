import { decodeKey, decodeValue } from './codec.js'
import type { Codecs } from './options.js'
import type { Entry, KeyCodec, KeyEntry, KeyTypes, Previous, ValueCodec, WatchEvent } from './types.js'

/** Bytes before an entry's key, as the bindings write them: four floats and two lengths. */
const HEAD_BYTES = 40

/** What the bindings say was there before an event. */
const Before = { entry: 2, compacted: 3 } as const

/** A block of packed entries, or of events, read one after the other. */
export class Block {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #offset = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  /** Whether there is another entry. */
  get hasNext(): boolean {
    return this.#offset < this.#bytes.length
  }

  /** The next entry. */
  entry<V extends ValueCodec, K extends KeyCodec>(codecs: Codecs<V, K>): Entry<V, K> {
    const head = this.#offset
    const view = this.#view
    const value = this.#valueAt(head)
    const end = value + view.getUint32(head + 36, true)
    this.#offset = end
    return {
      key: decodeKey(this.#bytes, head + HEAD_BYTES, value, codecs.keys),
      value: decodeValue(this.#bytes, value, end, codecs.values),
      createRevision: view.getFloat64(head, true),
      modRevision: view.getFloat64(head + 8, true),
      version: view.getFloat64(head + 16, true),
      lease: view.getFloat64(head + 24, true) || undefined,
    }
  }

  /** The next entry without its value, which was left out. */
  keyEntry<K extends KeyCodec>(codec: K): KeyEntry<K> {
    const head = this.#offset
    const view = this.#view
    return {
      key: this.key(codec),
      createRevision: view.getFloat64(head, true),
      modRevision: view.getFloat64(head + 8, true),
      version: view.getFloat64(head + 16, true),
      lease: view.getFloat64(head + 24, true) || undefined,
    }
  }

  /** The next entry's key. */
  key<K extends KeyCodec>(codec: K): KeyTypes[K] {
    const head = this.#offset
    const value = this.#valueAt(head)
    this.#offset = value + this.#view.getUint32(head + 36, true)
    return decodeKey(this.#bytes, head + HEAD_BYTES, value, codec)
  }

  /** The next event. */
  event<V extends ValueCodec, K extends KeyCodec>(codecs: Codecs<V, K>): WatchEvent<V, K> {
    const head = this.#offset
    const isDelete = this.#bytes[head] === 1
    const before = this.#bytes[head + 1]
    this.#offset = head + 2
    if (!isDelete) {
      const entry = this.entry(codecs)
      return { type: 'put', ...entry, previous: this.#previous(before, codecs) }
    }
    const { key, modRevision } = this.keyEntry(codecs.keys)
    return {
      type: 'delete',
      key,
      value: undefined,
      createRevision: 0,
      modRevision,
      version: 0,
      lease: undefined,
      previous: this.#previous(before, codecs),
    }
  }

  #previous<V extends ValueCodec, K extends KeyCodec>(
    before: number | undefined,
    codecs: Codecs<V, K>,
  ): Previous<V, K> {
    if (before === Before.entry) return this.entry(codecs)
    return before === Before.compacted ? 'compacted' : undefined
  }

  /** Where the value of the entry begins that begins at `head`. */
  #valueAt(head: number): number {
    return head + HEAD_BYTES + this.#view.getUint32(head + 32, true)
  }
}

/** The entries of a block, from its beginning. */
export function entriesOf<V extends ValueCodec, K extends KeyCodec>(
  bytes: Uint8Array,
  codecs: Codecs<V, K>,
): Entry<V, K>[] {
  const block = new Block(bytes)
  const entries: Entry<V, K>[] = []
  while (block.hasNext) entries.push(block.entry(codecs))
  return entries
}
