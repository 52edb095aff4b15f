import { decodeKey, decodeValue } from './codec.js'
import type { Codecs } from './options.js'
import type { Entry, KeyCodec, KeyTypes, ValueCodec } from './types.js'

/** Bytes before an entry's key, as the bindings write them: three floats and two lengths. */
const HEAD_BYTES = 32

/** A block of packed entries, read one after the other. */
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
    const value = head + HEAD_BYTES + view.getUint32(head + 24, true)
    const end = value + view.getUint32(head + 28, true)
    this.#offset = end
    return {
      key: decodeKey(this.#bytes, head + HEAD_BYTES, value, codecs.keys),
      value: decodeValue(this.#bytes, value, end, codecs.values),
      createRevision: view.getFloat64(head, true),
      modRevision: view.getFloat64(head + 8, true),
      version: view.getFloat64(head + 16, true),
    }
  }

  /** The next entry's key. */
  key<K extends KeyCodec>(codec: K): KeyTypes[K] {
    const head = this.#offset
    const value = head + HEAD_BYTES + this.#view.getUint32(head + 24, true)
    this.#offset = value + this.#view.getUint32(head + 28, true)
    return decodeKey(this.#bytes, head + HEAD_BYTES, value, codec)
  }
}
