import { checkBound, checkKey, encodeKey } from './codec.js'
import { invalid, show } from './errors.js'
import { checkOptions, type Rules, rules } from './options.js'
import type { Key, KeySelection } from './types.js'

const NOTHING = new Uint8Array()
const HEAD_BYTES = 5

/** The kinds of a packed selection, as the bindings read them. */
const Kind = { one: 0, prefix: 1, interval: 2, atLeast: 3, all: 4 } as const

/** The options that name keys. */
export const selectionRules: Rules = {
  key: rules.anything,
  prefix: rules.anything,
  from: rules.anything,
  to: rules.anything,
  all: value => (value === true ? undefined : 'true'),
}

function pack(kind: number, first: Uint8Array, end: Uint8Array): Uint8Array {
  const packed = new Uint8Array(HEAD_BYTES + first.length + end.length)
  packed[0] = kind
  new DataView(packed.buffer).setUint32(1, first.length, true)
  packed.set(first, HEAD_BYTES)
  packed.set(end, HEAD_BYTES + first.length)
  return packed
}

function kinds(selection: KeySelection): string[] {
  const kinds = ['key', 'prefix', 'all'].filter(name => selection[name as keyof KeySelection] !== undefined)
  if (selection.from !== undefined || selection.to !== undefined) kinds.push('from/to')
  return kinds
}

function bound(key: unknown): Uint8Array {
  return encodeKey(checkBound(key))
}

function packKey(key: unknown): Uint8Array {
  return pack(Kind.one, encodeKey(checkKey(key)), NOTHING)
}

/** A selection whose options are checked already; `undefined` if it names nothing. */
export function packSelection(selection: KeySelection): Uint8Array | undefined {
  const named = kinds(selection)
  if (named.length > 1) throw invalid(`keys are selected by ${named.join(' and by ')}: only one is possible`)
  const { key, prefix, from, to, all } = selection
  if (key !== undefined) return packKey(key)
  if (prefix !== undefined) return pack(Kind.prefix, bound(prefix), NOTHING)
  if (to !== undefined) return pack(Kind.interval, from === undefined ? NOTHING : bound(from), bound(to))
  if (from !== undefined) return pack(Kind.atLeast, bound(from), NOTHING)
  return all === undefined ? undefined : PACKED_ALL
}

/** Every key, packed. */
export const PACKED_ALL: Uint8Array = pack(Kind.all, NOTHING, NOTHING)

/** One key or a selection that must name something. */
export function packKeys(keys: Key | KeySelection): Uint8Array {
  if (typeof keys === 'string' || keys instanceof Uint8Array) return packKey(keys)
  if (keys === undefined) throw invalid('which keys is missing; to mean all of them, say { all: true }')
  checkOptions(keys, selectionRules)
  const packed = packSelection(keys)
  if (packed === undefined)
    throw invalid(`${show(keys)} selects no keys; to mean all of them, say { all: true }`)
  return packed
}
