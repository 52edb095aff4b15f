import { decodeValue, encodeInto } from './codec.js'
import type { RawEngine, RawMemory, RawModule } from './engine.js'
import type { Key, ValueCodec, ValueTypes } from './types.js'

/** Areas in the wasm's memory through which short keys and values are handed over: see the bindings' `exchange`. */
export interface RawAreas {
  keyAt: number
  keyBytes: number
  valueAt: number
  valueBytes: number
}

/**
 * The shortest way to a store: keys and values are written straight into the wasm's memory, since a fresh `Uint8Array` would cost
 * more than the engine needs for the whole call.
 *
 * Invariant: `#isUsed` exactly while a call of the engine runs on the areas. A storage in JavaScript may call back into this package in
 * the middle of such a call; then the areas must not be written to, and `put` and `get` answer that they can't.
 */
export class Exchange {
  readonly #engine: RawEngine
  readonly #memory: RawMemory
  readonly #areas: RawAreas
  #key: Uint8Array
  #value: Uint8Array
  #isUsed = false

  constructor(module: RawModule, engine: RawEngine) {
    this.#engine = engine
    this.#memory = module.linearMemory()
    this.#areas = engine.exchange()
    this.#key = this.#view(this.#areas.keyAt, this.#areas.keyBytes)
    this.#value = this.#view(this.#areas.valueAt, this.#areas.valueBytes)
  }

  /** Puts. Answers the revision; `undefined` if the key or the value does not fit. */
  put(key: Key, value: string | Uint8Array): number | undefined {
    if (this.#isUsed) return undefined
    this.#renew()
    const keyBytes = encodeInto(key, this.#key, 'key')
    if (keyBytes === undefined) return undefined
    const valueBytes = encodeInto(value, this.#value, 'value')
    if (valueBytes === undefined) return undefined
    this.#isUsed = true
    try {
      return this.#engine.putExchanged(keyBytes, valueBytes)
    } finally {
      this.#isUsed = false
    }
  }

  /**
   * Gets at a revision, 0 for the newest. Answers `OTHERWISE` if the key or the value does not fit, `undefined` if there is no
   * value.
   */
  get<V extends ValueCodec>(
    key: Key,
    revision: number,
    codec: V,
  ): ValueTypes[V] | undefined | typeof OTHERWISE {
    if (this.#isUsed) return OTHERWISE
    this.#renew()
    const keyBytes = encodeInto(key, this.#key, 'key')
    if (keyBytes === undefined) return OTHERWISE
    this.#isUsed = true
    let valueBytes: number | undefined
    try {
      valueBytes = this.#engine.getExchanged(keyBytes, revision)
    } finally {
      this.#isUsed = false
    }
    if (valueBytes === undefined) return undefined
    if (valueBytes > this.#areas.valueBytes) return OTHERWISE
    // The read may have made the memory grow.
    this.#renew()
    return decodeValue(this.#value, 0, valueBytes, codec)
  }

  #view(at: number, bytes: number): Uint8Array {
    return new Uint8Array(this.#memory.buffer, at, bytes)
  }

  /** Memory that grows leaves all views on it empty. */
  #renew(): void {
    if (this.#key.length !== 0) return
    this.#key = this.#view(this.#areas.keyAt, this.#areas.keyBytes)
    this.#value = this.#view(this.#areas.valueAt, this.#areas.valueBytes)
  }
}

/** The areas can't be used: the call must be made in the ordinary way. */
export const OTHERWISE: unique symbol = Symbol('otherwise')
