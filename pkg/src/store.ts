import type { Background } from './background.js'
import { deleteRules, putRules, snapshotRules, watchRules } from './call-rules.js'
import { checkKey, decodeValue, encodeKey, encodeValue, valueBytes } from './codec.js'
import { Commits } from './commits.js'
import { EngineJob } from './compaction.js'
import {
  freeing,
  type Instance,
  type RawBatches,
  type RawCursor,
  type RawEngine,
  type RawRangeOptions,
  type RawReader,
} from './engine.js'
import { entriesOf } from './entries.js'
import { afterWrite, closed, type ErrorCode, type PalimpsestError } from './errors.js'
import { Exchange, OTHERWISE } from './exchange.js'
import type { Host } from './host.js'
import { packKeys } from './keys.js'
import { Leases } from './leases.js'
import { MaintainedStore } from './maintained.js'
import { checkPut, compare } from './ops.js'
import { type Codecs, checkMoment, checkOptions, checkRevision, codecsOf } from './options.js'
import { type PinSource, Pins } from './pins.js'
import { Settling } from './settling.js'
import { snapshotOf } from './snapshot.js'
import { EngineTxn } from './txn.js'
import type * as t from './types.js'
import { EngineWatch } from './watch.js'
import { Watches } from './watches.js'

/** What a store is made of. */
export interface StoreParts<V extends t.ValueCodec, K extends t.KeyCodec> {
  readonly instance: Instance
  readonly engine: RawEngine
  readonly host: Host
  readonly codecs: Codecs<V, K>
  /** The durability of writes that don't say theirs. */
  readonly durability: t.Durability
  readonly storage: t.StorageInfo
  readonly onError: ((error: PalimpsestError) => void) | undefined
  /** Fulfilled when the storage has made durable what the engine has synced; `undefined` if it has at once. */
  readonly settled: (() => Promise<void>) | undefined
  /** Gives the storage back; called once. */
  readonly release: () => void
}

