import { PalimpsestError } from '../errors.js'
import { checkArguments, crossingOf } from './arguments.js'
import type { Channel } from './channel.js'
import { RemoteRange } from './items.js'
import type { Way } from './methods.js'
import { signalled } from './signalled.js'

/** An object of the package that is in a worker. */
export abstract class Remote {
  /** The way to it. */
  protected readonly channel: Channel
  /** Its number there. */
  protected readonly on: number

  constructor(channel: Channel, on: number) {
    this.channel = channel
    this.on = on
  }

  /** Throws if it can't be used any more. */
  abstract assertOpen(): void

  /** Calls a method there. */
  async callRemote<T>(method: string, args: readonly unknown[]): Promise<T> {
    checkArguments(method, args)
    this.assertOpen()
    const { args: crossing, signal } = crossingOf(method, args)
    return signalled(signal, () => this.channel.call<T>({ on: this.on, method, args: crossing }))
  }

  /** What a method there iterates. */
  iterateRemote(method: string, args: readonly unknown[]): RemoteRange<unknown> {
    checkArguments(method, args)
    this.assertOpen()
    const { args: crossing, signal } = crossingOf(method, args)
    return new RemoteRange({
      channel: this.channel,
      // As they are now: they cross when the first item is asked for.
      call: { on: this.on, method, args: structuredClone(crossing) },
      assertOpen: () => this.assertOpen(),
      signal,
    })
  }
}

const BODIES: Readonly<
  Record<Exclude<Way, 'own'>, (name: string) => (this: Remote, ...args: unknown[]) => unknown>
> = {
  call: name =>
    function call(...args) {
      return this.callRemote(name, args)
    },
  items: name =>
    function items(...args) {
      return this.iterateRemote(name, args)
    },
  here: name =>
    function here() {
      const words = `${name} works only in the thread of the engine, which is a worker's here: open the store in that worker`
      throw new PalimpsestError('UNSUPPORTED', words)
    },
}

/** Gives a class the methods of a table, all but those that it has of its own. */
export function defineMethods(
  remote: { readonly prototype: Remote },
  table: Readonly<Record<string, Way>>,
): void {
  for (const [name, way] of Object.entries(table)) {
    if (way === 'own') continue
    Object.defineProperty(remote.prototype, name, {
      value: BODIES[way](name),
      writable: true,
      configurable: true,
    })
  }
}
