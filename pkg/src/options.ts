import { checkBound, encodeKey } from './codec.js'
import { invalid, show } from './errors.js'
import type { AbortSignalLike, AutoCompaction, KeyCodec, Thinning, ValueCodec } from './types.js'

/** Checks one option's value: answers what it must be if it is not. */
type Rule = (value: unknown) => string | undefined

/** The options that a call knows, by name. */
export type Rules = Readonly<Record<string, Rule>>

const MAX_SIZE = 0xffff_ffff

function isWhole(value: unknown, least: number, most: number): value is number {
  return Number.isInteger(value) && (value as number) >= least && (value as number) <= most
}

function whole(least: number, most: number): Rule {
  return value => (isWhole(value, least, most) ? undefined : `a whole number from ${least} to ${most}`)
}

function oneOf(...choices: string[]): Rule {
  const words = choices.map(choice => `'${choice}'`).join(' or ')
  return value => (choices.includes(value as string) ? undefined : words)
}

function isFunction(value: unknown): string | undefined {
  return typeof value === 'function' ? undefined : 'a function'
}

function isSignal(value: unknown): string | undefined {
  const signal = value as Partial<AbortSignalLike> | null
  const fits = typeof signal?.aborted === 'boolean' && typeof signal.addEventListener === 'function'
  return fits ? undefined : 'an AbortSignal'
}

function isDuration(value: unknown): string | undefined {
  const fits = typeof value === 'number' && value >= 0 && value <= Number.MAX_SAFE_INTEGER / 1000
  return fits ? undefined : 'a duration in milliseconds'
}

function isFlag(value: unknown): string | undefined {
  return typeof value === 'boolean' ? undefined : 'true or false'
}

function isInterval(value: unknown): string | undefined {
  const fits = isDuration(value) === undefined && (value as number) >= 1
  return fits ? undefined : 'a duration of at least a millisecond'
}

function isTime(value: unknown): string | undefined {
  const fits = value instanceof Date && value.getTime() >= 0
  return fits ? undefined : 'a Date since 1970'
}

function isDelimiter(value: unknown): string | undefined {
  const fits = (typeof value === 'string' || value instanceof Uint8Array) && value.length > 0
  return fits ? undefined : 'a string or a Uint8Array that is not empty'
}

function isSort(value: unknown): string | undefined {
  checkOptions(value, sortRules)
  const { by } = value as { by?: unknown }
  return by === undefined ? 'an object that says what to sort by, as { by: ... }' : undefined
}

function isMoment(value: unknown): string | undefined {
  const millis = value instanceof Date ? value.getTime() : value
  return isWhole(millis, 0, Number.MAX_SAFE_INTEGER) ? undefined : 'a Date, or milliseconds since 1970'
}

function isHold(value: unknown): string | undefined {
  checkOptions(value, holdRules)
  const { revisions, bytes } = value as { revisions?: unknown; bytes?: unknown }
  const isBounded = revisions !== undefined || bytes !== undefined
  return isBounded ? undefined : 'an object with a bound, as { revisions: number } or { bytes: number }'
}

type RuleName =
  | 'size'
  | 'moment'
  | 'hold'
  | 'revision'
  | 'number'
  | 'flag'
  | 'interval'
  | 'sort'
  | 'time'
  | 'delimiter'
  | 'duration'
  | 'keys'
  | 'values'
  | 'durability'
  | 'callback'
  | 'signal'
  | 'hashCheck'
  | 'anything'

/** Rules for options that several calls share. */
export const rules: Readonly<Record<RuleName, Rule>> = {
  size: whole(0, MAX_SIZE),
  revision: whole(0, Number.MAX_SAFE_INTEGER),
  number: whole(1, Number.MAX_SAFE_INTEGER),
  flag: isFlag,
  moment: isMoment,
  hold: isHold,
  interval: isInterval,
  sort: isSort,
  time: isTime,
  delimiter: isDelimiter,
  duration: isDuration,
  keys: oneOf('utf8', 'bytes'),
  values: oneOf('utf8', 'bytes', 'json'),
  durability: oneOf('strict', 'relaxed'),
  callback: isFunction,
  signal: isSignal,
  hashCheck: oneOf('required', 'skipped'),
  anything: () => undefined,
}

const sortRules: Rules = {
  by: oneOf('key', 'version', 'createRevision', 'modRevision', 'value'),
  order: oneOf('ascending', 'descending'),
}

const holdRules: Rules = { revisions: rules.revision, bytes: rules.revision }

/** The options that say which entries are read, and how, wherever they are read. */
export const readRules: Rules = {
  limit: rules.size,
  sort: rules.sort,
  minModRevision: rules.revision,
  maxModRevision: rules.revision,
  minCreateRevision: rules.revision,
  maxCreateRevision: rules.revision,
  withCount: rules.flag,
}

/** Checks an object of options: every name known, every value fitting. An option that is `undefined` is absent. */
export function checkOptions(options: unknown, known: Rules): void {
  if (options === undefined) return
  if (options === null || typeof options !== 'object' || Array.isArray(options)) {
    throw invalid(`options must be an object, not ${show(options)}`)
  }
  for (const [name, value] of Object.entries(options)) {
    const rule = Object.hasOwn(known, name) ? known[name] : undefined
    if (rule === undefined) {
      const names = Object.keys(known).join(', ')
      throw invalid(`there is no option ${show(name)}; there are ${names}`, { option: name })
    }
    const expected = value === undefined ? undefined : rule(value)
    if (expected !== undefined) {
      throw invalid(`the option ${name} must be ${expected}, not ${show(value)}`, { option: name })
    }
  }
}

