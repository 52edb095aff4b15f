// The engines that are compared, each behind the same few calls. All keep texts as keys and bytes as values, and hand a batch to the
// browser with relaxed durability: what is written survives the page, not a loss of power.

import { BrowserLevel } from 'browser-level'
import Dexie from 'dexie'
import { openDB } from 'idb'
import { open } from 'palimpsest-kv'

/** @typedef {[key: string, value: Uint8Array][]} Batch */

/**
 * What is measured of an engine: `getSync` only where it has one.
 * @typedef {object} Engine
 * @property {(batch: Batch) => Promise<void> | void} putBatch
 * @property {(key: string) => Promise<Uint8Array | undefined>} get
 * @property {(key: string) => Uint8Array | undefined} [getSync]
 * @property {() => Promise<void>} settle everything written is with the operating system
 * @property {() => Promise<void> | void} close
 */

const nothing = async () => {}

/** Ours, with a storage of browsers. `settle` does more than is asked of the others: it syncs. */
export const ours = (storage, options) => async name => {
  const db = await open({ name, storage, values: 'bytes', durability: 'relaxed', ...options })
  return {
    db,
    putBatch: async batch => {
      await Promise.all(batch.map(([key, value]) => db.put(key, value)))
    },
    get: key => db.get(key),
    getSync: key => db.getSync(key),
    settle: async () => {
      await db.flush()
    },
    close: () => db.close(),
  }
}

async function overIdb(name) {
  const db = await openDB(name, 1, { upgrade: opened => void opened.createObjectStore('kv') })
  return {
    putBatch: async batch => {
      const transaction = db.transaction('kv', 'readwrite', { durability: 'relaxed' })
      for (const [key, value] of batch) transaction.store.put(value, key)
      await transaction.done
    },
    get: key => db.get('kv', key),
    settle: nothing,
    close: () => db.close(),
  }
}

async function overDexie(name) {
  const db = new Dexie(name, { chromeTransactionDurability: 'relaxed' })
  db.version(1).stores({ kv: '' })
  await db.open()
  return {
    putBatch: async batch => {
      await db.kv.bulkPut(
        batch.map(([, value]) => value),
        batch.map(([key]) => key),
      )
    },
    get: key => db.kv.get(key),
    settle: nothing,
    close: () => db.close(),
  }
}

async function overLevel(name) {
  const db = new BrowserLevel(name, { keyEncoding: 'utf8', valueEncoding: 'view' })
  await db.open()
  return {
    putBatch: batch => db.batch(batch.map(([key, value]) => ({ type: 'put', key, value }))),
    get: key => db.get(key),
    settle: nothing,
    close: () => db.close(),
  }
}

/** The official SQLite, with its fastest file system of its own; it needs a worker. Without syncs, as is asked of the others. */
async function overSqlite(name) {
  const { default: init } = await import('@sqlite.org/sqlite-wasm')
  const sqlite = await init()
  const pool = await sqlite.installOpfsSAHPoolVfs({ directory: `/${name}` })
  const db = new pool.OpfsSAHPoolDb('/bench.sqlite3')
  db.exec('PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = OFF; PRAGMA cache_size = -65536')
  db.exec('CREATE TABLE IF NOT EXISTS kv (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID')
  const put = db.prepare('INSERT OR REPLACE INTO kv VALUES (?1, ?2)')
  const select = db.prepare('SELECT value FROM kv WHERE key = ?1')
  const getSync = key => {
    const value = select.bind(1, key).step() ? select.getBlob(0) : undefined
    select.reset()
    return value
  }
  return {
    putBatch: batch => {
      db.exec('BEGIN')
      for (const [key, value] of batch) put.bind(1, key).bind(2, value).stepReset()
      db.exec('COMMIT')
    },
    get: async key => getSync(key),
    getSync,
    settle: nothing,
    close: async () => {
      put.finalize()
      select.finalize()
      db.close()
      await pool.removeVfs()
    },
  }
}

/** All that is compared, by the name of its column. */
export const ENGINES = {
  'ours opfs': ours('opfs'),
  'ours indexeddb': ours('indexeddb'),
  idb: overIdb,
  dexie: overDexie,
  'browser-level': overLevel,
  'sqlite sahpool': overSqlite,
}
