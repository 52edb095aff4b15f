import { invalid, PalimpsestError, show } from './errors.js'
import type { Key, KeyCodec, KeyTypes, ValueCodec, ValueTypes } from './types.js'

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Decodes a part of some bytes; damaged characters become U+FFFD. */
type Slice = (this: Uint8Array, start: number, end: number) => string

/** Node's way to text: for short ones it takes half the time of a `TextDecoder`. */
const nodeSlice = (globalThis as { Buffer?: { prototype: { utf8Slice?: Slice } } }).Buffer?.prototype
  .utf8Slice

/**
 * A text of at most so many characters is written to bytes one by one: that costs less than a call of the `TextEncoder`, which in Chromium
 * takes 0.2 us, in Node a quarter of that.
 */
const SHORT = nodeSlice === undefined ? 64 : 16

/** What stands in a text where bytes were no UTF-8, or where the text itself has this character. */
const REPLACEMENT = '\ufffd'

/** Whether a text has no half of a surrogate pair. ES2024, in every host that this package supports. */
function isWellFormed(text: string): boolean {
  return (text as unknown as { isWellFormed(): boolean }).isWellFormed()
}

/** A lone surrogate has no UTF-8: two different texts would become the same key. */
function assertWellFormed(text: string, what: string): void {
  if (!isWellFormed(text))
    throw invalid(`the ${what} ${show(text)} has a lone surrogate, which UTF-8 can't hold`)
}

/** A text's UTF-8 bytes. */
function encodeText(text: string, what: string): Uint8Array {
  assertWellFormed(text, what)
  return encoder.encode(text)
}

/** Writes a short text to the start of an area. Answers whether it has done so: only if all of it is ASCII, and fits. */
function encodeShort(text: string, area: Uint8Array): boolean {
  if (text.length > SHORT || text.length > area.length) return false
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code > 0x7f) return false
    area[at] = code
  }
  return true
}

/** Writes a text or bytes to the start of an area. Answers how many bytes it takes; `undefined` if it does not fit. */
export function encodeInto(item: string | Uint8Array, area: Uint8Array, what: string): number | undefined {
  if (typeof item === 'string') {
    if (encodeShort(item, area)) return item.length
    assertWellFormed(item, what)
    const { read, written } = encoder.encodeInto(item, area)
    return read === item.length ? written : undefined
  }
  if (item.length > area.length) return undefined
  area.set(item)
  return item.length
}

/** The text in `bytes[start]` up to `bytes[end]`. */
function textAt(bytes: Uint8Array, start: number, end: number): string | undefined {
  if (nodeSlice !== undefined) {
    const text = nodeSlice.call(bytes, start, end)
    if (!text.includes(REPLACEMENT)) return text
  }
  try {
    return decoder.decode(bytes.subarray(start, end))
  } catch {
    return undefined
  }
}

function isKey(key: unknown): key is Key {
  return typeof key === 'string' || key instanceof Uint8Array
}

/** A key, or a bound of an interval of keys, that is text or bytes. */
export function checkBound(key: unknown): Key {
  if (isKey(key)) return key
  throw invalid(`a key must be a string or a Uint8Array, not ${show(key)}`)
}

/** A key that is text or bytes, and not empty. */
export function checkKey(key: unknown): Key {
  const checked = checkBound(key)
  if (checked.length === 0) throw new PalimpsestError('EMPTY_KEY', 'a key must have at least one byte')
  return checked
}

/** A key's bytes. */
export function encodeKey(key: Key): Uint8Array {
  return typeof key === 'string' ? encodeText(key, 'key') : key
}

/** The key in `bytes[start]` up to `bytes[end]`, as the codec says. */
export function decodeKey<K extends KeyCodec>(
  bytes: Uint8Array,
  start: number,
  end: number,
  codec: K,
): KeyTypes[K] {
  if (codec === 'bytes') return bytes.slice(start, end) as KeyTypes[K]
  const text = textAt(bytes, start, end)
  if (text === undefined)
    throw new PalimpsestError('INVALID_VALUE', "a key is not UTF-8: read it with keys: 'bytes'")
  return text as KeyTypes[K]
}

/** A value as text or bytes, as the codec says. */
export function encodeValue(value: unknown, codec: ValueCodec): string | Uint8Array {
  if (codec === 'utf8') {
    if (typeof value === 'string') return value
    throw invalid(`with the codec utf8 a value must be a string, not ${show(value)}`)
  }
  if (codec === 'bytes') {
    if (value instanceof Uint8Array) return value
    throw invalid(`with the codec bytes a value must be a Uint8Array, not ${show(value)}`)
  }
  return jsonText(value)
}

/** An encoded value's bytes. */
export function valueBytes(value: string | Uint8Array): Uint8Array {
  return typeof value === 'string' ? encodeText(value, 'value') : value
}

function jsonText(value: unknown): string {
  let text: string | undefined
  try {
    text = JSON.stringify(value)
  } catch (error) {
    throw invalid(`with the codec json a value must be what JSON can hold: ${(error as Error).message}`)
  }
  if (text === undefined)
    throw invalid(`with the codec json a value must be what JSON can hold, not ${show(value)}`)
  return text
}

/** The value in `bytes[start]` up to `bytes[end]`, as the codec says. */
export function decodeValue<V extends ValueCodec>(
  bytes: Uint8Array,
  start: number,
  end: number,
  codec: V,
): ValueTypes[V] {
  if (codec === 'bytes') return bytes.slice(start, end) as ValueTypes[V]
  const text = textAt(bytes, start, end)
  if (text === undefined) throw undecodable("it is not UTF-8: read it with values: 'bytes'")
  return (codec === 'utf8' ? text : parsed(text)) as ValueTypes[V]
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw undecodable(`it is not JSON: ${(error as Error).message}`)
  }
}

function undecodable(why: string): PalimpsestError {
  return new PalimpsestError('INVALID_VALUE', `the value can't be decoded: ${why}`)
}
