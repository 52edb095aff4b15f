/** Bytes in a block of an image: a record of the database. */
export const BLOCK_BYTES: number = 256 * 1024

/** Bytes that stand together. */
export interface Part {
  readonly at: number
  readonly bytes: Uint8Array<ArrayBuffer>
}

/** What has changed of an image, from one moment to another. */
export interface Change {
  /** The shortest that it has been in between: what stood behind is gone, whatever its length is now. */
  readonly cut: number
  /** Its length at the end. */
  readonly length: number
  readonly parts: readonly Part[]
}

/** A stretch of bytes that has changed. */
interface Stretch {
  start: number
  end: number
}

/** All bytes of a store, in memory, with what has changed of them since somebody asked. */
export class Image {
  #blocks: Uint8Array<ArrayBuffer>[] = []
  #length = 0
  /** The length at the last `take`, and the shortest since then. */
  #taken = 0
  #cut = 0
  #changed: Stretch[] = []

  /** How many bytes there are. */
  get length(): number {
    return this.#length
  }

  /** Whether anything has changed since the last `take`. */
  get isChanged(): boolean {
    return this.#changed.length > 0 || this.#length !== this.#taken || this.#cut < this.#taken
  }

  /** Fills a buffer from `offset`. Answers how many bytes there were. */
  read(offset: number, buffer: Uint8Array): number {
    const end = Math.min(offset + buffer.length, this.#length)
    for (const { block, from, to, at } of pieces(offset, end))
      buffer.set(this.#block(block).subarray(from, to), at - offset)
    return Math.max(0, end - offset)
  }

  /** Writes bytes, and grows by what is missing. */
  write(offset: number, bytes: Uint8Array): void {
    const end = offset + bytes.length
    this.#length = Math.max(this.#length, end)
    for (const { block, from, to, at } of pieces(offset, end))
      this.#block(block).set(bytes.subarray(at - offset, at - offset + to - from), from)
    this.#mark(offset, end)
  }

  /** Cuts the end off, or adds zeros. */
  resize(length: number): void {
    if (length < this.#length) {
      for (const { block, from, to } of pieces(length, this.#length)) this.#block(block).fill(0, from, to)
      this.#blocks.length = Math.min(this.#blocks.length, Math.ceil(length / BLOCK_BYTES))
      this.#cut = Math.min(this.#cut, length)
      this.#changed = this.#changed
        .filter(({ start }) => start < length)
        .map(({ start, end }) => ({ start, end: Math.min(end, length) }))
    }
    this.#length = length
  }

  /** What has changed since the last time. */
  take(): Change {
    const parts = this.#changed.map(({ start, end }) => ({ at: start, bytes: this.#copy(start, end) }))
    const change = { cut: this.#cut, length: this.#length, parts }
    this.#forget()
    return change
  }

  /** Makes a change that was taken from another image, or this one earlier. */
  apply({ cut, length, parts }: Change): void {
    this.resize(Math.min(cut, this.#length))
    this.resize(length)
    for (const { at, bytes } of parts) this.write(at, bytes)
    this.#forget()
  }

  /** A block as it is now. */
  block(number: number): Uint8Array<ArrayBuffer> {
    return this.#block(number).slice()
  }

  #forget(): void {
    this.#changed = []
    this.#taken = this.#length
    this.#cut = this.#length
  }

  #block(number: number): Uint8Array<ArrayBuffer> {
    while (this.#blocks.length <= number) this.#blocks.push(new Uint8Array(BLOCK_BYTES))
    return this.#blocks[number] as Uint8Array<ArrayBuffer>
  }

  #copy(start: number, end: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(end - start)
    this.read(start, bytes)
    return bytes
  }

  /** Remembers that a stretch has changed. Most writes go on where the last one ended. */
  #mark(start: number, end: number): void {
    const apart: Stretch[] = []
    const merged = { start, end }
    for (const stretch of this.#changed) {
      if (stretch.end < merged.start || stretch.start > merged.end) {
        apart.push(stretch)
      } else {
        merged.start = Math.min(merged.start, stretch.start)
        merged.end = Math.max(merged.end, stretch.end)
      }
    }
    this.#changed = [...apart, merged]
  }
}

/** The parts of blocks that a stretch of bytes is in. */
function* pieces(
  start: number,
  end: number,
): Generator<{ block: number; from: number; to: number; at: number }> {
  for (let at = start; at < end; ) {
    const block = Math.floor(at / BLOCK_BYTES)
    const from = at - block * BLOCK_BYTES
    const to = Math.min(BLOCK_BYTES, from + end - at)
    yield { block, from, to, at }
    at += to - from
  }
}
