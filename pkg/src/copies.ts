import type { Background } from './background.js'
import type { Instance, RawExport } from './engine.js'
import { invalid, show } from './errors.js'
import type { Host } from './host.js'
import type { AbortSignalLike, BlobLike, Export, ImportSource, StreamLike } from './types.js'

/** Bytes that are handed to the engine at once. */
const PIECE_BYTES = 256 * 1024
/** How long an import works before the event loop gets a turn, in milliseconds. */
const TURN = 8

const DONE = { done: true, value: undefined } as const

/** What an export needs of its store. */
export interface ExportPlan {
  readonly instance: Instance
  readonly background: Background
  readonly raw: RawExport
  /** Throws if the store is closed. */
  readonly assertOpen: () => void
  readonly signal: AbortSignalLike | undefined
}

/** A copy of a store that is being taken. Invariant: `raw` is there exactly while there may be more. */
export class EngineExport implements Export {
  readonly revision: number
  readonly #plan: ExportPlan
  #raw: RawExport | undefined

  constructor(plan: ExportPlan) {
    this.#plan = plan
    this.#raw = plan.raw
    this.revision = plan.raw.revision()
  }

  async next(): Promise<IteratorResult<Uint8Array>> {
    for (;;) {
      // Each chunk is some work: others get a turn between two of them.
      await new Promise<void>(resolve => this.#plan.background.nextTurn(resolve))
      if (this.#raw === undefined) return DONE
      if (this.#plan.signal?.aborted) {
        this.#end()
        throw this.#plan.signal.reason
      }
      const chunk = this.#take(this.#raw)
      if (chunk === undefined) {
        this.#end()
        return DONE
      }
      if (chunk.length > 0) return { done: false, value: chunk }
    }
  }

  async return(): Promise<IteratorResult<Uint8Array>> {
    this.#end()
    return DONE
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  #take(raw: RawExport): Uint8Array | undefined {
    try {
      this.#plan.assertOpen()
      return raw.next()
    } catch (thrown) {
      const error = this.#plan.instance.error(thrown)
      this.#end()
      throw error
    }
  }

  #end(): void {
    const raw = this.#raw
    this.#raw = undefined
    if (raw === undefined || !this.#plan.instance.isSound) return
    raw.free()
    // What it has held back can be used again.
    this.#plan.background.wake()
  }
}

function assertBytes(piece: unknown): asserts piece is Uint8Array {
  if (!(piece instanceof Uint8Array)) throw invalid(`a source must give Uint8Arrays, not ${show(piece)}`)
}

async function* streamed(
  stream: StreamLike,
  signal: AbortSignalLike | undefined,
): AsyncGenerator<unknown, void> {
  const reader = stream.getReader()
  let isDone = false
  // However long it takes for its next piece, which then does not come.
  const cancel = () => void reader.cancel().catch(() => {})
  signal?.addEventListener('abort', cancel)
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) {
        isDone = true
        return
      }
      yield value
    }
  } finally {
    signal?.removeEventListener('abort', cancel)
    // Nobody wants what is left; that the stream can't be told so changes nothing.
    if (!isDone) await reader.cancel().catch(() => {})
  }
}

/** The pieces of a source, whatever it is. */
function piecesOf(
  source: ImportSource,
  signal: AbortSignalLike | undefined,
): AsyncIterable<unknown> | Iterable<unknown> {
  if (source instanceof Uint8Array) return [source]
  if (source !== null && typeof source === 'object') {
    // Before what streams are as iterables, which can't be ended while they wait.
    if (typeof (source as Partial<StreamLike>).getReader === 'function')
      return streamed(source as StreamLike, signal)
    if (Symbol.asyncIterator in source) return source
    if (Symbol.iterator in source) return source
    if (typeof (source as Partial<BlobLike>).stream === 'function')
      return piecesOf((source as BlobLike).stream(), signal)
  }
  throw invalid(
    `a source must be a Uint8Array, a Blob, a stream, or an iterable of Uint8Arrays, not ${show(source)}`,
  )
}

/** Lets the event loop turn while something long is done, and ends it when a signal says so. */
export class Turns {
  readonly #host: Host
  readonly signal: AbortSignalLike | undefined
  #began = performance.now()

  constructor(host: Host, signal: AbortSignalLike | undefined) {
    this.#host = host
    this.signal = signal
  }

  /** Throws the signal's reason. */
  assertWanted(): void {
    if (this.signal?.aborted) throw this.signal.reason
  }

  /** A turn of the event loop if the last one is long ago. */
  async breathe(): Promise<void> {
    this.assertWanted()
    if (performance.now() - this.#began < TURN) return
    await new Promise<void>(resolve => this.#host.soon(() => resolve()).ref())
    this.#began = performance.now()
    this.assertWanted()
  }
}

/** All bytes of a source, in pieces that are not too large; fewer if a signal says that no more are wanted. */
export async function* cut(source: ImportSource, signal?: AbortSignalLike): AsyncGenerator<Uint8Array, void> {
  for await (const piece of piecesOf(source, signal)) {
    assertBytes(piece)
    for (let at = 0; at < piece.length; at += PIECE_BYTES) yield piece.subarray(at, at + PIECE_BYTES)
  }
}

/** Hands all bytes of a source on, in pieces that are not too large. */
export async function forEachPiece(
  source: ImportSource,
  turns: Turns,
  take: (bytes: Uint8Array) => void,
): Promise<void> {
  turns.assertWanted()
  for await (const piece of cut(source, turns.signal)) {
    take(piece)
    await turns.breathe()
  }
  turns.assertWanted()
}

/** All bytes of a source, for who must read here and there. */
export async function collected(source: ImportSource, turns: Turns): Promise<Uint8Array> {
  if (source instanceof Uint8Array) return source
  const pieces: Uint8Array[] = []
  let length = 0
  // Whoever gives pieces may use their memory again.
  await forEachPiece(source, turns, piece => {
    pieces.push(piece.slice())
    length += piece.length
  })
  const bytes = new Uint8Array(length)
  let at = 0
  for (const piece of pieces) {
    bytes.set(piece, at)
    at += piece.length
  }
  return bytes
}

/** Bytes as the engine reads them. */
export function readable(bytes: Uint8Array): object {
  return {
    read(offset: number, buffer: Uint8Array): number {
      const part = bytes.subarray(offset, offset + buffer.length)
      buffer.set(part)
      return part.length
    },
    length: () => bytes.length,
  }
}
