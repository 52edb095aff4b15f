import { checkOptions, rules } from '../options.js'
import type { CompactionJob, CompactionProgress, WaitOptions } from '../types.js'
import type { Channel } from './channel.js'
import { STORE_ID } from './protocol.js'
import { signalled } from './signalled.js'

const waitRules = { signal: rules.signal }

/** A compaction in a store whose engine runs in a worker. */
export class RemoteJob implements CompactionJob {
  readonly revision: number
  readonly #channel: Channel
  #last: CompactionProgress
  /** Whether it was asked for how it ended, for those who only look. */
  #isAsking = false

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
    // What is known is how the newest one is: of this one it must be asked for.
    if (known !== undefined && known.revision > this.revision) this.#ask()
    return this.#last
  }

  #ask(): void {
    if (this.#isAsking) return
    this.#isAsking = true
    const asked = () => {
      this.#isAsking = false
    }
    this.#change(this.#last, undefined).then(asked, asked)
  }

  /** Fulfilled when there is more to tell than what was seen. */
  async #change(seen: CompactionProgress, signal: WaitOptions['signal']): Promise<void> {
    const call = { on: STORE_ID, method: 'progress', args: [seen] }
    const progress = await signalled(signal, () => this.#channel.call<CompactionProgress>(call))
    if (!this.#last.finished && !isSame(progress, this.#last)) this.#last = progress
  }
}

/** Whether two messages tell the same of a compaction. */
export function isSame(one: CompactionProgress, other: CompactionProgress): boolean {
  const isAsFar = one.removed === other.removed && one.total === other.total && one.held === other.held
  return isAsFar && one.finished === other.finished
}
