/**
 * A cache of what was fetched, within a quota: what is asked for without a network is what was there the last time. When it is full, the
 * entries that were not asked for the longest go, and the pages that they had are used again. Of the others the answer before the last is
 * kept, too, to show what has changed.
 */

/** Entries that go at once when there is no room. */
const DROPPED_AT_ONCE = 16
/** Versions of an entry that compaction leaves: the last, and the one before. */
const KEPT_VERSIONS = 2

export class OfflineCache {
  #db
  #fetch
  /** When each entry was last used, by a count: small, so that it is kept in memory. */
  #uses = new Map()
  #count = 0

  /**
   * @param db a store; its quota is the cache's
   * @param fetch gets the text of an address, or fails
   */
  static async open(db, fetch) {
    await db.setRetention([{ prefix: '', newest: KEPT_VERSIONS }])
    return new OfflineCache(db, fetch)
  }

  constructor(db, fetch) {
    this.#db = db
    this.#fetch = fetch
  }

  /** What an address answers now or, without a network, what it answered the last time. */
  async get(address) {
    let text
    try {
      text = await this.#fetch(address)
    } catch (error) {
      const kept = await this.#db.get(address)
      if (kept === undefined) throw error
      this.#use(address)
      return kept
    }
    await this.#keep(address, text)
    return text
  }

  /** What an address answered before the last time; `undefined` if it never did. */
  async previous(address) {
    const { entries } = await this.#db.history(address, { reverse: true, limit: KEPT_VERSIONS }).collect()
    return entries[1]?.value
  }

  #use(address) {
    this.#count += 1
    this.#uses.set(address, this.#count)
  }

  async #keep(address, text) {
    for (;;) {
      try {
        await this.#db.put(address, text)
        this.#use(address)
        return
      } catch (error) {
        if (error.code !== 'NO_SPACE' || !(await this.#makeRoom())) throw error
      }
    }
  }

  /** Deletes what was not used the longest, with its history. Answers whether there was anything. */
  async #makeRoom() {
    const { entries } = await this.#db.keys().collect()
    const oldest = entries
      .map(key => ({ key, used: this.#uses.get(key) ?? 0 }))
      .sort((a, b) => a.used - b.used)
      .slice(0, DROPPED_AT_ONCE)
    for (const { key } of oldest) {
      await this.#db.delete(key)
      this.#uses.delete(key)
    }
    // A delete is history, too: the pages come back when that is given up.
    const job = await this.#db.compact(this.#db.revision)
    await job.done
    return oldest.length > 0
  }
}
