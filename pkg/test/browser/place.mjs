// The package as the tests import it. Where they open a store in memory or in a file, it is opened where this run has its stores.
import * as palimpsest from 'palimpsest-kv/real'

export { compare, del, get, PalimpsestError, put } from 'palimpsest-kv/real'

/** It is Node's: tests of it are left out. */
export const importEtcdSnapshot = undefined

/**
 * Where stores are, and what tells those of this run from others. `durability` is that of stores that the tests have in memory, where
 * nothing waits for a disk. With the role `follower` each store is open already, by another, which leads.
 */
export const place = { storage: 'memory', durability: undefined, role: undefined, run: '' }

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

export async function open(options) {
  const name = nameFor(options?.storage)
  if (name === undefined) return palimpsest.open(options)
  const durability = options.storage === 'memory' ? place.durability : undefined
  const asked = { durability, ...options, name, storage: place.storage }
  return place.role === 'follower' ? following(asked) : palimpsest.open(asked)
}

export async function importStore(source, options) {
  const name = nameFor(options?.storage)
  return palimpsest.importStore(
    source,
    name === undefined ? options : { ...options, name, storage: place.storage },
  )
}

/** A store that follows one that is open for as long. */
async function following(options) {
  const leader = await palimpsest.open(options)
  const db = await palimpsest.open(options)
  const { role } = await db.status()
  if (role !== 'follower') throw new Error(`the store is a ${role}`)
  const { close } = db
  db.close = async () => {
    await close.call(db)
    await leader.close()
  }
  return db
}
