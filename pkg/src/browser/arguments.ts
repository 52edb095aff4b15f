import * as r from '../call-rules.js'
import { checkKey, encodeKey } from '../codec.js'
import { packKeys, packSelection } from '../keys.js'
import { checkPut } from '../ops.js'
import {
  checkMoment,
  checkOptions,
  checkPolicy,
  checkRetention,
  checkRevision,
  checkThinning,
  type Rules,
} from '../options.js'
import type * as t from '../types.js'

/** What the arguments of a method must be. */
interface Expected {
  /** Which of them are its options. */
  readonly optionsAt?: number
  readonly rules?: Rules
  /** Throws if they are wrong in another way. */
  readonly check?: (...args: readonly unknown[]) => void
}

function key(argument: unknown): void {
  encodeKey(checkKey(argument))
}

function keys(argument: unknown): void {
  packKeys(argument as t.Key)
}

function selection(options: unknown): void {
  packSelection((options ?? {}) as t.KeySelection)
}

function entries(options: unknown): void {
  selection(options)
  checkMoment(options as t.RangeOptions | undefined)
}

function put(argument: unknown, value: unknown, options: unknown): void {
  checkKey(argument)
  checkPut(value, (options ?? {}) as t.PutOptions)
}

function revisions(from: unknown, to: unknown, options: unknown): void {
  checkRevision(from)
  checkRevision(to)
  selection(options)
}

/** What is wrong with the arguments of other methods the engine's side says, unless they can't even cross. */
const EXPECTED: Readonly<Record<string, Expected>> = {
  get: { optionsAt: 1, rules: r.getRules, check: checkKey },
  getEntry: { optionsAt: 1, rules: r.entryRules, check: checkKey },
  count: { optionsAt: 0, rules: r.countRules, check: selection },
  range: { optionsAt: 0, rules: r.rangeRules, check: entries },
  keys: { optionsAt: 0, rules: r.keysRules, check: entries },
  history: { optionsAt: 1, rules: r.historyRules, check: key },
  diff: { optionsAt: 2, rules: r.diffRules, check: revisions },
  put: { optionsAt: 2, rules: r.putRules, check: put },
  delete: { optionsAt: 1, rules: r.deleteRules, check: keys },
  grantLease: { optionsAt: 1, rules: r.grantRules },
  revokeLease: { optionsAt: 1, rules: r.writeRules },
  keepAlive: { optionsAt: 1, rules: r.writeRules },
  leaseKeys: { optionsAt: 1, rules: r.leaseKeysRules },
  dryRun: { optionsAt: 1, rules: r.dryRunRules, check: checkRevision },
  pin: { optionsAt: 2, rules: r.pinRules },
  unpin: { optionsAt: 1, rules: r.writeRules },
  setAutoCompaction: { check: policy => checkPolicy(policy as t.AutoCompaction) },
  setRetention: { check: checkRetention },
  setQuota: { check: quotaBytes => checkOptions({ quotaBytes }, r.quotaRules) },
  setThinning: { check: thinning => checkThinning(thinning as t.Thinning) },
}

/** Checks the arguments of a call before they cross, so that a mistake is told where it is made, and as it is in the engine's thread. */
export function checkArguments(method: string, args: readonly unknown[]): void {
  const { optionsAt, rules, check } = EXPECTED[method] ?? {}
  if (optionsAt !== undefined && rules !== undefined) checkOptions(args[optionsAt], rules)
  check?.(...args)
}

/** What crosses of checked arguments: all but the signal, which is heard in this thread. A value is not touched, whatever it looks like. */
export interface Crossing {
  readonly args: readonly unknown[]
  readonly signal: t.AbortSignalLike | undefined
}

/** Takes the signal out of the options of a method that has one among them. */
export function crossingOf(method: string, args: readonly unknown[]): Crossing {
  const { optionsAt, rules } = EXPECTED[method] ?? {}
  if (optionsAt === undefined || rules?.signal === undefined || args[optionsAt] === undefined)
    return { args, signal: undefined }
  const { signal, ...options } = args[optionsAt] as { signal?: t.AbortSignalLike }
  return { args: args.with(optionsAt, options), signal }
}
