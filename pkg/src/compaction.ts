import type { Background } from './background.js'
import type { PalimpsestError } from './errors.js'
import { checkOptions, rules } from './options.js'
import type { CompactionJob, CompactionProgress, WaitOptions } from './types.js'

const waitRules = { signal: rules.signal }

/** What a job needs of its store. */
export interface JobSource {
  readonly background: Background
  /**
   * How far the compaction to a revision is; one after it if it is forgotten; nothing before it has begun. They run in the order they were
   * asked for.
   */
  readonly progress: (revision: number) => CompactionProgress | undefined
}

/**
 * A compaction in the background.
 *
 * Invariant: it observes the background work until it has settled; settled, it has `#outcome` for ever. While somebody waits
 * for it, and only then, it keeps the program alive.
 */
export class EngineJob implements CompactionJob {
  readonly revision: number
  readonly #source: JobSource
  readonly #waiters: Set<() => void> = new Set()
  #last: CompactionProgress
  #outcome: { error: PalimpsestError | undefined } | undefined

  constructor(revision: number, source: JobSource) {
    this.revision = revision
    this.#source = source
    this.#last = { revision, removed: 0, total: 0, pagesFreed: 0, held: 0, finished: false }
    source.background.observe(this.#observer)
    this.#look()
  }

  get done(): Promise<CompactionProgress> {
    return this.wait()
  }

  async wait(options?: WaitOptions): Promise<CompactionProgress> {
    let last = this.#last
    for await (const progress of this.progress(options)) last = progress
    return last
  }

  async *progress(options?: WaitOptions): AsyncGenerator<CompactionProgress> {
    checkOptions(options, waitRules)
    const { background } = this.#source
    background.hold()
    try {
      let seen: CompactionProgress | undefined
      while (true) {
        if (options?.signal?.aborted) throw options.signal.reason
        if (this.#last !== seen) {
          seen = this.#last
          yield seen
        } else if (this.#outcome === undefined) {
          await this.#change(options?.signal)
        } else if (this.#outcome.error === undefined) {
          return
        } else {
          throw this.#outcome.error
        }
      }
    } finally {
      background.release()
    }
  }

  status(): CompactionProgress {
    return this.#last
  }

  /** Fulfilled by the next step, or by the signal. */
  #change(signal: WaitOptions['signal']): Promise<void> {
    return new Promise(resolve => {
      const wake = () => {
        this.#waiters.delete(wake)
        signal?.removeEventListener('abort', wake)
        resolve()
      }
      this.#waiters.add(wake)
      signal?.addEventListener('abort', wake)
    })
  }

  readonly #observer = (error: PalimpsestError | undefined): void => {
    if (error === undefined) this.#look()
    else this.#settle(error)
    for (const wake of [...this.#waiters]) wake()
  }

  #look(): void {
    const progress = this.#source.progress(this.revision)
    if (progress === undefined) return
    if (progress.revision > this.revision) this.#last = { ...this.#last, finished: true }
    else if (!isSame(progress, this.#last)) this.#last = progress
    if (this.#last.finished) this.#settle(undefined)
  }

  #settle(error: PalimpsestError | undefined): void {
    this.#outcome = { error }
    this.#source.background.forget(this.#observer)
  }
}

function isSame(one: CompactionProgress, other: CompactionProgress): boolean {
  const isAsFar = one.removed === other.removed && one.total === other.total && one.held === other.held
  return isAsFar && one.finished === other.finished
}
