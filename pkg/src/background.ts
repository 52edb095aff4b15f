import type { Instance, RawEngine } from './engine.js'
import type { PalimpsestError } from './errors.js'
import type { Appointment, Host } from './host.js'

/** The longest step of background work, in milliseconds. */
const BUDGET = 2
/** How long a program may go on with awaited calls before its event loop gets a turn, in milliseconds. */
const TURN = 8
/** The longest time that a timer of the hosts can count, in milliseconds. */
const LONGEST_WAIT = 0x7fff_ffff
/** When background work is tried again after it has met damage, which ends a compaction but not leases, in milliseconds. */
const RETRY = 1000
/** Calls between two looks at the clock. */
const CALLS_PER_LOOK = 64

/** What follows the background work. Called after each step, with the error if it failed. */
export type Observer = (error: PalimpsestError | undefined) => void

/**
 * Runs a store's background work on the host's event loop, in steps of at most {@link BUDGET}.
 *
 * Invariant: at most one appointment is open, and it keeps the program alive exactly while somebody waits (`hold`, `atEndOfTurn`).
 */
export class Background {
  readonly #instance: Instance
  readonly #engine: RawEngine
  readonly #host: Host
  readonly #observers: Set<Observer> = new Set()
  #appointment: Appointment | undefined
  #isSoon = false
  #holders = 0
  #ending: (() => void) | undefined
  #stopped = false
  #calls = 0
  #turnBegan = 0

  constructor(instance: Instance, engine: RawEngine, host: Host) {
    this.#instance = instance
    this.#engine = engine
    this.#host = host
    instance.observe(this.#brokenDown)
  }

  /** There may be new work: the engine is asked in the next turn of the event loop. */
  wake(): void {
    if (this.#isSoon || this.#stopped) return
    this.#appointment?.cancel()
    this.#isSoon = true
    this.#turnBegan = performance.now()
    this.#appoint(this.#host.soon(() => this.#step()))
  }

  /**
   * Calls `work` when this turn of the event loop ends, before any background work, and keeps the program alive until then. At most
   * one such work is planned at a time. It must not throw.
   */
  atEndOfTurn(work: () => void): void {
    if (this.#ending === undefined) this.hold()
    this.#ending = work
    this.wake()
  }

  /** Keeps the program alive for as long as there is work, until `release`. */
  hold(): void {
    this.#holders += 1
    if (this.#holders === 1) this.#appointment?.ref()
  }

  /** Ends a `hold`. */
  release(): void {
    this.#holders -= 1
    if (this.#holders === 0) this.#appointment?.unref()
  }

  /** Tells `observer` after every step. */
  observe(observer: Observer): void {
    this.#observers.add(observer)
  }

  /** Ends an `observe`. */
  forget(observer: Observer): void {
    this.#observers.delete(observer)
  }

  /** No further step; the observers get the error. */
  stop(error: PalimpsestError): void {
    this.#stopped = true
    this.#instance.forget(this.#brokenDown)
    this.#cancel()
    this.#tell(error)
    this.#observers.clear()
  }

  /** Calls back in the next turn of the event loop, which the program lives to see. */
  nextTurn(callback: () => void): void {
    this.#host.soon(callback).ref()
  }

  /**
   * A turn of the event loop if the last one is long ago, else nothing. Awaiting calls that are fulfilled at once never lets
   * the event loop turn: a long chain of them would starve the background work and everything else in the program.
   */
  breath(): Promise<void> | undefined {
    this.#calls += 1
    if (this.#calls % CALLS_PER_LOOK !== 0) return undefined
    const now = performance.now()
    if (now - this.#turnBegan < TURN) return undefined
    return new Promise(resolve => {
      this.#host
        .soon(() => {
          this.#turnBegan = performance.now()
          resolve()
        })
        .ref()
    })
  }

  /** Whoever waits for a step is told by the next one, whichever store it was that has broken the engine. */
  readonly #brokenDown = (): void => this.wake()

  #cancel(): void {
    this.#appointment?.cancel()
    this.#appointment = undefined
    this.#isSoon = false
  }

  #appoint(appointment: Appointment): void {
    this.#appointment = appointment
    if (this.#holders === 0) appointment.unref()
    else appointment.ref()
  }

  #step(): void {
    this.#appointment = undefined
    this.#isSoon = false
    this.#endTurn()
    let error: PalimpsestError | undefined
    try {
      this.#instance.assertSound()
      this.#plan()
    } catch (thrown) {
      error = this.#instance.error(thrown)
      if (error.code === 'CORRUPT' && this.#appointment === undefined)
        this.#appoint(this.#host.later(() => this.#step(), RETRY))
    }
    this.#tell(error)
  }

  #endTurn(): void {
    const work = this.#ending
    if (work === undefined) return
    this.#ending = undefined
    this.release()
    work()
  }

  /** Does a step and makes the appointment for the next one. After an error there is none until something is asked for. */
  #plan(): void {
    const next = this.#engine.run(BUDGET)
    if (next.when === 'now') this.wake()
    if (next.when === 'at') {
      const wait = Math.min(Math.max(0, next.at - performance.now()), LONGEST_WAIT)
      this.#appoint(this.#host.later(() => this.#step(), wait))
    }
  }

  #tell(error: PalimpsestError | undefined): void {
    for (const observer of [...this.#observers]) observer(error)
  }
}
