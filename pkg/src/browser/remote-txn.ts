import { writeRules } from '../call-rules.js'
import { encodeValue } from '../codec.js'
import type { Step } from '../ops.js'
import { type Codecs, checkOptions } from '../options.js'
import { EngineTxn, type TxnTarget } from '../txn.js'
import type * as t from '../types.js'
import type { Channel } from './channel.js'
import { type PlainTxn, STORE_ID } from './protocol.js'

/** No part of a transaction is run in this thread. */
const NO_ENGINE = undefined as unknown as TxnTarget

/**
 * A value that can cross. Where the store keeps JSON it is what JSON says of it: a message would clone it in another way, without what its
 * `toJSON` says.
 */
export function crossing(value: unknown, codec: t.ValueCodec): unknown {
  if (value === undefined) return value
  const encoded = encodeValue(value, codec)
  return codec === 'json' && typeof value === 'object' && value !== null
    ? JSON.parse(encoded as string)
    : value
}

/** A transaction of a store whose engine runs in a worker: one message, however long it is. */
export class RemoteTxn<V extends t.ValueCodec, K extends t.KeyCodec> extends EngineTxn<V, K> {
  readonly #channel: Channel
  readonly #values: V
  /** Throws if the store can't be used any more. */
  readonly #assertOpen: () => void

  constructor(channel: Channel, codecs: Codecs<V, K>, assertOpen: () => void) {
    super(codecs, NO_ENGINE)
    this.#channel = channel
    this.#values = codecs.values
    this.#assertOpen = assertOpen
  }

  override async commit(options?: t.WriteOptions): Promise<t.TxnResult<V, K>> {
    checkOptions(options, writeRules)
    this.#assertOpen()
    return this.#channel.call({ on: STORE_ID, method: 'commit', args: [this.#plain(this.parts()), options] })
  }

  #plain({ compares, success, failure }: PlainTxn): PlainTxn {
    return {
      compares: compares.map(compare => {
        const { keys, target, relation, operand } = compare
        return {
          keys,
          target,
          relation,
          operand: target === 'value' ? crossing(operand, this.#values) : operand,
        }
      }),
      success: success.map(step => this.#step(step)),
      failure: failure.map(step => this.#step(step)),
    }
  }

  #step(step: Step): Step {
    if (step.type === 'put') return { ...step, value: crossing(step.value, this.#values) }
    if (step.type !== 'txn') return step
    return { type: 'txn', parts: { ...this.#plain(step.parts), depth: step.parts.depth } }
  }
}