/** A store whose engine runs in this thread. */
export class EngineStore<V extends t.ValueCodec, K extends t.KeyCodec>
  extends MaintainedStore<V, K>
  implements Omit<t.Store<V, K>, typeof Symbol.asyncDispose>
{
  readonly storage: t.StorageInfo
  readonly #engine: RawEngine
  readonly #exchange: Exchange
  readonly #commits: Commits
  readonly #settling: Settling
  readonly #leases: Leases
  readonly #pins: Pins
  readonly #watches: Watches
  readonly #parts: StoreParts<V, K>
  /** Whether nothing of it outlives the program: then there is nothing to wait for. */
  readonly #isVolatile: boolean
  #isClosed = false
  /** A failure of background work that no call has answered with yet. */
  #failure: PalimpsestError | undefined
  #job: EngineJob | undefined

  constructor(parts: StoreParts<V, K>) {
    super(parts)
    this.#parts = parts
    this.#engine = parts.engine
    this.#exchange = new Exchange(parts.instance.raw, parts.engine)
    this.#settling = new Settling(parts.engine, parts.settled)
    this.#commits = new Commits(parts.instance, parts.engine, {
      background: this.background,
      settling: this.#settling,
    })
    this.storage = parts.storage
    this.#isVolatile = parts.storage.kind === 'memory'
    const source: PinSource = {
      engine: parts.engine,
      reading: call => this.guarded(call),
      changing: call => this.changing(call),
      acknowledged: (answer, options) =>
        this.#isStrict(options) ? this.#commits.whenDurable(answer) : this.#atOnce(answer),
    }
    this.#leases = new Leases({ ...source, keys: parts.codecs.keys })
    this.#pins = new Pins(source)
    this.background.observe(error => this.#observe(error))
    this.#watches = new Watches(parts.instance, parts.engine, {
      background: this.background,
      // Where it is strict, they tell only of what is durable.
      settled: () => (parts.durability === 'strict' ? this.#settling.settled() : undefined),
      sayable: revision =>
        parts.durability === 'strict' ? Math.min(revision, this.durableRevision) : revision,
    })
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
    return this.#isVolatile ? this.revision : this.guarded(() => this.#settling.revision)
  }

  /** The oldest revision that can be read; `undefined` before the first compaction. */
  get compacted(): number | undefined {
    return this.guarded(() => this.#engine.compacted())
  }

  get compaction(): t.CompactionJob | undefined {
    // There are others than those that were asked for here: automatic ones, and what an earlier opening has left unfinished.
    const { scheduled, finished } = this.#status()
    const begun = this.#engine.compaction()?.revision
    const newest = scheduled === finished ? begun : scheduled
    if (newest !== undefined && newest !== this.#job?.revision) this.#job = this.#newJob(newest)
    return this.#job
  }

  put<W extends t.ValueCodec = V, L extends t.KeyCodec = K>(
    key: t.Key,
    value: t.ValueTypes[W] | undefined,
    options?: t.PutOptions<W, L>,
  ): Promise<t.Written<W, L>> {
    let written: t.Written<W, L>
    try {
      if (options !== undefined) checkOptions(options, putRules)
      this.#assertWritable()
      written =
        options !== undefined && isModified(options)
          ? this.#putWith(key, value, options)
          : { revision: this.#put(key, value, options?.values ?? this.codecs.values) }
    } catch (error) {
      return Promise.reject(error)
    }
    // It has changed something, so there is no need to ask whether that is durable.
    return this.#isStrict(options) ? this.#commits.whenDurable(written) : this.#atOnce(written)
  }

  async delete<W extends t.ValueCodec = V, L extends t.KeyCodec = K>(
    keys: t.Key | t.KeySelection,
    options?: t.DeleteOptions<W, L>,
  ): Promise<t.Deleted<W, L>> {
    checkOptions(options, deleteRules)
    const packed = packKeys(keys)
    if (options?.previous !== true) {
      const answer = this.changing(() => this.#engine.delete(packed))
      return this.#acknowledged(answer, options)
    }
    const {
      revision,
      deleted,
      previous: bytes,
    } = this.changing(() => this.#engine.deleteWithPrevious(packed))
    const previous = afterWrite(revision, () => entriesOf(bytes, codecsOf<W, L>(options, this.codecs)))
    return this.#acknowledged({ revision, deleted, previous }, options)
  }

  txn(): t.Txn<V, K> {
    return new EngineTxn(this.codecs, {
      builder: () => new this.instance.raw.Transaction(),
      commit: write =>
        this.changing(() =>
          freeing(new this.instance.raw.Transaction(), raw => {
            write(raw)
            return this.#engine.commit(raw)
          }),
        ),
      acknowledged: (answer, options) => this.#acknowledged(answer, options),
    })
  }

  compare(keys: t.Key | t.KeySelection): t.CompareKeys<t.ValueTypes[V]> {
    return compare(keys)
  }

  watch<W extends t.ValueCodec = V, L extends t.KeyCodec = K>(
    keys: t.Key | t.KeySelection,
    options: t.WatchOptions<W, L> = {},
  ): t.Watch<W, L> {
    checkOptions(options, watchRules)
    const plan = { keys: packKeys(keys), options, codecs: this.codecs, revision: this.revision }
    // `Symbol.asyncDispose` is added to the prototype, which the types can't see.
    return new EngineWatch<W, L>(this.#watches, plan) as unknown as t.Watch<W, L>
  }

  grantLease(ttl: number, options?: t.GrantOptions): Promise<t.Lease> {
    return this.#leases.grant(ttl, options)
  }

  revokeLease(id: number, options?: t.WriteOptions): Promise<t.Revoked> {
    return this.#leases.revoke(id, options)
  }

  keepAlive(id: number, options?: t.WriteOptions): Promise<{ readonly ttl: number }> {
    return this.#leases.keepAlive(id, options)
  }

  lease(id: number): Promise<t.LeaseStatus | undefined> {
    return this.#leases.status(id)
  }

  leaseKeys<L extends t.KeyCodec = K>(id: number, options?: t.LeaseKeysOptions<L>): Promise<t.KeyTypes[L][]> {
    return this.#leases.keys(id, options)
  }

  leases(): Promise<number[]> {
    return this.#leases.all()
  }

  pin(name: string, revision = 0, options?: t.PinOptions): Promise<t.Pinned> {
    return this.#pins.pin(name, revision, options)
  }

  unpin(name: string, options?: t.WriteOptions): Promise<void> {
    return this.#pins.unpin(name, options)
  }

  pins(): Promise<t.Pin[]> {
    return this.#pins.all()
  }

  snapshot(options?: t.SnapshotOptions): t.Snapshot<V, K> {
    checkOptions(options, snapshotRules)
    checkMoment(options)
    const { revision = 0, at } = options ?? {}
    return snapshotOf(
      this,
      this.guarded(() => this.#engine.snapshot(at === undefined ? revision : this.readableAt(at.getTime()))),
    )
  }

  async compact(revision: number): Promise<t.CompactionJob> {
    const checked = checkRevision(revision)
    const job = this.#syncing(() => this.#newJob(this.#engine.compact(checked)))
    this.#job = job
    return this.#whenSettled(job)
  }

  async status(): Promise<t.Status> {
    const holders = this.guarded(() => this.#engine.holders()) as t.Holder[]
    return { ...this.#status(), holders }
  }

  async flush(): Promise<number> {
    return this.#whenSettled(this.#syncing(() => this.#engine.flush()))
  }

  async checkpoint(): Promise<void> {
    return this.#whenSettled(this.#syncing(() => this.#engine.checkpoint()))
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.background.stop(closed('store'))
    try {
      // Apart from closing, which writes a checkpoint: where only that fails, the writes that wait are durable.
      this.#commits.sync()
      this.instance.assertSound()
      this.#lookAtClock()
      const settled = this.#closed()
      if (settled !== undefined) await settled
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

  protected readableAt(millis: number): number {
    return this.#engine.readableAt(millis)
  }

  protected past(open: (raw: RawReader) => RawBatches): RawBatches {
    return open(this.#engine)
  }

  protected cursor(keys: Uint8Array, options: RawRangeOptions): RawCursor {
    return this.#engine.cursor(keys, options)
  }

  /** Closes the engine's store. What is then left is for the storage to do. */
  #closed(): Promise<void> | undefined {
    this.#engine.close()
    const settled = this.#parts.settled?.()
    this.#engine.free()
    return settled
  }

  /** An answer, once everything that is synced is durable. */
  #whenSettled<T>(answer: T): T | Promise<T> {
    const settled = this.#settling.settled()
    if (settled === undefined) return answer
    return settled.then(
      () => answer,
      thrown => {
        throw this.instance.error(thrown)
      },
    )
  }

  /** Lets the engine see how much of the time of leases is over, which it remembers. */
  #lookAtClock(): void {
    if (this.#engine.leases().length === 0) return
    try {
      this.#engine.run(0)
    } catch (thrown) {
      // Closing goes on, unless the engine has broken down: what is wrong with the storage it finds out itself.
      this.instance.error(thrown)
      this.instance.assertSound()
    }
  }

  #assertWritable(): void {
    this.assertOpen()
    if (this.#failure !== undefined) this.#answerFailure()
  }

  protected changing<T>(change: () => T): T {
    this.#assertWritable()
    const answer = this.guarded(change)
    this.background.wake()
    return answer
  }

  #put(key: t.Key, value: unknown, codec: t.ValueCodec): number {
    const checked = checkKey(key)
    const encoded = encodeValue(value, codec)
    let revision: number
    try {
      revision =
        this.#exchange.put(checked, encoded) ?? this.#engine.put(encodeKey(checked), valueBytes(encoded))
    } catch (thrown) {
      throw this.instance.error(thrown)
    }
    this.background.wake()
    return revision
  }

  #putWith<W extends t.ValueCodec, L extends t.KeyCodec>(
    key: t.Key,
    value: unknown,
    options: t.PutOptions<W, L>,
  ): t.Written<W, L> {
    checkPut(value, options)
    const { lease, keepLease, keepValue, previous: wanted } = options
    const codecs = codecsOf<W, L>(options, this.codecs)
    const packed = encodeKey(checkKey(key))
    const bytes = keepValue === true ? undefined : valueBytes(encodeValue(value, codecs.values))
    const { revision, previous } = this.changing(() =>
      this.#engine.putWith(packed, bytes, { lease, keepLease, previous: wanted }),
    )
    if (previous === undefined) return { revision }
    const [entry] = afterWrite(revision, () => entriesOf(previous, codecs))
    return entry === undefined ? { revision } : { revision, previous: entry }
  }

  /** Whether a write's answer has to wait for a sync. In memory, which nothing outlives, none has. */
  #isStrict(options: t.WriteOptions | undefined): boolean {
    return !this.#isVolatile && (options?.durability ?? this.#parts.durability) === 'strict'
  }

  /**
   * The answer of a write that is applied, as soon as its durability allows. A strict answer tells only of what is durable, also where
   * the write itself found nothing to change.
   */
  #acknowledged<T>(answer: T, options: t.WriteOptions | undefined): Promise<T> {
    const isDurable = () =>
      !this.#settling.isLate && this.#engine.durableRevision() === this.#engine.revision()
    return this.#isStrict(options) && !isDurable() ? this.#commits.whenDurable(answer) : this.#atOnce(answer)
  }

  #atOnce<T>(answer: T): Promise<T> {
    const breath = this.background.breath()
    return breath === undefined ? Promise.resolve(answer) : breath.then(() => answer)
  }

  /** Makes a change after which everything before it is durable, too, and tells those who wait for that. */
  #syncing<T>(change: () => T): T {
    let answer: T
    try {
      answer = this.changing(change)
    } catch (error) {
      if (isEnd((error as PalimpsestError).code)) this.#commits.fail(error as PalimpsestError)
      throw error
    }
    this.#commits.fulfil()
    return answer
  }

  #status(): Omit<t.Status, 'holders'> {
    const status = this.guarded(() => this.#engine.status()) as Omit<t.Status, 'holders'>
    const durableRevision = this.#isVolatile ? status.revision : this.#settling.revision
    return { ...status, durableRevision }
  }

  #newJob(revision: number): EngineJob {
    return new EngineJob(revision, { background: this.background, progress: of => this.#progress(of) })
  }

  #progress(revision: number): t.CompactionProgress | undefined {
    const told = this.#engine.compactionTo(revision)
    if (told !== undefined) return told
    const newest = this.#engine.compaction()
    return newest !== undefined && newest.revision > revision ? newest : undefined
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

/** Whether a put is more than one of a value under a key. */
function isModified({ lease, keepLease, keepValue, previous }: t.PutModifiers): boolean {
  return lease !== undefined || keepLease === true || keepValue === true || previous === true
}

/** Whether the engine takes no further writes after such an error. */
function isEnd(code: ErrorCode): boolean {
  return code === 'STORAGE' || code === 'WRITES_REFUSED' || code === 'POISONED'
}

if (typeof Symbol.asyncDispose === 'symbol') {
  Object.defineProperty(EngineStore.prototype, Symbol.asyncDispose, {
    value: function asyncDispose(this: EngineStore<t.ValueCodec, t.KeyCodec>): Promise<void> {
      return this.close()
    },
  })
}
