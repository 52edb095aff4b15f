// What each of several tabs does with one store, while leaders go: it writes, reads what it wrote, and watches everything.
import { open } from 'palimpsest-kv/real'

let isOver = false
let working

/** What the tab knows: the writes whose outcome it does not know, and the revisions it was told of. */
const known = { unknown: [], told: [], from: 0 }

/** Opens the store and begins. Answers what the store says of itself. */
export async function begin({ name, storage, page, say }) {
  const db = await open({ name, storage })
  globalThis.db = db
  known.from = db.durableRevision + 1
  working = Promise.all([write(db, page, say), read(db)])
  working.catch(error => say(`failed ${error.code} ${error.stack}`))
  watch(db).catch(error => say(`failed watch ${error.code} ${error.stack}`))
  return db.status()
}

async function write(db, page, say) {
  for (let count = 0; !isOver; count += 1) {
    const key = `${page}/${count}`
    try {
      // Each key is put once in all: a call that is done twice shows in its version.
      const { revision } = await db.txn().then({ type: 'put', key, value: page }).commit()
      await say(`written ${key} ${revision}`)
      const value = await db.get(key)
      if (value !== page) throw new Error(`${key} is ${value} after it was acknowledged at ${revision}`)
    } catch (error) {
      if (error.code !== 'LEADER_LOST') throw error
      known.unknown.push(key)
    }
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

/** Reads are answered, whatever becomes of leaders; unless they are of what a crash has undone. */
async function read(db) {
  for (let last = 0; !isOver; ) {
    const { durableRevision } = await db.status()
    if (durableRevision < last) throw new Error(`revision ${durableRevision} after ${last}`)
    last = durableRevision
    const snapshot = db.snapshot()
    const mayBeUndone = snapshot.revision > durableRevision
    try {
      const count = await snapshot.count()
      await new Promise(resolve => setTimeout(resolve, 20))
      if ((await snapshot.count()) !== count) throw new Error(`a snapshot of ${snapshot.revision} changed`)
    } catch (error) {
      if (error.code !== 'LEADER_LOST' || !mayBeUndone) throw error
    }
    snapshot.close()
  }
}

async function watch(db) {
  for await (const { events } of db.watch({ all: true }, { from: known.from }))
    for (const { key, modRevision } of events) known.told.push([key, modRevision])
}

/** Ends the writing. */
export function stop() {
  isOver = true
  return working
}

/** Answers what is known when the watch has told of everything; nobody may write any more. */
export async function told() {
  const { revision } = await globalThis.db.status()
  const isTold = () => known.told.length > 0 && known.told.at(-1)[1] >= revision
  for (let tries = 0; revision >= known.from && !isTold() && tries < 500; tries += 1)
    await new Promise(resolve => setTimeout(resolve, 10))
  return known
}
