import { keysRules, rangeRules } from '../call-rules.js'
import { checkKey } from '../codec.js'
import { PalimpsestError } from '../errors.js'
import { packKeys, packSelection } from '../keys.js'
import { checkOptions, type Rules } from '../options.js'
import type { AbortSignalLike, Key, KeySelection } from '../types.js'
import type { Channel } from './channel.js'
import { RemoteRange } from './items.js'
import type { Way } from './methods.js'

/** The options of what is iterated, so that a mistake is told where it is made. Others are told by the first batch. */
const ITEM_RULES: Readonly<Record<string, Rules>> = { range: rangeRules, keys: keysRules }

/** What a call must begin with, where a wrong argument might not even cross. */
const FIRST: Readonly<Record<string, (argument: unknown) => unknown>> = {
  get: checkKey,
  getEntry: checkKey,
  put: checkKey,
  delete: keys => packKeys(keys as Key),
}

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
    this.assertOpen()
    FIRST[method]?.(args[0])
    return this.channel.call<T>({ on: this.on, method, args: unsignalled(args) })
  }

  /** What a method there iterates. */
  iterateRemote(method: string, args: readonly unknown[]): RemoteRange<unknown> {
    const [options] = args
    const rules = ITEM_RULES[method]
    if (rules !== undefined) {
      checkOptions(options, rules)
      // What else is iterated checks its arguments there.
      packSelection((options ?? {}) as KeySelection)
    }
    this.assertOpen()
    return new RemoteRange({
      channel: this.channel,
      call: { on: this.on, method, args: unsignalled(args) },
      assertOpen: () => this.assertOpen(),
      signal: signalOf(args),
    })
  }
}

function isOptions(argument: unknown): argument is { signal?: AbortSignalLike } {
  return typeof argument === 'object' && argument !== null && 'signal' in argument
}

function signalOf(args: readonly unknown[]): AbortSignalLike | undefined {
  return args.find(isOptions)?.signal
}

/** Arguments without a signal, which can't cross. */
function unsignalled(args: readonly unknown[]): unknown[] {
  return args.map(argument => {
    if (!isOptions(argument)) return argument
    const { signal: _heardHere, ...options } = argument
    return options
  })
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
