import type { Background } from './background.js'
import type { Instance, RawEngine, RawWatched, RawWatchOptions } from './engine.js'
import type { PalimpsestError } from './errors.js'
import type { EngineWatch } from './watch.js'

/** How long the watches of a store are served before the event loop gets a turn, in milliseconds. */
const SLICE = 2

/** What else the watches of a store need. */
export interface WatchesParts {
  readonly background: Background
  /** Fulfilled when all that the engine tells of may be told; `undefined` if it may at once. */
  readonly settled: () => Promise<void> | undefined
  /** As much of a revision up to which the engine has told everything as may be said. */
  readonly sayable: (revision: number) => number
}

/**
 * The watches of a store: who waits for something to happen, and who is to be asked about next.
 *
 * A write does nothing for them. It wakes the background work, after whose steps the engine is asked once for the watchers that there
 * is something to tell, and only if anybody waits.
 *
 * Invariant: a watch that has been asked for a batch and has not answered is in `#waiting`, where the engine had nothing to tell it, or in
 * `#due`; while `#due` has any, a turn is planned that serves them.
 */
export class Watches {
  readonly #instance: Instance
  readonly #engine: RawEngine
  readonly #background: Background
  /** Fulfilled when all that the engine tells of may be told; `undefined` if it may at once. */
  readonly settled: () => Promise<void> | undefined
  readonly #sayable: (revision: number) => number
  readonly #all: Set<EngineWatch> = new Set()
  readonly #waiting: Map<number, EngineWatch> = new Map()
  readonly #due: Set<EngineWatch> = new Set()
  #isPlanned = false
  #isClosed = false

  constructor(instance: Instance, engine: RawEngine, { background, settled, sayable }: WatchesParts) {
    this.#instance = instance
    this.#engine = engine
    this.#background = background
    this.settled = settled
    this.#sayable = sayable
    background.observe(error => this.#observe(error))
  }

  /** Begins a watch in the engine. Answers its number. */
  start(watch: EngineWatch, keys: Uint8Array, options: RawWatchOptions): number {
    const id = this.#calling(() => this.#engine.watch(keys, options))
    this.#all.add(watch)
    // The time of a progress notice begins when the engine looks at the clock.
    if (options.progress !== undefined) this.#background.wake()
    return id
  }

  /** What there is to tell now. */
  poll(id: number): RawWatched {
    return this.#calling(() => this.#engine.poll(id))
  }

  /** The revision up to which everything was told; `undefined` if there is something left to tell, or nobody knows. */
  progress(id: number): number | undefined {
    if (this.#isClosed || !this.#instance.isSound) return undefined
    const told = this.#calling(() => this.#engine.watchProgress(id))
    return told === undefined ? undefined : this.#sayable(told)
  }

  /** A watch is asked for a batch: it is served in a turn to come. */
  ask(watch: EngineWatch): void {
    this.#due.add(watch)
    this.#plan()
  }

  /** Something follows in the background from what a watch was told. */
  wake(): void {
    this.#background.wake()
  }

  /** A watch has ended. */
  end(watch: EngineWatch, id: number): void {
    this.#all.delete(watch)
    this.#due.delete(watch)
    this.#waiting.delete(id)
    this.#cancel(id)
  }

  /** The store is closed, or broken: all watches end with this. */
  close(error: PalimpsestError): void {
    this.#isClosed = true
    for (const watch of [...this.#all]) watch.fail(error)
  }

  #cancel(id: number): void {
    if (this.#isClosed || !this.#instance.isSound) return
    try {
      this.#calling(() => this.#engine.cancelWatcher(id))
      // Compaction may have waited for it.
      this.#background.wake()
    } catch (thrown) {
      // A signal can come while a storage in JavaScript is at work, when the engine can't be called.
      if ((thrown as PalimpsestError).code === 'BUSY') this.#background.nextTurn(() => this.#cancel(id))
    }
  }

  #calling<T>(call: () => T): T {
    try {
      this.#instance.assertSound()
      return call()
    } catch (thrown) {
      throw this.#instance.error(thrown)
    }
  }

  #observe(error: PalimpsestError | undefined): void {
    if (error?.code === 'CLOSED' || error?.code === 'POISONED') {
      this.close(error)
      return
    }
    if (this.#waiting.size === 0) return
    try {
      this.#collect()
    } catch (thrown) {
      this.close(thrown as PalimpsestError)
    }
    if (this.#due.size > 0) this.#serve()
  }

  /** Finds out which of those who wait there is something to tell. */
  #collect(): void {
    for (const id of this.#calling(() => this.#engine.readyWatchers())) {
      const watch = this.#waiting.get(id)
      if (watch === undefined) continue
      this.#waiting.delete(id)
      this.#due.add(watch)
    }
  }

  #plan(): void {
    if (this.#isPlanned) return
    this.#isPlanned = true
    this.#background.nextTurn(() => {
      this.#isPlanned = false
      this.#serve()
    })
  }

  /** Serves those who are due, in their order, for one slice of time; the rest is served in the next turn. */
  #serve(): void {
    const end = performance.now() + SLICE
    for (const watch of this.#due) {
      this.#due.delete(watch)
      const served = watch.serve()
      if (served === 'again') this.#due.add(watch)
      else if (typeof served === 'number') this.#waiting.set(served, watch)
      if (performance.now() >= end) break
    }
    if (this.#due.size > 0) this.#plan()
  }
}
