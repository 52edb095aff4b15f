import { checkOptions, rules } from '../options.js'
import type { CompactionJob, CompactionProgress, WaitOptions } from '../types.js'
import type { Channel } from './channel.js'
import { STORE_ID } from './protocol.js'

const waitRules = { signal: rules.signal }

/** A compaction in a store whose engine runs in a worker. */
export class RemoteJob implements CompactionJob {
  readonly revision: number
  readonly #channel: Channel
  #last: CompactionProgress

  constructor(channel: Channel, progress: CompactionProgress) {
    this.revision = progress.revision
    this.#channel = channel
    this.#last = progress
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
    const signal = options?.signal
    let seen: CompactionProgress | undefined
    while (true) {
      if (signal?.aborted) throw signal.reason
      if (this.#last !== seen) {
        seen = this.#last
        yield seen
      } else if (seen.finished) {
        return
      } else {
        await this.#change(seen, signal)
      }
    }
  }

  status(): CompactionProgress {
    if (this.#last.finished) return this.#last
    const known = this.#channel.state.compaction
    if (known?.revision === this.revision && !isSame(known, this.#last)) this.#last = known
    if (known !== undefined && known.revision > this.revision) this.#last = { ...this.#last, finished: true }
    return this.#last
  }

  /** Fulfilled when there is more to tell than what was seen, or by the signal. */
  async #change(seen: CompactionProgress, signal: WaitOptions['signal']): Promise<void> {
    const asked = this.#channel
      .call<CompactionProgress>({ on: STORE_ID, method: 'progress', args: [seen] })
      .then(progress => {
        if (!this.#last.finished && !isSame(progress, this.#last)) this.#last = progress
      })
    if (signal === undefined) return asked
    let abort = () => {}
    const aborted = new Promise<void>(resolve => {
      abort = resolve
      signal.addEventListener('abort', abort)
    })
    try {
      await Promise.race([asked, aborted])
    } finally {
      signal.removeEventListener('abort', abort)
      // Nobody hears any more how it ends.
      asked.catch(() => {})
    }
  }
}

/** Whether two messages tell the same of a compaction. */
export function isSame(one: CompactionProgress, other: CompactionProgress): boolean {
  const isAsFar = one.removed === other.removed && one.total === other.total && one.held === other.held
  return isAsFar && one.finished === other.finished
}
