import { Background } from './background.js'
import { checkKey, decodeValue, encodeKey, encodeValue, valueBytes } from './codec.js'
import { EngineJob } from './compaction.js'
import {
  freeing,
  type Instance,
  type RawCursor,
  type RawEngine,
  type RawRangeOptions,
  type RawReader,
} from './engine.js'
import { closed, type PalimpsestError } from './errors.js'
import { Exchange, OTHERWISE } from './exchange.js'
import type { Host } from './host.js'
import { packKeys } from './keys.js'
import { type Codecs, checkOptions, checkRevision, rules } from './options.js'
import { EngineReader } from './reader.js'
import { snapshotOf } from './snapshot.js'
import { compare, EngineTxn } from './txn.js'
import type * as t from './types.js'

const putRules = { values: rules.values }
const snapshotRules = { revision: rules.revision }

/** What a store is made of. */
export interface StoreParts<V extends t.ValueCodec, K extends t.KeyCodec> {
  readonly instance: Instance
  readonly engine: RawEngine
  readonly host: Host
  readonly codecs: Codecs<V, K>
  readonly storage: t.StorageInfo
  readonly onError: ((error: PalimpsestError) => void) | undefined
  /** Gives the storage back; called once. */
  readonly release: () => void
}

/** A store whose engine runs in this thread. */
export class EngineStore<V extends t.ValueCodec, K extends t.KeyCodec>
  extends EngineReader<V, K>
  implements Omit<t.Store<V, K>, typeof Symbol.asyncDispose>
{
  readonly storage: t.StorageInfo
  readonly #engine: RawEngine
  readonly #exchange: Exchange
  readonly #parts: StoreParts<V, K>
  #isClosed = false
  /** A failure of background work that no call has answered with yet. */
  #failure: PalimpsestError | undefined
  #job: EngineJob | undefined

  constructor(parts: StoreParts<V, K>) {
    super(parts.instance, new Background(parts.instance, parts.engine, parts.host), parts.codecs)
    this.#parts = parts
    this.#engine = parts.engine
    this.#exchange = new Exchange(parts.instance.raw, parts.engine)
    this.storage = parts.storage
    this.background.observe(error => this.#observe(error))
    // Opening may have found work, such as a compaction to resume.
    this.background.wake()
  }

  /** What a reader of this store is made of. */
  get parts(): [Instance, Background, Codecs<V, K>] {
    return [this.instance, this.background, this.codecs]
  }

  get revision(): number {
    return this.guarded(() => this.#engine.revision())
  }

  get durableRevision(): number {
    return this.guarded(() => this.#engine.durableRevision())
  }

  get compaction(): t.CompactionJob | undefined {
    this.assertOpen()
    // A compaction that an earlier opening has left unfinished is resumed by the engine.
    if (this.#job === undefined) {
      const { scheduled, finished } = this.#status()
      if (scheduled !== undefined && scheduled !== finished) this.#job = this.#newJob(scheduled)
    }
    return this.#job
  }

  async put<W extends t.ValueCodec = V>(
    key: t.Key,
    value: t.ValueTypes[W],
    options?: t.PutOptions<W>,
  ): Promise<t.Written> {
    if (options !== undefined) checkOptions(options, putRules)
    this.#assertWritable()
    const checked = checkKey(key)
    const encoded = encodeValue(value, options?.values ?? this.codecs.values)
    let revision: number
    try {
      revision =
        this.#exchange.put(checked, encoded) ?? this.#engine.put(encodeKey(checked), valueBytes(encoded))
    } catch (thrown) {
      throw this.instance.error(thrown)
    }
    this.background.wake()
    const breath = this.background.breath()
    if (breath !== undefined) await breath
    return { revision }
  }

  async delete(keys: t.Key | t.KeySelection): Promise<t.Deleted> {
    const packed = packKeys(keys)
    return this.#changing(() => this.#engine.delete(packed))
  }

  txn(): t.Txn<V, K> {
    return new EngineTxn(this.codecs, write =>
      this.#changing(() =>
        freeing(new this.instance.raw.Transaction(), raw => {
          write(raw)
          return this.#engine.commit(raw)
        }),
      ),
    )
  }

  compare(keys: t.Key | t.KeySelection): t.CompareKeys<t.ValueTypes[V]> {
    return compare(keys)
  }

  snapshot(options?: t.SnapshotOptions): t.Snapshot<V, K> {
    checkOptions(options, snapshotRules)
    return snapshotOf(
      this,
      this.guarded(() => this.#engine.snapshot(options?.revision ?? 0)),
    )
  }

  async compact(revision: number): Promise<t.CompactionJob> {
    const checked = checkRevision(revision)
    this.#job = this.#changing(() => this.#newJob(this.#engine.compact(checked)))
    return this.#job
  }

  async status(): Promise<t.Status> {
    return this.#status()
  }

  async check(): Promise<t.CheckReport> {
    return this.guarded(() => this.#engine.check()) as t.CheckReport
  }

  async flush(): Promise<number> {
    return this.#changing(() => this.#engine.flush())
  }

  async checkpoint(): Promise<void> {
    this.#changing(() => this.#engine.checkpoint())
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.background.stop(closed('store'))
    try {
      this.instance.assertSound()
      this.#engine.close()
      this.#engine.free()
    } catch (thrown) {
      throw this.instance.error(thrown)
    } finally {
      this.#parts.release()
    }
    this.#answerFailure()
  }

  /** Throws if the store can't be used. */
  assertOpen(): void {
    if (this.#isClosed) throw closed('store')
    this.instance.assertSound()
  }

  protected value<W extends t.ValueCodec>(
    key: t.Key,
    revision: number | undefined,
    codec: W,
  ): t.ValueTypes[W] | undefined {
    const value = this.#exchange.get(key, revision ?? 0, codec)
    if (value !== OTHERWISE) return value
    const bytes = this.#engine.get(encodeKey(key), revision ?? 0)
    return bytes && decodeValue(bytes, 0, bytes.length, codec)
  }

  protected entry(key: Uint8Array, revision: number | undefined): Uint8Array | undefined {
    return this.#engine.entry(key, revision ?? 0)
  }

  protected reading<T>(revision: number | undefined, read: (raw: RawReader) => T): T {
    if (revision === undefined || revision === 0) return read(this.#engine)
    return freeing(this.#engine.snapshot(revision), read)
  }

  protected cursor(keys: Uint8Array, options: RawRangeOptions): RawCursor {
    return this.#engine.cursor(keys, options)
  }

  #assertWritable(): void {
    this.assertOpen()
    if (this.#failure !== undefined) this.#answerFailure()
  }

  #changing<T>(change: () => T): T {
    this.#assertWritable()
    const answer = this.guarded(change)
    this.background.wake()
    return answer
  }

  #status(): t.Status {
    return this.guarded(() => this.#engine.status()) as t.Status
  }

  #newJob(revision: number): EngineJob {
    return new EngineJob(revision, { background: this.background, progress: () => this.#engine.compaction() })
  }

  #observe(error: PalimpsestError | undefined): void {
    // That writes are refused is not news: the failure that led to it was told when it happened.
    if (error === undefined || error.code === 'CLOSED' || error.code === 'WRITES_REFUSED') return
    if (this.#parts.onError === undefined) this.#failure ??= error
    else this.#parts.onError(error)
  }

  #answerFailure(): void {
    const failure = this.#failure
    this.#failure = undefined
    if (failure !== undefined) throw failure
  }
}

if (typeof Symbol.asyncDispose === 'symbol') {
  Object.defineProperty(EngineStore.prototype, Symbol.asyncDispose, {
    value: function asyncDispose(this: EngineStore<t.ValueCodec, t.KeyCodec>): Promise<void> {
      return this.close()
    },
  })
}
