// Whether a step can be left out: its inputs are what they were when it last succeeded, and its outputs are there.
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { root } from './tools.mjs'

function* files(path) {
  if (!statSync(path).isDirectory()) {
    yield path
    return
  }
  for (const name of readdirSync(path).sort()) yield* files(join(path, name))
}

/** A hash of files and folders (with all in them) and of some words, such as the versions of tools. */
export function hashOf(paths, words) {
  const hash = createHash('sha256')
  for (const word of words) hash.update(`${word}\0`)
  for (const path of paths.flatMap(path => [...files(path)])) {
    hash.update(`${relative(root, path)}\0`)
    hash.update(readFileSync(path))
  }
  return hash.digest('hex')
}

/** A step that is only done if its inputs have changed or an output is missing. Answers whether it was done. */
export async function onChange({ stamp, hash, outputs }, work) {
  const known = existsSync(stamp) ? readFileSync(stamp, 'utf8') : undefined
  if (known === hash && outputs.every(output => existsSync(output))) return false
  rmSync(stamp, { force: true })
  await work()
  mkdirSync(dirname(stamp), { recursive: true })
  writeFileSync(stamp, hash)
  return true
}