/** Checks a revision that is an argument of its own. */
export function checkRevision(revision: unknown): number {
  if (isWhole(revision, 0, Number.MAX_SAFE_INTEGER)) return revision
  throw invalid(
    `a revision must be a whole number from 0 to ${Number.MAX_SAFE_INTEGER}, not ${show(revision)}`,
  )
}

/** Checks a time that is an argument of its own, and says it in milliseconds. */
export function checkTime(time: unknown): number {
  const expected = isTime(time)
  if (expected !== undefined) throw invalid(`a time must be ${expected}, not ${show(time)}`)
  return (time as Date).getTime()
}

/** Checks that a read says at most one moment. */
export function checkMoment(
  options: { readonly revision?: unknown; readonly at?: unknown } | undefined,
): void {
  if (options?.at !== undefined && options.revision !== undefined)
    throw invalid('a read is of one moment: revision or at, not both', { option: 'at' })
}

/** Checks a number of a lease that is an argument of its own. */
export function checkLease(id: unknown): number {
  if (isWhole(id, 1, Number.MAX_SAFE_INTEGER)) return id
  throw invalid(
    `a lease's number must be a whole number from 1 to ${Number.MAX_SAFE_INTEGER}, not ${show(id)}`,
  )
}

/** Checks the name of a pin. What is too long, or the engine's own, is left to the engine to say. */
export function checkPinName(name: unknown): string {
  if (typeof name === 'string' && !/\p{Surrogate}/u.test(name)) return name
  throw invalid(`a pin's name must be a text, not ${show(name)}`)
}

/** A moment that was checked, in milliseconds since 1970. */
export function millisOf(moment: number | Date): number {
  return typeof moment === 'number' ? moment : moment.getTime()
}

/** Checks a duration that is an argument of its own; one that is too long is left to the engine to say. */
export function checkDuration(what: string, millis: unknown): number {
  if (typeof millis === 'number' && millis >= 0 && millis < Number.MAX_SAFE_INTEGER) return millis
  throw invalid(`a ${what} must be a duration in milliseconds, not ${show(millis)}`)
}

const policyRules = { periodic: rules.duration, revisions: rules.revision }

/** Checks a policy of automatic compaction, and says it as the bindings read it. */
export function checkPolicy(policy: AutoCompaction): object {
  if (policy === 'off') return {}
  const words = "'off', { periodic: milliseconds }, { revisions: number } or both of these"
  if (typeof policy !== 'object' || policy === null)
    throw invalid(`the option autoCompaction must be ${words}, not ${show(policy)}`, {
      option: 'autoCompaction',
    })
  checkOptions(policy, policyRules)
  const { periodic, revisions }: { periodic?: number; revisions?: number } = policy
  if (periodic === undefined && revisions === undefined)
    throw invalid(`the option autoCompaction must be one of ${words}`, { option: 'autoCompaction' })
  return policy
}

const ruleRules: Rules = { prefix: () => undefined, newest: rules.number, forAtLeast: rules.interval }

/** Checks rules of retention, and says them as the bindings read them. */
export function checkRetention(retention: unknown): object[] {
  if (!Array.isArray(retention))
    throw invalid(`the option retention must be a list of { prefix, ... }, not ${show(retention)}`, {
      option: 'retention',
    })
  return retention.map(rule => {
    if (rule === null || typeof rule !== 'object')
      throw invalid(`a rule of retention must be { prefix, ... }, not ${show(rule)}`, { option: 'retention' })
    checkOptions(rule, ruleRules)
    return { ...rule, prefix: encodeKey(checkBound(rule.prefix)) }
  })
}

const HOUR = 3_600_000
const DAY = 24 * HOUR
/** Everything of the last hour, one revision an hour for a day, one a day for 30 days. */
const DEFAULT_THINNING = {
  allFor: HOUR,
  steps: [
    { every: HOUR, keepFor: DAY },
    { every: DAY, keepFor: 30 * DAY },
  ],
}
const thinningRules: Rules = { allFor: rules.interval, steps: isSteps }
const stepRules: Rules = { every: rules.interval, keepFor: rules.interval }

function isSteps(value: unknown): string | undefined {
  if (!Array.isArray(value)) return 'a list of { every, keepFor }'
  for (const step of value) {
    checkOptions(step, stepRules)
    if (step?.every === undefined || step.keepFor === undefined) return 'a list of { every, keepFor }'
  }
  return undefined
}

/** Checks how history is to get thinner, and says it as the bindings read it. */
export function checkThinning(thinning: Thinning): object | undefined {
  if (thinning === 'off') return undefined
  if (thinning === 'default') return DEFAULT_THINNING
  const words = "'off', 'default' or { allFor: milliseconds, steps: [{ every, keepFor }] }"
  if (typeof thinning !== 'object' || thinning === null || thinning.allFor === undefined)
    throw invalid(`the option thinning must be ${words}, not ${show(thinning)}`, { option: 'thinning' })
  checkOptions(thinning, thinningRules)
  return { allFor: thinning.allFor, steps: thinning.steps ?? [] }
}

/** How keys and values of one store, or of one call, are encoded. */
export interface Codecs<V extends ValueCodec = ValueCodec, K extends KeyCodec = KeyCodec> {
  readonly values: V
  readonly keys: K
}

/** The codecs of a call: its own, else the store's. */
export function codecsOf<V extends ValueCodec, K extends KeyCodec>(
  options: { readonly values?: V | undefined; readonly keys?: K | undefined } | undefined,
  store: Codecs,
): Codecs<V, K> {
  return { values: options?.values ?? (store.values as V), keys: options?.keys ?? (store.keys as K) }
}
