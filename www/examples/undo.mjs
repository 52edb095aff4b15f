/**
 * Undo and redo of a document, by revisions: the store remembers every state, so that the program only remembers where it is.
 *
 * An undo is a write, too: nothing that was there is ever lost, and another program that reads the document sees it go back.
 */

/**
 * The document under a key.
 *
 * Invariant: `#states` are the revisions of the document's states, oldest first; the one at `#at` is what is shown.
 */
export class UndoableDocument {
  #db
  #key
  #states
  #at

  /** The document with the states that the store still has of it. */
  static async open(db, key) {
    const { entries } = await db.history(key).collect()
    return new UndoableDocument(
      db,
      key,
      entries.map(version => version.modRevision),
    )
  }

  constructor(db, key, states) {
    this.#db = db
    this.#key = key
    this.#states = states
    this.#at = states.length - 1
  }

  /** What is shown; `undefined` before the first state. */
  async text() {
    return this.#at < 0 ? undefined : this.#db.get(this.#key, { revision: this.#states[this.#at] })
  }

  /** A new state. What was undone before can't be redone after it. */
  async write(text) {
    const { revision } = await this.#db.put(this.#key, text)
    this.#states = [...this.#states.slice(0, this.#at + 1), revision]
    this.#at = this.#states.length - 1
  }

  /** Goes back by one state. Answers whether there was one. */
  undo() {
    return this.#go(-1)
  }

  /** Goes forward by one state that was undone. Answers whether there was one. */
  redo() {
    return this.#go(1)
  }

  async #go(step) {
    const at = this.#at + step
    if (at < 0 || at >= this.#states.length) return false
    this.#at = at
    const text = await this.text()
    // Others read the newest revision.
    await (text === undefined ? this.#db.delete(this.#key) : this.#db.put(this.#key, text))
    return true
  }
}
