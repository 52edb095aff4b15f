import { exportRules, snapshotRules, watchRules } from '../call-rules.js'
import { closed, PalimpsestError } from '../errors.js'
import { packKeys } from '../keys.js'
import { compare } from '../ops.js'
import { type Codecs, checkMoment, checkOptions } from '../options.js'
import type * as t from '../types.js'
import { checkArguments } from './arguments.js'
import type { Channel } from './channel.js'
import { SNAPSHOT, STORE } from './methods.js'
import { STORE_ID } from './protocol.js'
import { defineMethods, Remote } from './remote.js'
import { RemoteExport } from './remote-export.js'
import { RemoteJob } from './remote-job.js'
import { crossing, RemoteTxn } from './remote-txn.js'
import { RemoteWatch } from './remote-watch.js'

/** A snapshot of a store whose engine runs in a worker. What `methods.ts` says of it is added to the class. */
export class RemoteSnapshot extends Remote {
  readonly revision: number
  readonly #assertStoreOpen: () => void
  #isClosed = false

  constructor(channel: Channel, revision: number, assertStoreOpen: () => void) {
    const call = { on: STORE_ID, method: 'snapshot', args: [{ revision }] }
    super(
      channel,
      // A crash undoes what was not durable: then there is no such moment any more.
      channel.make(call, () => (revision <= channel.base ? call : undefined)),
    )
    this.revision = revision
    this.#assertStoreOpen = assertStoreOpen
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.channel.drop(this.on)
  }

  assertOpen(): void {
    this.#assertStoreOpen()
    if (this.#isClosed) throw closed('snapshot')
  }
}

/** What a store in a worker is made of. */
export interface RemoteParts {
  readonly channel: Channel
  readonly codecs: Codecs
  readonly storage: t.StorageInfo
  /** Called when the store is closed. */
  readonly release: () => void
}

/** A store whose engine runs in a worker. What `methods.ts` says of it is added to the class. */
export class RemoteStore extends Remote {
  readonly storage: t.StorageInfo
  readonly #codecs: Codecs
  readonly #release: () => void
  #job: RemoteJob | undefined
  #closing: Promise<void> | undefined

  constructor({ channel, codecs, storage, release }: RemoteParts) {
    super(channel, STORE_ID)
    this.#codecs = codecs
    this.storage = storage
    this.#release = release
  }

  /** The newest revision that this thread knows of: of all that it has awaited. */
  get revision(): number {
    return this.#state.revision
  }

  get durableRevision(): number {
    return this.#state.durableRevision
  }

  get compaction(): RemoteJob | undefined {
    const { compaction } = this.#state
    if (compaction !== undefined && compaction.revision !== this.#job?.revision)
      this.#job = new RemoteJob(this.channel, compaction)
    return this.#job
  }

  async put(key: t.Key, value: unknown, options?: t.PutOptions): Promise<unknown> {
    checkArguments('put', [key, value, options])
    this.assertOpen()
    const codec = options?.values ?? this.#codecs.values
    const isKept = options?.keepValue === true
    const args = [key, isKept ? value : crossing(value, codec), options]
    return this.channel.call({ on: this.on, method: 'put', args })
  }

  txn(): RemoteTxn<t.ValueCodec, t.KeyCodec> {
    return new RemoteTxn(this.channel, this.#codecs, () => this.assertOpen())
  }

  compare(keys: t.Key | t.KeySelection): t.CompareKeys<unknown> {
    return compare(keys)
  }

  watch(keys: t.Key | t.KeySelection, options: t.WatchOptions = {}): RemoteWatch {
    checkOptions(options, watchRules)
    packKeys(keys)
    this.assertOpen()
    return new RemoteWatch({ channel: this.channel, keys, options })
  }

  /** At the newest revision that this thread knows of, so that its number can be told at once. */
  snapshot(options?: t.SnapshotOptions): RemoteSnapshot {
    checkOptions(options, snapshotRules)
    checkMoment(options)
    const { revision: current } = this.#state
    if (options?.at !== undefined) {
      const words =
        'a snapshot as of a time works only in the thread of the engine: ask revisionAt for the revision'
      throw new PalimpsestError('UNSUPPORTED', words)
    }
    const requested = options?.revision || current
    if (requested > current) {
      const message = `revision ${requested} is not written yet: the newest that this thread knows of is ${current}`
      throw new PalimpsestError('FUTURE_REVISION', message, { requested, current })
    }
    // Whether it is compacted is for the engine to say, which knows what is pinned: if it is, each read answers so.
    return new RemoteSnapshot(this.channel, requested, () => this.assertOpen())
  }

  export(options?: t.ExportOptions): RemoteExport {
    checkOptions(options, exportRules)
    this.assertOpen()
    return new RemoteExport({
      channel: this.channel,
      call: { on: this.on, method: 'export', args: [] },
      assertOpen: () => this.assertOpen(),
      signal: options?.signal,
    })
  }

  async compact(revision: number): Promise<RemoteJob> {
    this.#job = new RemoteJob(this.channel, await this.callRemote('compact', [revision]))
    return this.#job
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  assertOpen(): void {
    if (this.#closing !== undefined) throw closed('store')
    this.channel.assertOpen()
  }

  get #state(): Channel['state'] {
    this.assertOpen()
    return this.channel.state
  }

  async #close(): Promise<void> {
    try {
      await this.channel.call({ on: STORE_ID, method: 'close', args: [] })
    } catch (error) {
      // A page that was left has closed its stores.
      if ((error as PalimpsestError).code !== 'CLOSED') throw error
    } finally {
      this.channel.end(closed('store'))
      this.#release()
    }
  }
}

defineMethods(RemoteSnapshot, SNAPSHOT)
defineMethods(RemoteStore, STORE)

function disposed(symbol: symbol | undefined, remote: { prototype: object }, dispose: () => unknown): void {
  if (typeof symbol === 'symbol') Object.defineProperty(remote.prototype, symbol, { value: dispose })
}

disposed(Symbol.asyncDispose, RemoteStore, function asyncDispose(this: RemoteStore) {
  return this.close()
} as () => unknown)
disposed(Symbol.dispose, RemoteSnapshot, function dispose(this: RemoteSnapshot) {
  this.close()
} as () => unknown)
