import type { Background } from './background.js'
import {
  countRules,
  diffRules,
  entryRules,
  getRules,
  historyRules,
  keysRules,
  rangeRules,
} from './call-rules.js'
import { checkKey, encodeKey } from './codec.js'
import type { Instance, RawBatches, RawCursor, RawRangeOptions, RawReader } from './engine.js'
import { Block } from './entries.js'
import { PACKED_ALL, packSelection } from './keys.js'
import { type Codecs, checkMoment, checkOptions, checkRevision, codecsOf } from './options.js'
import { LazyRange, type RangePlan, SyncItems } from './range.js'
import type * as t from './types.js'

/** Which entries a range reads, and how, as the bindings read it. */
export function rawRead(options: t.GetModifiers): RawRangeOptions {
  checkMoment(options)
  const { revision, at, limit, sort, minModRevision, maxModRevision, minCreateRevision, maxCreateRevision } =
    options
  return {
    revision: revision ?? 0,
    at: at?.getTime(),
    limit,
    sort: sort && { by: sort.by, order: sort.order ?? 'ascending' },
    minModRevision,
    maxModRevision,
    minCreateRevision,
    maxCreateRevision,
  }
}

type Ranging<V extends t.ValueCodec, K extends t.KeyCodec> = t.RangeOptions<V, K> | t.KeyEntriesOptions<K>
type Diffing<V extends t.ValueCodec, K extends t.KeyCodec> = t.DiffOptions<V, K> | t.KeyDiffOptions<K>
type Differing<V extends t.ValueCodec, K extends t.KeyCodec> = t.Difference<V, K> | t.KeyDifference<K>
type Past<V extends t.ValueCodec, K extends t.KeyCodec> = t.HistoryOptions<V, K> | t.KeyHistoryOptions<K>
type PastVersion<V extends t.ValueCodec, K extends t.KeyCodec> = t.Version<V, K> | t.KeyVersion<K>
type Moment = { readonly revision?: number | undefined; readonly at?: Date | undefined }
type Item<V extends t.ValueCodec, K extends t.KeyCodec> = t.Entry<V, K> | t.KeyEntry<K>

/** What reads have in common, whether of a store as it is now or of a snapshot. */
export abstract class EngineReader<V extends t.ValueCodec, K extends t.KeyCodec> implements t.Reader<V, K> {
  /** The wasm instance that the engine lives in. */
  protected readonly instance: Instance
  /** The store's background work, which long chains of reads give way to. */
  protected readonly background: Background
  /** The store's codecs. */
  protected readonly codecs: Codecs<V, K>

  constructor(instance: Instance, background: Background, codecs: Codecs<V, K>) {
    this.instance = instance
    this.background = background
    this.codecs = codecs
  }

  /** Throws if this can't be read any more. */
  protected abstract assertOpen(): void

  /** Calls `read` with what this reads from, as it was at `revision`, or as it is. */
  protected abstract reading<T>(revision: number | undefined, read: (raw: RawReader) => T): T

  /** The newest revision that was there at a time, in milliseconds since 1970; throws if it is not known, or can't be read. */
  protected abstract readableAt(millis: number): number

  /** Calls `open` with what all that is still there is read from. */
  protected abstract past(open: (raw: RawReader) => RawBatches): RawBatches

  /** Opens a cursor, at `options.revision` if there is one. */
  protected abstract cursor(keys: Uint8Array, options: RawRangeOptions): RawCursor

  async get<W extends t.ValueCodec = V>(
    key: t.Key,
    options?: t.GetOptions<W>,
  ): Promise<t.ValueTypes[W] | undefined> {
    const breath = this.background.breath()
    if (breath !== undefined) await breath
    return this.getSync(key, options)
  }

  getSync<W extends t.ValueCodec = V>(key: t.Key, options?: t.GetOptions<W>): t.ValueTypes[W] | undefined {
    if (options !== undefined) checkOptions(options, getRules)
    this.assertOpen()
    const checked = checkKey(key)
    try {
      return this.value(
        checked,
        options?.at === undefined ? options?.revision : this.#revision(options),
        options?.values ?? (this.codecs.values as t.ValueCodec as W),
      )
    } catch (thrown) {
      throw this.instance.error(thrown)
    }
  }

  /** A key's decoded value, at a revision or the newest. */
  protected abstract value<W extends t.ValueCodec>(
    key: t.Key,
    revision: number | undefined,
    codec: W,
  ): t.ValueTypes[W] | undefined

  /** A key's packed entry, at a revision or the newest. */
  protected abstract entry(key: Uint8Array, revision: number | undefined): Uint8Array | undefined

