import type { Background } from './background.js'
import type { Instance, RawEngine } from './engine.js'
import type { PalimpsestError } from './errors.js'
import type { Settling } from './settling.js'

/** A write that is applied, with the promise of its caller, who waits until it is durable. */
interface Waiting {
  readonly answer: unknown
  readonly resolve: (answer: never) => void
  readonly reject: (error: PalimpsestError) => void
}

/** What else a group commit needs. */
export interface CommitParts {
  readonly background: Background
  readonly settling: Settling
}

/**
 * Group commit: the strict writes of one turn of the host's event loop share one sync at its end.
 *
 * Invariant: whoever waits here is answered exactly once: fulfilled after a sync that came after its write, or rejected with what that
 * sync, or the breakdown before it, said. While anybody waits, the end of the turn is planned, and the program lives until then.
 */
export class Commits {
  readonly #instance: Instance
  readonly #engine: RawEngine
  readonly #background: Background
  readonly #settling: Settling
  #waiting: Waiting[] = []

  constructor(instance: Instance, engine: RawEngine, { background, settling }: CommitParts) {
    this.#instance = instance
    this.#engine = engine
    this.#background = background
    this.#settling = settling
  }

  /** Answers `answer` once everything written so far is durable. */
  whenDurable<T>(answer: T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ answer, resolve, reject })
      if (this.#waiting.length === 1) this.#background.atEndOfTurn(() => this.sync())
    })
  }

  /** Syncs, if anybody waits, and answers all who do. */
  sync(): void {
    if (this.#waiting.length === 0) return
    try {
      this.#instance.assertSound()
      this.#engine.flush()
    } catch (thrown) {
      this.fail(this.#instance.error(thrown))
      return
    }
    this.fulfil()
  }

  /** Everything written so far is synced: it is durable, or will be when the storage has settled. */
  fulfil(): void {
    const waiting = this.#take()
    const fulfilled = () => {
      for (const { answer, resolve } of waiting) resolve(answer as never)
    }
    const failed = (thrown: unknown) => {
      for (const { reject } of waiting) reject(this.#instance.error(thrown))
    }
    const settled = this.#settling.settled()
    if (settled === undefined) fulfilled()
    else settled.then(fulfilled, failed)
  }

  /** Nobody can know whether what waits is durable, and nobody will. */
  fail(error: PalimpsestError): void {
    for (const { reject } of this.#take()) reject(error)
  }

  #take(): Waiting[] {
    const waiting = this.#waiting
    this.#waiting = []
    return waiting
  }
}
