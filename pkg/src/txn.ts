import { checkKey, encodeKey, encodeValue, valueBytes } from './codec.js'
import { freeing, type RawAnswer, type RawResult, type RawTransaction } from './engine.js'
import { Block } from './entries.js'
import { invalid, show } from './errors.js'
import { packKeys } from './keys.js'
import { type Codecs, checkOptions, checkRevision, rules } from './options.js'
import type * as t from './types.js'

/** The wasm's numbers for relations. */
const RELATIONS: Readonly<Record<t.RelationName, number>> = {
  equals: 0,
  notEquals: 1,
  lessThan: 2,
  greaterThan: 3,
}

const commitRules = { durability: rules.durability }
const readRules = { revision: rules.revision, limit: rules.size }

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
    value: new PendingCompare<T>(keys, 'value'),
  }
}

/** An operation of a transaction that writes a value, encoded by the store's codec. */
export function put(key: t.Key, value: unknown): t.PutOp {
  return { type: 'put', key, value }
}

/** An operation of a transaction that reads one key or a selection, also at an earlier revision. */
export function get(
  keys: t.Key | t.KeySelection,
  options: { readonly revision?: number | undefined; readonly limit?: number | undefined } = {},
): t.GetOp {
  checkOptions(options, readRules)
  return { type: 'get', keys, revision: options.revision, limit: options.limit }
}

/** An operation of a transaction that deletes one key or a selection. */
export function del(keys: t.Key | t.KeySelection): t.DeleteOp {
  return { type: 'delete', keys }
}

/** What a transaction needs of its store. */
export interface TxnTarget {
  /** Runs a transaction that is written into the wasm's builder. */
  readonly commit: (write: (raw: RawTransaction) => void) => RawAnswer
  /** The answer, as soon as its durability allows. */
  readonly acknowledged: <T>(answer: T, options: t.WriteOptions | undefined) => Promise<T>
}

/** A transaction of a store whose engine runs in this thread. */
export class EngineTxn<V extends t.ValueCodec, K extends t.KeyCodec> implements t.Txn<V, K> {
  readonly #target: TxnTarget
  readonly #codecs: Codecs<V, K>
  readonly #compares: t.Compare[] = []
  readonly #then: t.Op[] = []
  readonly #else: t.Op[] = []

  constructor(codecs: Codecs<V, K>, target: TxnTarget) {
    this.#codecs = codecs
    this.#target = target
  }

  if(...compares: t.Compare[]): this {
    for (const compare of compares) checkCompare(compare)
    this.#compares.push(...compares)
    return this
  }

  // biome-ignore lint/suspicious/noThenProperty: etcd's word for the branch; `checkOp` refuses what `await` would pass.
  then(...ops: t.Op[]): this {
    for (const op of ops) checkOp(op)
    this.#then.push(...ops)
    return this
  }

  else(...ops: t.Op[]): this {
    for (const op of ops) checkOp(op)
    this.#else.push(...ops)
    return this
  }

  async commit(options?: t.WriteOptions): Promise<t.TxnResult<V, K>> {
    checkOptions(options, commitRules)
    const answer = this.#target.commit(raw => this.#write(raw))
    const result = freeing(answer, raw => {
      const { succeeded, revision, results } = raw.summary()
      const block = new Block(raw.entries())
      return { succeeded, revision, results: results.map(result => this.#result(result, block)) }
    })
    return this.#target.acknowledged(result, options)
  }

  #result(result: RawResult, block: Block): t.OpResult<V, K> {
    if (result.type !== 'get') return result
    const entries = Array.from({ length: result.count }, () => block.entry(this.#codecs))
    return { type: 'get', entries, more: result.more }
  }

  #write(raw: RawTransaction): void {
    for (const compare of this.#compares) this.#writeCompare(raw, compare)
    for (const op of this.#then) this.#writeOp(raw, op)
    raw.otherwise()
    for (const op of this.#else) this.#writeOp(raw, op)
  }

  #value(value: unknown): Uint8Array {
    return valueBytes(encodeValue(value, this.#codecs.values))
  }

  #writeCompare(raw: RawTransaction, { keys, target, relation, operand }: t.Compare): void {
    const packed = packKeys(keys)
    const number = RELATIONS[relation]
    if (target === 'value') raw.compareValue(packed, number, this.#value(operand))
    else if (target === 'version') raw.compareVersion(packed, number, checkOperand(operand))
    else if (target === 'createRevision') raw.compareCreateRevision(packed, number, checkRevision(operand))
    else raw.compareModRevision(packed, number, checkRevision(operand))
  }

  #writeOp(raw: RawTransaction, op: t.Op): void {
    if (op.type === 'put') raw.put(encodeKey(checkKey(op.key)), this.#value(op.value))
    else if (op.type === 'delete') raw.delete(packKeys(op.keys))
    else raw.read(packKeys(op.keys), { revision: op.revision ?? 0, limit: op.limit })
  }
}

function checkOperand(operand: unknown): number {
  if (Number.isSafeInteger(operand) && (operand as number) >= 0) return operand as number
  throw invalid(`a version must be a whole number from 0 to ${Number.MAX_SAFE_INTEGER}, not ${show(operand)}`)
}

function checkCompare(compare: t.Compare): void {
  const fits = Object.hasOwn(RELATIONS, compare?.relation ?? '') && typeof compare.target === 'string'
  if (!fits) throw invalid(`a condition must be made by compare(key) and a relation, not ${show(compare)}`)
}

function checkOp(op: t.Op): void {
  if (op?.type === 'put' || op?.type === 'delete' || op?.type === 'get') return
  const hint = typeof op === 'function' ? '; a transaction is not a promise: await its commit()' : ''
  throw invalid(`an operation must be made by put, get or del, not ${show(op)}${hint}`)
}
