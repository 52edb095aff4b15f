import { writeRules } from './call-rules.js'
import { checkKey, encodeKey, encodeValue, valueBytes } from './codec.js'
import { freeing, type RawAnswer, type RawResult, type RawSummary, type RawTransaction } from './engine.js'
import { Block } from './entries.js'
import { afterWrite, invalid, show } from './errors.js'
import { packKeys } from './keys.js'
import { checkCompare, checkOp, nested, type Parts, RELATIONS, type Step } from './ops.js'
import { type Codecs, checkOptions, checkRevision } from './options.js'
import { rawRead } from './reader.js'
import type * as t from './types.js'

/** What a transaction needs of its store. */
export interface TxnTarget {
  /** A builder of the wasm's. */
  readonly builder: () => RawTransaction
  /** Runs a transaction that is written into a builder. */
  readonly commit: (write: (raw: RawTransaction) => void) => RawAnswer
  /** The answer, as soon as its durability allows. */
  readonly acknowledged: <T>(answer: T, options: t.WriteOptions | undefined) => Promise<T>
}

/** A transaction of a store whose engine runs in this thread. */
export class EngineTxn<V extends t.ValueCodec, K extends t.KeyCodec> implements t.Txn<V, K> {
  readonly #target: TxnTarget
  readonly #codecs: Codecs<V, K>
  readonly #compares: t.Compare[] = []
  readonly #then: Step[] = []
  readonly #else: Step[] = []

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
    this.#then.push(...ops.map(step))
    return this
  }

  else(...ops: t.Op[]): this {
    this.#else.push(...ops.map(step))
    return this
  }

  async commit(options?: t.WriteOptions): Promise<t.TxnResult<V, K>> {
    checkOptions(options, writeRules)
    const parts = this.parts()
    const answer = this.#target.commit(raw => this.#write(raw, parts))
    const result = freeing(answer, raw => {
      const summary = raw.summary()
      return afterWrite(summary.revision, () => this.#result(parts, summary, new Block(raw.entries())))
    })
    return this.#target.acknowledged(result, options)
  }

  /** What it consists of now. */
  parts(): Parts {
    const [success, failure] = [[...this.#then], [...this.#else]]
    const depths = [...success, ...failure].map(step => (step.type === 'txn' ? step.parts.depth : 0))
    const depth = depths.reduce((most, depth) => Math.max(most, depth), 0) + 1
    return { compares: [...this.#compares], success, failure, depth }
  }

  #result(parts: Parts, { succeeded, revision, results }: RawSummary, block: Block): t.TxnResult<V, K> {
    const steps = succeeded ? parts.success : parts.failure
    return {
      succeeded,
      revision,
      results: results.map((result, at) => this.#stepResult(steps[at] as Step, result, block)),
    }
  }

  #stepResult(step: Step, result: RawResult, block: Block): t.OpResult<V, K> {
    if (result.type === 'txn') {
      const { parts } = step as Extract<Step, { type: 'txn' }>
      return { type: 'txn', ...this.#result(parts, result, block) }
    }
    if (result.type === 'get') return this.#getResult(step as t.GetOp, result, block)
    const previous = Array.from({ length: result.entries }, () => block.entry(this.#codecs))
    if (result.type === 'delete') {
      const answer = { type: 'delete', deleted: result.deleted } as const
      return (step as t.DeleteOp).previous === true ? { ...answer, previous } : answer
    }
    return previous[0] === undefined ? { type: 'put' } : { type: 'put', previous: previous[0] }
  }

  #getResult(
    { keysOnly }: t.GetOp,
    { entries: length, more, count }: Extract<RawResult, { type: 'get' }>,
    block: Block,
  ): t.OpResult<V, K> {
    const rest = count === undefined ? { more } : { more, count }
    if (keysOnly === true) {
      const entries = Array.from({ length }, () => block.keyEntry(this.#codecs.keys))
      return { type: 'keys', entries, ...rest }
    }
    return { type: 'get', entries: Array.from({ length }, () => block.entry(this.#codecs)), ...rest }
  }

  #write(raw: RawTransaction, { compares, success, failure }: Parts): void {
    for (const compare of compares) this.#writeCompare(raw, compare)
    for (const step of success) this.#writeStep(raw, step)
    raw.otherwise()
    for (const step of failure) this.#writeStep(raw, step)
  }

  #value(value: unknown): Uint8Array {
    return valueBytes(encodeValue(value, this.#codecs.values))
  }

  #writeCompare(raw: RawTransaction, { keys, target, relation, operand }: t.Compare): void {
    const packed = packKeys(keys)
    const number = RELATIONS[relation]
    if (target === 'value') raw.compareValue(packed, number, this.#value(operand))
    else if (target === 'version') raw.compareVersion(packed, number, checkOperand('version', operand))
    else if (target === 'lease') raw.compareLease(packed, number, checkOperand("lease's number", operand))
    else if (target === 'createRevision') raw.compareCreateRevision(packed, number, checkRevision(operand))
    else raw.compareModRevision(packed, number, checkRevision(operand))
  }

  #writeStep(raw: RawTransaction, step: Step): void {
    if (step.type === 'put') this.#writePut(raw, step)
    else if (step.type === 'get')
      raw.read(packKeys(step.keys), {
        ...rawRead(step),
        keysOnly: step.keysOnly,
        countOnly: step.countOnly,
        withCount: step.withCount,
      })
    else if (step.type === 'txn') {
      freeing(this.#target.builder(), inner => {
        this.#write(inner, step.parts)
        raw.nest(inner)
      })
    } else if (step.previous === true) raw.deleteWithPrevious(packKeys(step.keys))
    else raw.delete(packKeys(step.keys))
  }

  #writePut(raw: RawTransaction, { key, value, lease, keepLease, keepValue, previous }: t.PutOp): void {
    const isPlain = lease === undefined && keepLease === undefined && previous === undefined
    raw.put(
      encodeKey(checkKey(key)),
      keepValue === true ? undefined : this.#value(value),
      isPlain ? undefined : { lease, keepLease, previous },
    )
  }
}

/** An operation as it is now. */
function step(op: t.Op): Step {
  return op instanceof EngineTxn ? nested(op.parts()) : checkOp(op as t.PutOp | t.DeleteOp | t.GetOp)
}

function checkOperand(what: string, operand: unknown): number {
  if (Number.isSafeInteger(operand) && (operand as number) >= 0) return operand as number
  throw invalid(`a ${what} must be a whole number from 0 to ${Number.MAX_SAFE_INTEGER}, not ${show(operand)}`)
}
