import { grantRules, leaseKeysRules, writeRules } from './call-rules.js'
import { decodeKey } from './codec.js'
import type { RawEngine } from './engine.js'
import { checkDuration, checkLease, checkOptions } from './options.js'
import type * as t from './types.js'

/** What leases need of their store. */
export interface LeaseSource {
  readonly engine: RawEngine
  /** The store's codec of keys. */
  readonly keys: t.KeyCodec
  /** Calls the engine, and translates what it throws. */
  readonly reading: <T>(call: () => T) => T
  /** The same for what writes; background work follows, which lets a lease's time begin, and sees its end. */
  readonly changing: <T>(call: () => T) => T
  /** The answer, as soon as its durability allows. What was written may have taken no revision. */
  readonly acknowledged: <T>(answer: T, options: t.WriteOptions | undefined) => Promise<T>
}

/** The leases of a store whose engine runs in this thread. */
export class Leases {
  readonly #source: LeaseSource

  constructor(source: LeaseSource) {
    this.#source = source
  }

  async grant(ttl: number, options: t.GrantOptions | undefined): Promise<t.Lease> {
    checkOptions(options, grantRules)
    const checked = checkDuration("lease's time", ttl)
    const { changing, engine, acknowledged } = this.#source
    return acknowledged(
      changing(() => engine.grantLease(checked, options?.id)),
      options,
    )
  }

  async revoke(id: number, options: t.WriteOptions | undefined): Promise<t.Revoked> {
    checkOptions(options, writeRules)
    const checked = checkLease(id)
    const { changing, engine, acknowledged } = this.#source
    return acknowledged(
      changing(() => engine.revokeLease(checked)),
      options,
    )
  }

  async keepAlive(id: number, options: t.WriteOptions | undefined): Promise<{ readonly ttl: number }> {
    checkOptions(options, writeRules)
    const checked = checkLease(id)
    const { changing, engine, acknowledged } = this.#source
    const ttl = changing(() => engine.keepAlive(checked))
    return acknowledged({ ttl }, options)
  }

  async status(id: number): Promise<t.LeaseStatus | undefined> {
    const checked = checkLease(id)
    return this.#source.reading(() => this.#source.engine.lease(checked))
  }

  async keys<L extends t.KeyCodec>(
    id: number,
    options: t.LeaseKeysOptions<L> | undefined,
  ): Promise<t.KeyTypes[L][]> {
    checkOptions(options, leaseKeysRules)
    const checked = checkLease(id)
    const codec = options?.keys ?? (this.#source.keys as L)
    const keys = this.#source.reading(() => this.#source.engine.leaseKeys(checked))
    return keys.map(key => decodeKey(key, 0, key.length, codec))
  }

  async all(): Promise<number[]> {
    return this.#source.reading(() => Array.from(this.#source.engine.leases()))
  }
}
