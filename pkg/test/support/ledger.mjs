// What a program writes that is killed and begun again: for each revision one change, the same every time, so that whoever looks at the
// store afterwards knows what must be there.
import { del, put } from 'palimpsest-kv'

const KEYS = 40
/** Keys between two keys of one transaction; it has no divisor in common with `KEYS`, so that all of them differ. */
const STRIDE = 7

/** Random numbers that are the same for the same seed: each call answers a whole number below `end`. (mulberry32) */
export function random(seed) {
  let state = seed >>> 0
  return end => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % end
  }
}

/** What one revision changes: keys with their values, `undefined` if they are deleted. At least one has a value. */
export function change(revision) {
  const below = random(revision)
  const first = below(KEYS)
  const puts = below(4) === 0 ? 2 + below(4) : 1
  const key = number => `key${String((first + number * STRIDE) % KEYS).padStart(2, '0')}`
  const changes = []
  for (let number = 0; number < puts; number += 1) {
    const bytes = below(12) === 0 ? below(6_000) : below(200)
    changes.push([key(number), `${revision}:${'v'.repeat(bytes)}`])
  }
  if (puts > 1) changes.push([key(puts), undefined])
  return changes
}

/** Writes the change that is next. Answers the promise of its revision. */
export function write(db, options) {
  return writeAt(db, db.revision + 1, options)
}

/** Writes the change of a revision, which must be the next one. */
export async function writeAt(db, revision, options) {
  const changes = change(revision)
  const [[key, value]] = changes
  if (changes.length === 1) return (await db.put(key, value, options)).revision
  const ops = changes.map(([key, value]) => (value === undefined ? del(key) : put(key, value)))
  return (
    await db
      .txn()
      .then(...ops)
      .commit(options)
  ).revision
}

/** What is there after all changes up to a revision. */
export class Contents {
  #revision = 1
  #values = new Map()

  /** Makes the changes up to a revision, which is not before the present one. */
  advance(revision) {
    for (; this.#revision < revision; this.#revision += 1) {
      for (const [key, value] of change(this.#revision + 1)) {
        if (value === undefined) this.#values.delete(key)
        else this.#values.set(key, value)
      }
    }
  }

  entries() {
    return [...this.#values].sort(([one], [other]) => (one < other ? -1 : 1))
  }
}
