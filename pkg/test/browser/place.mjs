// The package as the tests import it. Where they open a store in memory or in a file, it is opened where this run has its stores.
import * as palimpsest from 'palimpsest-kv/real'

export { compare, del, get, PalimpsestError, put } from 'palimpsest-kv/real'

/**
 * Where stores are, and what tells those of this run from others. `durability` is that of stores that the tests have in memory, where
 * nothing waits for a disk.
 */
export const place = { storage: 'memory', durability: undefined, run: '' }

let stores = 0

/** The name of the store that is opened instead, if one is. */
function nameFor(storage) {
  if (place.storage === 'memory') return undefined
  if (storage === 'memory') {
    stores += 1
    return `${place.run} memory ${stores}`
  }
  return typeof storage?.file === 'string' ? `${place.run} ${storage.file}` : undefined
}

export function open(options) {
  const name = nameFor(options?.storage)
  if (name === undefined) return palimpsest.open(options)
  const durability = options.storage === 'memory' ? place.durability : undefined
  return palimpsest.open({ durability, ...options, name, storage: place.storage })
}
