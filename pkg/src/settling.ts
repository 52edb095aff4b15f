import type { RawEngine } from './engine.js'

/**
 * What is durable in a storage that only begins to make things durable when the engine syncs: what the engine takes for durable is so
 * when the storage has settled. With an ordinary storage there is nothing to wait for.
 */
export class Settling {
  readonly #engine: RawEngine
  readonly #storage: (() => Promise<void>) | undefined
  #revision: number
  #waiting = 0

  constructor(engine: RawEngine, storage: (() => Promise<void>) | undefined) {
    this.#engine = engine
    this.#storage = storage
    this.#revision = engine.durableRevision()
  }

  /** Whether the engine can't know what is durable. */
  get isLate(): boolean {
    return this.#storage !== undefined
  }

  /** Everything up to this revision survives a crash. */
  get revision(): number {
    if (this.#storage === undefined) return this.#engine.durableRevision()
    // To be asked is a reason to look.
    if (this.#waiting === 0) this.settled()?.catch(() => {})
    return this.#revision
  }

  /** Fulfilled when everything that the engine has synced is durable; `undefined` if it is. */
  settled(): Promise<void> | undefined {
    if (this.#storage === undefined) return undefined
    const revision = this.#engine.durableRevision()
    this.#waiting += 1
    return this.#storage()
      .then(() => {
        this.#revision = Math.max(this.#revision, revision)
      })
      .finally(() => {
        this.#waiting -= 1
      })
  }
}
