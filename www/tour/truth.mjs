/**
 * The truth that the store is held against, worked out from the data alone: what each release contains, and what
 * compaction must remove.
 */
import { readFileSync } from 'node:fs'

/**
 * @typedef {object} Release
 * @property {string} name its number
 * @property {Map<string, unknown>} puts entries that are new or changed in it
 * @property {string[]} deletes keys that it dropped
 * @property {Map<string, unknown>} contents everything that it contains
 */

/**
 * Reads the history, one release a line, oldest first.
 * @param {URL} file
 * @returns {Release[]}
 */
export function readReleases(file) {
  let contents = new Map()
  return readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map(line => {
      const { release, put, delete: deletes } = JSON.parse(line)
      const puts = new Map(Object.entries(put))
      contents = new Map(contents)
      for (const key of deletes) contents.delete(key)
      for (const [key, value] of puts) contents.set(key, value)
      return { name: release, puts, deletes, contents }
    })
}

/**
 * How many records a compaction to the release at `last` must remove. Per key it keeps what is newer, and of the
 * rest only the newest record; not even that if it is a deletion in an earlier release.
 * @param {Release[]} releases
 * @param {number} last
 */
export function countObsolete(releases, last) {
  const written = releases.slice(0, last + 1).flatMap(({ puts, deletes }) => [...puts.keys(), ...deletes])
  const keys = new Set(written)
  const isKept = key => releases[last].contents.has(key) || releases[last].deletes.includes(key)
  return written.length - [...keys].filter(isKept).length
}
