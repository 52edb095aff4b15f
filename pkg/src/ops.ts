import { invalid, PalimpsestError, show } from './errors.js'
import { checkOptions, type Rules, readRules, rules } from './options.js'
import type * as t from './types.js'

/** The wasm's numbers for relations. */
export const RELATIONS: Readonly<Record<t.RelationName, number>> = {
  equals: 0,
  notEquals: 1,
  lessThan: 2,
  greaterThan: 3,
}

/** How deep transactions can stand in each other: as many as the engine takes, and few enough to be walked through by recursion. */
const MAX_DEPTH = 128

/** What of a put can be said wherever something is put. */
export const putModifierRules: Rules = {
  lease: rules.number,
  keepLease: rules.flag,
  keepValue: rules.flag,
  previous: rules.flag,
}

const deleteRules = { previous: rules.flag }
const getRules = {
  ...readRules,
  revision: rules.revision,
  at: rules.time,
  keysOnly: rules.flag,
  countOnly: rules.flag,
}

class PendingCompare<T> implements t.Comparing<T> {
  readonly #keys: t.Key | t.KeySelection
  readonly #target: t.CompareTarget

  constructor(keys: t.Key | t.KeySelection, target: t.CompareTarget) {
    this.#keys = keys
    this.#target = target
  }

  equals(operand: T): t.Compare {
    return this.#with('equals', operand)
  }

  notEquals(operand: T): t.Compare {
    return this.#with('notEquals', operand)
  }

  lessThan(operand: T): t.Compare {
    return this.#with('lessThan', operand)
  }

  greaterThan(operand: T): t.Compare {
    return this.#with('greaterThan', operand)
  }

  #with(relation: t.RelationName, operand: T): t.Compare {
    return { keys: this.#keys, target: this.#target, relation, operand }
  }
}

/**
 * A condition about a key, or about every key of a selection.
 *
 * @example
 * ```ts
 * db.txn().if(compare('users/1').version.equals(0)).then(put('users/1', 'Ada'))
 * ```
 */
export function compare<T = unknown>(keys: t.Key | t.KeySelection): t.CompareKeys<T> {
  return {
    version: new PendingCompare(keys, 'version'),
    createRevision: new PendingCompare(keys, 'createRevision'),
    modRevision: new PendingCompare(keys, 'modRevision'),
    lease: new PendingCompare(keys, 'lease'),
    value: new PendingCompare<T>(keys, 'value'),
  }
}

/** Checks that what a put is to do can be done together. */
export function checkPut(value: unknown, { lease, keepLease, keepValue }: t.PutModifiers): void {
  if (keepLease === true && lease !== undefined)
    throw invalid(`a put that keeps the key's lease can't give it the lease ${lease}`, {
      option: 'keepLease',
    })
  if (keepValue === true && value !== undefined)
    throw invalid(`a put that keeps the value must be given undefined as value, not ${show(value)}`, {
      option: 'keepValue',
    })
}

/** An operation of a transaction that writes a value, encoded by the store's codec. */
export function put(key: t.Key, value: unknown, options: t.PutModifiers = {}): t.PutOp {
  checkOptions(options, putModifierRules)
  checkPut(value, options)
  return { type: 'put', key, value, ...options }
}

/** An operation of a transaction that reads one key or a selection, also at an earlier revision. */
export function get(keys: t.Key | t.KeySelection, options: t.GetModifiers = {}): t.GetOp {
  checkOptions(options, getRules)
  return { type: 'get', keys, ...options }
}

/** An operation of a transaction that deletes one key or a selection. */
export function del(keys: t.Key | t.KeySelection, options: t.DeleteModifiers = {}): t.DeleteOp {
  checkOptions(options, deleteRules)
  return { type: 'delete', keys, ...options }
}

/** What a transaction consists of. Invariant: `depth` is how many of them stand in each other, itself included. */
export interface Parts {
  readonly compares: readonly t.Compare[]
  readonly success: readonly Step[]
  readonly failure: readonly Step[]
  readonly depth: number
}

/** A transaction within another one, as it was when it became an operation. */
export interface NestedOp {
  readonly type: 'txn'
  readonly parts: Parts
}

/** One operation of a transaction. */
export type Step = t.PutOp | t.DeleteOp | t.GetOp | NestedOp

/** Checks that something is a condition. */
export function checkCompare(compare: t.Compare): void {
  const fits = Object.hasOwn(RELATIONS, compare?.relation ?? '') && typeof compare.target === 'string'
  if (!fits) throw invalid(`a condition must be made by compare(key) and a relation, not ${show(compare)}`)
}

/** Checks an operation that is no transaction. */
export function checkOp(op: t.PutOp | t.DeleteOp | t.GetOp): Step {
  if (op?.type === 'put' || op?.type === 'delete' || op?.type === 'get') return op
  const hint = typeof op === 'function' ? '; a transaction is not a promise: await its commit()' : ''
  throw invalid(`an operation must be made by put, get, del or txn, not ${show(op)}${hint}`)
}

/** A transaction as an operation of another one. */
export function nested(parts: Parts): NestedOp {
  if (parts.depth <= MAX_DEPTH) return { type: 'txn', parts }
  const message = `${parts.depth} transactions within each other are over the limit of ${MAX_DEPTH}`
  throw new PalimpsestError('TOO_MANY_OPERATIONS', message, { operations: parts.depth, limit: MAX_DEPTH })
}
