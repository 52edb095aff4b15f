/** What the tour claims, it proves: here a claim that does not hold ends it. */
import { isDeepStrictEqual } from 'node:util'

/** A claim did not hold; the message is the claim. */
export class Disproved extends Error {}

/** Ends the tour unless `fact` is true. */
export function prove(fact, claim) {
  if (fact !== true) throw new Disproved(`This should hold and does not: ${claim}`)
}

/**
 * Proves that the store, read at a revision, holds exactly what a release holds: the same keys, and every value equal.
 * @param {import('palimpsest-kv').Store<'json'>} db
 * @param {import('./truth.mjs').Release} release
 * @param {number} revision 0 stands for the newest
 */
export async function proveRelease(db, release, revision) {
  let keys = 0
  for await (const { key, value } of db.range({ revision })) {
    const isSame = release.contents.has(key) && isDeepStrictEqual(value, release.contents.get(key))
    prove(isSame, `${key} at revision ${revision} is as in release ${release.name}`)
    keys += 1
  }
  prove(keys === release.contents.size, `revision ${revision} has all keys of release ${release.name}`)
}
