/** A client that reads and writes while the store works in the background, and how long it had to wait. */
import { setImmediate as turn } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { prove } from './proof.mjs'

/** The waits of one kind of call. A wait begins when the call is wanted, not when the event loop gets to it. */
class Waits {
  count = 0
  longestMs = 0

  /**
   * Lets the event loop turn, which may now be busy with background work, then calls.
   * @template T
   * @param {() => Promise<T>} call
   * @returns {Promise<T>}
   */
  async time(call) {
    const wanted = performance.now()
    await turn()
    const answer = await call()
    this.longestMs = Math.max(this.longestMs, performance.now() - wanted)
    this.count += 1
    return answer
  }
}

/**
 * Reads a value at one of the given revisions and writes one anew, in turn, until `work` is done. Every read is
 * compared with the truth; what is written is the value that the key has, so that the newest release stays what it is.
 * @param {import('palimpsest-kv').Store<'json'>} db
 * @param {{ release: import('./truth.mjs').Release, revision: number }[]} readable the newest release last
 * @param {Promise<unknown>} work
 */
export async function readAndWriteUntil(db, readable, work) {
  const reads = new Waits()
  const writes = new Waits()
  let isDone = false
  const ending = work.finally(() => (isDone = true))
  const newest = [...readable.at(-1).release.contents]
  for (let round = 0; !isDone; round += 1) {
    const { release, revision } = readable[round % readable.length]
    const [key, current] = newest[(round * 97) % newest.length]
    const value = await reads.time(() => db.get(key, { revision }))
    prove(isDeepStrictEqual(value, release.contents.get(key)), `${key} reads right at revision ${revision}`)
    await writes.time(() => db.put(key, current))
  }
  await ending
  return { reads, writes }
}
