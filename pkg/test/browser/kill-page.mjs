// What the pages do that are killed while they write, and what looks at their stores afterwards.
import { open } from 'palimpsest-kv/real'
import { Contents, change, random, writeAt } from '../support/ledger.mjs'

/** Writes the ledger without end, and says what is acknowledged: `written 7`, `compacted 5`. */
export async function write({ name, storage, seed, say }) {
  const below = random(seed)
  const db = await open({ name, storage, flushInterval: 2, compactionBatchLimit: 20, compactionPause: 0 })
  let next = db.revision + 1
  const one = async options => {
    next += 1
    const revision = await writeAt(db, next - 1, options)
    if (options === undefined) await say(`written ${revision}`)
  }
  while (true) {
    const waiting = Array.from({ length: 1 + below(8) }, () =>
      one(below(6) === 0 ? { durability: 'relaxed' } : undefined),
    )
    const choice = below(12)
    if (choice === 0) waiting.push(compaction(db, below).then(say))
    if (choice === 1) waiting.push(db.checkpoint())
    await Promise.all(waiting)
  }
}

async function compaction(db, below) {
  try {
    return `compacted ${(await db.compact(Math.max(0, db.revision - below(60)))).revision}`
  } catch (error) {
    if (error.code !== 'COMPACTED') throw error
    return 'nothing'
  }
}

function assert(isTrue, words) {
  if (!isTrue) throw new Error(words)
}

/** Opens a store after a kill and checks that all that was acknowledged is there, and all of it sound. Answers its revision. */
export async function verify({ name, storage, written, compacted }) {
  const db = await open({ name, storage })
  try {
    const { revision } = db
    const oldest = (await db.status()).compacted ?? 0
    assert(revision >= Math.max(1, ...written), `${revision} is there, ${written.at(-1)} was acknowledged`)
    assert(
      oldest >= Math.max(0, ...compacted),
      `compacted to ${oldest}, ${compacted.at(-1)} was acknowledged`,
    )
    for (const at of written.filter(at => at >= oldest))
      for (const [key, value] of change(at))
        assert((await db.get(key, { revision: at })) === value, `${key} at ${at}`)
    const contents = new Contents()
    contents.advance(revision)
    const { entries } = await db.range().collect()
    const found = JSON.stringify(entries.map(({ key, value }) => [key, value]))
    assert(
      found === JSON.stringify(contents.entries()),
      `what is there is not what was written up to ${revision}`,
    )
    await db.check()
    return revision
  } finally {
    await db.close()
  }
}
