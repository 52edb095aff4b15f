import { pinRules, writeRules } from './call-rules.js'
import type { RawEngine } from './engine.js'
import { checkOptions, checkPinName, checkRevision, millisOf } from './options.js'
import type * as t from './types.js'

/** What pins need of their store. */
export interface PinSource {
  readonly engine: RawEngine
  /** Calls the engine, and translates what it throws. */
  readonly reading: <T>(call: () => T) => T
  /** The same for what writes; background work follows, which removes what is no longer pinned. */
  readonly changing: <T>(call: () => T) => T
  /** The answer, as soon as its durability allows. */
  readonly acknowledged: <T>(answer: T, options: t.WriteOptions | undefined) => Promise<T>
}

/** The pins of a store whose engine runs in this thread. */
export class Pins {
  readonly #source: PinSource

  constructor(source: PinSource) {
    this.#source = source
  }

  async pin(name: string, revision: number, options: t.PinOptions | undefined): Promise<t.Pinned> {
    checkOptions(options, pinRules)
    const [checked, at] = [checkPinName(name), checkRevision(revision)]
    const expires = options?.expires === undefined ? undefined : millisOf(options.expires)
    const { changing, engine, acknowledged } = this.#source
    const pinned = changing(() => engine.pin(checked, at, expires))
    return acknowledged({ revision: pinned }, options)
  }

  async unpin(name: string, options: t.WriteOptions | undefined): Promise<void> {
    checkOptions(options, writeRules)
    const checked = checkPinName(name)
    const { changing, engine, acknowledged } = this.#source
    return acknowledged(
      changing(() => engine.unpin(checked)),
      options,
    )
  }

  async all(): Promise<t.Pin[]> {
    return this.#source.reading(() => this.#source.engine.pins())
  }
}