  async getEntry<W extends t.ValueCodec = V, L extends t.KeyCodec = K>(
    key: t.Key,
    options?: t.EntryOptions<W, L>,
  ): Promise<t.Entry<W, L> | undefined> {
    checkOptions(options, entryRules)
    const packed = encodeKey(checkKey(key))
    const bytes = this.guarded(() => this.entry(packed, this.#revision(options)))
    return bytes && new Block(bytes).entry(codecsOf<W, L>(options, this.codecs))
  }

  range<L extends t.KeyCodec = K>(options: t.KeyEntriesOptions<L>): t.Range<t.KeyEntry<L>>
  range<W extends t.ValueCodec = V, L extends t.KeyCodec = K>(
    options?: t.RangeOptions<W, L>,
  ): t.Range<t.Entry<W, L>>
  range<W extends t.ValueCodec, L extends t.KeyCodec>(options?: Ranging<W, L>): t.Range<Item<W, L>> {
    return new LazyRange(this.#entries(options))
  }

  rangeSync<L extends t.KeyCodec = K>(options: t.KeyEntriesOptions<L>): IterableIterator<t.KeyEntry<L>>
  rangeSync<W extends t.ValueCodec = V, L extends t.KeyCodec = K>(
    options?: t.RangeOptions<W, L>,
  ): IterableIterator<t.Entry<W, L>>
  rangeSync<W extends t.ValueCodec, L extends t.KeyCodec>(
    options?: Ranging<W, L>,
  ): IterableIterator<Item<W, L>> {
    return new SyncItems(this.#entries(options))
  }

  keys<L extends t.KeyCodec = K>(options?: t.KeysOptions<L>): t.Range<t.KeyTypes[L]> {
    checkOptions(options, keysRules)
    const { keys } = codecsOf<V, L>({ keys: options?.keys }, this.codecs)
    return new LazyRange({ ...this.#source(options, true), take: block => block.key(keys) })
  }

  async count(options?: t.CountOptions): Promise<number> {
    checkOptions(options, countRules)
    const keys = packSelection(options ?? {}) ?? PACKED_ALL
    return this.guarded(() => this.reading(this.#revision(options), raw => raw.count(keys)))
  }

  history<L extends t.KeyCodec = K>(key: t.Key, options: t.KeyHistoryOptions<L>): t.Range<t.KeyVersion<L>>
  history<W extends t.ValueCodec = V, L extends t.KeyCodec = K>(
    key: t.Key,
    options?: t.HistoryOptions<W, L>,
  ): t.Range<t.Version<W, L>>
  history<W extends t.ValueCodec, L extends t.KeyCodec>(
    key: t.Key,
    options?: Past<W, L>,
  ): t.Range<PastVersion<W, L>> {
    checkOptions(options, historyRules)
    // As it is now: it is read when the first item is asked for.
    const packed = encodeKey(checkKey(key)).slice()
    const { reverse, from, keysOnly } = options ?? {}
    const codecs = codecsOf<W, L>(options as t.HistoryOptions<W, L> | undefined, this.codecs)
    const take: RangePlan<PastVersion<W, L>>['take'] =
      keysOnly === true ? block => block.keyVersion(codecs.keys) : block => block.version(codecs)
    const open = (limit: number | undefined) =>
      this.past(raw => raw.history(packed, { reverse, from, keysOnly, limit }))
    return new LazyRange({ ...this.#plan(options), open, take })
  }

  diff<L extends t.KeyCodec = K>(
    from: number,
    to: number,
    options: t.KeyDiffOptions<L>,
  ): t.Range<t.KeyDifference<L>>
  diff<W extends t.ValueCodec = V, L extends t.KeyCodec = K>(
    from: number,
    to: number,
    options?: t.DiffOptions<W, L>,
  ): t.Range<t.Difference<W, L>>
  diff<W extends t.ValueCodec, L extends t.KeyCodec>(
    from: number,
    to: number,
    options?: Diffing<W, L>,
  ): t.Range<Differing<W, L>> {
    const revisions = { from: checkRevision(from), to: checkRevision(to) }
    checkOptions(options, diffRules)
    const keys = packSelection((options as t.KeySelection | undefined) ?? {}) ?? PACKED_ALL
    const keysOnly = options?.keysOnly === true
    const codecs = codecsOf<W, L>(options as t.DiffOptions<W, L> | undefined, this.codecs)
    const take: RangePlan<Differing<W, L>>['take'] = keysOnly
      ? block => block.keyDifference(codecs.keys)
      : block => block.difference(codecs)
    const open = (limit: number | undefined) =>
      this.past(raw => raw.diff(keys, { ...revisions, keysOnly, limit }))
    return new LazyRange({ ...this.#plan(options), open, take })
  }

  /** Calls the engine, and translates what it throws. */
  protected guarded<T>(call: () => T): T {
    this.assertOpen()
    try {
      return call()
    } catch (thrown) {
      throw this.instance.error(thrown)
    }
  }

  #entries<W extends t.ValueCodec, L extends t.KeyCodec>(
    options: Ranging<W, L> | undefined,
  ): RangePlan<Item<W, L>> {
    checkOptions(options, rangeRules)
    const keysOnly = options?.keysOnly === true
    const codecs = codecsOf<W, L>(options as t.RangeOptions<W, L> | undefined, this.codecs)
    const take: RangePlan<Item<W, L>>['take'] = keysOnly
      ? block => block.keyEntry(codecs.keys)
      : block => block.entry(codecs)
    return { ...this.#source(options, keysOnly), take }
  }

  #source(options: t.KeysOptions | undefined, keysOnly: boolean): Omit<RangePlan<never>, 'take'> {
    this.assertOpen()
    const keys = packSelection(options ?? {}) ?? PACKED_ALL
    const { at, ...raw } = rawRead(options ?? {})
    const open = (limit: number | undefined) => {
      const revision = at === undefined ? raw.revision : this.readableAt(at)
      return this.cursor(keys, { ...raw, revision, keysOnly, limit })
    }
    const count = (cursor: RawBatches) => (cursor as RawCursor).count()
    return { ...this.#plan(options), open, count: options?.withCount === true ? count : undefined }
  }

  /** What all that is read in batches has in common. */
  #plan(
    options:
      | { readonly limit?: number | undefined; readonly signal?: t.AbortSignalLike | undefined }
      | undefined,
  ): Omit<RangePlan<never>, 'take' | 'open'> {
    this.assertOpen()
    return {
      instance: this.instance,
      background: this.background,
      assertOpen: () => this.assertOpen(),
      count: undefined,
      limit: options?.limit,
      signal: options?.signal,
    }
  }

  /** The revision to read at, for one that is named and for a time. */
  #revision(moment: Moment | undefined): number | undefined {
    checkMoment(moment)
    return moment?.at === undefined ? moment?.revision : this.readableAt(moment.at.getTime())
  }
}
