/** What a store has under a prefix, for React: a component shows it, and is shown anew when it changes, by whomever. */
import { useMemo, useSyncExternalStore } from 'react'

/**
 * Follows the keys with a prefix, for `useSyncExternalStore`.
 *
 * Invariant: the map is a new one whenever something has changed, and the same one else.
 */
export class Entries {
  #db
  #prefix
  #map = new Map()
  #listeners = new Set()
  #stop

  constructor(db, prefix) {
    this.#db = db
    this.#prefix = prefix
  }

  snapshot = () => this.#map

  /** Follows the store as long as anybody listens. */
  subscribe = listener => {
    this.#listeners.add(listener)
    if (this.#listeners.size === 1) {
      this.#stop = new AbortController()
      void this.#follow(this.#stop.signal)
    }
    return () => {
      this.#listeners.delete(listener)
      if (this.#listeners.size === 0) this.#stop.abort()
    }
  }

  async #follow(signal) {
    try {
      // Read once at a revision, then told of everything after it: nothing is missed, and nothing is seen twice.
      const { revision } = this.#db
      const { entries } = await this.#db.range({ prefix: this.#prefix, revision }).collect()
      if (signal.aborted) return
      this.#tell(new Map(entries.map(({ key, value }) => [key, value])))
      const watch = this.#db.watch({ prefix: this.#prefix }, { from: revision + 1, signal })
      for await (const { events } of watch) {
        const map = new Map(this.#map)
        for (const { type, key, value } of events) type === 'put' ? map.set(key, value) : map.delete(key)
        this.#tell(map)
      }
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }

  #tell(map) {
    this.#map = map
    for (const listener of this.#listeners) listener()
  }
}

/** The entries with a prefix, as a map from keys to values. */
export function useEntries(db, prefix) {
  const entries = useMemo(() => new Entries(db, prefix), [db, prefix])
  return useSyncExternalStore(entries.subscribe, entries.snapshot, entries.snapshot)
}
