/** The history of mime-db that the tour has, too: each release becomes one revision. */
import { del, put } from 'palimpsest-kv'
import { bytesOf } from './bytes.js'
import type { Db } from './session.js'

/** The key under which the number of the release is put, with each release. */
export const RELEASE_KEY = 'release'

interface Release {
  readonly release: string
  readonly put: Readonly<Record<string, unknown>>
  readonly delete: readonly string[]
}

/** All releases, oldest first. They are half of the page's code, and loaded when they are needed. */
export async function releases(): Promise<readonly Release[]> {
  const { default: source } = await import('../../tour/data/mime-db-history.ndjson?raw')
  return source
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as Release)
}

/** A media type as the store has it. */
export function encoded(entry: unknown): Uint8Array {
  return bytesOf(JSON.stringify(entry))
}

/** Writes a release as one transaction, so as one revision. Answers how many keys it changed. */
export async function writeRelease(db: Db, release: Release): Promise<number> {
  const puts = Object.entries(release.put).map(([key, entry]) => put(key, encoded(entry)))
  await db
    .txn()
    .then(put(RELEASE_KEY, bytesOf(release.release)), ...puts, ...release.delete.map(key => del(key)))
    .commit()
  return puts.length + release.delete.length + 1
}

/** Writes all releases. */
export async function writeReleases(db: Db): Promise<void> {
  for (const release of await releases()) await writeRelease(db, release)
  await db.checkpoint()
}
