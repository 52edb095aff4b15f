// The package as the tests import it. Where they open a store in memory, it is opened where this run has its stores.
import * as palimpsest from 'palimpsest-kv/real'

export { compare, del, get, PalimpsestError, put } from 'palimpsest-kv/real'

/** Where stores are, and what is told of a store there. */
export const place = { storage: 'memory' }

let stores = 0

export function open(options) {
  if (place.storage === 'memory' || options?.storage !== 'memory') return palimpsest.open(options)
  stores += 1
  return palimpsest.open({ name: `test-${place.run}-${stores}`, ...options, storage: place.storage })
}
