import { decodeKey, decodeValue } from './codec.js'
import type { Codecs } from './options.js'
import type {
  DeleteVersion,
  Difference,
  Entry,
  KeyCodec,
  KeyDifference,
  KeyEntry,
  KeyTypes,
  KeyVersion,
  Previous,
  ValueCodec,
  Version,
  WatchEvent,
} from './types.js'

/** Bytes before an entry's key, as the bindings write them: four floats and two lengths. */
const HEAD_BYTES = 40

/** What the bindings say was there before an event. */
const Before = { entry: 2, compacted: 3 } as const

/** Where the bindings say that a key is that differs: before, after, or both. */
const Differs = { deleted: 1, changed: 3 } as const

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
    const before = this.#bytes[this.#offset + 1]
    const version = this.version(codecs)
    return { ...version, previous: this.#previous(before, codecs) }
  }

  /** The next event without what was there before, which was not asked for. */
  version<V extends ValueCodec, K extends KeyCodec>(codecs: Codecs<V, K>): Version<V, K> {
    return this.#version(() => this.entry(codecs), codecs.keys)
  }

  /** The next version of a history without its value, which was left out. */
  keyVersion<K extends KeyCodec>(codec: K): KeyVersion<K> {
    return this.#version(() => this.keyEntry(codec), codec)
  }

  #version<E, K extends KeyCodec>(take: () => E, codec: K): ({ type: 'put' } & E) | DeleteVersion<K> {
    const isDelete = this.#bytes[this.#offset] === 1
    this.#offset += 2
    if (!isDelete) return { type: 'put', ...take() }
    const { key, modRevision } = this.keyEntry(codec)
    return {
      type: 'delete',
      key,
      value: undefined,
      createRevision: 0,
      modRevision,
      version: 0,
      lease: undefined,
    }
  }

  /** The next key that differs. */
  difference<V extends ValueCodec, K extends KeyCodec>(codecs: Codecs<V, K>): Difference<V, K> {
    return this.#difference(() => this.entry(codecs))
  }

  /** The same without values, which were left out. */
  keyDifference<K extends KeyCodec>(codec: K): KeyDifference<K> {
    return this.#difference(() => this.keyEntry(codec))
  }

  #difference<E extends { readonly key: unknown }>(
    take: () => E,
  ): { type: 'created' | 'changed' | 'deleted'; key: E['key']; before: E | undefined; after: E | undefined } {
    const which = this.#bytes[this.#offset]
    this.#offset += 1
    const before = which === Differs.deleted || which === Differs.changed ? take() : undefined
    const after = which === Differs.deleted ? undefined : take()
    const type = which === Differs.deleted ? 'deleted' : which === Differs.changed ? 'changed' : 'created'
    return { type, key: (before ?? after)?.key, before, after }
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
