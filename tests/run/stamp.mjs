/** Tells whether what was made is still what its inputs make: by content, never by time of change. */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { ROOT } from './exec.mjs'

const FOLDER = join(ROOT, 'node_modules', '.cache', 'palimpsest')

/** One number for the contents of files and folders (as paths from the top), and for some words besides. */
export function fingerprint(paths, words = []) {
  const hash = createHash('sha256')
  for (const word of words) hash.update(`${word}\0`)
  for (const path of paths) addTo(hash, path)
  return hash.digest('hex')
}

function addTo(hash, path) {
  const file = join(ROOT, path)
  if (!existsSync(file)) {
    hash.update(`${path} is absent\0`)
  } else if (statSync(file).isDirectory()) {
    for (const name of readdirSync(file).sort()) addTo(hash, join(path, name))
  } else {
    hash.update(`${path}\0`).update(readFileSync(file)).update('\0')
  }
}

/** Whether `value` is what was last stamped under this name. */
export function isStamped(name, value) {
  const file = join(FOLDER, name)
  return existsSync(file) && readFileSync(file, 'utf8') === value
}

/** Remembers `value` under this name. It lies in node_modules, so a fresh installation forgets it. */
export function stamp(name, value) {
  const file = join(FOLDER, name)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, value)
}
